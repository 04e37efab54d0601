//! Limits of the policy, and their defaults. Each can be set in the variable `POLICY`, as JSON.

mod checks;

use crate::policy::count::count;
use serde::Deserialize;

/// Maximum number of bounces stored per recipient, the newest ones, so that the item stays small.
pub const MAX_BOUNCES: usize = 50;

/// An unusable `POLICY`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The value is not valid JSON, or has an unknown name.
    #[error("POLICY: {0}")]
    NotReadable(String),
    /// A number is out of range.
    #[error("POLICY: {0}")]
    OutOfRange(&'static str),
    /// A time window is longer than the retention of its data.
    #[error(
        "POLICY: {window} is {}, but events are kept for {} (RETENTION_DAYS), so older ones would be missed or decided twice; raise RETENTION_DAYS, or lower the window",
        count(*days, "day"),
        count(*retention_days, "day")
    )]
    LongerThanRetention {
        /// The window's name in `POLICY`.
        window: &'static str,
        /// Length of the window, in days.
        days: u32,
        /// Retention of events, in days.
        retention_days: u32,
    },
}

/// All limits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Limits that slow or pause a campaign.
    pub brake: BrakePolicy,
    /// Limits for alerts about delayed emails.
    pub delay: DelayPolicy,
    /// Limits for suppression after soft bounces.
    pub soft_bounces: SoftBouncePolicy,
    /// Limits for alerts about a domain that is no longer verified.
    pub domain: DomainPolicy,
    /// Limits on the number of alerts.
    pub alerts: AlertPolicy,
    /// Limits for the verdict about an open or click.
    pub verdict: VerdictPolicy,
    /// Limits for follow-ups.
    pub followups: FollowupPolicy,
    /// Limits for failed Claude requests, and prices.
    pub claude: ClaudePolicy,
}

/// A rate that pauses a campaign: `rate` of at least `of` emails, and at least `least` of them.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// The rate, as a fraction.
    pub rate: f64,
    /// Minimum number of complaints or bounces. Fewer are too few for a rate in a small campaign.
    pub least: i64,
    /// Minimum number of emails for a rate.
    pub of: i64,
}

/// Limits that slow or pause a campaign. Rates are fractions: 0.003 is 0.3 %.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrakePolicy {
    /// Number of complaints in 24 hours without effect, as a fraction of the emails delivered in 7 days. Each further
    /// complaint halves the volume.
    pub allowed_complaints: f64,
    /// Minimum volume of a slowed campaign.
    pub least_volume: f64,
    /// Complaints per delivered email; any of these limits pauses a campaign
    /// (<https://support.google.com/a/answer/81126>: below 0.1 %, never 0.3 %).
    pub complaint_limits: Vec<Limit>,
    /// Hard bounces per email with an outcome; any of these limits pauses a campaign.
    pub bounce_limits: Vec<Limit>,
    /// Fraction of those limits at which to warn.
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

/// Limits for alerts about delayed emails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelayPolicy {
    /// Number of hours without delivery after which an alert is sent.
    pub hours: u32,
    /// Maximum number of days between delays of two emails to one recipient for which an alert is sent.
    pub repeated_within_days: u32,
}

impl Default for DelayPolicy {
    fn default() -> Self {
        Self { hours: 24, repeated_within_days: 7 }
    }
}

/// Limits for suppression after soft bounces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftBouncePolicy {
    /// Number of distinct emails with a soft bounce that suppresses the recipient.
    pub emails: usize,
    /// Number of days within which they bounced.
    pub within_days: u32,
    /// Number of days after the last soft bounce at which the suppression expires.
    pub lapse_days: u32,
}

impl Default for SoftBouncePolicy {
    fn default() -> Self {
        Self { emails: 3, within_days: 30, lapse_days: 30 }
    }
}

/// Limits for alerts about a domain that is no longer verified.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainPolicy {
    /// Number of minutes for which a verified domain may be `pending`.
    pub pending_minutes: u32,
}

impl Default for DomainPolicy {
    fn default() -> Self {
        Self { pending_minutes: 30 }
    }
}

/// Limits on the number of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertPolicy {
    /// Number of alerts of one kind and campaign that are sent individually in an hour; the rest goes into a digest.
    pub one_by_one_in_an_hour: usize,
    /// Number of people whose suppressions webhooks may lift in an hour without an alert.
    pub lifted_in_an_hour: usize,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self { one_by_one_in_an_hour: 5, lifted_in_an_hour: 20 }
    }
}

/// Limits for the verdict about an open or click.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerdictPolicy {
    /// Time after delivery before which an open or click is a machine's, in milliseconds.
    pub machine_within_ms: i64,
    /// Time after delivery before which an open by Google's or Yahoo's image proxy is unsure, in milliseconds. These
    /// proxies fetch images when a person looks.
    pub proxy_within_ms: i64,
    /// Number of links of one email in a burst.
    pub burst_links: usize,
    /// Time within which a burst of clicks happens, in milliseconds. No person clicks that fast.
    pub burst_within_ms: i64,
    /// Number of links of one email in a scan: clicks from one address or by one agent.
    pub scan_links: usize,
    /// Maximum time between two clicks of a scan, in milliseconds.
    pub scan_gap_ms: i64,
    /// Maximum time between delivery and the first click of a scan, in milliseconds. A scan is a slow link scanner.
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

/// Limits for follow-ups.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowupPolicy {
    /// Maximum age of an event for a decision, in hours.
    pub event_hours: u32,
    /// Maximum age of its email for a decision, in days.
    pub email_days: u32,
    /// Maximum number of follow-ups to one recipient within `within_days`.
    pub per_recipient: usize,
    /// Length of that period, in days.
    pub within_days: u32,
    /// Minimum number of hours between two follow-ups to one recipient.
    pub gap_hours: u32,
    /// Number of days without follow-ups after the recipient clicked an opt-out or preference link.
    pub opt_out_days: u32,
    /// Hour of the day at which the quiet hours begin, in the zone `FOLLOWUP_TIMEZONE`.
    pub quiet_from: u8,
    /// Hour of the day at which the quiet hours end.
    pub quiet_until: u8,
    /// Maximum delay of a follow-up, in hours.
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

/// Limits for failed Claude requests, and prices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaudePolicy {
    /// Number of deliveries of a queue message after which the built-in rules decide, if Claude still fails.
    pub deliveries: u32,
    /// Wait of a queue message after a failed Claude request, in seconds. It doubles after each further failure.
    pub wait_seconds: u32,
    /// US dollars per million input tokens. The default is the model's known price.
    pub input_usd: Option<f64>,
    /// US dollars per million output tokens.
    pub output_usd: Option<f64>,
}

impl Default for ClaudePolicy {
    fn default() -> Self {
        Self { deliveries: 6, wait_seconds: 60, input_usd: None, output_usd: None }
    }
}

#[cfg(test)]
mod tests;
