//! When to try again, and when to give up.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// How often something is tried whose outcome is unclear.
const UNCLEAR_TRIES: u32 = 4;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Pauses that grow, until a deadline.
#[derive(Debug)]
pub(super) struct Patience {
    deadline: Instant,
    pause: Duration,
    unclear: u32,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, pause: FIRST_PAUSE, unclear: 0 }
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
        // Anything up to the whole pause: those that collided must not meet again.
        let wait = self.pause.mul_f64(fastrand::f64());
        if Instant::now() + wait >= self.deadline {
            return Err(failure);
        }
        tokio::time::sleep(wait).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
