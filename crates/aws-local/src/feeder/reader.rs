//! Reads the stream, and sends each record to its lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::FeederCounters;
use super::progress::{FeederProgress, PendingRecord};
use super::stream::{MAX_RECORDS, Stream, sequence};
use crate::sam::Mapping;

/// Maximum number of records in flight. More would fill the memory while a function is slower than the stream.
const MAX_IN_FLIGHT: usize = 50_000;

/// Pause before the next call to DynamoDB after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Progress of the reading, for tasks that wait for it.
#[derive(Debug, Default)]
pub(super) struct Reading {
    asked: AtomicU64,
    ask: Notify,
    answered: watch::Sender<StreamEnd>,
}

/// The response to a request for the stream's end: the request's number, and the number of records in the stream.
#[derive(Clone, Copy, Debug, Default)]
struct StreamEnd {
    question: u64,
    records: u64,
}

impl Reading {
    /// Waits until all records that are now in the stream were read. Returns their number.
    pub(super) async fn catch_up(&self) -> u64 {
        let question = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.ask.notify_one();
        self.answered
            .subscribe()
            .wait_for(|answered| answered.question >= question)
            .await
            .map_or(0, |answered| answered.records)
    }
}

/// A mapping, with its lane in each shard.
pub(super) type LaneSenders = (Mapping, Vec<UnboundedSender<Arc<PendingRecord>>>);

pub(super) struct Reader {
    pub(super) stream: Stream,
    pub(super) poll: Duration,
    pub(super) targets: Vec<LaneSenders>,
    pub(super) reading: Arc<Reading>,
    pub(super) progress: Arc<FeederProgress>,
    pub(super) counters: Arc<FeederCounters>,
}

impl Reader {
    /// Reads the stream forever.
    pub(super) async fn run(mut self) {
        let places = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let mut away = false;
        loop {
            let question = self.reading.asked.load(Ordering::SeqCst);
            let began = Instant::now();
            let read = self.stream.read().await;
            // A database in memory scans the whole stream on each read, so the pause is at least twice as long as the
            // read.
            let mut pause = self.poll.max(began.elapsed() * 2);
            match read {
                Ok(records) => {
                    if away {
                        tracing::info!("the stream can be read again");
                        away = false;
                    }
                    let all = records.len() < MAX_RECORDS;
                    for record in records {
                        self.hand_on(record, &places).await;
                    }
                    if !all {
                        continue;
                    }
                    self.reading.answered.send_replace(StreamEnd { question, records: self.progress.begun() });
                }
                Err(error) => {
                    if !away {
                        tracing::warn!(%error, "the stream can't be read; trying until it can");
                        away = true;
                    }
                    pause = pause.max(RETRY_PAUSE);
                }
            }
            // A task that waits for the stream's end ends the pause, unless reading fails anyway.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.reading.ask.notified(), if !away => {}
            }
        }
    }

    async fn hand_on(&self, mut value: Value, places: &Arc<Semaphore>) {
        self.counters.read.add(1);
        let Some(sequence) = sequence(&value).map(str::to_owned) else { return };
        let number = self.progress.begin(&sequence);
        let wanting: Vec<&LaneSenders> = self.targets.iter().filter(|(mapping, _)| mapping.wants(&value)).collect();
        // The semaphore is never closed, so a permit becomes available.
        let place = if wanting.is_empty() { None } else { Arc::clone(places).acquire_owned().await.ok() };
        let Some(place) = place else { return self.progress.done(number) };
        self.counters.matched.add(wanting.len());
        let shard = self.shard(&value);
        if let Some(record) = value.as_object_mut() {
            record.insert("eventSourceARN".to_owned(), json!(self.stream.arn));
        }
        let bytes = value.to_string().len();
        let written =
            value.pointer("/dynamodb/ApproximateCreationDateTime").and_then(Value::as_f64).unwrap_or(f64::MAX);
        let progress = Arc::clone(&self.progress);
        let record =
            PendingRecord { value, sequence, bytes, written, read: Instant::now(), number, progress, _place: place };
        let record = Arc::new(record);
        for (_, lanes) in wanting {
            let lane = usize::try_from(shard % lanes.len().max(1) as u64).ok().and_then(|index| lanes.get(index));
            // The lane is gone only when the whole feeder stops.
            let _ = lane.map(|lane| lane.send(Arc::clone(&record)));
        }
    }

    /// Returns the same shard for all records with the same partition key.
    fn shard(&self, record: &Value) -> u64 {
        let key = record.pointer("/dynamodb/Keys").and_then(|keys| keys.get(&self.stream.partition_key));
        let mut hasher = DefaultHasher::new();
        key.map(Value::to_string).hash(&mut hasher);
        hasher.finish()
    }
}
