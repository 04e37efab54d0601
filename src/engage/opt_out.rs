//! Clicks on opt-out and preference links.

use super::run::EngageRun;
use super::timeline::OpenOrClickContext;
use super::{MAX_CLASSIFIED, MAX_RECIPIENTS};
use crate::aws::CallError;
use crate::config::EngageConfig;
use crate::policy::limits::VerdictPolicy;
use crate::policy::verdict::{ScoredVerdict, Verdict, verdicts};
use crate::store::client::RetryClient;
use crate::store::opt_outs;
use crate::time::{UnixMillis, days};

/// The opt-out clicks of recipients.
pub(super) struct OptOuts<'a> {
    calls: RetryClient,
    recipients_table: &'a str,
    /// Number of days without a follow-up after such a click.
    days: u32,
    policy: &'a VerdictPolicy,
    run: EngageRun<'a>,
}

impl<'a> OptOuts<'a> {
    /// Creates a handle for the opt-out clicks in the recipients table.
    pub(super) fn new(calls: &RetryClient, config: &'a EngageConfig, run: EngageRun<'a>) -> Self {
        let policy = &config.policy;
        Self {
            calls: calls.clone(),
            recipients_table: &config.tables.recipients,
            days: policy.followups.opt_out_days,
            policy: &policy.verdict,
            run,
        }
    }

    /// Stores a click on an opt-out or preference link for each recipient, unless it came from a machine. Returns the
    /// time until which it blocks follow-ups, or `None` for other events.
    pub(super) async fn store(
        &self,
        context: &OpenOrClickContext<'_>,
        scored: &ScoredVerdict,
    ) -> Result<Option<UnixMillis>, CallError> {
        if scored.verdict == Verdict::Machine || !context.this.is_opt_out_click() {
            return Ok(None);
        }
        let at = context.this.at;
        let until = self.until(at);
        if until > self.run.now {
            for recipient in context.recipients.iter().take(MAX_RECIPIENTS) {
                opt_outs::store_click(&self.calls, self.recipients_table, recipient, at, until).await?;
            }
        }
        Ok(Some(until))
    }

    /// Returns the time until which the newest click on an opt-out or preference link in the email's rows that no machine
    /// made blocks follow-ups.
    pub(super) fn newest(&self, context: &OpenOrClickContext<'_>) -> Option<UnixMillis> {
        let mut clicks = context.opt_out_clicks();
        clicks.sort_by_key(|seen| std::cmp::Reverse(seen.at));
        clicks.truncate(MAX_CLASSIFIED);
        let verdicts = verdicts(clicks.iter().copied(), &context.history, self.policy);
        let (newest, _) = clicks.into_iter().zip(verdicts).find(|(_, verdict)| *verdict != Verdict::Machine)?;
        Some(self.until(newest.at))
    }

    fn until(&self, at: UnixMillis) -> UnixMillis {
        at.plus(days(self.days))
    }
}
