//! Rate limit of log lines: a few immediately, then one a minute.

use crate::time::UnixMillis;

/// Maximum number of lines without a pause.
const BURST: u32 = 10;

/// Time until one more line is allowed, in milliseconds.
pub(super) const MINUTE: i64 = 60_000;

/// A rate limit: a few lines immediately, and then one a minute. A flood of requests can't write more lines.
#[derive(Clone, Debug)]
pub struct LogThrottle {
    left: u32,
    /// Start of the wait for the next line.
    since: UnixMillis,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self { left: BURST, since: UnixMillis(i64::MIN) }
    }
}

impl LogThrottle {
    /// Returns true if a line may be written now, and counts it.
    pub fn take(&mut self, now: UnixMillis) -> bool {
        // If the clock was set back, the wait starts again.
        let waited = if now < self.since { 0 } else { now.0.saturating_sub(self.since.0) };
        let more = u32::try_from(waited / MINUTE).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(BURST);
        self.since = if self.left == BURST || now < self.since {
            now
        } else {
            UnixMillis(self.since.0.saturating_add(i64::from(more).saturating_mul(MINUTE)))
        };
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// The refused requests of an execution environment. Anybody can cause them, so only a few are logged, and one a
/// minute if there are many. The metrics count them all.
#[derive(Debug, Default)]
pub struct Refusals {
    pace: LogThrottle,
    left_out: u64,
}

impl Refusals {
    /// Counts one more. If it is to be logged, returns the number of earlier ones without a line.
    pub fn another(&mut self, now: UnixMillis) -> Option<u64> {
        if self.pace.take(now) {
            Some(std::mem::take(&mut self.left_out))
        } else {
            self.left_out = self.left_out.saturating_add(1);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_immediately_then_one_a_minute_then_ten_after_a_pause() {
        let mut pace = LogThrottle::default();
        let mut taken = |at: i64, times: usize| (0..times).filter(|_| pace.take(UnixMillis(at))).count();
        assert_eq!(taken(1_000, 50), 10);
        assert_eq!(taken(60_999, 50), 0);
        assert_eq!(taken(61_000, 50), 1);
        assert_eq!(taken(181_500, 50), 2);
        assert_eq!(taken(100_000_000, 50), 10);
        assert_eq!(taken(0, 50), 0, "a clock that was set back");
        assert_eq!(taken(60_000, 50), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_ten_and_one_a_minute(mut steps in prop::collection::vec(0_i64..200_000, 1..200)) {
            let mut pace = LogThrottle::default();
            let (mut now, mut taken) = (0, 0);
            steps.insert(0, 0);
            for step in steps {
                now += step;
                taken += i64::from(pace.take(UnixMillis(now)));
            }
            prop_assert!(taken <= i64::from(BURST) + now / MINUTE, "{} in {} ms", taken, now);
        }
    }
}
