//! The guards before any follow-up is proposed, and what is never decided about at all.
//!
//! ```text
//! may_be_decided  campaign, event_age, email_age, followup_of_followup    before anybody is asked
//! mode, suppressed, opt_out_click, brake                                  before a follow-up is proposed
//! not_before      quiet_hours                                             when it may be sent
//! caps            one_for_each_email, per_recipient, gap                  and how many there are already
//! ```
//!
//! Each guard answers, whether it lets pass or not, and every answer goes into the receipt. A follow-up is proposed only if none of
//! them is [`Ruling::Refused`].

mod caps;
mod decidable;
mod quiet;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

pub use self::caps::{Taken, caps};
pub use self::decidable::{AllowedCampaigns, Decidable, NeverDecided, may_be_decided};
pub use self::quiet::{Zone, ZoneError, not_before};
use super::brake::Status;
use crate::time::UnixMillis;

/// The guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Whether follow-ups are proposed at all.
    #[strum(serialize = "mode")]
    Mode,
    /// Whether this campaign is one to decide about.
    #[strum(serialize = "campaign")]
    Campaign,
    /// Whether the event is recent enough.
    #[strum(serialize = "event_age")]
    EventAge,
    /// Whether the email is.
    #[strum(serialize = "email_age")]
    EmailAge,
    /// Whether the email is itself a follow-up.
    #[strum(serialize = "followup_of_followup")]
    FollowupOfFollowup,
    /// Whether the recipient must not be written to.
    #[strum(serialize = "suppressed")]
    Suppressed,
    /// Whether the recipient clicked an opt-out or preference link lately.
    #[strum(serialize = "opt_out_click")]
    OptOutClick,
    /// Whether the campaign is paused.
    #[strum(serialize = "brake")]
    Brake,
    /// Whether it would come at night.
    #[strum(serialize = "quiet_hours")]
    QuietHours,
    /// Whether the email has had its follow-up.
    #[strum(serialize = "one_for_each_email")]
    OneForEachEmail,
    /// Whether the recipient has had their number.
    #[strum(serialize = "per_recipient")]
    PerRecipient,
    /// Whether another is too near.
    #[strum(serialize = "gap")]
    Gap,
}

impl Guard {
    /// The guard's name in receipts and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn passes(self, why: impl Into<String>) -> Answer {
        Answer { guard: self, ruling: Ruling::Passed, why: why.into() }
    }

    fn moves(self, why: impl Into<String>) -> Answer {
        Answer { guard: self, ruling: Ruling::Moved, why: why.into() }
    }

    fn refuses(self, why: impl Into<String>) -> Answer {
        Answer { guard: self, ruling: Ruling::Refused, why: why.into() }
    }
}

/// What a guard makes of a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It lets it pass.
    #[strum(serialize = "passed")]
    Passed,
    /// It lets it pass later.
    #[strum(serialize = "moved")]
    Moved,
    /// It refuses it.
    #[strum(serialize = "refused")]
    Refused,
}

impl Ruling {
    /// The ruling's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One guard's answer, for the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which guard.
    pub guard: Guard,
    /// What it makes of it.
    pub ruling: Ruling,
    /// Why, in words.
    pub why: String,
}

/// Whether follow-ups are proposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString)]
#[serde(rename_all = "snake_case")]
pub enum FollowupMode {
    /// Never.
    #[strum(serialize = "off")]
    Off,
    /// Proposed, for whoever sends them.
    #[default]
    #[strum(serialize = "propose")]
    Propose,
}

/// Why a mode is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// There is no mode of this name.
    #[error("the mode of follow-ups is off or propose, not {0:?}")]
    Unknown(String),
}

impl FollowupMode {
    /// The mode's name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Reads a mode. One that is not set, or empty, is `propose`.
    ///
    /// # Errors
    /// There is no mode of this name.
    pub fn parse(text: Option<&str>) -> Result<Self, ModeError> {
        match text.unwrap_or_default().trim() {
            "" => Ok(Self::default()),
            name => name.parse().map_err(|_| ModeError::Unknown(name.to_owned())),
        }
    }
}

/// Whether follow-ups are proposed at all.
pub fn mode(mode: FollowupMode) -> Answer {
    match mode {
        FollowupMode::Off => Guard::Mode.refuses("follow-ups are switched off"),
        FollowupMode::Propose => Guard::Mode.passes("follow-ups are proposed"),
    }
}

/// Whether the recipient may be written to: only while no reason to suppress them stands.
pub fn suppressed(reasons: &[&str]) -> Answer {
    if reasons.is_empty() {
        Guard::Suppressed.passes("the recipient is not suppressed")
    } else {
        Guard::Suppressed.refuses(format!("the recipient is suppressed: {}", reasons.join(", ")))
    }
}

/// Whether the recipient has clicked an opt-out or preference link of any email lately: `until` is how long that stands against follow-ups.
pub fn opt_out_click(until: Option<UnixMillis>, now: UnixMillis) -> Answer {
    match until.filter(|until| *until > now) {
        Some(until) => Guard::OptOutClick.refuses(format!(
            "the recipient clicked an opt-out or preference link: no follow-up until {}",
            until.to_text()
        )),
        None => Guard::OptOutClick.passes("the recipient clicked no opt-out or preference link lately"),
    }
}

/// Whether the campaign may be sent. A slowed one may: a follow-up is one mail to somebody who showed interest. `None` is a campaign
/// whose brake is not known, because nothing was counted for it yet. `reason` is the brake's own, where it is known.
pub fn brake(status: Option<Status>, reason: Option<&str>) -> Answer {
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
