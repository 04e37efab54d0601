//! Parsing and validation of the limits.

use super::{MAX_BOUNCES, Policy, PolicyError};

impl Policy {
    /// Parses `POLICY`, such as `{"brake": {"least_volume": 0.1}, "delay": {"hours": 48}}`. Missing names keep their
    /// defaults.
    ///
    /// # Errors
    /// The text is not valid JSON, has an unknown name, or has a number out of range.
    pub fn read(json: &str) -> Result<Self, PolicyError> {
        let policy: Self = serde_json::from_str(json).map_err(|error| PolicyError::NotReadable(error.to_string()))?;
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        let brake = &policy.brake;
        let limits = brake.complaint_limits.iter().chain(&brake.bounce_limits);
        let rates = limits.map(|limit| limit.rate).chain([brake.allowed_complaints, brake.least_volume, brake.warn_at]);
        if !rates.into_iter().all(fraction) {
            return Err(PolicyError::OutOfRange("rates, volumes and warn_at must be fractions from 0 to 1"));
        }
        if !(1..=MAX_BOUNCES).contains(&policy.soft_bounces.emails) || policy.alerts.one_by_one_in_an_hour == 0 {
            return Err(PolicyError::OutOfRange("emails must be from 1 to 50, one_by_one_in_an_hour at least 1"));
        }
        let spans =
            [policy.delay.repeated_within_days, policy.soft_bounces.within_days, policy.soft_bounces.lapse_days];
        if spans.iter().any(|days| !(1..=365).contains(days)) || !(1..=24 * 30).contains(&policy.delay.hours) {
            return Err(PolicyError::OutOfRange("days must be from 1 to 365, hours from 1 to 720"));
        }
        if !(1..=24 * 60).contains(&policy.domain.pending_minutes) {
            return Err(PolicyError::OutOfRange("pending_minutes must be from 1 to 1,440"));
        }
        policy.check_engage()?;
        Ok(policy)
    }

    /// Checks that no time window over stored events or decisions is longer than their retention. Other windows (soft
    /// bounces, repeated delays, follow-ups) have stored data of their own.
    ///
    /// # Errors
    /// The first window that is longer.
    pub fn check_retention(&self, retention_days: u32) -> Result<(), PolicyError> {
        let windows = [
            ("delay.hours", self.delay.hours.div_ceil(24)),
            ("followups.event_hours", self.followups.event_hours.div_ceil(24)),
            ("followups.email_days", self.followups.email_days),
        ];
        match windows.into_iter().find(|(_, days)| *days > retention_days) {
            Some((window, days)) => Err(PolicyError::LongerThanRetention { window, days, retention_days }),
            None => Ok(()),
        }
    }

    fn check_engage(&self) -> Result<(), PolicyError> {
        let (verdict, followups, claude) = (&self.verdict, &self.followups, &self.claude);
        let spans = [
            verdict.machine_within_ms,
            verdict.proxy_within_ms,
            verdict.burst_within_ms,
            verdict.scan_gap_ms,
            verdict.scan_begins_within_ms,
        ];
        let links = verdict.burst_links.min(verdict.scan_links);
        if spans.iter().any(|ms| !(0..=3_600_000).contains(ms)) || links < 2 {
            return Err(PolicyError::OutOfRange(
                "a verdict's spans must be from 0 to 3,600,000 ms, burst_links and scan_links at least 2",
            ));
        }
        if followups.quiet_from > 24 || followups.quiet_until > 24 {
            return Err(PolicyError::OutOfRange("quiet_from and quiet_until must be hours of the day, from 0 to 24"));
        }
        let days = [followups.email_days, followups.within_days, followups.opt_out_days];
        let hours = [followups.event_hours, followups.gap_hours, followups.longest_delay_hours];
        if days.iter().any(|days| !(1..=365).contains(days)) || hours.iter().any(|hours| !(1..=720).contains(hours)) {
            return Err(PolicyError::OutOfRange("days must be from 1 to 365, hours from 1 to 720"));
        }
        if !(1..=9).contains(&claude.deliveries) || !(1..=3_600).contains(&claude.wait_seconds) {
            return Err(PolicyError::OutOfRange("deliveries must be from 1 to 9, wait_seconds from 1 to 3,600"));
        }
        let price = |price: Option<f64>| price.is_none_or(|usd| usd.is_finite() && (0.0..=10_000.0).contains(&usd));
        if !price(claude.input_usd) || !price(claude.output_usd) {
            return Err(PolicyError::OutOfRange("prices must be US dollars per million tokens, from 0 to 10,000"));
        }
        Ok(())
    }
}
