//! One event source mapping in one shard: its own order, its own batches, one invocation at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::FeederCounters;
use super::chaos::Dice;
use super::invoke::{Invoke, first_failure};
use super::progress::{PendingRecord, WaitingRecord};
use crate::sam::Mapping;

/// Maximum size of an invocation event on Lambda, minus the part around the records.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024 - 1024;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Lane {
    pub(super) mapping: Mapping,
    pub(super) window: Duration,
    pub(super) invoke: Invoke,
    pub(super) records: UnboundedReceiver<Arc<PendingRecord>>,
    pub(super) dice: Option<Dice>,
    pub(super) counters: Arc<FeederCounters>,
    pub(super) waiting: VecDeque<WaitingRecord>,
    /// Sizes of the next batches, the last one first, if a batch was split.
    pub(super) sizes: Vec<usize>,
    /// Number of failed invocations since the last progress.
    pub(super) failed: u32,
}

/// Result of a batch.
enum BatchOutcome {
    Done,
    FailedFrom(usize),
    BrokeOff(String),
}

impl Lane {
    /// Delivers until the stream is no longer read.
    pub(super) async fn run(mut self) {
        while self.collect().await {
            let batch = self.next_batch();
            if batch.is_empty() {
                continue;
            }
            match self.deliver(&batch).await {
                BatchOutcome::Done => {
                    self.failed = 0;
                    if let Some(dice) = &mut self.dice {
                        dice.roll(batch, &mut self.waiting);
                    }
                }
                BatchOutcome::FailedFrom(index) => {
                    if index > 0 {
                        self.failed = 0;
                    }
                    if !self.sizes.is_empty() {
                        self.sizes.push(batch.len() - index);
                    }
                    self.put_back(batch.into_iter().skip(index));
                    self.pause().await;
                }
                BatchOutcome::BrokeOff(error) => {
                    if self.failed == 0 {
                        let (first, last) = ends(&batch);
                        tracing::warn!(
                            mapping = self.mapping.name,
                            first,
                            last,
                            error,
                            "the function failed; its batch is delivered again"
                        );
                    }
                    let size = batch.len();
                    self.put_back(batch.into_iter());
                    if self.mapping.bisect && size > 1 {
                        self.sizes.extend([size - size / 2, size / 2]);
                        tokio::time::sleep(FIRST_PAUSE).await;
                    } else {
                        self.sizes.push(size);
                        self.pause().await;
                    }
                }
            }
        }
    }

    /// Waits for the records of a batch. Returns false if there will be none.
    async fn collect(&mut self) -> bool {
        if !self.sizes.is_empty() {
            return true;
        }
        if self.waiting.is_empty() {
            let late = self.dice.as_mut().filter(|_| self.records.is_empty()).map(Dice::late).unwrap_or_default();
            if late.is_empty() {
                let Some(record) = self.records.recv().await else { return false };
                self.push(record);
            } else {
                self.waiting = late;
            }
        }
        let deadline = self.waiting.front().map_or_else(Instant::now, |first| first.record.read + self.window);
        let mut bytes: usize = self.waiting.iter().map(|waiting| waiting.record.bytes).sum();
        while self.waiting.len() < self.mapping.batch_size && bytes < MAX_EVENT_BYTES {
            // If the time is already over, this takes the available records without waiting.
            let Ok(Some(record)) = timeout_at(deadline, self.records.recv()).await else { break };
            bytes += record.bytes;
            self.push(record);
        }
        true
    }

    fn push(&mut self, record: Arc<PendingRecord>) {
        self.waiting.push_back(WaitingRecord { record, sent: false, repeat: false });
    }

    fn put_back(&mut self, batch: impl DoubleEndedIterator<Item = WaitingRecord>) {
        for waiting in batch.rev() {
            self.waiting.push_front(WaitingRecord { sent: true, ..waiting });
        }
    }

    /// Takes the next batch, without records that are too old.
    fn next_batch(&mut self) -> Vec<WaitingRecord> {
        let size = self.sizes.pop().unwrap_or_else(|| {
            let mut bytes = 0;
            let fits = |waiting: &&WaitingRecord| {
                bytes += waiting.record.bytes + 1;
                bytes <= MAX_EVENT_BYTES
            };
            self.waiting.iter().take(self.mapping.batch_size).take_while(fits).count().max(1)
        });
        let mut batch: Vec<WaitingRecord> = self.waiting.drain(..size.min(self.waiting.len())).collect();
        if let Some(age) = self.mapping.maximum_record_age {
            let oldest = Timestamp::now().as_millisecond() as f64 / 1_000.0 - age.as_secs_f64();
            let given_up: Vec<WaitingRecord> =
                batch.extract_if(.., |waiting| waiting.record.written < oldest).collect();
            if !given_up.is_empty() {
                let (first, last) = ends(&given_up);
                let (mapping, records) = (&self.mapping.name, given_up.len());
                tracing::error!(mapping, records, first, last, "given up: too old, and never done");
                self.counters.dropped.add(records);
            }
        }
        batch
    }

    async fn deliver(&self, batch: &[WaitingRecord]) -> BatchOutcome {
        self.counters.invocations.add(1);
        self.counters.redelivered.add(batch.iter().filter(|waiting| waiting.sent || waiting.repeat).count());
        let records: Vec<&Value> = batch.iter().map(|waiting| &waiting.record.value).collect();
        let invocation = (self.invoke)(json!({ "Records": records }));
        // In a task of its own, so that a panic counts as a failed invocation; in a set, so that the task stops with
        // this one.
        let mut task = JoinSet::new();
        task.spawn(invocation);
        let outcome = match task.join_next().await {
            Some(Ok(Ok(_))) if !self.mapping.partial_failures => BatchOutcome::Done,
            Some(Ok(Ok(answer))) => {
                match first_failure(&answer, batch.iter().map(|waiting| waiting.record.sequence.as_str())) {
                    None => BatchOutcome::Done,
                    Some(index) => BatchOutcome::FailedFrom(index),
                }
            }
            Some(Ok(Err(error))) => BatchOutcome::BrokeOff(error),
            Some(Err(error)) => BatchOutcome::BrokeOff(error.to_string()),
            None => BatchOutcome::BrokeOff("stopped".to_owned()),
        };
        if !matches!(outcome, BatchOutcome::Done) {
            self.counters.failures.add(1);
        }
        outcome
    }

    async fn pause(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failed)).min(MAX_PAUSE);
        self.failed = self.failed.saturating_add(1);
        tokio::time::sleep(pause).await;
    }
}

/// Sequence numbers of the first and the last record.
fn ends(batch: &[WaitingRecord]) -> (&str, &str) {
    match (batch.first(), batch.last()) {
        (Some(first), Some(last)) => (&first.record.sequence, &last.record.sequence),
        _ => ("", ""),
    }
}
