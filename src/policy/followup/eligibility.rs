//! Eligibility: the conditions under which a decision may be made about an event.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{Guard, GuardResult};
use crate::policy::limits::FollowupPolicy;
use crate::resend::campaign::Campaign;
use crate::time::{UnixMillis, days, hours};

/// Campaigns in which decisions may be made. By default none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedCampaigns {
    /// All campaigns.
    All,
    /// Campaigns with these exact names.
    Named(BTreeSet<String>),
}

impl Default for AllowedCampaigns {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl AllowedCampaigns {
    /// Parses `*`, for all campaigns, or names separated by commas. An empty text allows none.
    pub fn parse(text: &str) -> Self {
        let named: BTreeSet<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if named.contains("*") { Self::All } else { Self::Named(named) }
    }

    /// Returns true if decisions may be made in this campaign.
    pub fn allows(&self, campaign: &Campaign) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(campaign.as_str()),
        }
    }
}

/// Facts about an event that decide if it is eligible.
#[derive(Clone, Copy, Debug)]
pub struct EligibilityInput<'a> {
    /// Time of the event.
    pub event_at: UnixMillis,
    /// Time at which the email was first sent, if known. Resend sends up to 30 days after creation.
    pub email_sent_at: Option<UnixMillis>,
    /// Time of the email's creation, if known.
    pub email_created_at: Option<UnixMillis>,
    /// True if the email is itself a follow-up.
    pub is_followup: bool,
    /// Campaign in the email's tags.
    pub campaign: Option<&'a Campaign>,
    /// Campaigns in which decisions may be made.
    pub allowed: &'a AllowedCampaigns,
    /// The current time.
    pub now: UnixMillis,
}

/// Reason why no decision is made about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[error("{}", self.as_str())]
pub enum Ineligible {
    /// The event is too old.
    #[strum(serialize = "the event is too old")]
    EventTooOld,
    /// The email is too old.
    #[strum(serialize = "the email is too old")]
    EmailTooOld,
    /// The email is itself a follow-up.
    #[strum(serialize = "the email is itself a follow-up")]
    IsFollowup,
    /// No tag of the email names a campaign.
    #[strum(serialize = "the email has no campaign")]
    NoCampaign,
    /// The campaign is not in the list.
    #[strum(serialize = "the campaign is not one to decide about")]
    CampaignNotAllowed,
}

impl Ineligible {
    /// Returns the reason as text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Checks if an event is eligible. The event and its email must be recent enough (the limit itself is included), the
/// email must not be a follow-up, and its campaign must be in the list. An email's age counts from its sending, or else
/// from its creation. An email of unknown age is as old as its event. Returns the results of the guards for the
/// receipt.
///
/// # Errors
/// The first reason why the event is not eligible.
pub fn check_eligibility(
    facts: &EligibilityInput<'_>,
    policy: &FollowupPolicy,
) -> Result<Vec<GuardResult>, Ineligible> {
    let campaign = facts.campaign.ok_or(Ineligible::NoCampaign)?;
    if !facts.allowed.allows(campaign) {
        return Err(Ineligible::CampaignNotAllowed);
    }
    if facts.is_followup {
        return Err(Ineligible::IsFollowup);
    }
    if facts.event_at < facts.now.minus(hours(policy.event_hours)) {
        return Err(Ineligible::EventTooOld);
    }
    let began = facts.email_sent_at.or(facts.email_created_at);
    // An email is at least as old as its events, even if its own time is later.
    if began.map_or(facts.event_at, |began| began.min(facts.event_at)) < facts.now.minus(days(policy.email_days)) {
        return Err(Ineligible::EmailTooOld);
    }
    Ok(vec![
        Guard::Campaign.passes(format!("decisions are allowed in campaign {campaign}")),
        Guard::FollowupOfFollowup.passes("the email is not a follow-up"),
        Guard::EventAge.passes(format!("the event is at most {} h old", policy.event_hours)),
        Guard::EmailAge.passes(match began {
            Some(_) => format!("the email is at most {} d old", policy.email_days),
            None => format!("the time of sending is unknown; the event is at most {} d old", policy.email_days),
        }),
    ])
}
