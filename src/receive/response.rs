//! The response to a webhook.

use std::collections::BTreeMap;

use lambda_http::http::header::{ALLOW, CONTENT_TYPE};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use serde_json::json;
use strum::IntoStaticStr;

use crate::aws::CallError;
use crate::aws::edge::BodyNotBase64;
use crate::policy::suppression::{ChangeEffect, ItemChange, Reason, SuppressionChange};
use crate::resend::recipient::Recipient;
use crate::resend::signature::{MessageId, SignatureError};
use crate::store::row::MAX_BODY_BYTES;

/// Status of a webhook that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum WebhookStatus {
    /// Stored now.
    #[strum(serialize = "handled")]
    Handled,
    /// The same webhook was stored before.
    #[strum(serialize = "duplicate")]
    Duplicate,
    /// Stored now, of a type that this version does not know.
    #[strum(serialize = "ignored")]
    Ignored,
    /// Stored raw, because it can never be stored as an event.
    #[strum(serialize = "quarantined")]
    Quarantined,
}

impl WebhookStatus {
    /// The word in the response and in the logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Reason why a webhook was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The method is not POST.
    #[error("send a POST; this is a webhook endpoint")]
    NotPost,
    /// The body is too large.
    #[error("the body is over {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The request is malformed.
    #[error(transparent)]
    Body(#[from] BodyNotBase64),
    /// The signature is invalid or stale.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// No signing secret is stored yet.
    #[error("the signing secret is not set yet; put RESEND_WEBHOOK_SECRET into the stack's webhook secret")]
    NoSecret,
    /// The webhook could not be stored. The details are logged, but not sent to the caller.
    #[error("the webhook could not be stored now; send it again")]
    NotStored(#[from] CallError),
}

impl From<Rejection> for Response<Body> {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::Body(_) => StatusCode::BAD_REQUEST,
            Rejection::Signature(_) => StatusCode::UNAUTHORIZED,
            Rejection::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::NoSecret | Rejection::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = json_response(status, &json!({ "error": rejection.to_string() }));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// Creates a JSON response. If the body cannot be serialized, which never happens here, the response is empty.
fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::Text(serde_json::to_string(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A webhook that was stored: the response, and the data for log and metrics.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) message: MessageId,
    /// `None` if the body cannot be read.
    pub(super) event_type: Option<String>,
    pub(super) status: WebhookStatus,
    /// The reasons for which recipients were suppressed, one for each recipient. An opt-out of a topic is no reason.
    pub(super) suppressed: Vec<Reason>,
}

impl Accepted {
    /// A webhook that this request stored, with these changes.
    pub(super) fn now(
        message: &MessageId,
        status: WebhookStatus,
        changes: &BTreeMap<Recipient, Vec<ItemChange>>,
    ) -> Self {
        let suppresses = |change: &&SuppressionChange| matches!(change.effect, ChangeEffect::Suppress(_));
        let reasons = changes.values().flatten().filter_map(ItemChange::reason);
        let suppressed = reasons.filter(suppresses).map(|change| change.reason).collect();
        Self { message: message.clone(), event_type: None, status, suppressed }
    }

    /// A webhook that had been stored before.
    pub(super) fn before(message: &MessageId) -> Self {
        Self::now(message, WebhookStatus::Duplicate, &BTreeMap::new())
    }
}

impl From<Accepted> for Response<Body> {
    fn from(accepted: Accepted) -> Self {
        #[derive(Serialize)]
        struct AcceptedBody {
            status: &'static str,
            id: MessageId,
        }
        json_response(StatusCode::OK, &AcceptedBody { status: accepted.status.as_str(), id: accepted.message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::suppression::{ReasonDetail, TopicChange};
    use crate::resend::event::Subscription;
    use crate::time::UnixMillis;

    #[test]
    fn only_an_active_reason_counts_as_a_suppression() {
        let (at, message) = (UnixMillis(1), MessageId::from_verified("m"));
        let of = |effect| SuppressionChange { reason: Reason::Complaint, at, message: message.clone(), effect };
        let topic = TopicChange { topic: "t".into(), at, message: message.clone(), subscription: Subscription::OptOut };
        let counted = |change: ItemChange| {
            let changes = BTreeMap::from([(Recipient::parse("ann@example.com").unwrap(), vec![change])]);
            Accepted::now(&message, WebhookStatus::Handled, &changes).suppressed
        };
        assert_eq!(counted(of(ChangeEffect::Suppress(ReasonDetail::default())).into()), [Reason::Complaint]);
        assert_eq!(counted(of(ChangeEffect::Lift).into()), []);
        assert_eq!(counted(ItemChange::Topic(topic)), []);
    }
}
