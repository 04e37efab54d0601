//! The limits that policy goes by, and their defaults. Any of them can be set in the variable `POLICY`, as JSON.

mod checks;

use crate::policy::count::count;
use serde::Deserialize;

/// Why `POLICY` is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is not JSON, or names something that there is not.
    #[error("POLICY: {0}")]
    NotReadable(String),
    /// A number is out of its range.
    #[error("POLICY: {0}")]
    OutOfRange(&'static str),
    /// A window is longer than what it looks at stays.
    #[error(
        "POLICY: {window} is {}, but events stay {retention_days} (RETENTION_DAYS), and what is older would be forgotten, or decided twice; raise RETENTION_DAYS, or lower it",
        count(*days, "day")
    )]
    LongerThanRetention {
        /// The window's name in `POLICY`.
        window: &'static str,
        /// The window, in days.
        days: u32,
        /// How long events stay, in days.
        retention_days: u32,
    },
}

/// Every limit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// When a campaign is slowed or paused.
    pub brake: BrakePolicy,
    /// When a delayed email is news.
    pub delay: DelayPolicy,
    /// When soft bounces suppress.
    pub soft_bounces: SoftBouncePolicy,
    /// When a domain that is not verified any more is an alert.
    pub domain: DomainPolicy,
    /// How many alerts are too many.
    pub alerts: AlertPolicy,
    /// Who opened or clicked: a person or a machine.
    pub verdict: VerdictPolicy,
    /// Which follow-ups may be proposed.
    pub followups: FollowupPolicy,
    /// How often Claude is asked in vain, and what asking costs.
    pub claude: ClaudePolicy,
}

/// A rate that must not be reached: `rate` of at least `of` mails, and at least `least` of them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The rate, as a fraction.
    pub rate: f64,
    /// In a small campaign a few are no rate yet.
    pub least: i64,
    /// Below so many mails there is no rate.
    pub of: i64,
}

/// When a campaign is slowed or paused. Rates are fractions: 0.003 is 0.3 %.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrakePolicy {
    /// How many complaints in 24 hours are passed over, as a fraction of what was delivered in 7 days. Each one beyond halves the
    /// volume.
    pub allowed_complaints: f64,
    /// The volume that halving ends at.
    pub least_volume: f64,
    /// Complaints of delivered mails that pause a campaign, any of these
    /// (<https://support.google.com/a/answer/81126>: below 0.1 %, never 0.3 %).
    pub complaint_limits: Vec<Limit>,
    /// Hard bounces of mails with an outcome that pause a campaign, any of these.
    pub bounce_limits: Vec<Limit>,
    /// The fraction of those limits at which to warn.
    pub warn_at: f64,
}

impl Default for BrakePolicy {
    fn default() -> Self {
        let limit = |rate, least, of| Limit { rate, least, of };
        Self {
            allowed_complaints: 0.0005,
            least_volume: 0.05,
            complaint_limits: vec![limit(0.003, 10, 1_000), limit(0.01, 5, 200)],
            bounce_limits: vec![limit(0.05, 50, 1_000), limit(0.10, 20, 200)],
            warn_at: 0.5,
        }
    }
}

/// When a delayed email is news.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelayPolicy {
    /// An email that has waited so long is.
    pub hours: u32,
    /// And one whose recipient was delayed on another email, so many days before or less.
    pub repeated_within_days: u32,
}

impl Default for DelayPolicy {
    fn default() -> Self {
        Self { hours: 24, repeated_within_days: 7 }
    }
}

/// When soft bounces suppress.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftBouncePolicy {
    /// So many distinct emails …
    pub emails: usize,
    /// … that bounced softly within so many days.
    pub within_days: u32,
    /// How many days after the last of them the suppression lapses.
    pub lapse_days: u32,
}

impl Default for SoftBouncePolicy {
    fn default() -> Self {
        Self { emails: 3, within_days: 30, lapse_days: 30 }
    }
}

/// When a domain that is not verified any more is an alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainPolicy {
    /// Minutes for which a domain that was verified may be `pending`.
    pub pending_minutes: u32,
}

impl Default for DomainPolicy {
    fn default() -> Self {
        Self { pending_minutes: 30 }
    }
}

/// How many alerts are too many.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertPolicy {
    /// So many alerts of a kind and a campaign are sent one by one in an hour; the rest goes into a digest.
    pub one_by_one_in_an_hour: usize,
    /// Number of people whom webhooks may lift in an hour without an alert.
    pub lifted_in_an_hour: usize,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self { one_by_one_in_an_hour: 5, lifted_in_an_hour: 20 }
    }
}

/// Who opened or clicked: a person or a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerdictPolicy {
    /// Sooner after delivery than this, in milliseconds, it was a machine.
    pub machine_within_ms: i64,
    /// Google's and Yahoo's image proxies fetch when a person looks; sooner after delivery than this, in milliseconds, that is not
    /// certain.
    pub proxy_within_ms: i64,
    /// So many links of one mail …
    pub burst_links: usize,
    /// … clicked within so many milliseconds: no person does that.
    pub burst_within_ms: i64,
    /// So many links of one email, clicked from one address or by one agent …
    pub scan_links: usize,
    /// … each within so many milliseconds of the one before …
    pub scan_gap_ms: i64,
    /// … the first of them within so many milliseconds after delivery: a scanner that takes its time.
    pub scan_begins_within_ms: i64,
}

impl Default for VerdictPolicy {
    fn default() -> Self {
        Self {
            machine_within_ms: 2_000,
            proxy_within_ms: 10_000,
            burst_links: 2,
            burst_within_ms: 1_000,
            scan_links: 3,
            scan_gap_ms: 120_000,
            scan_begins_within_ms: 600_000,
        }
    }
}

/// Which follow-ups may be proposed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowupPolicy {
    /// Nothing is decided about an event older than so many hours …
    pub event_hours: u32,
    /// … nor about an email older than so many days.
    pub email_days: u32,
    /// At most so many follow-ups to one recipient …
    pub per_recipient: usize,
    /// … in so many days.
    pub within_days: u32,
    /// None within so many hours of the last.
    pub gap_hours: u32,
    /// None for so many days after the recipient clicked an opt-out or preference link.
    pub opt_out_days: u32,
    /// No mail from this hour of the day on …
    pub quiet_from: u8,
    /// … until this one, in the zone that `FOLLOWUP_TIMEZONE` names.
    pub quiet_until: u8,
    /// The latest that a follow-up may be put off, in hours.
    pub longest_delay_hours: u32,
}

impl Default for FollowupPolicy {
    fn default() -> Self {
        Self {
            event_hours: 48,
            email_days: 14,
            per_recipient: 3,
            within_days: 30,
            gap_hours: 72,
            opt_out_days: 30,
            quiet_from: 21,
            quiet_until: 8,
            longest_delay_hours: 168,
        }
    }
}

/// How often Claude is asked in vain, and what asking costs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaudePolicy {
    /// When a message of the queue has been delivered so often and Claude still gives no answer, the written rules decide.
    pub deliveries: u32,
    /// How long, in seconds, a message waits in the queue after Claude gave no answer; twice as long after each further time.
    pub wait_seconds: u32,
    /// US dollars for a million tokens of input. Where it is not set, the price of the model, as far as it is known.
    pub input_usd: Option<f64>,
    /// US dollars for a million tokens of output.
    pub output_usd: Option<f64>,
}

impl Default for ClaudePolicy {
    fn default() -> Self {
        Self { deliveries: 6, wait_seconds: 60, input_usd: None, output_usd: None }
    }
}

#[cfg(test)]
mod tests;
