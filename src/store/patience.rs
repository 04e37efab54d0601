//! Backoff of DynamoDB calls: the time of the next try, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::aws::backoff::{Backoff, OutOfTime};

/// Maximum number of tries with an unclear outcome.
pub(super) const UNCLEAR_TRIES: u32 = 4;

pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Increasing pauses, until a deadline.
#[derive(Debug)]
pub(super) struct Patience {
    backoff: Backoff,
    unclear: u32,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).until(deadline), unclear: 0 }
    }

    /// Waits before the next try, if a retry may help.
    ///
    /// # Errors
    /// Returns the failure if a retry does not help, or if the deadline is over.
    pub(super) async fn with(&mut self, failure: Failure) -> Result<(), Failure> {
        match &failure {
            Failure::Busy(_) => {}
            Failure::Unclear(_) => {
                self.unclear += 1;
                if self.unclear == UNCLEAR_TRIES {
                    return Err(failure);
                }
            }
            _ => return Err(failure),
        }
        self.backoff.wait().await.map_err(|OutOfTime| failure)
    }
}
