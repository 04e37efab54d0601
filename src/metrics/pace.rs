//! How often something may be written: a few at once, then one a minute.

use crate::time::UnixMillis;

/// So many at once.
const AT_ONCE: u32 = 10;

/// One more after each of these, in milliseconds.
pub(super) const MINUTE: i64 = 60_000;

/// Lets a few through at once, and one a minute after that. Whoever floods us can't make us write more.
#[derive(Clone, Debug)]
pub struct Pace {
    left: u32,
    /// Since when the next one is waited for.
    since: UnixMillis,
}

impl Default for Pace {
    fn default() -> Self {
        Self { left: AT_ONCE, since: UnixMillis(i64::MIN) }
    }
}

impl Pace {
    /// Whether one may be written now; if so, it is taken for written.
    pub fn take(&mut self, now: UnixMillis) -> bool {
        // A clock that is set back begins anew.
        let waited = if now < self.since { 0 } else { now.0.saturating_sub(self.since.0) };
        let more = u32::try_from(waited / MINUTE).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(AT_ONCE);
        self.since = if self.left == AT_ONCE || now < self.since {
            now
        } else {
            UnixMillis(self.since.0.saturating_add(i64::from(more).saturating_mul(MINUTE)))
        };
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ten_at_once_then_one_a_minute_and_ten_again_after_a_quiet_while() {
        let mut pace = Pace::default();
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
            let mut pace = Pace::default();
            let (mut now, mut taken) = (0, 0);
            steps.insert(0, 0);
            for step in steps {
                now += step;
                taken += i64::from(pace.take(UnixMillis(now)));
            }
            prop_assert!(taken <= i64::from(AT_ONCE) + now / MINUTE, "{} in {} ms", taken, now);
        }
    }
}
