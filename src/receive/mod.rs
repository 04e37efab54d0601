//! `receive`: one webhook, from the HTTP request to the stored row and the response.
//!
//! A 200 means stored. The other effects of an event, except the suppression written with it, follow from the events
//! table's stream. So the response does not wait for them.

mod answer;
pub mod secret;
mod told;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambda_http::http::{HeaderMap, Method};
use lambda_http::{Body, Request, Response};
use tokio::time::Instant;

use self::answer::{Accepted, Stored};
pub use self::answer::{Outcome, Refusal};
use self::secret::REREAD_INTERVAL;
use self::told::{Refusals, log, measure};
use crate::aws::AwsEnvironment;
use crate::aws::edge::{self, BodyNotBase64};
use crate::aws::secret::Secret;
use crate::config::{EnvironmentError, ReceiveConfig, SecretLocation};
use crate::metrics::Metrics;
use crate::policy::suppression::{SuppressionChange, SuppressionEffect, suppression_effect};
use crate::resend::event::Event;
use crate::resend::recipient::Recipient;
use crate::resend::signature::{MessageId, SignatureError, SignedHeaders, SigningSecrets};
use crate::store::row::{MAX_BODY_BYTES, Row, Stamp};
use crate::store::write::{MAX_RECIPIENTS, WriteError, Writer, Written};
use crate::time::{UnixMillis, time_to_work};

/// Time limit for storing a webhook. Resend waits 15 s for the response.
pub const WRITE_BUDGET: Duration = Duration::from_secs(8);

/// Time of the invocation that is reserved for the response.
const TIME_TO_ANSWER: Duration = Duration::from_millis(500);

/// A verified webhook, with its time limit.
struct Delivery<'a> {
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
                SecretLocation::Manager(arn) => secret::from_manager(aws.secrets_manager(), arn, REREAD_INTERVAL).await,
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
        let budget = time_to_work(edge::deadline(&request), now, TIME_TO_ANSWER, WRITE_BUDGET);
        Ok(self.receive(&request, now, Instant::now() + budget).await)
    }

    /// Receives one webhook at `now`. Storing must be finished by `deadline`.
    pub async fn receive(&self, request: &Request, now: UnixMillis, deadline: Instant) -> Response<Body> {
        let started = Instant::now();
        let cold = self.cold.swap(false, Ordering::Relaxed);
        let result = self.accept(request, now, deadline).await;
        let took = started.elapsed();
        log(&result, took, cold, || self.refusals.lock().unwrap_or_else(PoisonError::into_inner).another(now));
        self.metrics.gather(now, |numbers| measure(&result, took, numbers));
        match result {
            Ok(accepted) => accepted.into(),
            Err(refusal) => refusal.into(),
        }
    }

    async fn accept(&self, request: &Request, now: UnixMillis, deadline: Instant) -> Result<Accepted, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::NotPost);
        }
        if request.extensions().get::<BodyNotBase64>().is_some() {
            return Err(BodyNotBase64.into());
        }
        let body: &[u8] = request.body().as_ref();
        if body.len() > MAX_BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
        let message = self.verified(request.headers(), body, now).await?;
        let delivery = Delivery { message: &message, body, received_at: now, deadline };
        let (stored, event_type) = match Event::read(body) {
            Ok(event) => (self.store_event(&event, &delivery).await?, Some(event.type_text().to_owned())),
            Err(unreadable) => (self.quarantine(&delivery, &unreadable.to_string(), BTreeMap::new()).await?, None),
        };
        Ok(Accepted { message, event_type, stored })
    }

    /// Returns the id of a webhook whose signature is valid.
    async fn verified(&self, headers: &HeaderMap, body: &[u8], now: UnixMillis) -> Result<MessageId, Refusal> {
        let claim = SignedHeaders::from_headers(|name| edge::header(headers, name))?;
        let now = now.seconds();
        let tried = self.secrets.known();
        let verdict = match &tried {
            Some(secrets) => claim.verify(secrets, body, now).map_err(Refusal::from),
            None => Err(Refusal::NoSecret),
        };
        let message = match verdict {
            // The secret may have been rotated, or just set. A stale webhook proves nothing, so it costs no call.
            Err(Refusal::Signature(SignatureError::WrongSignature) | Refusal::NoSecret)
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

    async fn store_event(&self, event: &Event<'_>, delivery: &Delivery<'_>) -> Result<Stored, Refusal> {
        let changes = match suppression_effect(event, delivery.message, delivery.received_at) {
            SuppressionEffect::Changes(changes) => changes,
            SuppressionEffect::Nothing | SuppressionEffect::Ambiguous(_) => BTreeMap::new(),
        };
        if changes.len() > MAX_RECIPIENTS {
            let problem = format!("it suppresses {} recipients; one write can store {MAX_RECIPIENTS}", changes.len());
            return self.quarantine(delivery, &problem, BTreeMap::new()).await;
        }
        let row = match Row::event(event, delivery.message, delivery.body, self.stamp(delivery)) {
            Ok(row) => row,
            // Its suppressions count even if it cannot be stored as an event.
            Err(unstorable) => return self.quarantine(delivery, &unstorable.to_string(), changes).await,
        };
        match self.writer.write(&row, &changes, delivery.deadline).await {
            Ok(Written::New) if event.event_type().is_none() => Ok(Stored::now(Outcome::Ignored, &changes)),
            Ok(Written::New) => Ok(Stored::now(Outcome::Handled, &changes)),
            Ok(Written::Duplicate) => Ok(Stored::before()),
            Err(WriteError::Invalid(problem)) => self.quarantine(delivery, &problem, BTreeMap::new()).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a webhook raw that can never be stored as an event, so that Resend does not retry it for a day.
    async fn quarantine(
        &self,
        delivery: &Delivery<'_>,
        problem: &str,
        changes: BTreeMap<Recipient, Vec<SuppressionChange>>,
    ) -> Result<Stored, Refusal> {
        let row = Row::quarantine(delivery.message, delivery.body, problem, self.stamp(delivery));
        match self.writer.write(&row, &changes, delivery.deadline).await? {
            Written::New => Ok(Stored::now(Outcome::Quarantined, &changes)),
            Written::Duplicate => Ok(Stored::before()),
        }
    }

    fn stamp(&self, delivery: &Delivery<'_>) -> Stamp {
        Stamp { received_at: delivery.received_at, retention_days: self.retention_days }
    }
}
