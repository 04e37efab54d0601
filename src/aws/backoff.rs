//! Pauses between tries.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that double up to a maximum, with full jitter: each is a random part of that, so that colliding callers do
/// not collide again (<https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).
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
    /// Creates pauses of at most `first`, then of twice that, up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { pause: first, longest, deadline: None }
    }

    /// Sets a deadline.
    #[must_use]
    pub const fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The next try would begin after the deadline. Returns without waiting.
    pub async fn wait(&mut self) -> Result<(), OutOfTime> {
        let pause = self.next(fastrand::f64());
        self.sleep(pause).await
    }

    /// Returns the next pause. `jitter` is the share of the maximum, from 0 to 1.
    fn next(&mut self, jitter: f64) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        pause.mul_f64(jitter)
    }

    /// Waits for the time that a server requests in `retry-after`, plus up to a fifth of it. Without that header, waits
    /// as [`Self::wait`], with the same error. No wait is longer than the maximum pause.
    pub async fn wait_as_asked(&mut self, retry_after: Option<Duration>) -> Result<(), OutOfTime> {
        match retry_after {
            Some(asked) => self.sleep(self.asked(asked, fastrand::f64())).await,
            None => self.wait().await,
        }
    }

    fn asked(&self, retry_after: Duration, jitter: f64) -> Duration {
        retry_after.min(self.longest).mul_f64(1.0 + jitter / 5.0)
    }

    async fn sleep(&self, pause: Duration) -> Result<(), OutOfTime> {
        if self.deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
            return Err(OutOfTime);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);

    #[test]
    fn pauses_double_up_to_the_longest_and_are_anything_up_to_that() {
        let mut backoff = Backoff::new(FIRST, FIRST * 4);
        assert_eq!(
            [1.0, 1.0, 1.0, 0.5, 0.0].map(|jitter| backoff.next(jitter)),
            [1, 2, 4, 2, 0].map(|times| FIRST * times)
        );
    }

    #[test]
    fn what_a_server_asks_for_is_kept_up_to_the_longest() {
        let backoff = Backoff::new(FIRST, FIRST * 4);
        assert_eq!(backoff.asked(FIRST * 2, 0.0), FIRST * 2);
        assert_eq!(backoff.asked(FIRST * 10, 1.0), FIRST * 24 / 5);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_beyond_the_deadline() {
        let mut backoff = Backoff::new(Duration::from_secs(600), Duration::from_secs(600)).until(Instant::now());
        assert_eq!(backoff.wait().await, Err(OutOfTime));
        assert_eq!(backoff.wait_as_asked(Some(Duration::from_secs(600))).await, Err(OutOfTime));
    }
}
