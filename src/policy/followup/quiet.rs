//! Earliest send time of a follow-up: after its delay, and outside of the quiet hours.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{Guard, GuardResult};
use crate::policy::limits::FollowupPolicy;
use crate::time::UnixMillis;

const HOUR: f64 = 60.0 * 60.0 * 1000.0;

/// Time zone of the quiet hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// An unusable time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The zone is unknown.
    #[error("{0:?} is not a known time zone; use a name such as Europe/Berlin, or an offset such as +02:00")]
    Unknown(String),
}

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// Parses a name such as `Europe/Berlin` (<https://www.iana.org/time-zones>), or a fixed offset such as `+02:00`.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let text = text.trim();
        let zone = if text.starts_with(['+', '-']) {
            jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(text)
        } else {
            TimeZone::get(text)
        };
        match zone {
            Ok(zone) if !zone.is_unknown() => Ok(Self(zone)),
            _ => Err(ZoneError::Unknown(text.to_owned())),
        }
    }

    /// Returns the local time, with the day of the week: `Mon 2026-11-23 14:30`.
    pub fn local(&self, moment: UnixMillis) -> String {
        let moment = Timestamp::from_millisecond(moment.0).unwrap_or(Timestamp::MAX);
        self.0.to_datetime(moment).strftime("%a %Y-%m-%d %H:%M").to_string()
    }

    fn hour(&self, moment: Timestamp) -> i8 {
        self.0.to_datetime(moment).hour()
    }

    /// Returns the first time after `moment` at which the quiet hours end.
    fn next_end(&self, moment: Timestamp, quiet: Quiet) -> Option<Timestamp> {
        let today = self.0.to_datetime(moment).date();
        let end = Time::new(quiet.until, 0, 0, 0).ok()?;
        let days = std::iter::successors(Some(today), |day: &Date| day.tomorrow().ok());
        // A skipped or repeated hour has two readings. A skipped one may leave a day without an end.
        let ends = days.take(4).flat_map(|day| {
            let shown = day.to_datetime(end);
            [self.0.to_ambiguous_timestamp(shown).earlier(), self.0.to_ambiguous_timestamp(shown).later()]
        });
        ends.filter_map(Result::ok).filter(|end| *end > moment && !quiet.has(self.hour(*end))).min()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.iana_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0.to_offset(Timestamp::UNIX_EPOCH)),
        }
    }
}

/// Quiet hours: from one hour of the day until another, which may be on the next day.
#[derive(Clone, Copy)]
struct Quiet {
    from: i8,
    until: i8,
}

impl Quiet {
    fn of(policy: &FollowupPolicy) -> Self {
        let hour = |hour: u8| i8::try_from(hour % 24).unwrap_or_default();
        Self { from: hour(policy.quiet_from), until: hour(policy.quiet_until) }
    }

    fn has(self, hour: i8) -> bool {
        if self.from <= self.until {
            (self.from..self.until).contains(&hour)
        } else {
            hour >= self.from || hour < self.until
        }
    }
}

/// Returns the earliest time at which a follow-up may be sent. That is `send_after_hours` from now, or, within the
/// quiet hours of the zone, their end. The quiet hours are from `quiet_from` until `quiet_until` in local time; if both
/// are equal there are none.
///
/// The time is moved by at most a day, unless the only hours that are not quiet are skipped by a clock change.
///
/// The guard refuses a delay that is not between 0 and the maximum, a time beyond the calendar, and a day with only
/// quiet hours (from 0 until 24). The returned time is then unusable.
pub fn not_before(
    now: UnixMillis,
    send_after_hours: f64,
    zone: &Zone,
    policy: &FollowupPolicy,
) -> (UnixMillis, GuardResult) {
    let guard = Guard::QuietHours;
    let longest = policy.longest_delay_hours;
    if !(0.0..=f64::from(longest)).contains(&send_after_hours) {
        return (now, guard.refuses(format!("the delay is not between 0 and {longest} h")));
    }
    let due = UnixMillis(now.0.saturating_add((send_after_hours * HOUR).ceil() as i64));
    if (policy.quiet_from, policy.quiet_until) == (0, 24) {
        return (due, guard.refuses("every hour of the day is quiet"));
    }
    let Ok(moment) = Timestamp::from_millisecond(due.0) else {
        return (due, guard.refuses("the time is beyond the calendar"));
    };
    let quiet = Quiet::of(policy);
    if !quiet.has(zone.hour(moment)) {
        return (due, guard.passes(format!("{} is outside of the quiet hours", due.to_text())));
    }
    match zone.next_end(moment, quiet) {
        Some(end) => {
            let moved = UnixMillis(end.as_millisecond());
            let why = format!("{} is in the quiet hours; they end at {}", due.to_text(), moved.to_text());
            (moved, guard.moves(why))
        }
        None => (due, guard.refuses("the quiet hours have no end")),
    }
}
