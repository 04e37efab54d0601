//! Eligibility of an open or click for a decision.

use super::MAX_RECIPIENTS;
use super::timeline::OpenOrClickContext;
use crate::config::EngageConfig;
use crate::policy::followup::{AllowedCampaigns, EligibilityInput, GuardResult, check_eligibility};
use crate::policy::limits::FollowupPolicy;
use crate::policy::verdict::{Action, Verdict};
use crate::resend::campaign::Campaign;
use crate::time::UnixMillis;

/// The conditions for a decision.
pub(super) struct Eligibility<'a> {
    campaigns: &'a AllowedCampaigns,
    policy: &'a FollowupPolicy,
    now: UnixMillis,
}

impl<'a> Eligibility<'a> {
    /// Reads the conditions from the configuration.
    pub(super) const fn new(config: &'a EngageConfig, now: UnixMillis) -> Self {
        Self { campaigns: &config.campaigns, policy: &config.policy.followups, now }
    }

    /// Returns the guards that an open or click has passed, or the reason why no decision is made.
    pub(super) fn check(
        &self,
        verdict: Verdict,
        context: &OpenOrClickContext<'_>,
        campaign: Option<&Campaign>,
    ) -> Result<Vec<GuardResult>, String> {
        match (verdict, context.action) {
            (Verdict::Machine, _) => return Err("a machine did it".to_owned()),
            (Verdict::Unsure, Action::Opened) => return Err("an open with verdict unsure is not a signal".to_owned()),
            (Verdict::Human, _) | (Verdict::Unsure, Action::Clicked) => {}
        }
        if context.recipients.is_empty() {
            return Err("the event names no recipient".to_owned());
        }
        if context.recipients.len() > MAX_RECIPIENTS {
            return Err(format!("the event names more than {MAX_RECIPIENTS} recipients"));
        }
        let decidable = EligibilityInput {
            event_at: context.this.at,
            email_sent_at: context.sent_at,
            email_created_at: context.this.event.resource_created_at(),
            is_followup: context.is_followup,
            campaign,
            allowed: self.campaigns,
            now: self.now,
        };
        check_eligibility(&decidable, self.policy).map_err(|never| never.as_str().to_owned())
    }
}
