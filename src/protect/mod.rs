//! `protect`: the effects of stored events, and scheduled tasks.
//!
//! Input: the events table's stream, delivered at least once, from any record on, in any batches; and a schedule, the
//! tick. So every step can be repeated: counters have dedup records, facts and suppressions are merged, a brake is
//! computed from the stored counters, and an alert has a key and a record of its publication. The order does not matter
//! either.
//!
//! ```text
//!   records ─▶ read ─▶ count, by campaign ─▶ compute its brake ─▶ the effects of each event ─▶ opens and clicks to the queue
//!               │                                                   (alerts, facts, agenda)
//!               └─ can never be processed: recorded, alerted, and skipped
//!   tick    ─▶ brakes that are not open ─▶ delayed emails ─▶ domains ─▶ digests ─▶ alerts left over ─▶ overdue follow-ups
//! ```
//!
//! Transient errors are reported, so that Lambda delivers the record again, and everything after it.
//!
//! Each step is a type that holds only what it needs: `Counting`, `Effects`, `EngageQueue`, `Poison` and `Tick`, built
//! on `Brakes`, `SoftBounceTracker`, `Delays`, `Domains`, `Lifts`, `Followups` and `Alerts`. [`Protector`] holds everything, and
//! builds them for each run. Their actions form one list of [`Activity`], from which the metrics are computed.

mod alerts;
mod batch;
mod brakes;
mod counting;
mod delays;
mod domains;
mod effects;
mod engage_queue;
mod event_row;
mod followups;
mod lifts;
mod poison;
mod record;
mod run;
mod soft_bounces;
mod tick;

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::alerts::Alerts;
use self::brakes::Brakes;
use self::delays::Delays;
use self::domains::Domains;
pub use self::event_row::wants;
use self::followups::Followups;
pub use self::run::Activity;
use self::run::{ProtectActivities, ProtectRun, metrics};
use self::tick::Tick;
use crate::aws::breaker::Breaker;
use crate::aws::queue::Queue;
use crate::aws::stream::{BatchResponse, Invocation, StreamRecord};
use crate::aws::topic::Topic;
use crate::aws::{AwsEnvironment, CallError};
use crate::config::{EnvironmentError, ProtectConfig};
use crate::metrics::Metrics;
use crate::store::agenda::Agenda;
use crate::store::client::RetryClient;
use crate::store::counters::Campaigns;
use crate::store::followups::FollowupStore;
use crate::store::outbox::Outbox;
use crate::store::recipients::Recipients;
use crate::store::soft_bounces::SoftBounceTable;
use crate::store::suppressions::Suppressions;
use crate::store::text;
use crate::store::timeline::Timeline;
use crate::time::{UnixMillis, time_budget};

/// Time budget of one invocation. The template sets a timeout of a minute.
const BUDGET: Duration = Duration::from_secs(55);

/// Time of the invocation that is reserved for the response.
const RESPONSE_RESERVE: Duration = Duration::from_secs(2);

/// Lease of a claim of an alert. Its owner has ended by then: the function runs for a minute at most.
const LEASE: Duration = Duration::from_secs(180);

/// The use case, with everything that it needs.
#[derive(Clone, Debug)]
pub struct Protector {
    dynamodb: aws_sdk_dynamodb::Client,
    topic: Topic,
    queue: Queue,
    config: ProtectConfig,
    metrics: Metrics,
}

/// The tables, until a deadline.
struct Stores {
    outbox: Outbox,
    timeline: Timeline,
    campaigns: Campaigns,
    recipients: Recipients,
    soft_bounces: SoftBounceTable,
    agenda: Agenda,
    suppressions: Suppressions,
    followups: FollowupStore,
}

/// Result of a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Number of agenda entries that were processed.
    pub looked_at: usize,
    /// Errors. The next tick tries again.
    pub errors: Vec<CallError>,
}

impl Protector {
    /// Creates a protector from these parts.
    pub fn new(dynamodb: aws_sdk_dynamodb::Client, topic: Topic, queue: Queue, config: ProtectConfig) -> Self {
        Self { dynamodb, topic, queue, config, metrics: Metrics::off() }
    }

    /// Sets the destination of the metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Creates a protector from the environment variables, which `variable` looks up.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = ProtectConfig::read(&variable)?;
        let aws = AwsEnvironment::read(&variable)?;
        let topic = Topic::new(aws.sns(), &config.alerts_topic);
        let queue = Queue::new(aws.sqs(), &config.engage_queue);
        Ok(Self::new(aws.dynamodb(), topic, queue, config).with_metrics(Metrics::from_environment(&variable)))
    }

    /// Opens the connection to DynamoDB, so that the first complaint does not wait for it. It reads an item that never
    /// exists, and ignores the response.
    pub async fn warm_up(&self) {
        let get = self.dynamodb.get_item().table_name(&self.config.tables.campaigns);
        let _ = get.key("campaign", text("warm-up")).key("cohort", text("warm-up")).send().await;
    }

    /// Handles one invocation: a stream batch, or a tick.
    ///
    /// # Errors
    /// The event is neither; or a tick could not finish, and the next one tries again.
    pub async fn handle(&self, invocation: LambdaEvent<Value>) -> Result<Value, Error> {
        let now = UnixMillis::now();
        let deadline = Instant::now() + time_budget(invocation.context.deadline, now, RESPONSE_RESERVE, BUDGET);
        match Invocation::read(invocation.payload)
            .inspect_err(|error| tracing::error!(%error, "the invocation event was rejected"))?
        {
            Invocation::Records(records) => Ok(serde_json::to_value(self.records(&records, now, deadline).await)?),
            Invocation::Tick => {
                let report = self.tick(now, deadline).await;
                match report.errors.first() {
                    None => Ok(json!({ "looked_at": report.looked_at })),
                    Some(first) => Err(format!(
                        "{} tasks were not finished, and the next tick tries again; the first error: {first}",
                        report.errors.len()
                    )
                    .into()),
                }
            }
        }
    }

    /// Handles a batch of records at `now`, until `deadline`. Returns the records that Lambda must deliver again.
    pub async fn records(&self, records: &[StreamRecord], now: UnixMillis, deadline: Instant) -> BatchResponse {
        self.records_with_activities(records, now, deadline).await.0
    }

    /// Handles a batch as [`records`](Self::records), and also returns the list of activities, in order.
    pub async fn records_with_activities(
        &self,
        records: &[StreamRecord],
        now: UnixMillis,
        deadline: Instant,
    ) -> (BatchResponse, Vec<Activity>) {
        let started = Instant::now();
        let did = ProtectActivities::default();
        // Boxed, here and below: the compiler nests each future in the one that awaits it, and its depth is limited.
        let answer = Box::pin(self.batch(records, ProtectRun { now, deadline, did: &did })).await;
        let activities = did.into_activities();
        self.metrics.write(now, &metrics(&activities));
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(records = records.len(), again = answer.failures.len(), ms, "batch");
        (answer, activities)
    }

    /// Processes the tasks that are due at `now`, until `deadline`.
    pub async fn tick(&self, now: UnixMillis, deadline: Instant) -> TickReport {
        let did = ProtectActivities::default();
        let run = ProtectRun { now, deadline, did: &did };
        let stores = self.stores(deadline);
        let alerts = &self.alerts(&stores, run);
        let brakes = &self.brakes(&stores, alerts, run);
        let delays = &self.delays(&stores, alerts, run);
        let domains = &self.domains(&stores, alerts, run);
        let followups = &Followups { store: &stores.followups, run };
        let tick = Tick { agenda: &stores.agenda, alerts, brakes, delays, domains, followups, run };
        let report = Box::pin(tick.process()).await;
        self.metrics.write(now, &metrics(&did.into_activities()));
        for error in &report.errors {
            tracing::error!(error = %error, "left to the next tick");
        }
        report
    }

    fn stores(&self, deadline: Instant) -> Stores {
        let calls = RetryClient::new(self.dynamodb.clone(), deadline);
        let tables = &self.config.tables;
        let suppressions = Suppressions::new(calls.clone(), &tables.suppressions);
        let followups = FollowupStore::new(calls.clone(), tables.clone());
        Stores {
            followups: followups.with_stack(self.config.stack.as_deref()),
            outbox: Outbox::new(calls.clone(), &tables.events),
            timeline: Timeline::new(calls.clone(), &tables.events),
            campaigns: Campaigns::new(calls.clone(), &tables.campaigns),
            recipients: Recipients::new(calls.clone(), &tables.recipients),
            soft_bounces: SoftBounceTable::new(calls.clone(), &tables.recipients, suppressions.clone()),
            agenda: Agenda::new(calls, &tables.agenda),
            suppressions,
        }
    }

    fn alerts<'a>(&'a self, stores: &'a Stores, run: ProtectRun<'a>) -> Alerts<'a> {
        let Stores { outbox, agenda, .. } = stores;
        let one_by_one_in_an_hour = self.config.policy.alerts.one_by_one_in_an_hour;
        let (topic, stack) = (&self.topic, self.config.stack.as_deref());
        Alerts { outbox, agenda, topic, stack, breaker: Breaker::default(), one_by_one_in_an_hour, run }
    }

    fn brakes<'a>(&'a self, stores: &'a Stores, alerts: &'a Alerts<'a>, run: ProtectRun<'a>) -> Brakes<'a> {
        let Stores { campaigns, agenda, .. } = stores;
        Brakes { campaigns, agenda, alerts, policy: &self.config.policy.brake, run }
    }

    fn delays<'a>(&'a self, stores: &'a Stores, alerts: &'a Alerts<'a>, run: ProtectRun<'a>) -> Delays<'a> {
        let Stores { recipients, timeline, agenda, .. } = stores;
        Delays { recipients, timeline, agenda, alerts, policy: &self.config.policy.delay, run }
    }

    fn domains<'a>(&'a self, stores: &'a Stores, alerts: &'a Alerts<'a>, run: ProtectRun<'a>) -> Domains<'a> {
        let Stores { timeline, agenda, .. } = stores;
        Domains { timeline, agenda, alerts, patience: self.config.policy.domain.pending_limit(), run }
    }
}
