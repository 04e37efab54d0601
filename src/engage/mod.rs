//! `engage`: verdicts on opens and clicks, and decisions.
//!
//! A queue delivers opens and clicks after a delay, at least once, in any order. First the whole batch is classified,
//! concurrently. Then each candidate is decided, one after another, so each function sends Claude one request at a
//! time.
//!
//! ```text
//!   messages ─▶ classify: one Query, the verdict, stored ─▶ a machine, or not eligible: done
//!                                   │ a human, or unsure
//!                                   ▼
//!      claim ─▶ reserve the budget ─▶ ask Claude ─▶ check the answer ─▶ guards ─▶ store the decision ─▶ publish ─▶ mark
//!                  └── not configured, over budget, invalid answer, permanent error: the built-in rules choose ──┘
//! ```
//!
//! Transient errors return a message to the queue, with a longer wait each time. After a number of deliveries, the
//! rules decide.
//!
//! [`Engager`] holds everything, and builds for each batch the `Steps` that handle it. Each has only what it needs:
//!
//! | type | does | uses |
//! | --- | --- | --- |
//! | `Classifier` | stores the verdict, and returns the next step | the email's rows; opt-out clicks of recipients |
//! | `Dossier` | reads suppressions, follow-ups and brakes | three tables, read only |
//! | `Guards` | accept a choice, delay it, or refuse it | the dossier |
//! | `Purse` | reserves and settles | the budget |
//! | `Advisor` | asks Claude, or lets the rules choose | Claude, its key, the purse |
//! | `Decider` | claims, and stores the decision | decisions, the dossier, the guards, the advisor, the publisher |
//! | `Publisher` | publishes, and marks as published | SNS, decisions |
//! | `Later` | returns a message to the queue | SQS |
//!
//! `EngageRun` is the invocation. All of them add to its list of activities, `EngageActivities`, from which the metrics are computed.

mod ask;
mod batch;
mod candidate;
mod classify;
mod decide;
mod dossier;
mod eligibility;
mod facts;
mod guards;
mod later;
mod opt_out;
mod publish;
mod purse;
mod run;
mod step;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use tokio::time::Instant;

use self::ask::Advisor;
use self::batch::Steps;
use self::classify::Classifier;
use self::decide::Decider;
use self::dossier::{Dossier, ForgottenCache};
use self::guards::{FollowupLimits, Guards};
use self::later::Later;
use self::publish::Publisher;
use self::purse::Purse;
use self::run::{EngageActivities, EngageRun};
use crate::aws::AwsEnvironment;
use crate::aws::queue::{Queue, QueueMessage};
use crate::aws::secret::Secret;
use crate::aws::stream::BatchResponse;
use crate::aws::topic::Topic;
use crate::claude::Claude;
use crate::claude::key::{self, ApiKey, INTERVAL};
use crate::claude::price::Price;
use crate::config::{ConfigError, EngageConfig, EnvironmentError, KeyLocation};
use crate::metrics::Metrics;
use crate::policy::verdict::user_agent;
use crate::store::budget::{Budget, ExhaustedFlag};
use crate::store::client::RetryClient;
use crate::store::decisions::Decisions;
use crate::store::text;
use crate::time::{UnixMillis, time_budget};

/// Time budget of one invocation. The template sets a timeout of two minutes.
const BUDGET: Duration = Duration::from_secs(115);

/// Time of the invocation that is reserved for the response.
const RESPONSE_RESERVE: Duration = Duration::from_secs(3);

/// Lease of a claim. Its owner has ended by then, because the function ends after two minutes.
const LEASE: Duration = Duration::from_secs(180);

/// Maximum number of messages that are classified, or marked as published, concurrently.
const MAX_CONCURRENT: usize = 5;

/// Maximum number of recipients of an email that can be decided. Resend accepts no more per email
/// (<https://resend.com/docs/api-reference/emails/send-email>), and the status of each is read.
const MAX_RECIPIENTS: usize = 50;

/// Maximum number of opens and clicks that are classified one by one, for the built-in rules.
const MAX_CLASSIFIED: usize = 50;

/// The use case, with everything that it needs.
#[derive(Clone, Debug)]
pub struct Engager {
    dynamodb: aws_sdk_dynamodb::Client,
    topic: Topic,
    queue: Queue,
    claude: Claude,
    key: Arc<Secret<ApiKey>>,
    price: Price,
    config: Arc<EngageConfig>,
    forgotten: Arc<ForgottenCache>,
    spent: Arc<ExhaustedFlag>,
    metrics: Metrics,
}

impl Engager {
    /// Creates an engager from these parts.
    ///
    /// # Errors
    /// A setting is invalid, or TLS cannot be initialized.
    pub fn new(aws: &AwsEnvironment, config: EngageConfig) -> Result<Self, EnvironmentError> {
        let claude = Claude::new(&config.base_url, config.concurrency)
            .map_err(|_| ConfigError::Invalid("ANTHROPIC_BASE_URL", "a URL that can be reached from here"))?;
        let key = match &config.key {
            KeyLocation::Environment(key) => Secret::fixed(Some(key.clone())),
            KeyLocation::Manager(arn) => key::from_manager(aws.secrets_manager(), arn.clone(), INTERVAL),
            KeyLocation::None => Secret::fixed(None),
        };
        Ok(Self {
            dynamodb: aws.dynamodb(),
            topic: Topic::new(aws.sns(), &config.decisions_topic),
            queue: Queue::new(aws.sqs(), &config.engage_queue),
            claude,
            key: Arc::new(key),
            price: Price::for_model(&config.model, &config.policy.claude),
            config: Arc::new(config),
            metrics: Metrics::off(),
            forgotten: Arc::default(),
            spent: Arc::default(),
        })
    }

    /// Creates an engager from the environment variables, which `variable` looks up.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = EngageConfig::read(&variable)?;
        let engager = Self::new(&AwsEnvironment::read(&variable)?, config)?;
        Ok(engager.with_metrics(Metrics::from_environment(&variable)))
    }

    /// Sets the destination of the metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Sets the source of Claude's API key.
    #[must_use]
    pub fn with_key(self, key: Secret<ApiKey>) -> Self {
        Self { key: Arc::new(key), ..self }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &EngageConfig {
        &self.config
    }

    /// Opens the connection to DynamoDB, and loads the list of known user agents. It reads an item that never exists,
    /// and ignores the response.
    pub async fn warm_up(&self) {
        user_agent::load();
        let get = self.dynamodb.get_item().table_name(&self.config.tables.campaigns);
        let _ = get.key("campaign", text("warm-up")).key("cohort", text("warm-up")).send().await;
    }

    /// Handles one invocation: a batch of queue messages.
    pub async fn handle(&self, invocation: LambdaEvent<Value>) -> Result<Value, Error> {
        let now = UnixMillis::now();
        let deadline = Instant::now() + time_budget(invocation.context.deadline, now, RESPONSE_RESERVE, BUDGET);
        let deliveries = QueueMessage::read_all(&invocation.payload);
        let deliveries =
            deliveries.inspect_err(|error| tracing::error!(%error, "the invocation event was rejected"))?;
        Ok(serde_json::to_value(self.batch(&deliveries, now, deadline).await)?)
    }

    /// Handles a batch of messages at `now`, until `deadline`. Returns those that the queue must deliver again.
    pub async fn batch(&self, deliveries: &[QueueMessage], now: UnixMillis, deadline: Instant) -> BatchResponse {
        let started = Instant::now();
        let did = EngageActivities::default();
        // Boxed, here and below: the compiler nests each future in the one that awaits it, and its depth is limited.
        let answer = Box::pin(self.take_steps(deliveries, EngageRun::new(now, deadline, &did))).await;
        self.metrics.write(now, &did.metrics(now));
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(messages = deliveries.len(), again = answer.failures.len(), ms, "batch");
        answer
    }

    /// Builds the steps, each with only what it needs, and runs them.
    async fn take_steps(&self, deliveries: &[QueueMessage], run: EngageRun<'_>) -> BatchResponse {
        let config = self.config.as_ref();
        let calls = RetryClient::new(self.dynamodb.clone(), run.deadline);
        let decisions = Decisions::new(calls.clone(), &config.tables);
        let budget = Budget::new(calls.clone(), &config.tables.agenda);
        let purse = Purse::new(budget, config.daily_budget, &self.spent, &self.price, run);
        let advisor = Advisor::new(&self.claude, &self.key, config, purse, run);
        let dossier = Dossier::new(&calls, config, &self.forgotten, run.now);
        let guards = Guards::new(&dossier, config, run.now);
        let publisher = Publisher::new(&self.topic, &decisions, self.config.stack.as_deref(), run);
        let limits = FollowupLimits::new(config);
        let steps = Steps {
            classifier: Classifier::new(&calls, config, run),
            decider: Decider::new(&decisions, &dossier, &guards, advisor, &publisher, limits, run),
            publisher: &publisher,
            later: Later::new(&self.queue, config.policy.claude.wait_seconds, run.deadline),
        };
        steps.handle(deliveries).await
    }
}
