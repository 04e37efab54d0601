//! How much of a campaign may still be sent: everything, less and less of it, or nothing.
//!
//! One pure function, of what was counted, when people complained, and now. Nothing is remembered but the counts, so a brake
//! recovers by itself as time passes, and every order of the same events ends in the same brake.
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

pub use self::state::State;
use super::count::count;
use super::counting::{Counter, Figures};
use super::late::Late;
use super::numbers::{BrakePolicy, Limit};
use crate::resend::campaign::Cohort;
use crate::time::{UnixMillis, days, hours};

impl Limit {
    /// Whether `number` of `total` reach it.
    fn is_reached_by(&self, number: i64, total: i64) -> bool {
        total >= self.of
            && number >= self.least
            && number.saturating_mul(MILLION) >= total.saturating_mul(parts(self.rate))
    }

    /// The same at a fraction of it.
    fn at(&self, fraction: f64) -> Self {
        Self { rate: self.rate * fraction, least: (self.least as f64 * fraction).ceil() as i64, ..*self }
    }
}

const MILLION: i64 = 1_000_000;

/// A fraction in millionths. Integers, because 0.3 % of 7,000 must be 21 and not 21.000000000000004.
fn parts(fraction: f64) -> i64 {
    (fraction * MILLION as f64).round() as i64
}

/// Whether a campaign may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All of it.
    #[strum(serialize = "open")]
    Open,
    /// Some of it.
    #[strum(serialize = "slowed")]
    Slowed,
    /// None of it.
    #[strum(serialize = "paused")]
    Paused,
}

impl Status {
    /// The status's name in the table, in alerts and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The status of this name.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// What the brake is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The cohorts that were created in the last 7 days, and those of which anything was sent late in them. Others may be among them.
    pub cohorts: Vec<(Cohort, Figures)>,
    /// What was sent late in the last 7 days. Older may be among it.
    pub late: Late,
    /// When people complained, in the last 24 hours. Older ones may be among them.
    pub complaints: Vec<UnixMillis>,
}

/// How far back the cohorts are looked at.
pub const LONG_WINDOW_DAYS: u32 = 7;

/// How far back complaints are looked at, and the cohorts once more.
pub const SHORT_WINDOW_HOURS: u32 = 24;

impl View {
    /// What all cohorts add up to that were created in the last 7 days, or sent in them at least by a tenth.
    pub fn long(&self, now: UnixMillis) -> Figures {
        self.since(now.minus(days(LONG_WINDOW_DAYS)))
    }

    fn short(&self, now: UnixMillis) -> Figures {
        self.since(now.minus(hours(SHORT_WINDOW_HOURS)))
    }

    /// What the cohorts of the window add up to that begins with the hour that a moment is in.
    fn since(&self, from: UnixMillis) -> Figures {
        let from = Cohort::of(from);
        let mut sum = Figures::default();
        for (_, figures) in self.late.within(&self.cohorts, from) {
            sum.add_all(figures);
        }
        sum
    }

    /// How many complaints there were in the last 24 hours, by their own time.
    pub fn recent_complaints(&self, now: UnixMillis) -> i64 {
        let from = now.minus(hours(SHORT_WINDOW_HOURS));
        i64::try_from(self.complaints.iter().filter(|at| **at > from).count()).unwrap_or(i64::MAX)
    }
}

/// How much of a campaign may be sent, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Brake {
    /// Whether it may.
    pub status: Status,
    /// How much of it, from 0 to 1.
    pub volume: f64,
    /// Why, in words.
    pub reason: String,
    /// When it will be open again, if nothing more happens. `None` when it is open.
    pub until: Option<UnixMillis>,
    /// A rate that is halfway to its limit, in words.
    pub warning: Option<String>,
}

/// The brake, from what was counted and `now`.
pub fn brake(view: &View, policy: &BrakePolicy, now: UnixMillis) -> Brake {
    let (status, volume, reason) = setting(view, policy, now);
    let warning = rates(view, policy, now, policy.warn_at).filter(|_| status != Status::Paused);
    let until = (status != Status::Open).then(|| open_again(view, policy, now));
    Brake { status, volume, reason, until, warning }
}

fn setting(view: &View, policy: &BrakePolicy, now: UnixMillis) -> (Status, f64, String) {
    if let Some(rate) = rates(view, policy, now, 1.0) {
        return (Status::Paused, 0.0, rate);
    }
    let delivered = view.long(now).get(Counter::Delivered);
    let allowed = delivered.saturating_mul(parts(policy.allowed_complaints)) / MILLION;
    let complaints = view.recent_complaints(now);
    let beyond = complaints - allowed;
    if beyond <= 0 {
        return (Status::Open, 1.0, "no limit is reached".to_owned());
    }
    let volume = 0.5_f64.powi(i32::try_from(beyond).unwrap_or(i32::MAX)).max(policy.least_volume);
    let reason = format!(
        "{} in the last 24 hours (allowed: {allowed}, for {delivered} delivered in 7 days); each one beyond halves the volume",
        count(complaints, "complaint"),
    );
    let status = if volume < 1.0 { Status::Slowed } else { Status::Open };
    (status, volume, reason)
}

/// The first rate that reaches its limit, or the given fraction of it, in words.
fn rates(view: &View, policy: &BrakePolicy, now: UnixMillis, fraction: f64) -> Option<String> {
    let windows = [("24 hours", view.short(now)), ("7 days", view.long(now))];
    for (window, figures) in &windows {
        let delivered = figures.get(Counter::Delivered);
        let kinds = [
            ("complaint", figures.get(Counter::Complained), delivered, "delivered", &policy.complaint_limits),
            ("hard bounce", figures.get(Counter::BouncedHard), figures.attempted(), "sent", &policy.bounce_limits),
        ];
        for (what, number, total, of, limits) in kinds {
            if let Some(limit) = limits.iter().find(|limit| limit.at(fraction).is_reached_by(number, total)) {
                return Some(format!(
                    "{} of {total} {of} in the last {window}: {:.2} %, where {} % pauses",
                    count(number, what),
                    100.0 * number as f64 / total.max(1) as f64,
                    parts(limit.rate) as f64 / 10_000.0,
                ));
            }
        }
    }
    None
}

/// The highest rate of complaints that the campaign has, in percent of what was delivered in 24 hours or in 7 days; 0 where too few
/// were delivered, or complained, for a rate by any of the limits.
pub fn complaint_percent(view: &View, policy: &BrakePolicy, now: UnixMillis) -> f64 {
    let rate = |figures: &Figures| {
        let (number, total) = (figures.get(Counter::Complained), figures.get(Counter::Delivered));
        let is_one = |limit: &Limit| Limit { rate: 0.0, ..*limit }.is_reached_by(number, total);
        if policy.complaint_limits.iter().any(is_one) { 100.0 * number as f64 / total.max(1) as f64 } else { 0.0 }
    };
    rate(&view.short(now)).max(rate(&view.long(now)))
}

/// The first moment at which the brake would be open, if nothing more happens. Only when an hour ends, or a complaint is 24 hours
/// old, can it change by itself.
fn open_again(view: &View, policy: &BrakePolicy, now: UnixMillis) -> UnixMillis {
    let this_hour = Cohort::of(now).start();
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
