//! Delivers a table's stream to functions, as Lambda's event source mappings do
//! (<https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html>).
//!
//! The embedded engine's stream has one shard. A large table's stream has many, which are read in parallel. So records
//! are split here into several lanes by their partition key. In each lane, a mapping has its own order and its own
//! batches, with one invocation at a time. A failure in one lane does not delay the others.
//!
//! One difference from Lambda: reading pauses while very many records wait, so that a local run does not fill the
//! memory.

mod chaos;
mod checkpoint;
mod invoke;
mod lane;
mod progress;
mod reader;
mod stream;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::chaos::Dice;
pub use self::chaos::RedeliveryOptions;
use self::checkpoint::Checkpoint;
pub use self::invoke::{Invoke, over_http};
use self::lane::Lane;
use self::progress::FeederProgress;
use self::reader::{Reader, Reading};
use self::stream::Stream;
use super::dynamodb_api::{Access, DynamoDbApiError};
use super::sam::Mapping;

/// Minimum time between two writes of the checkpoint.
const BETWEEN_CHECKPOINTS: Duration = Duration::from_millis(250);

/// A table's stream cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// DynamoDB does not respond correctly.
    #[error(transparent)]
    Call(#[from] DynamoDbApiError),
    /// The table has no stream.
    #[error("the table {0} has no stream")]
    NoStream(String),
    /// The stream does not belong to the embedded engine.
    #[error("the stream of {0} has more than one shard, or none: only the embedded DynamoDB's can be read here")]
    NotOneShard(String),
    /// The checkpoint cannot be read.
    #[error("the checkpoint {0}: {1}; remove it to begin again")]
    Checkpoint(PathBuf, std::io::Error),
}

/// Options of a feeder.
#[derive(Clone, Debug)]
pub struct FeederOptions {
    /// Number of lanes that the shard is split into.
    pub shards: usize,
    /// Maximum batching window. `None` means the window of the template.
    pub longest_window: Option<Duration>,
    /// Pause before the next read if there were no new records.
    pub poll: Duration,
    /// Redelivers some batches.
    pub chaos: Option<RedeliveryOptions>,
    /// The checkpoint file, from which a restart continues. `None` means from the beginning of the stream.
    pub checkpoint: Option<PathBuf>,
}

impl Default for FeederOptions {
    fn default() -> Self {
        Self { shards: 4, longest_window: None, poll: Duration::from_millis(20), chaos: None, checkpoint: None }
    }
}

/// Statistics of a feeder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeederStats {
    /// Records read from the stream.
    pub read: u64,
    /// Records that matched the filters, counted for each mapping.
    pub matched: u64,
    /// Invocations.
    pub invocations: u64,
    /// Invocations that failed or reported failures.
    pub failures: u64,
    /// Records that had been in an invocation before.
    pub redelivered: u64,
    /// Records dropped because of their age.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct FeederCounters {
    read: Counter,
    matched: Counter,
    invocations: Counter,
    failures: Counter,
    redelivered: Counter,
    dropped: Counter,
}

/// A running feeder. Dropping it stops it and its invocations in flight, whose records are delivered again after a
/// restart.
#[derive(Debug)]
pub struct Feeder {
    progress: Arc<FeederProgress>,
    reading: Arc<Reading>,
    counters: Arc<FeederCounters>,
    checkpoint: Option<Arc<Mutex<Checkpoint>>>,
    _tasks: JoinSet<()>,
}

impl Feeder {
    /// Delivers the stream of `table` to `mappings`. `invoke` returns the invoker of each mapping's function.
    ///
    /// # Errors
    /// DynamoDB does not respond, the table has no stream, or the checkpoint cannot be read.
    pub async fn start(
        access: &Access,
        table: &str,
        mappings: Vec<Mapping>,
        options: FeederOptions,
        invoke: impl Fn(&Mapping) -> Invoke,
    ) -> Result<Self, FeedError> {
        let mut stream = Stream::open(access, table).await?;
        let mut checkpoint = options.checkpoint.map(|path| Checkpoint::new(path, &stream.arn));
        let done_through = match &mut checkpoint {
            Some(checkpoint) => checkpoint.read()?,
            None => None,
        };
        if let Some(sequence) = done_through.clone() {
            stream.seek_after(sequence);
        }
        let progress = FeederProgress::from(done_through);
        let counters = Arc::new(FeederCounters::default());
        let reading = Arc::new(Reading::default());
        let mut tasks = JoinSet::new();
        let mut targets = Vec::new();
        for (mapping, index) in mappings.into_iter().zip(0_u64..) {
            let mut lanes = Vec::new();
            for (_, shard) in (0..options.shards.max(1)).zip(0_u64..) {
                let (lane, records) = mpsc::unbounded_channel();
                lanes.push(lane);
                let lane = Lane {
                    window: options.longest_window.map_or(mapping.window, |longest| longest.min(mapping.window)),
                    invoke: invoke(&mapping),
                    records,
                    dice: options.chaos.map(|chaos| Dice::new(chaos, (index << 32) + shard)),
                    counters: Arc::clone(&counters),
                    waiting: VecDeque::new(),
                    sizes: Vec::new(),
                    failed: 0,
                    mapping: mapping.clone(),
                };
                tasks.spawn(lane.run());
            }
            targets.push((mapping, lanes));
        }
        let reader = Reader {
            stream,
            poll: options.poll,
            targets,
            reading: Arc::clone(&reading),
            progress: Arc::clone(&progress),
            counters: Arc::clone(&counters),
        };
        tasks.spawn(reader.run());
        let checkpoint = checkpoint.map(|checkpoint| Arc::new(Mutex::new(checkpoint)));
        if let Some(checkpoint) = &checkpoint {
            tasks.spawn(note(Arc::clone(checkpoint), Arc::clone(&progress)));
        }
        Ok(Self { progress, reading, counters, checkpoint, _tasks: tasks })
    }

    /// Waits until all records that are now in the stream have been read and delivered to their mappings. Later records
    /// may still be in flight then. Includes the batching windows.
    pub async fn idle(&self) {
        let read = self.reading.catch_up().await;
        self.progress.reaches(read).await;
    }

    /// Returns the statistics.
    pub fn stats(&self) -> FeederStats {
        let counters = &self.counters;
        FeederStats {
            read: counters.read.get(),
            matched: counters.matched.get(),
            invocations: counters.invocations.get(),
            failures: counters.failures.get(),
            redelivered: counters.redelivered.get(),
            dropped: counters.dropped.get(),
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        // First: otherwise the records released by the stopped tasks would count as delivered.
        self.progress.close();
        if let Some(checkpoint) = &self.checkpoint {
            write(checkpoint, &self.progress);
        }
    }
}

/// Writes the checkpoint at intervals.
async fn note(checkpoint: Arc<Mutex<Checkpoint>>, progress: Arc<FeederProgress>) {
    loop {
        tokio::time::sleep(BETWEEN_CHECKPOINTS).await;
        write(&checkpoint, &progress);
    }
}

fn write(checkpoint: &Mutex<Checkpoint>, progress: &FeederProgress) {
    let mut checkpoint = checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = checkpoint.write(progress.done_through()) {
        tracing::warn!(%error, "the checkpoint can't be written");
    }
}
