//! The rate of requests to Resend: `RESEND_RATE`, kept from run to run by the lock. By real time.

use std::time::Duration;

use tokio::time::Instant;

use crate::time::UnixMillis;

/// The time of the next request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestRate {
    interval: Duration,
    next: UnixMillis,
}

impl RequestRate {
    /// Creates a rate of one request in `interval`, the first one at `next`.
    pub(super) const fn new(interval: Duration, next: UnixMillis) -> Self {
        Self { interval, next }
    }

    /// Earliest time of the next request.
    pub(super) const fn next(&self) -> UnixMillis {
        self.next
    }

    /// Moves the next request to `at`, if that is later.
    pub(super) fn not_before(&mut self, at: UnixMillis) {
        self.next = self.next.max(at);
    }

    /// Waits until the next request may begin. Returns false, without a wait, if that is after `last`.
    pub(super) async fn wait(&self, last: Instant) -> bool {
        let left = u64::try_from(self.next.0.saturating_sub(UnixMillis::now().0)).unwrap_or(0);
        let Some(at) = Instant::now().checked_add(Duration::from_millis(left)) else { return false };
        if at > last {
            return false;
        }
        tokio::time::sleep_until(at).await;
        true
    }

    /// Counts a request that begins at `now`.
    pub(super) fn begin(&mut self, now: UnixMillis) {
        self.next = self.next.max(self.after(now));
    }

    /// Returns the earliest time of a request after one at `now`. A part of a millisecond is rounded up, also the
    /// part that
    /// `now` lacks.
    pub(super) fn after(&self, now: UnixMillis) -> UnixMillis {
        now.plus(self.interval + Duration::from_micros(1_999))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_an_interval_apart_and_never_earlier() {
        let mut pace = RequestRate::new(Duration::from_secs_f64(1.0 / 3.0), UnixMillis(1_000));
        pace.begin(UnixMillis(1_000));
        assert_eq!(pace.next(), UnixMillis(1_335), "rounded up");
        pace.not_before(UnixMillis(5_000));
        pace.begin(UnixMillis(2_000));
        assert_eq!(pace.next(), UnixMillis(5_000));
    }

    #[tokio::test]
    async fn a_wait_beyond_the_end_is_none() {
        let pace = RequestRate::new(Duration::from_millis(250), UnixMillis::now().plus(Duration::from_secs(60)));
        let before = Instant::now();
        assert!(!pace.wait(before + Duration::from_secs(30)).await);
        assert!(before.elapsed() < Duration::from_secs(1));
        assert!(
            RequestRate::new(Duration::from_millis(250), UnixMillis(0)).wait(before + Duration::from_secs(30)).await
        );
    }
}
