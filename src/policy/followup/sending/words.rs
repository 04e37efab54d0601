//! Stored words: the statuses of a follow-up, its mode, and the reasons of `dropped`.

use std::fmt;

use strum::{EnumString, IntoStaticStr};

/// Status of a follow-up: the attribute `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumString)]
pub enum FollowupStatus {
    /// A person must approve it first.
    #[strum(serialize = "waiting")]
    Waiting,
    /// It is sent when its time comes.
    #[strum(serialize = "due")]
    Due,
    /// A try has begun: Resend may have accepted it.
    #[strum(serialize = "sending")]
    Sending,
    /// Resend has accepted it.
    #[strum(serialize = "sent")]
    Sent,
    /// It will not be sent.
    #[strum(serialize = "dropped")]
    Dropped,
    /// Resend may have accepted it, and this can't be found out any more. It is not sent again.
    #[strum(serialize = "unknown")]
    Unknown,
}

impl FollowupStatus {
    /// All statuses.
    pub const ALL: [Self; 6] = [Self::Waiting, Self::Due, Self::Sending, Self::Sent, Self::Dropped, Self::Unknown];

    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Reads the stored word.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns true if nothing is left to do: the follow-up is sent, dropped or unknown.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Sent | Self::Dropped | Self::Unknown)
    }
}

/// Mode in which a follow-up's decision was made: the attribute `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, EnumString)]
pub enum SendMode {
    /// It is sent after a person's approval.
    #[strum(serialize = "approve")]
    Approve,
    /// It is sent when its time comes.
    #[strum(serialize = "send")]
    Send,
}

impl SendMode {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Reads the stored word.
    pub fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Reason why a follow-up was dropped: the attribute `reason`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The recipient is suppressed.
    Suppressed,
    /// The campaign, or the sending domain, is paused.
    CampaignPaused,
    /// The recipient clicked an opt-out or preference link.
    OptOutClick,
    /// A person rejected it.
    Rejected,
    /// Nobody approved it in time.
    Expired,
    /// A person stopped the follow-ups to this recipient, or the recipient is not part of the trial.
    Stopped,
    /// Its time passed before it could be sent.
    TooLate,
    /// The recipient was forgotten.
    Forgotten,
    /// Its place among the recipient's follow-ups is gone.
    PlaceLost,
    /// A frequency cap does not allow it in time.
    Cap,
    /// The decision, or the email that it answers, can't be read any more.
    Unreadable,
    /// Resend refused this email, with the name of its error.
    Refused(String),
}

/// Prefix of the reason of a refused follow-up.
const REFUSED: &str = "refused: ";

impl DropReason {
    /// All reasons without a name of their own.
    pub const NAMED: [Self; 11] = [
        Self::Suppressed,
        Self::CampaignPaused,
        Self::OptOutClick,
        Self::Rejected,
        Self::Expired,
        Self::Stopped,
        Self::TooLate,
        Self::Forgotten,
        Self::PlaceLost,
        Self::Cap,
        Self::Unreadable,
    ];

    /// Returns the reason without the name of an error: the metric's dimension, and a word for grouping.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::CampaignPaused => "campaign_paused",
            Self::OptOutClick => "opt_out_click",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Stopped => "stopped",
            Self::TooLate => "too_late",
            Self::Forgotten => "forgotten",
            Self::PlaceLost => "place_lost",
            Self::Cap => "cap",
            Self::Unreadable => "unreadable",
            Self::Refused(_) => "refused",
        }
    }

    /// Reads the stored text.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(REFUSED) {
            return Some(Self::Refused(name.to_owned()));
        }
        Self::NAMED.into_iter().find(|reason| reason.word() == text)
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(name) => write!(f, "{REFUSED}{name}"),
            other => f.write_str(other.word()),
        }
    }
}
