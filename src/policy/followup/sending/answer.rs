//! Meaning of Resend's answer to a request, for the row.

use std::time::Duration;

/// Meaning of an answer to `POST /emails`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerMeaning {
    /// Accepted, with Resend's id of the email.
    Accepted {
        /// The id.
        id: String,
    },
    /// The request may have been accepted, or not: another try with the same key and body is safe.
    Unclear,
    /// Another body had this key: a program that still sends proposals, or a fault of ours.
    KeyConflict,
    /// A definite refusal because of the API key. All sending rests.
    Key,
    /// A definite refusal because of the account's quota. All sending rests.
    Quota,
    /// A definite refusal because requests come too fast. All sending rests for this time.
    TooFast {
        /// The time that Resend asks for.
        retry_after: Duration,
    },
    /// A definite refusal of this very email.
    AboutThisEmail {
        /// The name of Resend's error.
        name: String,
    },
    /// A definite refusal that is not known to be about this email: the account, the domain, or the way there.
    Otherwise {
        /// The name of Resend's error, or `http_<status>`.
        name: String,
    },
}

/// An answer with what alerts say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAnswer {
    /// The meaning.
    pub meaning: AnswerMeaning,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The name of Resend's error, `http_<status>`, or a word for no answer. An external text.
    pub name: String,
}

impl AnswerMeaning {
    /// Returns true if Resend certainly did not accept this request.
    pub const fn is_definite_refusal(&self) -> bool {
        match self {
            Self::Key | Self::Quota | Self::TooFast { .. } | Self::AboutThisEmail { .. } | Self::Otherwise { .. } => {
                true
            }
            Self::Accepted { .. } | Self::Unclear | Self::KeyConflict => false,
        }
    }
}
