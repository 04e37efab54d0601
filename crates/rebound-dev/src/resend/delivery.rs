//! The deliveries of a webhook, and their log (<https://resend.com/docs/api-reference/webhooks/list-events>).

use std::time::Duration;

use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use super::webhooks::{ResendWebhook, with};

/// Time between the first attempt and the second.
const NEXT_TRY: Duration = Duration::from_secs(5);

/// An event in a webhook's log.
#[derive(Clone, Debug)]
pub(super) struct LoggedEvent {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) created_at: UnixMillis,
    pub(super) body: String,
    /// The attempts, the newest first.
    pub(super) attempts_made: Vec<Attempt>,
    /// True if the status after a failure is `pending`. The stub makes no retry by itself.
    pub(super) is_retried: bool,
}

/// An attempt to deliver an event.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) id: String,
    /// The status of the response; 0 without a response.
    pub(super) status: u16,
    pub(super) response: String,
    pub(super) sent_at: UnixMillis,
}

impl LoggedEvent {
    /// The status: `pending` between two attempts, `attempting` during one, else `success` or `failed`.
    fn status(&self) -> &'static str {
        match self.attempts_made.iter().any(|attempt| (200..300).contains(&attempt.status)) {
            true => "success",
            false if self.attempts_made.is_empty() => "attempting",
            false if self.is_retried => "pending",
            false => "failed",
        }
    }

    pub(super) fn json(&self) -> Value {
        let created_at = self.created_at.to_text();
        json!({ "id": self.id, "type": self.event_type, "created_at": created_at, "status": self.status() })
    }

    /// The event with its payload.
    pub(super) fn whole(&self) -> Value {
        let last = self.attempts_made.first().filter(|_| self.status() == "pending");
        let next = last.map(|attempt| attempt.sent_at.plus(NEXT_TRY).to_text());
        let payload: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let mut whole = with(self.json(), &[("object", json!("webhook_event")), ("payload", payload)]);
        if let Some(whole) = whole.as_object_mut() {
            whole.insert("next_attempt_at".to_owned(), json!(next));
        }
        whole
    }

    pub(super) fn attempts(&self) -> Vec<Value> {
        let attempt = |attempt: &Attempt| {
            let Attempt { id, status, response, sent_at } = attempt;
            json!({ "id": id, "http_status_code": status, "response": response, "sent_at": sent_at.to_text() })
        };
        self.attempts_made.iter().map(attempt).collect()
    }
}

/// A delivery that is to be posted.
#[derive(Clone, Debug)]
pub(super) struct WebhookDelivery {
    pub(super) hook: String,
    pub(super) event: String,
    endpoint: String,
    message: SignedMessage,
}

impl WebhookDelivery {
    /// The delivery of a logged event, signed now, with every secret that is valid at `now`. `None` if there is no such event.
    pub(super) fn of(hook: &ResendWebhook, event: &str, now: UnixMillis) -> Option<Self> {
        let logged = hook.log.iter().find(|logged| logged.id == event)?;
        let old = hook.old.iter().filter(|(_, until)| *until > now).map(|(old, _)| old);
        let secrets: Vec<SigningSecret> =
            std::iter::once(&hook.secret).chain(old).filter_map(|secret| secret.parse().ok()).collect();
        let seconds = UnixMillis::now().seconds();
        let mut message = SignedMessage::new(event, seconds, logged.body.as_str(), secrets.first()?);
        let sign = |secret: &SigningSecret| secret.sign(event, seconds, logged.body.as_bytes());
        let signatures: Vec<String> = secrets.iter().map(sign).collect();
        message.headers.insert("svix-signature".to_owned(), signatures.join(" "));
        let (hook_id, endpoint) = (hook.id.clone(), hook.endpoint.clone());
        Some(Self { hook: hook_id, event: event.to_owned(), endpoint, message })
    }

    /// Posts the delivery.
    pub(super) async fn post(&self) -> Attempt {
        let sent = self.message.request(&rebound::web::client(), reqwest::Method::POST, &self.endpoint).send().await;
        let (status, response) = match sent {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        };
        let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(27).collect();
        Attempt { id: format!("atmpt_{random}"), status, response, sent_at: UnixMillis::now() }
    }
}
