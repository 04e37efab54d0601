//! Delivers a queue's messages to a function, as Lambda's event source mappings do
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
//!
//! A message that fails stays in the queue, and is visible again after its visibility timeout, unless the function has
//! changed that.
//!
//! Two differences from Lambda: the number of concurrent invocations neither starts low nor drops after errors, and a
//! batch is not limited to 6 MB.

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

/// Maximum number of messages in one receive or delete call.
const MAX_MESSAGES: usize = 10;

/// Wait time of a receive, in seconds: shorter than the client's timeout, and long enough to avoid busy polling.
const WAIT_SECONDS: i32 = 1;

/// Pause before the next check for the rest of a batch, or for an empty queue.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A queue's messages cannot be delivered.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// SQS does not return the queue's attributes.
    #[error("the queue {0} can't be read: {1}")]
    Queue(String, String),
}

/// Options of a poller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollerOptions {
    /// Maximum number of messages in an invocation.
    pub batch_size: usize,
    /// Time for which messages are collected for an invocation.
    pub window: Duration,
    /// Maximum number of concurrent invocations.
    pub concurrency: usize,
    /// Visibility timeout of received messages, in whole seconds. A local queue may shorten it.
    pub visibility: Duration,
    /// True if the function reports which messages failed.
    pub partial_failures: bool,
}

impl Default for PollerOptions {
    /// Defaults of an event source mapping and a queue. Lambda begins with five concurrent invocations.
    fn default() -> Self {
        Self {
            batch_size: MAX_MESSAGES,
            window: Duration::ZERO,
            concurrency: 5,
            visibility: Duration::from_secs(30),
            partial_failures: false,
        }
    }
}

impl PollerOptions {
    /// Reads the options from the template's mapping and queue.
    pub fn of(mapping: &sam::QueueMapping, queue: &sam::QueueDefinition) -> Self {
        Self {
            batch_size: mapping.batch_size,
            window: mapping.window,
            concurrency: mapping.concurrency.unwrap_or(Self::default().concurrency),
            visibility: queue.visibility,
            partial_failures: mapping.partial_failures,
        }
    }
}

/// Statistics of a poller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollerStats {
    /// Invocations that ended.
    pub invocations: u64,
    /// Delivered messages, redeliveries counted again.
    pub messages: u64,
    /// Invocations that failed or reported failures.
    pub failures: u64,
    /// Maximum number of concurrent invocations so far.
    pub max_concurrent: usize,
}

#[derive(Debug, Default)]
struct PollerCounters {
    invocations: AtomicU64,
    messages: AtomicU64,
    failures: AtomicU64,
    in_flight: AtomicUsize,
    max_concurrent: AtomicUsize,
}

/// Counts an invocation as in flight until it is dropped.
struct InFlightGuard(Arc<PollerCounters>);

impl InFlightGuard {
    fn begin(counters: &Arc<PollerCounters>) -> Self {
        let now = counters.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        counters.max_concurrent.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(counters))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running poller. Dropping it stops it and its invocations in flight; their messages become visible again later.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    url: String,
    counters: Arc<PollerCounters>,
    _polling: JoinSet<()>,
}

impl Poller {
    /// Delivers the messages of the queue at `url` to the function that `invoke` invokes.
    ///
    /// # Errors
    /// SQS does not respond, or does not know the queue.
    pub async fn start(client: Client, url: &str, options: PollerOptions, invoke: Invoke) -> Result<Self, PollError> {
        let attributes = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = attributes.send().await;
        let attributes = attributes.map_err(|error| PollError::Queue(url.to_owned(), describe(&error)))?;
        let arn = attributes.attributes().and_then(|attributes| attributes.get(&QueueAttributeName::QueueArn));
        let arn = arn.ok_or_else(|| PollError::Queue(url.to_owned(), "it has no ARN".to_owned()))?.clone();
        let counters = Arc::new(PollerCounters::default());
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

    /// Waits until the queue is empty and no invocation is in flight: no message is visible, in flight, delayed, or
    /// waiting for a retry. Dead letters are in another queue.
    pub async fn idle(&self) {
        // The queue first: a message is deleted before its invocation ends.
        while self.left().await != Some(0) || self.counters.in_flight.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Returns the number of messages in the queue, in any state. `None` if SQS does not say.
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

    /// Returns the statistics.
    pub fn stats(&self) -> PollerStats {
        let counters = &self.counters;
        PollerStats {
            invocations: counters.invocations.load(Ordering::SeqCst),
            messages: counters.messages.load(Ordering::SeqCst),
            failures: counters.failures.load(Ordering::SeqCst),
            max_concurrent: counters.max_concurrent.load(Ordering::SeqCst),
        }
    }
}

/// Receives messages, and starts invocations.
struct Polling {
    client: Client,
    url: String,
    options: PollerOptions,
    mapped: Arc<Mapped>,
    places: Arc<Semaphore>,
    counters: Arc<PollerCounters>,
}

impl Polling {
    async fn run(self) {
        let mut in_flight = JoinSet::new();
        let mut failed = 0;
        // Messages are received only when an invocation can start, because their visibility timeout is running.
        while let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
            while in_flight.try_join_next().is_some() {}
            match self.collect().await {
                Ok(messages) if messages.is_empty() => failed = 0,
                Ok(messages) => {
                    failed = 0;
                    in_flight.spawn(work(Arc::clone(&self.mapped), messages, Arc::clone(&self.counters), place));
                }
                Err(error) => {
                    if failed == 0 {
                        tracing::warn!(error, queue = self.url, "the queue can't be read; it is tried again");
                    }
                    failed += 1;
                    tokio::time::sleep(MAX_PAUSE.min(FIRST_PAUSE * 2_u32.pow(failed.min(6)))).await;
                }
            }
        }
    }

    /// Collects the messages of a batch. Returns none if none arrived for some time.
    async fn collect(&self) -> Result<Vec<Message>, String> {
        let mut messages = self.receive(self.options.batch_size, WAIT_SECONDS).await?;
        if messages.is_empty() {
            return Ok(messages);
        }
        let until = Instant::now() + self.options.window;
        while messages.len() < self.options.batch_size && Instant::now() < until {
            // The next receive handles an error; the messages at hand are delivered.
            let more = self.receive(self.options.batch_size - messages.len(), 0).await.unwrap_or_default();
            if more.is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            messages.extend(more);
        }
        Ok(messages)
    }

    async fn receive(&self, at_most: usize, wait: i32) -> Result<Vec<Message>, String> {
        let at_most = i32::try_from(at_most.clamp(1, MAX_MESSAGES)).unwrap_or(1);
        let visibility = i32::try_from(self.options.visibility.as_secs()).unwrap_or(i32::MAX);
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(at_most);
        let receive = receive.visibility_timeout(visibility).wait_time_seconds(wait);
        let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await;
        received.map(|received| received.messages.unwrap_or_default()).map_err(|error| describe(&error))
    }
}

/// Runs one invocation, from its messages to their deletion.
async fn work(mapped: Arc<Mapped>, messages: Vec<Message>, counters: Arc<PollerCounters>, place: OwnedSemaphorePermit) {
    let in_flight = InFlightGuard::begin(&counters);
    let batch = Batch::new(messages);
    let failed = mapped.hand_over(&batch).await;
    counters.messages.fetch_add(batch.len() as u64, Ordering::SeqCst);
    counters.failures.fetch_add(u64::from(failed), Ordering::SeqCst);
    counters.invocations.fetch_add(1, Ordering::SeqCst);
    drop(in_flight);
    drop(place);
}
