//! The reader's rule: may this email be sent to this address?
//!
//! This is the only place of the rule in Rust. docs/reading-the-list.md has it in three languages, and
//! tests/reader_cases.json holds all four to the same answers.

use super::item::{ActiveReason, SuppressionItem};
use crate::policy::suppression::Reason;
use crate::store::forgotten;
use crate::time::UnixMillis;

/// The kind of an email, as far as the rule depends on it. The default is an email that is not transactional, and of no
/// topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmailKind<'a> {
    /// True for an email that its recipient asked for or needs, such as a password reset.
    pub transactional: bool,
    /// Id of the email's topic at Resend.
    pub topic: Option<&'a str>,
}

/// The answer of the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendCheck {
    /// The email can be sent.
    Allowed,
    /// The address is suppressed, for these active reasons.
    Suppressed(Vec<ActiveReason>),
    /// The recipient opted out of the email's topic.
    OutOfTopic {
        /// Id of the topic.
        topic: String,
        /// Time of the opt-out.
        at: UnixMillis,
    },
    /// The address was erased on request, and must not get email of any kind.
    Forgotten,
    /// The text is not a valid address.
    InvalidAddress,
}

/// Name of the reason in an answer about a topic.
pub const TOPIC_OUT: &str = "topic_out";

/// Name of the reason in an answer about a text that is no address.
pub const NOT_AN_ADDRESS: &str = "not_an_address";

impl SendCheck {
    /// Applies the rule at `now` to what was read: the item of the address, and, after it, the item of its hash
    /// ([`forgotten::is_no`]).
    pub fn of(own: Option<&SuppressionItem>, is_forgotten: bool, email: EmailKind<'_>, now: UnixMillis) -> Self {
        // First: no item of the address itself can change this answer.
        if is_forgotten {
            return Self::Forgotten;
        }
        let Some(own) = own else { return Self::Allowed };
        let mut reasons = own.active_reasons(now);
        if email.transactional {
            reasons.retain(|active| !spares_transactional(&active.reason));
        }
        if !reasons.is_empty() {
            return Self::Suppressed(reasons);
        }
        let topic = email.topic.filter(|_| !email.transactional);
        let state = topic.and_then(|topic| Some((topic, own.suppression.topics.get(topic)?)));
        match state.filter(|(_, state)| state.is_out()) {
            Some((topic, state)) => {
                let at = state.opted_out.as_ref().map_or(UnixMillis(0), |stamp| stamp.at);
                Self::OutOfTopic { topic: topic.to_owned(), at }
            }
            None => Self::Allowed,
        }
    }

    /// Returns true if the email can be sent.
    pub fn may_send(&self) -> bool {
        *self == Self::Allowed
    }

    /// Returns the names of the reasons against sending.
    pub fn reasons(&self) -> Vec<&str> {
        match self {
            Self::Allowed => Vec::new(),
            Self::Suppressed(reasons) => reasons.iter().map(|active| active.reason.as_str()).collect(),
            Self::OutOfTopic { .. } => vec![TOPIC_OUT],
            Self::Forgotten => vec![forgotten::REASON],
            Self::InvalidAddress => vec![NOT_AN_ADDRESS],
        }
    }
}

/// Returns true if a reason does not stop a transactional email. A reason that this version does not know stops it.
fn spares_transactional(reason: &str) -> bool {
    matches!(Reason::from_text(reason), Some(Reason::Unsubscribed | Reason::OptedOut))
}
