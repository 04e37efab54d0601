//! Messages that are not done: they return to the queue, with a longer wait each time.

use std::time::Duration;

use tokio::time::Instant;

use super::step::Retry;
use crate::aws::breaker::Breaker;
use crate::aws::queue::{Queue, QueueMessage};

/// Maximum wait of a message in the queue before the next delivery.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// Returns messages to the queue.
pub(super) struct Later<'a> {
    queue: &'a Queue,
    sqs: Breaker,
    wait_seconds: u32,
    deadline: Instant,
}

impl<'a> Later<'a> {
    /// Creates a handle that returns messages to `queue`, for `wait_seconds` the first time.
    pub(super) fn new(queue: &'a Queue, wait_seconds: u32, deadline: Instant) -> Self {
        Self { queue, sqs: Breaker::default(), wait_seconds, deadline }
    }

    /// Returns a message to the queue.
    pub(super) async fn retry_later(&self, delivery: &QueueMessage, retry: &Retry) {
        let wait = self.wait(delivery).max(retry.wait).min(MAX_WAIT);
        // A field `message` would appear twice in the line: it is also the name of the log text.
        let (queue_message, seconds) = (delivery.message_id.as_str(), wait.as_secs());
        tracing::warn!(
            error = retry.why,
            queue_message,
            deliveries = delivery.deliveries,
            seconds,
            "the message will be delivered again"
        );
        if let Err(error) = self.sqs.call(self.queue.retry_later(delivery, wait, self.deadline)).await {
            tracing::warn!(%error, queue_message, "the message returns when its visibility timeout is over");
        }
    }

    /// Returns the wait of a message: twice as long for each delivery.
    fn wait(&self, delivery: &QueueMessage) -> Duration {
        let doubled = 2_u32.saturating_pow(delivery.deliveries.saturating_sub(1).min(16));
        let wait = Duration::from_secs(self.wait_seconds.into()).saturating_mul(doubled);
        // With jitter, so that messages that failed together do not return together.
        wait.mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}
