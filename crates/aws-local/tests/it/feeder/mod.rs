//! The events table's stream, delivered as Lambda's event source mappings do.

mod batches;
mod failures;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder::{Feeder, FeederOptions, Invoke};
use aws_local::sam::Mapping;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{EVENTS, Engine, mappings};

/// An invocation: the mapping, the time, and the records as `(email_id, event)`.
#[derive(Clone, Debug)]
struct Invocation {
    mapping: String,
    at: Instant,
    rows: Vec<(String, String)>,
    event: Value,
}

type Respond = dyn Fn(&Invocation) -> Result<Value, String> + Send + Sync;

/// A function that records its invocations, and returns the given results.
#[derive(Clone)]
struct Recorder {
    seen: Arc<Mutex<Vec<Invocation>>>,
    answer: Arc<Respond>,
}

fn text(record: &Value, pointer: &str) -> String {
    record.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

fn row_of(record: &Value) -> (String, String) {
    (text(record, "/dynamodb/Keys/email_id/S"), text(record, "/dynamodb/Keys/event/S"))
}

fn sequence_of(invocation: &Invocation, index: usize) -> String {
    text(&invocation.event["Records"][index], "/dynamodb/SequenceNumber")
}

impl Recorder {
    fn new(answer: impl Fn(&Invocation) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), answer: Arc::new(answer) }
    }

    fn content() -> Self {
        Self::new(|_| Ok(json!({ "batchItemFailures": [] })))
    }

    fn invoke(&self, mapping: &Mapping) -> Invoke {
        let (this, mapping) = (self.clone(), mapping.name.clone());
        Arc::new(move |event| {
            let rows = event["Records"].as_array().unwrap().iter().map(row_of).collect();
            let invocation = Invocation { mapping: mapping.clone(), at: Instant::now(), rows, event };
            let answer = (this.answer)(&invocation);
            this.seen.lock().unwrap().push(invocation);
            let answer: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async { answer });
            answer
        })
    }

    fn invocations(&self) -> Vec<Invocation> {
        self.seen.lock().unwrap().clone()
    }

    /// Every delivered row, in order, with repetitions.
    fn rows(&self) -> Vec<(String, String)> {
        self.invocations().into_iter().flat_map(|invocation| invocation.rows).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.invocations().iter().map(|invocation| invocation.rows.len()).collect()
    }
}

struct FeederEngine(Engine);

impl FeederEngine {
    async fn new() -> Self {
        Self(Engine::start().await)
    }

    async fn at(address: SocketAddr, data: &Path) -> Self {
        Self(Engine::at(address, Some(data)).await)
    }

    async fn put(&self, kind: &str, email_id: &str, event: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.0.client.put_item().table_name(EVENTS);
        let put = put.item("email_id", text(email_id)).item("event", text(event)).item("kind", text(kind));
        put.send().await.unwrap();
    }

    /// Waits for this number of deliveries of one email.
    async fn deliveries(&self, email_id: &str, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.put("event", email_id, &format!("email.delivered#{number:05}")).await;
        }
    }

    async fn feed(&self, mappings: Vec<Mapping>, options: FeederOptions, recorder: &Recorder) -> Feeder {
        Feeder::start(&self.0.access, EVENTS, mappings, options, |mapping| recorder.invoke(mapping)).await.unwrap()
    }
}

/// The template's mapping for events that are only counted, without its window.
fn bulk(batch_size: usize) -> Vec<Mapping> {
    let bulk = mappings().into_iter().find(|mapping| mapping.name == "Bulk").unwrap();
    vec![Mapping { batch_size, window: Duration::ZERO, ..bulk }]
}

fn one_shard() -> FeederOptions {
    FeederOptions { shards: 1, ..FeederOptions::default() }
}
