//! Backoff of DynamoDB calls: the time of the next try, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::error::DynamoDbError;
use crate::aws::backoff::{Backoff, OutOfTime};

/// Maximum number of tries with an unclear outcome.
const MAX_UNKNOWN_OUTCOMES: u32 = 4;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Increasing pauses, until a deadline.
#[derive(Debug)]
pub(super) struct CallBackoff {
    backoff: Backoff,
    unknown: u32,
}

impl CallBackoff {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, MAX_PAUSE).until(deadline), unknown: 0 }
    }

    /// Waits before the next try, if a retry may help.
    ///
    /// # Errors
    /// Returns the failure if a retry does not help, or if the deadline is over.
    pub(super) async fn wait(&mut self, error: DynamoDbError) -> Result<(), DynamoDbError> {
        match &error {
            DynamoDbError::Busy(_) => {}
            DynamoDbError::OutcomeUnknown(_) => {
                self.unknown += 1;
                if self.unknown == MAX_UNKNOWN_OUTCOMES {
                    return Err(error);
                }
            }
            _ => return Err(error),
        }
        self.backoff.wait().await.map_err(|OutOfTime| error)
    }
}
