//! `act`: sends the follow-ups that are due, and unsubscribes at Resend the contacts that opted out.
//!
//! It runs every minute, for 50 s at most. One run at a time holds the lock, and makes one try at a time: at most one
//! request is in flight when a "no" is stored. An idle run is two Queries.
//!
//! ```text
//!   due? ─▶ lock ─▶ for each, the oldest first:
//!                     read the row ─▶ its time is over ─────────────────────────────▶ settled, with an alert
//!                        │
//!                        ▼
//!                     build the email ─▶ wait for the rate ─▶ open the connection ─▶ the last look: one transaction
//!                                                                                       │ yes: `sending` is stored
//!                     record the answer ◀─ Resend ◀─ request, within 2 s ◀──────────────┘
//!                        │
//!                        └─ the key, the quota, too fast, three refusals: all sending rests
//!                   ─▶ then contacts, for 10 s even if more is due, for half of the run at most ─▶ release the lock
//! ```
//!
//! What is over is settled even while sending is paused, rests, or is switched off. What fails is passed over, and is
//! looked at again in a later run. Alerts are stored with what they are about; the tick of `protect` publishes them.
//!
//! - `run`: one run, and the order of its steps.
//! - `attempt`: one follow-up, from its row to the recorded answer.
//! - [`email`]: the email of a follow-up. Pure code.
//! - `requests`: the requests to Resend, and `pace`: their rate.
//! - `push`: contacts that opted out.
//! - `activities`: the metrics of a run.

mod activities;
mod attempt;
pub mod email;
mod pace;
mod push;
mod requests;
mod run;

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::Instant;

pub use self::activities::{ActActivity, ActReport};
use crate::aws::AwsEnvironment;
use crate::aws::secret::Secret;
use crate::config::{ActConfig, ConfigError, EnvironmentError, RELOAD_INTERVAL};
use crate::metrics::Metrics;
use crate::policy::consent_link::ConsentKeys;
use crate::resend::api::ResendApi;
use crate::resend::api::key::ResendKey;
use crate::time::{UnixMillis, time_budget};

/// Maximum time of a run. The template sets a timeout of a minute.
pub const BUDGET: Duration = Duration::from_secs(50);

/// Time of the invocation that is reserved for the response.
const RESPONSE_RESERVE: Duration = Duration::from_secs(2);

/// The service's clock: in the function real time.
pub type Clock<'a> = &'a (dyn Fn() -> UnixMillis + Sync);

/// The use case, with everything that it needs.
#[derive(Clone, Debug)]
pub struct Actor {
    dynamodb: aws_sdk_dynamodb::Client,
    api: ResendApi,
    key: Arc<Secret<ResendKey>>,
    /// The keys of the unsubscribe links. `None` if nothing is sent.
    link_keys: Option<Arc<Secret<ConsentKeys>>>,
    config: Arc<ActConfig>,
    metrics: Metrics,
}

impl Actor {
    /// Creates an actor from these parts.
    pub fn new(aws: &AwsEnvironment, config: ActConfig) -> Result<Self, EnvironmentError> {
        let api = ResendApi::new(&config.base_url)
            .map_err(|_| ConfigError::Invalid("RESEND_BASE_URL", "a URL that can be reached from here"))?;
        let link_keys = config.links.as_ref().map(|links| links.keys.clone().into_secret(aws, RELOAD_INTERVAL));
        Ok(Self {
            dynamodb: aws.dynamodb(),
            api,
            key: Arc::new(config.key.clone().into_secret(aws)),
            link_keys: link_keys.map(Arc::new),
            config: Arc::new(config),
            metrics: Metrics::off(),
        })
    }

    /// Creates an actor from the environment variables, which `variable` looks up.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = ActConfig::read(&variable)?;
        let actor = Self::new(&AwsEnvironment::read(&variable)?, config)?;
        Ok(actor.with_metrics(Metrics::from_environment(&variable)))
    }

    /// Sets the destination of the metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Handles one invocation. Its event has no content.
    ///
    /// # Errors
    /// The agenda or the lock could not be read. The next run tries again.
    pub async fn handle(&self, invocation: LambdaEvent<Value>) -> Result<Value, Error> {
        let now = UnixMillis::now();
        let budget = time_budget(invocation.context.deadline, now, RESPONSE_RESERVE, BUDGET);
        let report = self.run(&UnixMillis::now, Instant::now() + budget).await;
        match report.errors.first() {
            None => Ok(json!({ "sent": report.count(|did| matches!(did, ActActivity::Sent)) })),
            Some(first) => {
                Err(format!("{} tasks were passed over; the first error: {first}", report.errors.len()).into())
            }
        }
    }

    /// Runs once, with the service's clock, until `deadline`.
    pub async fn run(&self, clock: Clock<'_>, deadline: Instant) -> ActReport {
        let started = Instant::now();
        // Boxed: the compiler nests each future in the one that awaits it, and its depth is limited.
        let report = Box::pin(run::run(self, clock, deadline)).await;
        self.metrics.write(clock(), &report.metrics());
        for error in &report.errors {
            tracing::error!(%error, "passed over in this run");
        }
        if !report.did.is_empty() {
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let sent = report.count(|did| matches!(did, ActActivity::Sent));
            tracing::info!(sent, steps = report.did.len(), errors = report.errors.len(), ms, "run");
        }
        report
    }
}
