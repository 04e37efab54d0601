//! A queue's messages, handed to a function as Lambda's mappings do.

mod batches;
mod embedded;
mod failures;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use rebound::local::feeder::Invoke;
use rebound::local::poller::{Options, Poller};
use rebound::local::sqs::{LocalSqs, Pace};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::sqs::client;
use crate::support::any_port;

const QUEUE: &str = "work";

/// An SQS whose times are short, and a queue in it.
struct Stage {
    sqs: LocalSqs,
    client: Client,
    url: String,
}

impl Stage {
    /// What was received comes back after so much time.
    async fn start(visibility: Duration) -> Self {
        let sqs = LocalSqs::start(any_port(), Duration::ZERO).await.unwrap();
        sqs.set_pace(Pace::between(Duration::from_secs(90), Duration::ZERO).with_least_visibility(visibility));
        let (client, url) = (client(sqs.url()), sqs.queue_url(QUEUE));
        Self { sqs, client, url }
    }

    async fn send(&self, bodies: impl IntoIterator<Item = String>) {
        send(&self.client, &self.url, bodies).await;
    }

    async fn poll(&self, options: Options, function: &Function) -> Poller {
        Poller::start(self.client.clone(), &self.url, options, function.invoke()).await.unwrap()
    }
}

async fn send(client: &Client, url: &str, bodies: impl IntoIterator<Item = String>) {
    let bodies: Vec<String> = bodies.into_iter().collect();
    for ten in bodies.chunks(10) {
        let entry = |(index, body): (usize, &String)| {
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build().unwrap()
        };
        let entries = ten.iter().enumerate().map(entry).collect();
        client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await.unwrap();
    }
}

async fn idle(poller: &Poller) {
    timeout(Duration::from_secs(60), poller.idle()).await.expect("idle within a minute");
}

fn reporting() -> Options {
    Options { partial_failures: true, ..Options::default() }
}

/// Long enough that nothing comes back during a test.
const NEVER: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_millis(400);

type Answer = dyn Fn(&Value) -> Result<Value, String> + Send + Sync;

/// A function that takes its time, writes down what it is given, and answers what it is told to.
#[derive(Clone)]
struct Function {
    takes: Duration,
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<(Instant, Value)>>>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Function {
    fn new(takes: Duration, answer: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Self { takes, answer: Arc::new(answer), seen: Arc::default(), now: Arc::default(), most: Arc::default() }
    }

    /// What names in `batchItemFailures` the records of which `fails` says so.
    fn failing(fails: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Duration::ZERO, move |event| {
            let failed = records(event).iter().filter(|record| fails(record));
            let failed: Vec<Value> = failed.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
            Ok(json!({ "batchItemFailures": failed }))
        })
    }

    fn invoke(&self) -> Invoke {
        let this = self.clone();
        Arc::new(move |event| {
            let this = this.clone();
            Box::pin(async move {
                this.most.fetch_max(this.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                this.seen.lock().unwrap().push((Instant::now(), event.clone()));
                tokio::time::sleep(this.takes).await;
                this.now.fetch_sub(1, Ordering::SeqCst);
                (this.answer)(&event)
            })
        })
    }

    fn batches(&self) -> Vec<Vec<Value>> {
        self.seen.lock().unwrap().iter().map(|(_, event)| records(event).clone()).collect()
    }

    /// When each body was delivered, and the receive count that came with it.
    fn deliveries(&self) -> BTreeMap<String, Vec<(Instant, usize)>> {
        let mut deliveries: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (at, event) in self.seen.lock().unwrap().iter() {
            for record in records(event) {
                deliveries.entry(body(record)).or_default().push((*at, receives(record)));
            }
        }
        deliveries
    }
}

fn records(event: &Value) -> &Vec<Value> {
    event["Records"].as_array().unwrap()
}

fn body(record: &Value) -> String {
    record["body"].as_str().unwrap().to_owned()
}

fn receives(record: &Value) -> usize {
    record["attributes"]["ApproximateReceiveCount"].as_str().unwrap().parse().unwrap()
}

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("message {number}"))
}
