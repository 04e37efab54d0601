//! `protect`: what follows from stored events, and what is due.
//!
//! It is fed from the events table's stream, at least once, from any record on, in any batches; and by a schedule, `tick`. So
//! everything here may be done again: counts remember what they have counted, facts and suppressions are merged, a brake is computed
//! from what is there, an alert has a key and a record of being published. Order doesn't matter either.
//!
//! ```text
//!   records ─▶ read ─▶ count, by campaign ─▶ compute its brake ─▶ what follows from each event ─▶ opens and clicks to the queue
//!               │                                                   (alerts, facts, agenda)
//!               └─ can never be handled: recorded, told, and passed
//!   tick    ─▶ brakes that are not open ─▶ delayed mails ─▶ domains ─▶ digests ─▶ alerts left over
//! ```
//!
//! What may pass is reported, so that Lambda delivers it again; and with it everything after it.

mod batch;
mod brakes;
mod domains;
mod effects;
mod entry;
mod lifts;
mod soft;
mod tell;
mod tick;

pub use self::entry::wants;

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aws::AwsEnvironment;
use crate::aws::CallError;
use crate::aws::breaker::Breaker;
use crate::aws::queue::Queue;
use crate::aws::stream::{BatchAnswer, Invocation, Record};
use crate::aws::topic::Topic;
use crate::config::EnvironmentError;
use crate::config::ProtectConfig;
use crate::metrics::{Metrics, Tally};
use crate::store::agenda::Agenda;
use crate::store::calls::Calls;
use crate::store::counters::Campaigns;
use crate::store::facts::Facts;
use crate::store::soft_bounces::SoftBounceTable;
use crate::store::suppressions::Suppressions;
use crate::store::text;
use crate::store::timeline::Timeline;
use crate::time::{UnixMillis, time_to_work};

/// How long one invocation may work. The template gives the function a minute.
const BUDGET: Duration = Duration::from_secs(55);

/// What is left of the function's own time for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(2);

/// After how long whoever claimed an alert must be dead: the function is, after a minute.
const LEASE: Duration = Duration::from_secs(180);

/// The use case, with all that it needs.
#[derive(Clone, Debug)]
pub struct Protector {
    dynamodb: aws_sdk_dynamodb::Client,
    topic: Topic,
    queue: Queue,
    config: ProtectConfig,
    metrics: Metrics,
}

/// One invocation: the tables until its deadline, and its one `now`.
struct Work<'a> {
    protector: &'a Protector,
    timeline: Timeline,
    campaigns: Campaigns,
    facts: Facts,
    soft_bounces: SoftBounceTable,
    agenda: Agenda,
    suppressions: Suppressions,
    sns: Breaker,
    sqs: Breaker,
    tally: Tally,
    now: UnixMillis,
    deadline: Instant,
}

/// What a tick did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// How many entries of the agenda it looked at.
    pub looked_at: usize,
    /// What it could not do. The next tick tries again.
    pub troubles: Vec<CallError>,
}

impl Protector {
    /// A protector that works with these.
    pub fn new(dynamodb: aws_sdk_dynamodb::Client, topic: Topic, queue: Queue, config: ProtectConfig) -> Self {
        Self { dynamodb, topic, queue, config, metrics: Metrics::off() }
    }

    /// The same, with its metrics written there.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Makes a protector of the environment variables, which `variable` looks up.
    ///
    /// # Errors
    /// A variable is missing or makes no sense.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let config = ProtectConfig::read(&variable)?;
        let aws = AwsEnvironment::read(&variable)?;
        let topic = Topic::new(aws.sns(), &config.alerts_topic);
        let queue = Queue::new(aws.sqs(), &config.engage_queue);
        Ok(Self::new(aws.dynamodb(), topic, queue, config).with_metrics(Metrics::from_environment(&variable)))
    }

    /// Opens the connection to DynamoDB, so that the first complaint finds it open. It reads an item that is never there; the
    /// answer is ignored.
    pub async fn warm_up(&self) {
        let get = self.dynamodb.get_item().table_name(&self.config.campaigns_table);
        let _ = get.key("campaign", text("warm-up")).key("cohort", text("warm-up")).send().await;
    }

    /// Handles one invocation: a stream batch, or a tick.
    ///
    /// # Errors
    /// The event is neither; or a tick could not do everything, which the next one tries again.
    pub async fn handle(&self, invocation: LambdaEvent<Value>) -> Result<Value, Error> {
        let now = UnixMillis::now();
        let deadline = Instant::now() + time_to_work(invocation.context.deadline, now, TIME_TO_ANSWER, BUDGET);
        match Invocation::read(invocation.payload).inspect_err(|error| tracing::error!(%error, "not handled"))? {
            Invocation::Records(records) => Ok(serde_json::to_value(self.records(&records, now, deadline).await)?),
            Invocation::Tick => {
                let report = self.tick(now, deadline).await;
                match report.troubles.first() {
                    None => Ok(json!({ "looked_at": report.looked_at })),
                    Some(first) => Err(format!("{} left over; the first: {first}", report.troubles.len()).into()),
                }
            }
        }
    }

    /// Handles a batch of records at the moment `now`; it must be over by `deadline`. Answers what has to be delivered again.
    pub async fn records(&self, records: &[Record], now: UnixMillis, deadline: Instant) -> BatchAnswer {
        let started = Instant::now();
        let work = self.work(now, deadline);
        // Boxed, here and below: the compiler follows a future into every one that it awaits, and gives up at a depth.
        let answer = Box::pin(work.records(records)).await;
        self.metrics.write(now, &work.tally);
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(records = records.len(), again = answer.failures.len(), ms, "batch");
        answer
    }

    /// Works off what is due at `now`; it must be over by `deadline`.
    pub async fn tick(&self, now: UnixMillis, deadline: Instant) -> TickReport {
        let work = self.work(now, deadline);
        let report = Box::pin(work.tick()).await;
        self.metrics.write(now, &work.tally);
        for trouble in &report.troubles {
            tracing::error!(error = %trouble, "left to the next tick");
        }
        report
    }

    fn work(&self, now: UnixMillis, deadline: Instant) -> Work<'_> {
        let calls = Calls::new(self.dynamodb.clone(), deadline);
        let suppressions = Suppressions::new(calls.clone(), &self.config.suppressions_table);
        let recipients_table = &self.config.recipients_table;
        Work {
            protector: self,
            timeline: Timeline::new(calls.clone(), &self.config.events_table),
            campaigns: Campaigns::new(calls.clone(), &self.config.campaigns_table),
            facts: Facts::new(calls.clone(), recipients_table),
            soft_bounces: SoftBounceTable::new(calls.clone(), recipients_table, suppressions.clone()),
            agenda: Agenda::new(calls, &self.config.agenda_table),
            suppressions,
            sns: Breaker::default(),
            sqs: Breaker::default(),
            tally: Tally::default(),
            now,
            deadline,
        }
    }
}
