//! Brake of a campaign: the share of it that may still be sent.
//!
//! The brake is a pure function of the counters, the times of complaints, and now. Nothing but the counters is stored
//! for it. So a brake recovers automatically as time passes, and every order of the same events gives the same brake.
//!
//! ```text
//!   volume                each complaint of the last 24 hours beyond what is allowed halves it
//!   1.00 ────┐
//!   0.50     └──┐                                      ┌──  24 hours after the second complaint
//!   0.25        └────┐                        ┌────────┘    (tick computes it again)
//!   0.00             └────────────────────────┘  paused: a rate reached its limit
//!         open  slowed   paused                  slowed  open
//! ```

mod state;

use serde::Serialize;
use strum::{EnumString, IntoStaticStr};

pub use self::state::BrakeState;
use super::count::count;
use super::counting::late::LateSends;
use super::counting::{Counter, CounterTotals};
use super::limits::{BrakePolicy, Limit};
use crate::resend::campaign::Cohort;
use crate::time::{UnixMillis, days, hours};

impl Limit {
    /// Returns true if `number` of `total` reach the limit.
    fn is_reached_by(&self, number: i64, total: i64) -> bool {
        total >= self.of
            && number >= self.least
            && number.saturating_mul(MILLION) >= total.saturating_mul(parts(self.rate))
    }

    /// Returns the limit at a fraction of its rate.
    fn at(&self, fraction: f64) -> Self {
        Self { rate: self.rate * fraction, least: (self.least as f64 * fraction).ceil() as i64, ..*self }
    }
}

const MILLION: i64 = 1_000_000;

/// Returns a fraction in millionths. Integers are used because 0.3 % of 7,000 must be 21 and not 21.000000000000004.
fn parts(fraction: f64) -> i64 {
    (fraction * MILLION as f64).round() as i64
}

/// Status of a brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The whole campaign may be sent.
    #[strum(serialize = "open")]
    Open,
    /// A part of the campaign may be sent.
    #[strum(serialize = "slowed")]
    Slowed,
    /// Nothing may be sent.
    #[strum(serialize = "paused")]
    Paused,
}

impl Status {
    /// Returns the name in the table, in alerts and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the status with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Input of the brake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrakeInput {
    /// Cohorts created in the last 7 days, and older ones from which emails were sent late in this time. Other cohorts
    /// may be included.
    pub cohorts: Vec<(Cohort, CounterTotals)>,
    /// Late sends in the last 7 days. Older ones may be included.
    pub late: LateSends,
    /// Times of complaints in the last 24 hours. Older ones may be included.
    pub complaints: Vec<UnixMillis>,
}

/// Length of the long window for cohorts, in days.
pub const LONG_WINDOW_DAYS: u32 = 7;

/// Length of the short window for complaints and cohorts, in hours.
pub const SHORT_WINDOW_HOURS: u32 = 24;

impl BrakeInput {
    /// Returns the sum of all cohorts created in the last 7 days, or of which at least a tenth was sent in this time.
    pub fn last_7_days(&self, now: UnixMillis) -> CounterTotals {
        self.since(now.minus(days(LONG_WINDOW_DAYS)))
    }

    fn last_24_hours(&self, now: UnixMillis) -> CounterTotals {
        self.since(now.minus(hours(SHORT_WINDOW_HOURS)))
    }

    /// Returns the sum of the cohorts in the window that begins with the hour of `from`.
    fn since(&self, from: UnixMillis) -> CounterTotals {
        let from = Cohort::containing(from);
        let mut sum = CounterTotals::default();
        for (_, figures) in self.late.within(&self.cohorts, from) {
            sum.add_all(figures);
        }
        sum
    }

    /// Returns the number of complaints in the last 24 hours, by their own time.
    pub fn complaints_24h(&self, now: UnixMillis) -> i64 {
        let from = now.minus(hours(SHORT_WINDOW_HOURS));
        i64::try_from(self.complaints.iter().filter(|at| **at > from).count()).unwrap_or(i64::MAX)
    }
}

/// A campaign's brake, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Brake {
    /// Status.
    pub status: Status,
    /// Volume: share of the campaign that may be sent, from 0 to 1.
    pub volume: f64,
    /// Reason as text.
    pub reason: String,
    /// Time at which the brake reopens if there are no more complaints or bounces. `None` while it is open.
    pub until: Option<UnixMillis>,
    /// Warning about a rate that is halfway to its limit.
    pub warning: Option<String>,
}

/// Computes the brake.
pub fn compute_brake(view: &BrakeInput, policy: &BrakePolicy, now: UnixMillis) -> Brake {
    let (status, volume, reason) = setting(view, policy, now);
    let warning = rates(view, policy, now, policy.warn_at).filter(|_| status != Status::Paused);
    let until = (status != Status::Open).then(|| open_again(view, policy, now));
    Brake { status, volume, reason, until, warning }
}

fn setting(view: &BrakeInput, policy: &BrakePolicy, now: UnixMillis) -> (Status, f64, String) {
    if let Some(rate) = rates(view, policy, now, 1.0) {
        return (Status::Paused, 0.0, rate);
    }
    let delivered = view.last_7_days(now).get(Counter::Delivered);
    let allowed = delivered.saturating_mul(parts(policy.allowed_complaints)) / MILLION;
    let complaints = view.complaints_24h(now);
    let beyond = complaints - allowed;
    if beyond <= 0 {
        return (Status::Open, 1.0, "no limit is reached".to_owned());
    }
    let volume = 0.5_f64.powi(i32::try_from(beyond).unwrap_or(i32::MAX)).max(policy.least_volume);
    let reason = format!(
        "{} in the last 24 hours (allowed: {allowed}, for {delivered} delivered in 7 days); each further one halves the volume",
        count(complaints, "complaint"),
    );
    let status = if volume < 1.0 { Status::Slowed } else { Status::Open };
    (status, volume, reason)
}

/// Returns a text about the first rate that reaches its limit, or the given fraction of it.
fn rates(view: &BrakeInput, policy: &BrakePolicy, now: UnixMillis, fraction: f64) -> Option<String> {
    let windows = [("24 hours", view.last_24_hours(now)), ("7 days", view.last_7_days(now))];
    for (window, figures) in &windows {
        let delivered = figures.get(Counter::Delivered);
        let kinds = [
            ("complaint", figures.get(Counter::Complained), delivered, "delivered", &policy.complaint_limits),
            ("hard bounce", figures.get(Counter::BouncedHard), figures.attempted(), "sent", &policy.bounce_limits),
        ];
        for (what, number, total, of, limits) in kinds {
            if let Some(limit) = limits.iter().find(|limit| limit.at(fraction).is_reached_by(number, total)) {
                return Some(format!(
                    "{} of {total} {of} in the last {window}: {:.2} %; the limit is {} %",
                    count(number, what),
                    100.0 * number as f64 / total.max(1) as f64,
                    parts(limit.rate) as f64 / 10_000.0,
                ));
            }
        }
    }
    None
}

/// Returns the campaign's highest complaint rate, in percent of the emails delivered in 24 hours or in 7 days. Returns
/// 0 if too few were delivered, or complained about, for a rate by any of the limits.
pub fn complaint_percent(view: &BrakeInput, policy: &BrakePolicy, now: UnixMillis) -> f64 {
    let rate = |figures: &CounterTotals| {
        let (number, total) = (figures.get(Counter::Complained), figures.get(Counter::Delivered));
        let is_one = |limit: &Limit| Limit { rate: 0.0, ..*limit }.is_reached_by(number, total);
        if policy.complaint_limits.iter().any(is_one) { 100.0 * number as f64 / total.max(1) as f64 } else { 0.0 }
    };
    rate(&view.last_24_hours(now)).max(rate(&view.last_7_days(now)))
}

/// Returns the first time at which the brake would be open, if there are no more complaints or bounces. The brake
/// changes on its own only when an hour ends, or when a complaint is 24 hours old.
fn open_again(view: &BrakeInput, policy: &BrakePolicy, now: UnixMillis) -> UnixMillis {
    let this_hour = Cohort::containing(now).start();
    let last = 24 * LONG_WINDOW_DAYS + 1;
    let hour_ends = (1..=last).map(|hour| this_hour.plus(hours(hour)));
    let complaints = view.complaints.iter().map(|at| at.plus(hours(SHORT_WINDOW_HOURS))).filter(|at| *at > now);
    let mut moments: Vec<UnixMillis> = hour_ends.chain(complaints).collect();
    moments.sort_unstable();
    let is_open = |moment: &UnixMillis| setting(view, policy, *moment).0 == Status::Open;
    let end = this_hour.plus(hours(last));
    moments.into_iter().find(is_open).unwrap_or(end)
}

#[cfg(test)]
mod tests;
