//! Eligibility of an open or click for a decision.

use super::MOST_RECIPIENTS;
use super::timeline::OpenOrClickContext;
use crate::config::EngageConfig;
use crate::policy::followup::{AllowedCampaigns, Answer, Decidable, may_be_decided};
use crate::policy::numbers::FollowupPolicy;
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
    ) -> Result<Vec<Answer>, String> {
        match (verdict, context.action) {
            (Verdict::Machine, _) => return Err("a machine did it".to_owned()),
            (Verdict::Unsure, Action::Opened) => return Err("an open with verdict unsure is not a signal".to_owned()),
            (Verdict::Human, _) | (Verdict::Unsure, Action::Clicked) => {}
        }
        if context.recipients.is_empty() {
            return Err("the event names no recipient".to_owned());
        }
        if context.recipients.len() > MOST_RECIPIENTS {
            return Err(format!("the event names more than {MOST_RECIPIENTS} recipients"));
        }
        let decidable = Decidable {
            event_at: context.this.at,
            email_sent_at: context.sent_at,
            email_created_at: context.this.event.resource_created_at(),
            is_followup: context.is_followup,
            campaign,
            allowed: self.campaigns,
            now: self.now,
        };
        may_be_decided(&decidable, self.policy).map_err(|never| never.as_str().to_owned())
    }
}
