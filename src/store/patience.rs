//! When to try again, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use crate::aws::backoff::{Backoff, OutOfTime};

/// How often something is tried whose outcome is unclear.
pub(super) const UNCLEAR_TRIES: u32 = 4;

pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Pauses that grow, until a deadline.
#[derive(Debug)]
pub(super) struct Patience {
    backoff: Backoff,
    unclear: u32,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).until(deadline), unclear: 0 }
    }

    /// Waits, if what failed may succeed when it is tried again.
    ///
    /// # Errors
    /// The failure, if it may not, or if there is no time left.
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
