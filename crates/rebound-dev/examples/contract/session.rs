//! Requests with an API key, by the code's own client.

use std::time::Duration;

use rebound::policy::followup::sending::{AnswerMeaning, PushMeaning, SendAnswer, email_answer, push_answer};
use rebound::resend::api::key::ResendKey;
use rebound::resend::api::{NoResponse, ResendApi};
use serde_json::Value;

/// Attempts at a request that comes too fast.
const MAX_ATTEMPTS: u32 = 5;

/// A request that can't be made at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The text can't be a key.
    #[error("RESEND_API_KEY is not a key")]
    NotAKey,
    /// The client could not be built.
    #[error("{0} can't be reached from here")]
    Client(String),
    /// The very first email was not accepted, so nothing else can be asked.
    #[error("the first email was not accepted: {0}; check the key and --from")]
    NotAccepted(String),
}

/// The API at one URL.
pub(crate) struct Session {
    api: ResendApi,
    http: reqwest::Client,
    pause: Duration,
}

impl Session {
    pub(crate) fn new(base_url: &str, pause: Duration) -> Result<Self, SessionError> {
        let api = ResendApi::new(base_url).map_err(|_| SessionError::Client(base_url.to_owned()))?;
        Ok(Self { api, http: rebound::web::client_for(base_url), pause })
    }

    /// Sends an email under an idempotency key.
    pub(crate) async fn send(&self, key: &ResendKey, idempotency_key: &str, body: &Value) -> SendAnswer {
        let mut answer = self.send_once(key, idempotency_key, body).await;
        for _ in 1..MAX_ATTEMPTS {
            let AnswerMeaning::TooFast { retry_after } = answer.meaning else { break };
            tokio::time::sleep(retry_after).await;
            answer = self.send_once(key, idempotency_key, body).await;
        }
        answer
    }

    async fn send_once(&self, key: &ResendKey, idempotency_key: &str, body: &Value) -> SendAnswer {
        tokio::time::sleep(self.pause).await;
        email_answer(&self.api.send_email(key, idempotency_key, body.to_string()).await)
    }

    /// Unsubscribes a contact that does not exist.
    pub(crate) async fn unsubscribe_nobody(&self, key: &ResendKey) -> (PushMeaning, String) {
        tokio::time::sleep(self.pause).await;
        let response = self.api.unsubscribe_contact(key, "contract@rebound.invalid").await;
        (push_answer(&response), text(&email_answer(&response)))
    }

    /// Reads the domains, which a key that may only send can't. Returns the meaning as of any other answer.
    pub(crate) async fn domains(&self, key: &ResendKey) -> SendAnswer {
        tokio::time::sleep(self.pause).await;
        let request = self.http.get(format!("{}/domains", self.api.base_url())).bearer_auth(key.expose());
        let response = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let response = response.await.map_err(|_| NoResponse::ConnectionLost);
        email_answer(&response.map(|(status, body)| rebound::resend::api::ResendResponse {
            status,
            retry_after: None,
            body: body.to_vec(),
        }))
    }
}

/// An answer as text: its status, its name, and what the code takes it for.
pub(crate) fn text(answer: &SendAnswer) -> String {
    let status = answer.status.map_or_else(|| "no response".to_owned(), |status| status.to_string());
    match &answer.meaning {
        AnswerMeaning::Accepted { id } => format!("{status}, id {id}"),
        _ => format!("{status} {}", answer.name),
    }
}
