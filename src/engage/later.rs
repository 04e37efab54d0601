//! Messages that are not done: they go back into the queue, for longer each time.

use std::time::Duration;

use tokio::time::Instant;

use crate::aws::breaker::Breaker;
use crate::aws::queue::{Delivery, Queue};

/// The longest that a message waits in the queue before it is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Puts messages back into the queue.
pub(super) struct Later<'a> {
    queue: &'a Queue,
    sqs: Breaker,
    wait_seconds: u32,
    deadline: Instant,
}

impl<'a> Later<'a> {
    /// Messages go back into `queue`, for `wait_seconds` the first time.
    pub(super) fn new(queue: &'a Queue, wait_seconds: u32, deadline: Instant) -> Self {
        Self { queue, sqs: Breaker::default(), wait_seconds, deadline }
    }

    /// Puts a message back for at least `wait`.
    pub(super) async fn put_back(&self, delivery: &Delivery, why: &str, wait: Duration) {
        let wait = self.wait(delivery).max(wait).min(LONGEST_WAIT);
        // A field `message` would stand twice in the line: it is the name of the text too.
        let (queue_message, seconds) = (delivery.message_id.as_str(), wait.as_secs());
        tracing::warn!(error = why, queue_message, deliveries = delivery.deliveries, seconds, "to be delivered again");
        if let Err(error) = self.sqs.call(self.queue.put_back(delivery, wait, self.deadline)).await {
            tracing::warn!(%error, queue_message, "it comes back when its visibility timeout is over");
        }
    }

    /// The wait of a message: twice as long after each further time.
    fn wait(&self, delivery: &Delivery) -> Duration {
        let doubled = 2_u32.saturating_pow(delivery.deliveries.saturating_sub(1).min(16));
        let wait = Duration::from_secs(self.wait_seconds.into()).saturating_mul(doubled);
        // Somewhat more or less: those that failed together must not come back together.
        wait.mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}
