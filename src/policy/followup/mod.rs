//! Guards before a follow-up is proposed, and the eligibility of events.
//!
//! ```text
//! check_eligibility  campaign, event_age, email_age, followup_of_followup    before a Claude request
//! mode, suppressed, opt_out_click, brake                                     before a follow-up is proposed
//! not_before         quiet_hours                                             the time of sending
//! caps               one_for_each_email, per_recipient, gap                  the number of earlier follow-ups
//! sender             no_sender                                               the sender, where Rebound sends itself
//! ```
//!
//! Each guard returns a result, and all results are stored in the receipt. A follow-up is proposed only if no result is
//! [`Ruling::Refused`]; `no_sender` alone refuses only that Rebound sends it. [`sending`] says how it is sent.

mod caps;
mod eligibility;
mod quiet;
pub mod sending;
mod trial;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

pub use self::caps::{ProposedFollowup, caps};
pub use self::eligibility::{AllowedCampaigns, EligibilityInput, Ineligible, check_eligibility};
pub use self::quiet::{Zone, ZoneError, not_before};
pub use self::trial::{AllowedRecipients, TrialError};
use super::brake::Status;
use crate::time::UnixMillis;

/// A guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Follow-ups are switched on.
    #[strum(serialize = "mode")]
    Mode,
    /// Decisions are allowed in this campaign.
    #[strum(serialize = "campaign")]
    Campaign,
    /// The event is recent enough.
    #[strum(serialize = "event_age")]
    EventAge,
    /// The email is recent enough.
    #[strum(serialize = "email_age")]
    EmailAge,
    /// The email is not itself a follow-up.
    #[strum(serialize = "followup_of_followup")]
    FollowupOfFollowup,
    /// The recipient is not suppressed.
    #[strum(serialize = "suppressed")]
    Suppressed,
    /// The recipient did not recently click an opt-out or preference link.
    #[strum(serialize = "opt_out_click")]
    OptOutClick,
    /// The campaign is not paused.
    #[strum(serialize = "brake")]
    Brake,
    /// The time of sending is outside of the quiet hours.
    #[strum(serialize = "quiet_hours")]
    QuietHours,
    /// The email has no other follow-up.
    #[strum(serialize = "one_for_each_email")]
    OneForEachEmail,
    /// The recipient has not reached the maximum number of follow-ups.
    #[strum(serialize = "per_recipient")]
    PerRecipient,
    /// No other follow-up is too close in time.
    #[strum(serialize = "gap")]
    Gap,
    /// The email has a sender and an id with which Rebound can send the follow-up. If not, it remains a proposal.
    #[strum(serialize = "no_sender")]
    NoSender,
}

impl Guard {
    /// Returns the guard's name in receipts and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn passes(self, why: impl Into<String>) -> GuardResult {
        GuardResult { guard: self, ruling: Ruling::Passed, why: why.into() }
    }

    fn moves(self, why: impl Into<String>) -> GuardResult {
        GuardResult { guard: self, ruling: Ruling::Moved, why: why.into() }
    }

    fn refuses(self, why: impl Into<String>) -> GuardResult {
        GuardResult { guard: self, ruling: Ruling::Refused, why: why.into() }
    }
}

/// Ruling of a guard about a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// The follow-up may be sent.
    #[strum(serialize = "passed")]
    Passed,
    /// The follow-up may be sent later.
    #[strum(serialize = "moved")]
    Moved,
    /// The follow-up must not be sent.
    #[strum(serialize = "refused")]
    Refused,
}

impl Ruling {
    /// Returns the ruling's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Result of one guard, for the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardResult {
    /// The guard.
    pub guard: Guard,
    /// The ruling.
    pub ruling: Ruling,
    /// The reason as text.
    pub why: String,
}

/// Mode of follow-ups: `FOLLOWUPS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
pub enum FollowupMode {
    /// No follow-ups are proposed.
    #[strum(serialize = "off")]
    Off,
    /// Follow-ups are proposed; another program sends them.
    #[default]
    #[strum(serialize = "propose")]
    Propose,
    /// Rebound sends follow-ups.
    #[strum(serialize = "send")]
    Send,
}

/// An unusable mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// The mode is unknown.
    #[error("{0:?} is not a mode of follow-ups; use off, propose or send")]
    Unknown(String),
}

impl FollowupMode {
    /// Returns the mode's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Parses a mode. The default is `propose`.
    pub fn parse(text: Option<&str>) -> Result<Self, ModeError> {
        match text.unwrap_or_default().trim() {
            "" => Ok(Self::default()),
            name => name.parse().map_err(|_| ModeError::Unknown(name.to_owned())),
        }
    }
}

/// Checks that follow-ups are switched on.
pub fn mode(mode: FollowupMode) -> GuardResult {
    match mode {
        FollowupMode::Off => Guard::Mode.refuses("follow-ups are switched off"),
        FollowupMode::Propose => Guard::Mode.passes("follow-ups are proposed"),
        FollowupMode::Send => Guard::Mode.passes("follow-ups are sent"),
    }
}

/// Checks that Rebound can send a follow-up itself: from the sender of the email that it answers, whose id is the value of
/// a tag as it is. If not, the follow-up remains a proposal, so this guard alone refuses nothing else.
pub fn sender(from: Option<&str>, email_id_is_a_tag: bool) -> GuardResult {
    match (from, email_id_is_a_tag) {
        (Some(_), true) => Guard::NoSender.passes("the sender of the email is known"),
        (None, _) => Guard::NoSender.refuses("the email names no usable sender: the follow-up remains a proposal"),
        (Some(_), false) => {
            Guard::NoSender.refuses("the id of the email can't be a tag: the follow-up remains a proposal")
        }
    }
}

/// Checks that the recipient has no active suppression reason.
pub fn suppressed(reasons: &[&str]) -> GuardResult {
    if reasons.is_empty() {
        Guard::Suppressed.passes("the recipient is not suppressed")
    } else {
        Guard::Suppressed.refuses(format!("the recipient is suppressed: {}", reasons.join(", ")))
    }
}

/// Checks that the recipient did not recently click an opt-out or preference link of any email. Such a click blocks
/// follow-ups before `until`.
pub fn opt_out_click(until: Option<UnixMillis>, now: UnixMillis) -> GuardResult {
    match until.filter(|until| *until > now) {
        Some(until) => Guard::OptOutClick.refuses(format!(
            "the recipient clicked an opt-out or preference link: no follow-up until {}",
            until.to_text()
        )),
        None => Guard::OptOutClick.passes("the recipient did not recently click an opt-out or preference link"),
    }
}

/// Checks that the campaign is not paused. A slowed one passes, because a follow-up is one email to a person who showed
/// interest. `None` is an unknown brake: nothing was counted for the campaign yet. `reason` is the brake's own reason,
/// if known.
pub fn brake(status: Option<Status>, reason: Option<&str>) -> GuardResult {
    let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match status {
        Some(Status::Paused) => Guard::Brake.refuses(format!("the campaign is paused{because}")),
        Some(Status::Slowed) => Guard::Brake.passes(format!("the campaign is slowed, not paused{because}")),
        Some(Status::Open) => Guard::Brake.passes("the campaign is open"),
        None => Guard::Brake.passes("the campaign has no brake yet"),
    }
}

#[cfg(test)]
mod tests;
