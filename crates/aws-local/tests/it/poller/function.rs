//! A function for pollers to invoke, and messages for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder::Invoke;
use aws_local::poller::{Poller, PollerOptions};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

pub(crate) async fn send(client: &Client, url: &str, bodies: impl IntoIterator<Item = String>) {
    let bodies: Vec<String> = bodies.into_iter().collect();
    for ten in bodies.chunks(10) {
        let entry = |(index, body): (usize, &String)| {
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build().unwrap()
        };
        let entries = ten.iter().enumerate().map(entry).collect();
        client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await.unwrap();
    }
}

pub(crate) async fn idle(poller: &Poller) {
    timeout(Duration::from_secs(60), poller.idle()).await.expect("idle within a minute");
}

pub(crate) fn reporting() -> PollerOptions {
    PollerOptions { partial_failures: true, ..PollerOptions::default() }
}

pub(crate) type Respond = dyn Fn(&Value) -> Result<Value, String> + Send + Sync;

/// A function that takes some time, records its invocations, and returns the given results.
#[derive(Clone)]
pub(crate) struct Function {
    takes: Duration,
    answer: Arc<Respond>,
    seen: Arc<Mutex<Vec<(Instant, Value)>>>,
    now: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Function {
    pub(crate) fn new(
        takes: Duration,
        answer: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self { takes, answer: Arc::new(answer), seen: Arc::default(), now: Arc::default(), most: Arc::default() }
    }

    /// Returns a function that lists in `batchItemFailures` the records for which `fails` returns true.
    pub(crate) fn failing(fails: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Duration::ZERO, move |event| {
            let failed = records(event).iter().filter(|record| fails(record));
            let failed: Vec<Value> = failed.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
            Ok(json!({ "batchItemFailures": failed }))
        })
    }

    pub(crate) fn invoke(&self) -> Invoke {
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

    pub(crate) fn batches(&self) -> Vec<Vec<Value>> {
        self.seen.lock().unwrap().iter().map(|(_, event)| records(event).clone()).collect()
    }

    /// The times of each body's deliveries, with the receive count of each.
    pub(crate) fn deliveries(&self) -> BTreeMap<String, Vec<(Instant, usize)>> {
        let mut deliveries: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (at, event) in self.seen.lock().unwrap().iter() {
            for record in records(event) {
                deliveries.entry(body(record)).or_default().push((*at, receives(record)));
            }
        }
        deliveries
    }
}

pub(crate) fn records(event: &Value) -> &Vec<Value> {
    event["Records"].as_array().unwrap()
}

pub(crate) fn body(record: &Value) -> String {
    record["body"].as_str().unwrap().to_owned()
}

pub(crate) fn receives(record: &Value) -> usize {
    record["attributes"]["ApproximateReceiveCount"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("message {number}"))
}
