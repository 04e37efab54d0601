//! The rate of requests to Resend: `RESEND_RATE`, kept from run to run by the lock. By real time.
//!
//! Requests begin an interval apart. A slow way may bring one late, and the next one in time, so a second rule holds within
//! a run: as many requests as may arrive in a second begin at least a second after the answer to the first of them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::time::UnixMillis;

/// The period of the rate.
const SECOND: Duration = Duration::from_secs(1);

/// The time of the next request.
#[derive(Clone, Debug)]
pub(super) struct RequestRate {
    interval: Duration,
    next: UnixMillis,
    /// Maximum number of requests in a second.
    per_second: usize,
    /// Times of the answers to that many requests, the oldest first.
    answered: VecDeque<Instant>,
}

impl RequestRate {
    /// Creates a rate of one request in `interval`, the first one at `next`.
    pub(super) fn new(interval: Duration, next: UnixMillis) -> Self {
        let per_second = SECOND.as_nanos().checked_div(interval.as_nanos()).and_then(|n| usize::try_from(n).ok());
        Self { interval, next, per_second: per_second.unwrap_or(1).max(1), answered: VecDeque::new() }
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
        let Some(at) = self.earliest().filter(|at| *at <= last) else { return false };
        tokio::time::sleep_until(at).await;
        true
    }

    fn earliest(&self) -> Option<Instant> {
        let left = u64::try_from(self.next.0.saturating_sub(UnixMillis::now().0)).unwrap_or(0);
        let at = Instant::now().checked_add(Duration::from_millis(left))?;
        let first = self.answered.front().filter(|_| self.answered.len() >= self.per_second);
        Some(first.map_or(at, |first| at.max(*first + SECOND)))
    }

    /// Counts a request that begins at `now`.
    pub(super) fn begin(&mut self, now: UnixMillis) {
        self.next = self.next.max(self.after(now));
    }

    /// Records that the request has an answer, or that none is awaited any more.
    pub(super) fn end(&mut self) {
        self.answered.push_back(Instant::now());
        if self.answered.len() > self.per_second {
            self.answered.pop_front();
        }
    }

    /// Returns the earliest time of a request after one at `now`. A part of a millisecond is rounded up, also the part
    /// that `now` lacks.
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

    #[test]
    fn no_more_begin_in_a_second_than_the_rate_however_late_one_arrives() {
        let mut pace = RequestRate::new(Duration::from_millis(250), UnixMillis(0));
        for _ in 0..4 {
            let now = Instant::now();
            assert!(pace.earliest().unwrap() < now + SECOND);
            pace.end();
        }
        let first = *pace.answered.front().unwrap();
        assert!(pace.earliest().unwrap() >= first + SECOND, "a second after the first answer");
        pace.end();
        let second = *pace.answered.front().unwrap();
        assert!(second >= first && pace.answered.len() == 4);
    }

    #[tokio::test]
    async fn a_wait_beyond_the_end_is_none() {
        let pace = RequestRate::new(Duration::from_millis(250), UnixMillis::now().plus(Duration::from_secs(60)));
        let before = Instant::now();
        assert!(!pace.wait(before + Duration::from_secs(30)).await);
        assert!(before.elapsed() < Duration::from_secs(20), "it waited for nothing");
        assert!(
            RequestRate::new(Duration::from_millis(250), UnixMillis(0)).wait(before + Duration::from_secs(30)).await
        );
    }
}
