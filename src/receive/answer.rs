//! What a webhook is answered.

use std::collections::BTreeMap;

use lambda_http::http::header::{ALLOW, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::json;
use strum::IntoStaticStr;

use crate::aws::edge::BodyNotBase64;
use crate::policy::suppression::{Change, Effect, Reason};
use crate::resend::recipient::Recipient;
use crate::resend::signature::{MessageId, SignatureError};
use crate::store::row::MAX_BODY_BYTES;
use crate::store::write::WriteError;

/// What became of a webhook that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Outcome {
    /// Stored now.
    #[strum(serialize = "handled")]
    Handled,
    /// The same message was stored before.
    #[strum(serialize = "duplicate")]
    Duplicate,
    /// Stored now, of a type that this version does not know.
    #[strum(serialize = "ignored")]
    Ignored,
    /// Stored raw, because it can never be stored as an event.
    #[strum(serialize = "quarantined")]
    Quarantined,
}

impl Outcome {
    /// The word in the answer and in the logs.
    pub fn as_str(self) -> &'static str {
        self.into()
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

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Body(_) => StatusCode::BAD_REQUEST,
            Refusal::Signature(_) => StatusCode::UNAUTHORIZED,
            Refusal::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::NoSecret | Refusal::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = json_response(status, &json!({ "error": refusal.to_string() }));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// A JSON response. A body that can't be serialised, which none of ours is, becomes an empty one.
fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::Text(serde_json::to_string(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A webhook that was stored: the answer, and what is told of it.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) message: MessageId,
    pub(super) event_type: Option<String>,
    pub(super) stored: Stored,
}

/// What storing came to.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) outcome: Outcome,
    /// Why it suppressed somebody: a reason for each recipient.
    pub(super) suppressed: Vec<Reason>,
}

impl Stored {
    /// It is stored now, with these changes.
    pub(super) fn now(outcome: Outcome, changes: &BTreeMap<Recipient, Vec<Change>>) -> Self {
        let suppresses = |change: &&Change| matches!(change.effect, Effect::Suppress(_));
        let suppressed = changes.values().flatten().filter(suppresses).map(|change| change.reason).collect();
        Self { outcome, suppressed }
    }

    /// The same message was stored before.
    pub(super) fn before() -> Self {
        Self { outcome: Outcome::Duplicate, suppressed: Vec::new() }
    }
}

impl From<Accepted> for Response<Body> {
    fn from(accepted: Accepted) -> Self {
        #[derive(Serialize)]
        struct Answer {
            status: &'static str,
            id: MessageId,
        }
        json_response(StatusCode::OK, &Answer { status: accepted.stored.outcome.as_str(), id: accepted.message })
    }
}
