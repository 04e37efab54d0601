//! What the demo plays on: the embedded AWS with both functions on it, and a clock that goes only where the demo puts it.

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
use rebound::store::tables::TABLES;
use rebound::time::UnixMillis;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::LOCAL_SECRET;
use crate::commands::CommandError;
use crate::runner::{feed, serve_function_url, timeout_of};
use crate::stack::{ENGAGE_QUEUE, EmbeddedAws, LocalAwsOptions};

/// How many requests are under way at once.
const MAX_CONCURRENT: usize = 16;

/// The longest that a mapping waits for a batch to fill. In the stack, it is a minute.
const BATCHING_WINDOW: Duration = Duration::from_millis(40);

/// How long an open or a click settles. In the stack, it is 90 seconds.
const QUEUE_DELAY: Duration = Duration::from_millis(200);

/// When the stream must have been worked off, however busy the machine is.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often it is looked whether a function fails at everything.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The variables that say where another DynamoDB is, and for whom.
const IDENTITY: [&str; 5] =
    ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The embedded AWS, with both functions on it.
pub(super) struct DemoEnvironment {
    pub(super) aws: EmbeddedAws,
    server: Server,
    dynamodb: aws_sdk_dynamodb::Client,
    http: reqwest::Client,
    secret: SigningSecret,
    protector: Arc<Protector>,
    /// What `protect` takes for now, in milliseconds.
    clock: Arc<AtomicI64>,
    /// Where that clock began.
    pub(super) began: UnixMillis,
    /// How many events were posted besides the contract's.
    pub(super) posted: usize,
    /// What is not as it should be.
    pub(super) faults: Vec<String>,
}

impl DemoEnvironment {
    /// Sets it up, on the embedded DynamoDB or on another.
    pub(super) async fn set(dynamodb: Option<&str>) -> Result<Self, CommandError> {
        // Nothing else of the shell's environment: the demo is the same everywhere.
        let other = |name: &str| match (dynamodb?, name) {
            (url, "AWS_ENDPOINT_URL_DYNAMODB") => Some(url.to_owned()),
            (_, name) if IDENTITY.contains(&name) => crate::commands::variable(name),
            _ => None,
        };
        let options = LocalAwsOptions { settle: QUEUE_DELAY, ..LocalAwsOptions::in_memory() };
        let aws = EmbeddedAws::start(&options, other).await?;
        if let Some(url) = dynamodb {
            let asked = aws.clients()?.dynamodb().list_tables().send().await;
            let why = |error| format!("the DynamoDB at {url}: {}; start it, or leave --dynamodb out", describe(&error));
            asked.map_err(why)?;
        }
        let server = serve_function_url("127.0.0.1:0".parse()?, aws.receiver().await?).await?;
        let began = UnixMillis::now();
        Ok(Self {
            dynamodb: aws.clients()?.dynamodb(),
            http: rebound::claude::web::client(),
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

    /// Sends a message to the function URL. Answers the status and the body.
    pub(super) async fn request(&self, method: &str, message: &SignedMessage) -> Result<(u16, String), CommandError> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let answer = message.request(&self.http, method, &self.server.url()).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Posts these events, side by side. Each must be stored.
    pub(super) async fn post(&mut self, events: Vec<Value>) -> Result<(), CommandError> {
        self.post_as(events.into_iter().map(|event| (new_message_id(), event)).collect()).await
    }

    /// The same, with the ids of the messages that tell of them.
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
                self.faults.push(format!("an event was answered {status} {body}"));
            }
        }
        Ok(())
    }

    /// Feeds the events table's stream to `protect`, from its beginning, by the template's mappings.
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
                    Invocation::Tick => Err("a stream does not tick".to_owned()),
                }
            })
        })
    }

    /// Waits until `protect` has done whatever is in the stream.
    pub(super) async fn settle(&mut self, feeder: &Feeder) -> Result<feeder::FeederStats, CommandError> {
        let fails_at_all = || is_hopeless(feeder.stats().invocations, feeder.stats().failures);
        until_idle("protect", feeder.idle(), fails_at_all, TIMEOUT).await?;
        let figures = feeder.stats();
        if figures.failures > 0 || figures.dropped > 0 {
            self.faults.push(format!("protect failed at something in the stream: {figures:?}"));
        }
        Ok(figures)
    }

    /// Puts the clock so far ahead of where it began, and lets `protect` work off what is due.
    pub(super) async fn tick(&mut self, ahead: Duration) -> Result<TickReport, CommandError> {
        let now = self.began.plus(ahead);
        self.clock.store(now.0, Ordering::SeqCst);
        let report = self.protector.tick(now, Instant::now() + timeout_of("protect")?).await;
        for trouble in &report.errors {
            self.faults.push(format!("a tick left something over: {trouble}"));
        }
        Ok(report)
    }

    /// Everything in a table, which a variable names.
    pub(super) async fn scan(&self, variable: &str) -> Result<Vec<Item>, CommandError> {
        let table = self.aws.variable(variable).unwrap_or_default();
        Ok(self.dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await?)
    }

    /// Everything in all tables, by table and key.
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

    /// What was published, as it came.
    pub(super) fn published(&self) -> Vec<Published> {
        self.aws.sns.as_ref().map(LocalSns::messages).unwrap_or_default()
    }

    /// The alerts that were published, as machines get them.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.published().iter().filter_map(alert).collect()
    }

    /// The messages in the queue that `engage` reads: how many were sent, and which.
    pub(super) fn queued(&self) -> (usize, BTreeSet<String>) {
        let sent = self.aws.sqs.as_ref().map(|sqs| sqs.messages(ENGAGE_QUEUE)).unwrap_or_default();
        (sent.len(), sent.into_iter().collect())
    }

    /// Puts each message that ever was in the queue into it once more.
    pub(super) async fn requeue_all(&self) -> Result<(), CommandError> {
        let url = self.aws.variable("ENGAGE_QUEUE_URL").unwrap_or_default();
        let queue = Queue::new(self.aws.clients()?.sqs(), url);
        let (_, messages) = self.queued();
        let messages: Vec<EngageMessage> =
            messages.iter().map(|message| serde_json::from_str(message)).collect::<Result<_, _>>()?;
        for some in messages.chunks(BATCH) {
            queue.send(some, Instant::now() + TIMEOUT).await?;
        }
        Ok(())
    }

    /// The decisions that were published, as machines get them.
    pub(super) fn decisions(&self) -> Vec<Value> {
        let read = |published: &Published| serde_json::from_str::<Value>(&published.for_protocol("lambda")).ok();
        self.published().iter().filter_map(read).filter(|value| value.get("followup").is_some()).collect()
    }

    /// Notes a fault, unless all is well.
    pub(super) fn check(&mut self, well: bool, fault: impl Into<String>) {
        if !well {
            self.faults.push(fault.into());
        }
    }
}

/// How many invocations, all of which failed, show that the function will fail at every other too.
const HOPELESS_AFTER: u64 = 10;

/// Returns true if every invocation failed, of enough.
pub(super) fn is_hopeless(invocations: u64, failures: u64) -> bool {
    failures >= HOPELESS_AFTER && failures == invocations
}

/// Waits until a function has done its work.
///
/// # Errors
/// It fails at everything, or it is not idle in time.
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
        () = failing => Err(format!("{function} fails at everything that it is given; the log of `rebound dev` says why, if it does there too").into()),
        () = tokio::time::sleep(limit) => Err(format!("{function} is not through with its work after {} s", limit.as_secs()).into()),
    }
}

/// The alert in a published message, if there is one.
pub(super) fn alert(published: &Published) -> Option<Alert> {
    serde_json::from_str(&published.for_protocol("lambda")).ok()
}

/// A text attribute; empty if it is not there.
pub(super) fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// A number, if it is there.
pub(super) fn number<N: std::str::FromStr>(item: &Item, attribute: &str) -> Option<N> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}
