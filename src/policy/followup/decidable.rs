//! What is never decided about, whoever would decide.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{Answer, Guard};
use crate::policy::numbers::FollowupPolicy;
use crate::resend::campaign::Campaign;
use crate::time::{UnixMillis, days, hours};

/// Which campaigns may be decided about. By default none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedCampaigns {
    /// Every one.
    All,
    /// These, by their exact names.
    Named(BTreeSet<String>),
}

impl Default for AllowedCampaigns {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl AllowedCampaigns {
    /// Reads `*`, for all of them, or names separated by commas, with or without spaces around them. Nothing is none.
    pub fn parse(text: &str) -> Self {
        let named: BTreeSet<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if named.contains("*") { Self::All } else { Self::Named(named) }
    }

    /// Whether this campaign is one of them.
    pub fn allows(&self, campaign: &Campaign) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(campaign.as_str()),
        }
    }
}

/// What is known of an event before anything is decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Decidable<'a> {
    /// When it happened.
    pub event_at: UnixMillis,
    /// When its email was sent first, where that is known: Resend sends up to 30 days after it was created.
    pub email_sent_at: Option<UnixMillis>,
    /// When its email was created, where that is known.
    pub email_created_at: Option<UnixMillis>,
    /// Whether the email is itself a follow-up.
    pub is_followup: bool,
    /// The campaign that the email is tagged with.
    pub campaign: Option<&'a Campaign>,
    /// Which campaigns may be decided about.
    pub allowed: &'a AllowedCampaigns,
    /// Now.
    pub now: UnixMillis,
}

/// Why nothing is decided about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[error("{}", self.as_str())]
pub enum NeverDecided {
    /// It happened too long ago.
    #[strum(serialize = "the event is too old")]
    EventTooOld,
    /// Its email is too old.
    #[strum(serialize = "the email is too old")]
    EmailTooOld,
    /// Its email is a follow-up: a follow-up has none of its own.
    #[strum(serialize = "the email is itself a follow-up")]
    IsFollowup,
    /// Its email has no tag that names a campaign.
    #[strum(serialize = "the email has no campaign")]
    NoCampaign,
    /// Its campaign is not on the list.
    #[strum(serialize = "the campaign is not one to decide about")]
    CampaignNotAllowed,
}

impl NeverDecided {
    /// Why, in words.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether anything is to be decided about an event: it and its email are recent enough (exactly at the limit they are), the email
/// is no follow-up, and its campaign is on the list. An email's age counts from its sending, else from its creation; one of unknown age is
/// as old as its event. The answers of the guards that
/// let it pass, for the receipt.
///
/// # Errors
/// The first reason why not.
pub fn may_be_decided(facts: &Decidable<'_>, policy: &FollowupPolicy) -> Result<Vec<Answer>, NeverDecided> {
    let campaign = facts.campaign.ok_or(NeverDecided::NoCampaign)?;
    if !facts.allowed.allows(campaign) {
        return Err(NeverDecided::CampaignNotAllowed);
    }
    if facts.is_followup {
        return Err(NeverDecided::IsFollowup);
    }
    if facts.event_at < facts.now.minus(hours(policy.event_hours)) {
        return Err(NeverDecided::EventTooOld);
    }
    let began = facts.email_sent_at.or(facts.email_created_at);
    // An email is older than what happens to it, whatever it claims.
    if began.map_or(facts.event_at, |began| began.min(facts.event_at)) < facts.now.minus(days(policy.email_days)) {
        return Err(NeverDecided::EmailTooOld);
    }
    Ok(vec![
        Guard::Campaign.passes(format!("campaign {campaign} is one to decide about")),
        Guard::FollowupOfFollowup.passes("the email is no follow-up"),
        Guard::EventAge.passes(format!("the event is at most {} h old", policy.event_hours)),
        Guard::EmailAge.passes(match began {
            Some(_) => format!("the email is at most {} d old", policy.email_days),
            None => format!("when the email was sent is not known; its event is at most {} d old", policy.email_days),
        }),
    ])
}
