//! What a webhook is answered, and what the log says of it.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::http::{BodyNotBase64, HttpResponse, MAX_BODY_BYTES};
use crate::signature::{MessageId, SignatureError};
use crate::store::write::WriteError;

/// One in so many ordinary webhooks leaves a log line.
const LOG_SAMPLE: u32 = 100;

/// The longest type that is logged; the longest that is known has 27 characters.
const MAX_LOGGED_TYPE: usize = 64;

/// What became of a webhook that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored now.
    Handled,
    /// The same message was stored before.
    Duplicate,
    /// Stored now, of a type that this version does not know.
    Ignored,
    /// Stored raw, because it can never be stored as an event.
    Quarantined,
}

impl Outcome {
    /// The word in the answer and in the logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Why a webhook was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not a POST.
    #[error("send a POST; this is a webhook endpoint")]
    NotPost,
    /// The body is too large.
    #[error("the body is over {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The request itself is broken.
    #[error(transparent)]
    Body(#[from] BodyNotBase64),
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// There is no signing secret to verify with yet.
    #[error("the signing secret is not set yet; put RESEND_WEBHOOK_SECRET into the stack's webhook secret")]
    NoSecret,
    /// It could not be stored. The details are for the log, not for whoever asks.
    #[error("could not be stored for now; send it again")]
    NotStored(#[from] WriteError),
}

impl From<Refusal> for HttpResponse {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Body(_) => 400,
            Refusal::Signature(_) => 401,
            Refusal::NotPost => 405,
            Refusal::TooLarge => 413,
            Refusal::NoSecret | Refusal::NotStored(_) => 503,
        };
        let response = Self::json(status, &json!({ "error": refusal.to_string() }));
        if status == 405 { response.with_header("allow", "POST") } else { response }
    }
}

/// A webhook that was stored: the answer, and what the log says of it.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) message: MessageId,
    pub(super) event_type: Option<String>,
    pub(super) outcome: Outcome,
}

impl From<Accepted> for HttpResponse {
    fn from(accepted: Accepted) -> Self {
        #[derive(Serialize)]
        struct Body {
            status: &'static str,
            id: MessageId,
        }
        Self::json(200, &Body { status: accepted.outcome.as_str(), id: accepted.message })
    }
}

/// One line for what is not ordinary, and for a sample of what is. Nothing personal: an id, a type, an outcome.
pub(super) fn log(result: &Result<Accepted, Refusal>, took: Duration, cold: bool) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Accepted { message, event_type, outcome }) => {
            let event_type = event_type.as_deref().map(loggable);
            match outcome {
                Outcome::Quarantined => {
                    tracing::warn!(message_id = %message, event_type, outcome = outcome.as_str(), ms, cold, "webhook");
                }
                Outcome::Handled | Outcome::Ignored if !cold && fastrand::u32(..LOG_SAMPLE) > 0 => {}
                _ => tracing::info!(message_id = %message, event_type, outcome = outcome.as_str(), ms, cold, "webhook"),
            }
        }
        Err(Refusal::NotStored(error)) => tracing::error!(%error, outcome = "not stored", ms, cold, "webhook"),
        Err(refusal) => tracing::warn!(error = %refusal, outcome = "refused", ms, cold, "webhook"),
    }
}

/// A type as it may stand in a log: Resend's are like `email.sent`; what is not could hold anything.
fn loggable(event_type: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if event_type.len() <= MAX_LOGGED_TYPE && event_type.chars().all(is_plain) { event_type } else { "(odd)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_could_hold_somebodys_address_is_not_logged() {
        assert_eq!(loggable("email.brand_new-2"), "email.brand_new-2");
        for odd in ["ann@example.com", "two words", "new\nline", "t\u{fc}pe", &"t".repeat(65)] {
            assert_eq!(loggable(odd), "(odd)", "{odd}");
        }
    }
}
