//! `receive`: one webhook, from the HTTP request to the stored row and the response.
//!
//! A 200 means stored. The other effects of an event, except the suppression written with it, follow from the events
//! table's stream. So the response does not wait for them.

mod response;
pub mod secret;
mod telemetry;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambda_http::http::{HeaderMap, Method};
use lambda_http::{Body, Request, Response};
use tokio::time::Instant;

use self::response::Accepted;
pub use self::response::{Rejection, WebhookStatus};
use self::secret::RELOAD_INTERVAL;
use self::telemetry::{log, measure};
use crate::aws::edge::{self, BodyNotBase64};
use crate::aws::secret::Secret;
use crate::aws::{AwsEnvironment, CallError};
use crate::config::{EnvironmentError, ReceiveConfig, SecretLocation};
use crate::metrics::{Metrics, Refusals};
use crate::policy::suppression::{ItemChange, SuppressionEffect, suppression_effect};
use crate::resend::event::Event;
use crate::resend::recipient::Recipient;
use crate::resend::signature::{MessageId, SignatureError, SignedHeaders, SigningSecrets};
use crate::store::row::{MAX_BODY_BYTES, Row, RowMeta};
use crate::store::write::{MAX_RECIPIENTS, WebhookWrite, Writer};
use crate::time::{UnixMillis, time_budget};

/// Time limit for storing a webhook. Resend waits 15 s for the response.
pub const WRITE_BUDGET: Duration = Duration::from_secs(8);

/// Time of the invocation that is reserved for the response.
const RESPONSE_RESERVE: Duration = Duration::from_millis(500);

/// A verified webhook, with its time limit.
struct VerifiedWebhook<'a> {
    message: &'a MessageId,
    body: &'a [u8],
    received_at: UnixMillis,
    deadline: Instant,
}

/// The use case, with everything that it needs.
#[derive(Debug)]
pub struct Receiver {
    secrets: Secret<SigningSecrets>,
    writer: Writer,
    retention_days: u32,
    metrics: Metrics,
    /// True until this execution environment has handled its first request.
    cold: AtomicBool,
    refusals: Mutex<Refusals>,
}

impl Receiver {
    /// Creates a receiver that verifies with `secrets` and stores with `writer`. Rows are kept for `retention_days`.
    pub fn new(secrets: Secret<SigningSecrets>, writer: Writer, retention_days: u32) -> Self {
        let (cold, refusals) = (AtomicBool::new(true), Mutex::default());
        Self { secrets, writer, retention_days, metrics: Metrics::off(), cold, refusals }
    }

    /// Sets the destination of the metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Creates a receiver from the environment variables, which `variable` looks up. Builds the clients, reads the
    /// secret and opens the connections in parallel, so that the first webhook waits for none of this.
    ///
    /// # Errors
    /// A variable is missing or invalid.
    pub async fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = ReceiveConfig::read(&variable)?;
        let aws = AwsEnvironment::read(&variable)?;
        let writer = Writer::new(aws.dynamodb(), config.events_table, config.suppressions_table);
        let secrets = async {
            match config.secret {
                SecretLocation::Environment(secrets) => Secret::fixed(Some(secrets)),
                SecretLocation::Manager(arn) => secret::from_manager(aws.secrets_manager(), arn, RELOAD_INTERVAL).await,
            }
        };
        let (secrets, ()) = tokio::join!(secrets, writer.warm_up());
        let metrics = Metrics::from_environment(&variable);
        Ok(Self::new(secrets, writer, config.retention_days).with_metrics(metrics))
    }

    /// Handles one invocation. Always returns a response: an error would be a function error, and an expected failure
    /// is a response.
    ///
    /// # Errors
    /// Never.
    pub async fn handle(&self, request: Request) -> Result<Response<Body>, Infallible> {
        let now = UnixMillis::now();
        let budget = time_budget(edge::deadline(&request), now, RESPONSE_RESERVE, WRITE_BUDGET);
        Ok(self.receive(&request, now, Instant::now() + budget).await)
    }

    /// Receives one webhook at `now`. Storing must be finished by `deadline`.
    pub async fn receive(&self, request: &Request, now: UnixMillis, deadline: Instant) -> Response<Body> {
        self.receive_at(request, now, now, deadline).await
    }

    /// Receives one webhook at `now` of the service's clock. The age of its signature goes by `real_now`.
    pub async fn receive_at(
        &self,
        request: &Request,
        now: UnixMillis,
        real_now: UnixMillis,
        deadline: Instant,
    ) -> Response<Body> {
        let started = Instant::now();
        let cold = self.cold.swap(false, Ordering::Relaxed);
        let result = self.accept(request, now, real_now, deadline).await;
        let took = started.elapsed();
        log(&result, took, cold, || self.refusals.lock().unwrap_or_else(PoisonError::into_inner).another(now));
        self.metrics.gather(now, |numbers| measure(&result, took, numbers));
        match result {
            Ok(accepted) => accepted.into(),
            Err(rejection) => rejection.into(),
        }
    }

    async fn accept(
        &self,
        request: &Request,
        now: UnixMillis,
        real_now: UnixMillis,
        deadline: Instant,
    ) -> Result<Accepted, Rejection> {
        if request.method() != Method::POST {
            return Err(Rejection::NotPost);
        }
        if request.extensions().get::<BodyNotBase64>().is_some() {
            return Err(BodyNotBase64.into());
        }
        let body: &[u8] = request.body().as_ref();
        if body.len() > MAX_BODY_BYTES {
            return Err(Rejection::TooLarge);
        }
        let message = self.verified(request.headers(), body, real_now).await?;
        let webhook = VerifiedWebhook { message: &message, body, received_at: now, deadline };
        match Event::read(body) {
            Ok(event) => {
                let accepted = self.store_event(&event, &webhook).await?;
                Ok(Accepted { event_type: Some(event.type_text().to_owned()), ..accepted })
            }
            Err(unreadable) => self.quarantine(&webhook, &unreadable.to_string(), BTreeMap::new()).await,
        }
    }

    /// Returns the id of a webhook whose signature is valid at `now`.
    async fn verified(&self, headers: &HeaderMap, body: &[u8], now: UnixMillis) -> Result<MessageId, Rejection> {
        let claim = SignedHeaders::from_headers(|name| edge::header(headers, name))?;
        let now = now.seconds();
        let tried = self.secrets.known();
        let verdict = match &tried {
            Some(secrets) => claim.verify(secrets, body, now).map_err(Rejection::from),
            None => Err(Rejection::NoSecret),
        };
        let message = match verdict {
            // The secret may have been rotated, or just set. A stale webhook proves nothing, so it costs no call.
            Err(Rejection::Signature(SignatureError::WrongSignature) | Rejection::NoSecret)
                if claim.has_fresh_timestamp(now) =>
            {
                match self.secrets.reload(tried.as_ref()).await {
                    Some(secrets) => claim.verify(&secrets, body, now)?,
                    None => verdict?,
                }
            }
            verdict => verdict?,
        };
        Ok(message)
    }

    async fn store_event(&self, event: &Event<'_>, webhook: &VerifiedWebhook<'_>) -> Result<Accepted, Rejection> {
        let changes = match suppression_effect(event, webhook.message, webhook.received_at) {
            SuppressionEffect::Changes(changes) => changes,
            SuppressionEffect::Nothing | SuppressionEffect::Ambiguous(_) => BTreeMap::new(),
        };
        if changes.len() > MAX_RECIPIENTS {
            let problem = format!("it suppresses {} recipients; one write can store {MAX_RECIPIENTS}", changes.len());
            return self.quarantine(webhook, &problem, BTreeMap::new()).await;
        }
        let row = match Row::event(event, webhook.message, webhook.body, self.stamp(webhook)) {
            Ok(row) => row,
            // Its suppressions count even if it cannot be stored as an event.
            Err(unstorable) => return self.quarantine(webhook, &unstorable.to_string(), changes).await,
        };
        match self.writer.write(&row, &changes, webhook.deadline).await {
            Ok(WebhookWrite::New) => {
                let is_known = event.event_type().is_some();
                let status = if is_known { WebhookStatus::Handled } else { WebhookStatus::Ignored };
                Ok(Accepted::now(webhook.message, status, &changes))
            }
            Ok(WebhookWrite::Duplicate) => Ok(Accepted::before(webhook.message)),
            Err(CallError::Permanent(problem)) => self.quarantine(webhook, &problem, BTreeMap::new()).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a webhook raw that can never be stored as an event, so that Resend does not retry it for a day.
    async fn quarantine(
        &self,
        webhook: &VerifiedWebhook<'_>,
        problem: &str,
        changes: BTreeMap<Recipient, Vec<ItemChange>>,
    ) -> Result<Accepted, Rejection> {
        let row = Row::quarantine(webhook.message, webhook.body, problem, self.stamp(webhook));
        match self.writer.write(&row, &changes, webhook.deadline).await? {
            WebhookWrite::New => Ok(Accepted::now(webhook.message, WebhookStatus::Quarantined, &changes)),
            WebhookWrite::Duplicate => Ok(Accepted::before(webhook.message)),
        }
    }

    fn stamp(&self, webhook: &VerifiedWebhook<'_>) -> RowMeta {
        RowMeta { received_at: webhook.received_at, retention_days: self.retention_days }
    }
}
