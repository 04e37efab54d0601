//! Times in integer milliseconds, as stored in the tables and compared by the policy.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Whole milliseconds on purpose: Resend writes times with three or six decimals, and both forms of one time must
/// compare as equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Reads the clock. Only the edges call this; all other code takes `now` as an argument.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Parses a time as Resend writes it: `2026-11-22T23:41:12.126Z`, `2026-11-22T23:41:11.894719+00:00`, or, from the
    /// REST API, `2026-10-06 23:47:56.678+00`.
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// Whole seconds since 1970, rounded down: the unit of DynamoDB's TTL and of `svix-timestamp`.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Formats the time for people and programs: `2026-11-23T13:05:00.126Z`.
    pub fn to_text(self) -> String {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// Formats the day in UTC: `2026-11-23`.
    pub fn day(self) -> String {
        self.to_text().chars().take("2026-11-23".len()).collect()
    }

    /// Number of seconds since an earlier time; 0 if `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0).max(0) as f64 / 1_000.0
    }

    /// Subtracts a duration; the result is never before the smallest time.
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Adds a duration; the result is never after the largest time.
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Returns the time budget of an invocation that Lambda ends at `deadline` (milliseconds since 1970): the remaining
/// time minus `reserve`, and at most `most`.
///
/// A deadline that is already over is ignored: Lambda never sets one, but `cargo lambda watch` always sends 600.
pub fn time_budget(deadline: u64, now: UnixMillis, reserve: Duration, most: Duration) -> Duration {
    match deadline.checked_sub(now.0.unsigned_abs()) {
        Some(left) => Duration::from_millis(left).saturating_sub(reserve).min(most),
        None => most,
    }
}

/// A duration of `minutes` minutes.
pub const fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(minutes as u64 * 60)
}

/// A duration of `hours` hours.
pub const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 60 * 60)
}

/// A duration of `days` days.
pub const fn days(days: u32) -> Duration {
    Duration::from_secs(days as u64 * 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_that_resend_writes_a_time_is_read() {
        for (text, millis) in [
            ("2026-11-22T23:41:12.126Z", 1_795_390_872_126),
            ("2026-11-22T23:41:11.894719+00:00", 1_795_390_871_894),
            ("2026-10-06 23:47:56.678+00", 1_791_330_476_678),
            ("2026-10-07 01:47:56.678+02", 1_791_330_476_678),
            ("2026-10-06T23:47:56Z", 1_791_330_476_000),
            (" 2026-10-06T23:47:56Z ", 1_791_330_476_000),
        ] {
            assert_eq!(UnixMillis::parse(text), Some(UnixMillis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in ["", "yesterday", "1795390872", "2026-13-45T99:99:99Z", "2026-10-06", "\u{0}"] {
            assert_eq!(UnixMillis::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_with_milliseconds_and_read_back_the_same() {
        for millis in [0, 1_795_390_872_126, 1_795_390_872_000] {
            assert_eq!(UnixMillis::parse(&UnixMillis(millis).to_text()), Some(UnixMillis(millis)));
        }
        assert_eq!(UnixMillis(1_795_390_872_000).to_text(), "2026-11-22T23:41:12.000Z");
    }

    #[test]
    fn the_budget_reserves_the_response_and_ignores_past_deadlines() {
        let now = UnixMillis(1_795_000_000_000);
        let (reserve, most) = (Duration::from_millis(500), Duration::from_secs(8));
        let time = |deadline: u64| time_budget(deadline, now, reserve, most).as_millis();
        assert_eq!(time(1_795_000_000_000 + 10_000), 8_000);
        assert_eq!(time(1_795_000_000_000 + 3_000), 2_500);
        assert_eq!(time(1_795_000_000_000 + 400), 0);
        assert_eq!(time(600), 8_000, "as under `cargo lambda watch`");
        assert_eq!(time(0), 8_000);
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(UnixMillis(1_999).seconds(), 1);
        assert_eq!(UnixMillis(-1).seconds(), -1);
    }
}
