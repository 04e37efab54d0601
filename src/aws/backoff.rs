//! Pauses between tries.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double up to a longest, with full jitter: each is anything up to that, so that callers who collided don't meet again
/// (<https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).
#[derive(Clone, Debug)]
pub struct Backoff {
    pause: Duration,
    longest: Duration,
    deadline: Option<Instant>,
}

/// The next try would begin after the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTime;

impl Backoff {
    /// Pauses of at most `first`, then of twice that, up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { pause: first, longest, deadline: None }
    }

    /// The same, until a deadline.
    #[must_use]
    pub const fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The next try would begin after the deadline. Nothing was waited for then.
    pub async fn wait(&mut self) -> Result<(), OutOfTime> {
        self.sleep(self.pause.mul_f64(fastrand::f64())).await
    }

    /// Waits for as long as a server asks in `retry-after`, and up to a fifth more; without that, as [`Self::wait`]. No wait is longer
    /// than the longest pause.
    ///
    /// # Errors
    /// The next try would begin after the deadline. Nothing was waited for then.
    pub async fn wait_as_asked(&mut self, retry_after: Option<Duration>) -> Result<(), OutOfTime> {
        match retry_after {
            Some(asked) => self.sleep(asked.min(self.longest).mul_f64(1.0 + fastrand::f64() / 5.0)).await,
            None => self.wait().await,
        }
    }

    async fn sleep(&mut self, wait: Duration) -> Result<(), OutOfTime> {
        if self.deadline.is_some_and(|deadline| Instant::now() + wait >= deadline) {
            return Err(OutOfTime);
        }
        tokio::time::sleep(wait).await;
        self.pause = (self.pause * 2).min(self.longest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_the_longest_and_none_goes_beyond_the_deadline() {
        let began = Instant::now();
        let mut backoff = Backoff::new(FIRST, FIRST * 4).until(began + FIRST * 100);
        for most in [1, 2, 4, 4, 4] {
            let before = Instant::now();
            assert_eq!(backoff.wait().await, Ok(()));
            // The clock of a test moves by whole milliseconds.
            assert!(before.elapsed() <= FIRST * most + Duration::from_millis(1), "{:?}", before.elapsed());
        }
        while backoff.wait().await.is_ok() {}
        assert!(began.elapsed() < FIRST * 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_asks_for_is_kept_up_to_the_longest() {
        let mut backoff = Backoff::new(FIRST, FIRST * 4);
        for (asked, least, most) in [(2, 2, 3), (9, 4, 5)] {
            let before = Instant::now();
            backoff.wait_as_asked(Some(FIRST * asked)).await.unwrap();
            assert!((FIRST * least..=FIRST * most).contains(&before.elapsed()), "{:?}", before.elapsed());
        }
    }
}
