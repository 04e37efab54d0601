//! The demo's environment: the embedded AWS with the functions, and a clock that only the demo moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_local::feeder::{self, Feeder, Invoke};
use aws_local::server::Server;
use aws_local::sns::{LocalSns, Published};
use futures_util::{StreamExt, stream};
use rebound::aws::describe;
use rebound::aws::queue::{BATCH, EngageMessage, Queue};
use rebound::aws::stream::Invocation;
use rebound::message::alert::Alert;
use rebound::protect::{Protector, TickReport};
use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::Item;
use rebound::store::client::RetryClient;
use rebound::store::tables::TABLES;
use rebound::store::timeline::Timeline;
use rebound::time::UnixMillis;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LOCAL_SECRET;
use crate::commands::CommandError;
use crate::runner::{Clock, feed, serve_function_url, timeout_of};
use crate::stack::{ENGAGE_QUEUE, EmbeddedAws, LocalAwsOptions};

/// Maximum number of concurrent requests.
const MAX_CONCURRENT: usize = 16;

/// Maximum batching window of an event source mapping. In the stack, it is a minute.
const BATCHING_WINDOW: Duration = Duration::from_millis(40);

/// Delivery delay of the queue of opens and clicks. In the stack, it is 90 seconds.
const QUEUE_DELAY: Duration = Duration::from_millis(200);

/// Maximum time until the stream is processed, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Interval between two checks that a function does not fail at everything.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The variables with the region and the credentials for another DynamoDB.
const IDENTITY: [&str; 5] =
    ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The embedded AWS with the functions.
pub(super) struct DemoEnvironment {
    pub(super) aws: EmbeddedAws,
    server: Server,
    dynamodb: aws_sdk_dynamodb::Client,
    http: reqwest::Client,
    secret: SigningSecret,
    protector: Arc<Protector>,
    /// The current time for `protect`, in milliseconds.
    clock: Arc<AtomicI64>,
    /// The time at which that clock started.
    pub(super) began: UnixMillis,
    /// Number of events that were posted, without those of the contract.
    pub(super) posted: usize,
    /// The differences from the contract.
    pub(super) faults: Vec<String>,
}

impl DemoEnvironment {
    /// Starts everything, on the embedded DynamoDB or on another.
    pub(super) async fn set(dynamodb: Option<&str>) -> Result<Self, CommandError> {
        // No other variable of the shell is used, so that the demo is the same everywhere.
        let other = |name: &str| match (dynamodb?, name) {
            (url, "AWS_ENDPOINT_URL_DYNAMODB") => Some(url.to_owned()),
            (_, name) if IDENTITY.contains(&name) => crate::commands::variable(name),
            _ => None,
        };
        let options = LocalAwsOptions { settle: QUEUE_DELAY, ..LocalAwsOptions::in_memory() };
        let aws = EmbeddedAws::start(&options, other).await?;
        if let Some(url) = dynamodb {
            let asked = aws.clients().dynamodb().list_tables().send().await;
            let why = |error| format!("the DynamoDB at {url}: {}; start it, or leave --dynamodb out", describe(&error));
            asked.map_err(why)?;
        }
        let server = serve_function_url("127.0.0.1:0".parse()?, aws.receiver().await?, Clock::new(1.0)).await?;
        let began = UnixMillis::now();
        Ok(Self {
            dynamodb: aws.clients().dynamodb(),
            http: rebound::web::client(),
            secret: LOCAL_SECRET.parse()?,
            protector: Arc::new(aws.protector()?),
            clock: Arc::new(AtomicI64::new(began.0)),
            began,
            posted: 0,
            faults: Vec::new(),
            aws,
            server,
        })
    }

    /// Sends a signed webhook to the function URL. Returns the status and the body.
    pub(super) async fn request(&self, method: &str, message: &SignedMessage) -> Result<(u16, String), CommandError> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let answer = message.request(&self.http, method, &self.server.url()).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Posts these events concurrently. Each must be stored.
    pub(super) async fn post(&mut self, events: Vec<Value>) -> Result<(), CommandError> {
        self.post_as(events.into_iter().map(|event| (new_message_id(), event)).collect()).await
    }

    /// Posts these events with these webhook ids.
    pub(super) async fn post_as(&mut self, events: Vec<(String, Value)>) -> Result<(), CommandError> {
        self.posted += events.len();
        let now = UnixMillis::now().seconds();
        let sign = |(id, event): (String, Value)| SignedMessage::new(id, now, event.to_string(), &self.secret);
        let messages: Vec<SignedMessage> = events.into_iter().map(sign).collect();
        let this = &*self;
        let requests = messages.iter().map(|message| async move { this.request("POST", message).await });
        let answers: Vec<_> = stream::iter(requests).buffer_unordered(MAX_CONCURRENT).collect().await;
        for answer in answers {
            let (status, body) = answer?;
            let word = serde_json::from_str::<Value>(&body).unwrap_or_default();
            if status != 200 || word.get("status") != Some(&json!("handled")) {
                self.faults.push(format!("the response to an event is {status} {body}"));
            }
        }
        Ok(())
    }

    /// Feeds the events table's stream to `protect`, from its beginning, by the template's event source mappings.
    pub(super) async fn feed(&self, options: feeder::FeederOptions) -> Result<Feeder, CommandError> {
        let invoke = self.invoke(timeout_of("protect")?);
        let options =
            feeder::FeederOptions { longest_window: Some(BATCHING_WINDOW), poll: Duration::from_millis(10), ..options };
        Ok(feed(&self.aws, options, |_| Arc::clone(&invoke)).await?)
    }

    fn invoke(&self, limit: Duration) -> Invoke {
        let (protector, clock) = (Arc::clone(&self.protector), Arc::clone(&self.clock));
        Arc::new(move |event| {
            let (protector, now) = (Arc::clone(&protector), UnixMillis(clock.load(Ordering::SeqCst)));
            Box::pin(async move {
                match Invocation::read(event).map_err(|error| error.to_string())? {
                    Invocation::Records(records) => {
                        let answer = protector.records(&records, now, Instant::now() + limit).await;
                        serde_json::to_value(answer).map_err(|error| error.to_string())
                    }
                    Invocation::Tick => Err("a stream sends no tick".to_owned()),
                }
            })
        })
    }

    /// Waits until `protect` has processed the stream.
    pub(super) async fn settle(&mut self, feeder: &Feeder) -> Result<feeder::FeederStats, CommandError> {
        let fails_at_all = || is_hopeless(feeder.stats().invocations, feeder.stats().failures);
        until_idle("protect", feeder.idle(), fails_at_all, TIMEOUT).await?;
        let figures = feeder.stats();
        if figures.failures > 0 || figures.dropped > 0 {
            self.faults.push(format!("protect failed to process the stream: {figures:?}"));
        }
        Ok(figures)
    }

    /// Sets the clock to `ahead` after its start, and runs a tick of `protect`.
    pub(super) async fn tick(&mut self, ahead: Duration) -> Result<TickReport, CommandError> {
        let now = self.began.plus(ahead);
        self.clock.store(now.0, Ordering::SeqCst);
        let report = self.protector.tick(now, Instant::now() + timeout_of("protect")?).await;
        for error in &report.errors {
            self.faults.push(format!("a tick failed: {error}"));
        }
        Ok(report)
    }

    /// All items of the table that a variable names.
    pub(super) async fn scan(&self, variable: &str) -> Result<Vec<Item>, CommandError> {
        let table = self.aws.variable(variable).unwrap_or_default();
        Ok(self.dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await?)
    }

    /// The rows of an email.
    pub(super) async fn email(&self, email_id: &str) -> Result<Vec<Item>, CommandError> {
        let calls = RetryClient::new(self.dynamodb.clone(), Instant::now() + TIMEOUT);
        let table = self.aws.variable("EVENTS_TABLE").unwrap_or_default();
        Ok(Timeline::new(calls, table).all(email_id).await?)
    }

    /// All items of all tables, by table and key.
    pub(super) async fn everything(&self) -> Result<BTreeMap<String, Item>, CommandError> {
        let mut all = BTreeMap::new();
        for table in TABLES {
            for item in self.scan(table.variable).await? {
                let key: Vec<&str> = table.keys().map(|key| string(&item, key)).collect();
                all.insert(format!("{} {}", table.variable, key.join(" ")), item);
            }
        }
        Ok(all)
    }

    /// The published SNS messages, in order.
    pub(super) fn published(&self) -> Vec<Published> {
        self.aws.sns.as_ref().map(LocalSns::messages).unwrap_or_default()
    }

    /// The published alerts, read from their JSON.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.published().iter().filter_map(alert).collect()
    }

    /// The messages in the queue that `engage` reads: the number sent, and the distinct ones.
    pub(super) fn queued(&self) -> (usize, BTreeSet<String>) {
        let sent = self.aws.sqs.as_ref().map(|sqs| sqs.messages(ENGAGE_QUEUE)).unwrap_or_default();
        (sent.len(), sent.into_iter().collect())
    }

    /// Sends each message that was ever in the queue again.
    pub(super) async fn requeue_all(&self) -> Result<(), CommandError> {
        let url = self.aws.variable("ENGAGE_QUEUE_URL").unwrap_or_default();
        let queue = Queue::new(self.aws.clients().sqs(), url);
        let (_, messages) = self.queued();
        let messages: Vec<EngageMessage> =
            messages.iter().map(|message| serde_json::from_str(message)).collect::<Result<_, _>>()?;
        for some in messages.chunks(BATCH) {
            queue.send(some, Instant::now() + TIMEOUT).await?;
        }
        Ok(())
    }

    /// The published decisions, as JSON.
    pub(super) fn decisions(&self) -> Vec<Value> {
        let read = |published: &Published| serde_json::from_str::<Value>(&published.for_protocol("lambda")).ok();
        self.published().iter().filter_map(read).filter(|value| value.get("followup").is_some()).collect()
    }

    /// Records a fault unless `well` is true.
    pub(super) fn check(&mut self, well: bool, fault: impl Into<String>) {
        if !well {
            self.faults.push(fault.into());
        }
    }
}

/// Number of failed invocations, without a success, after which the function is expected to fail always.
const HOPELESS_AFTER: u64 = 10;

/// Returns true if there were enough invocations, and all failed.
pub(super) fn is_hopeless(invocations: u64, failures: u64) -> bool {
    failures >= HOPELESS_AFTER && failures == invocations
}

/// Waits until a function is idle.
///
/// # Errors
/// Every invocation failed, or the function was not idle within `limit`.
pub(super) async fn until_idle(
    function: &str,
    idle: impl Future<Output = ()>,
    fails_at_all: impl Fn() -> bool,
    limit: Duration,
) -> Result<(), CommandError> {
    let failing = async {
        while !fails_at_all() {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    };
    tokio::select! {
        () = idle => Ok(()),
        () = failing => Err(format!("every invocation of {function} failed; run `rebound dev` and read its log").into()),
        () = tokio::time::sleep(limit) => Err(format!("{function} has not finished its work within {} s", limit.as_secs()).into()),
    }
}

/// The alert in a published SNS message, if there is one.
pub(super) fn alert(published: &Published) -> Option<Alert> {
    serde_json::from_str(&published.for_protocol("lambda")).ok()
}

/// A text attribute; empty if it is missing.
pub(super) fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// A number attribute, if the item has it.
pub(super) fn number<N: std::str::FromStr>(item: &Item, attribute: &str) -> Option<N> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}
