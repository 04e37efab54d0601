//! Hands a queue's messages to a function as Lambda's mappings do (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
//!
//! What fails is left in the queue, and comes back after its visibility timeout, unless the function itself changed that.
//!
//! Two things are not as on Lambda: it does not begin with fewer invocations at once and add to them, nor does it slow down when
//! they fail; and a batch is not limited to 6 MB.

mod batch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::batch::{Batch, Mapped};
use super::feeder::Invoke;
use crate::{describe, sam};

/// The most messages that one receive, or one deletion, takes.
const MOST_MESSAGES: usize = 10;

/// How long a receive waits for a message, in seconds: less than the client's own patience, and long enough not to be a burden.
const WAIT_SECONDS: i32 = 1;

/// How often to look again for the rest of a batch, or whether the queue is empty.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a queue's messages can't be handed to a function.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// SQS does not say what the queue is.
    #[error("the queue {0} can't be read: {1}")]
    Queue(String, String),
}

/// How messages are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most messages of an invocation.
    pub batch_size: usize,
    /// How long messages are collected for an invocation.
    pub window: Duration,
    /// The most invocations at once.
    pub concurrency: usize,
    /// How long a message that was received is nobody else's, as SQS is told it: whole seconds. A local queue may shorten it.
    pub visibility: Duration,
    /// Whether the function says which messages failed.
    pub partial_failures: bool,
}

impl Default for Options {
    /// What a mapping is that says nothing, to a queue that says nothing. Lambda begins with five invocations at once.
    fn default() -> Self {
        Self {
            batch_size: MOST_MESSAGES,
            window: Duration::ZERO,
            concurrency: 5,
            visibility: Duration::from_secs(30),
            partial_failures: false,
        }
    }
}

impl Options {
    /// What the template says of a mapping and its queue.
    pub fn of(mapping: &sam::QueueMapping, queue: &sam::Queue) -> Self {
        Self {
            batch_size: mapping.batch_size,
            window: mapping.window,
            concurrency: mapping.concurrency.unwrap_or(Self::default().concurrency),
            visibility: queue.visibility,
            partial_failures: mapping.partial_failures,
        }
    }
}

/// What a poller has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Invocations that ended.
    pub invocations: u64,
    /// Messages handed over in them, those that came back counted again.
    pub messages: u64,
    /// Invocations that broke off or named failures.
    pub failures: u64,
    /// The most invocations that were under way at once.
    pub most_at_once: usize,
}

#[derive(Debug, Default)]
struct Counters {
    invocations: AtomicU64,
    messages: AtomicU64,
    failures: AtomicU64,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// Counts an invocation as under way for as long as it lives.
struct UnderWay(Arc<Counters>);

impl UnderWay {
    fn begin(counters: &Arc<Counters>) -> Self {
        let now = counters.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        counters.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(counters))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running poller. It stops when this is dropped, invocations under way too; their messages come back in time.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    url: String,
    counters: Arc<Counters>,
    _polling: JoinSet<()>,
}

impl Poller {
    /// Hands the messages of the queue at `url` to the function that `invoke` invokes.
    ///
    /// # Errors
    /// SQS does not answer, or does not know the queue.
    pub async fn start(client: Client, url: &str, options: Options, invoke: Invoke) -> Result<Self, PollError> {
        let attributes = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await;
        let attributes = attributes.map_err(|error| PollError::Queue(url.to_owned(), describe(&error)))?;
        let arn = attributes.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn));
        let arn = arn.ok_or_else(|| PollError::Queue(url.to_owned(), "it has no ARN".to_owned()))?.clone();
        let counters = Arc::new(Counters::default());
        let polling = Polling {
            client: client.clone(),
            url: url.to_owned(),
            places: Arc::new(Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            mapped: Arc::new(Mapped {
                client: client.clone(),
                url: url.to_owned(),
                arn,
                partial_failures: options.partial_failures,
                visibility: options.visibility,
                invoke,
            }),
            options,
            counters: Arc::clone(&counters),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(polling.run());
        Ok(Self { client, url: url.to_owned(), counters, _polling: tasks })
    }

    /// Waits until the queue is empty, and no invocation is under way: nothing is visible, in flight or delayed, nor waits for
    /// another try. What became a dead letter is in another queue.
    pub async fn idle(&self) {
        // The queue first: a message is deleted before its invocation is over.
        while self.left().await != Some(0) || self.counters.under_way.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How many messages are in the queue, in whatever state. `None`: SQS does not say.
    async fn left(&self) -> Option<u64> {
        let states = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let attributes = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes.set_attribute_names(Some(states.to_vec())).send().await.ok()?.attributes?;
        states.iter().map(|state| attributes.get(state)?.parse::<u64>().ok()).sum()
    }

    /// What it has done so far.
    pub fn figures(&self) -> Figures {
        let counters = &self.counters;
        Figures {
            invocations: counters.invocations.load(Ordering::SeqCst),
            messages: counters.messages.load(Ordering::SeqCst),
            failures: counters.failures.load(Ordering::SeqCst),
            most_at_once: counters.most_at_once.load(Ordering::SeqCst),
        }
    }
}

/// What receives, and begins invocations.
struct Polling {
    client: Client,
    url: String,
    options: Options,
    mapped: Arc<Mapped>,
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Polling {
    async fn run(self) {
        let mut under_way = JoinSet::new();
        let mut failed = 0;
        // Nothing is received before it can be invoked with: in hand, its time would run.
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            while under_way.try_join_next().is_some() {}
            match self.collect().await {
                Ok(messages) if messages.is_empty() => failed = 0,
                Ok(messages) => {
                    failed = 0;
                    under_way.spawn(work(Arc::clone(&self.mapped), messages, Arc::clone(&self.counters), place));
                }
                Err(error) => {
                    if failed == 0 {
                        tracing::warn!(error, queue = self.url, "the queue can't be read; it is tried again");
                    }
                    failed += 1;
                    tokio::time::sleep(LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(failed.min(6)))).await;
                }
            }
        }
    }

    /// The messages of a batch; none, if none came for a while.
    async fn collect(&self) -> Result<Vec<Message>, String> {
        let mut messages = self.receive(self.options.batch_size, WAIT_SECONDS).await?;
        if messages.is_empty() {
            return Ok(messages);
        }
        let until = Instant::now() + self.options.window;
        while messages.len() < self.options.batch_size && Instant::now() < until {
            // An error is the next receive's business: what is in hand is handed over.
            let more = self.receive(self.options.batch_size - messages.len(), 0).await.unwrap_or_default();
            if more.is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            messages.extend(more);
        }
        Ok(messages)
    }

    async fn receive(&self, at_most: usize, wait: i32) -> Result<Vec<Message>, String> {
        let at_most = i32::try_from(at_most.clamp(1, MOST_MESSAGES)).unwrap_or(1);
        let visibility = i32::try_from(self.options.visibility.as_secs()).unwrap_or(i32::MAX);
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(at_most);
        let receive = receive.visibility_timeout(visibility).wait_time_seconds(wait);
        let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await;
        received.map(|received| received.messages.unwrap_or_default()).map_err(|error| describe(&error))
    }
}

/// One invocation, from its messages to their deletion.
async fn work(mapped: Arc<Mapped>, messages: Vec<Message>, counters: Arc<Counters>, place: OwnedSemaphorePermit) {
    let under_way = UnderWay::begin(&counters);
    let batch = Batch::new(messages);
    let failed = mapped.hand_over(&batch).await;
    counters.messages.fetch_add(batch.len() as u64, Ordering::SeqCst);
    counters.failures.fetch_add(u64::from(failed), Ordering::SeqCst);
    counters.invocations.fetch_add(1, Ordering::SeqCst);
    drop(under_way);
    drop(place);
}
