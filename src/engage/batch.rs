//! One batch of the queue's messages: each is looked at, then decided, then published; what is not done comes back later.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::classify::{Happened, Look};
use super::decide::Next;
use super::{AT_ONCE, Outcome, Work};
use crate::aws::CallError;
use crate::aws::queue::Delivery;
use crate::aws::stream::{BatchAnswer, ItemFailure};
use crate::message::notification::Notification;
use crate::store::decisions::Happening;

/// The longest that a message waits in the queue before it is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

impl Work<'_> {
    pub(super) async fn batch(&self, deliveries: &[Delivery]) -> BatchAnswer {
        let looks: Vec<BoxFuture<'_, _>> =
            deliveries.iter().map(|delivery| async move { (delivery, self.look(delivery).await) }.boxed()).collect();
        let looked: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
        let mut outcomes: Vec<(&Delivery, Result<Outcome, CallError>)> = Vec::new();
        let mut to_decide: Vec<(&Delivery, Box<Happened>)> = Vec::new();
        for (delivery, look) in looked {
            match look {
                Ok(Look::Nothing) => {}
                Ok(Look::Publish(happening)) => {
                    outcomes.push((delivery, self.publish_late(&happening, delivery).await))
                }
                Ok(Look::Decide(happened)) => to_decide.push((delivery, happened)),
                Err(trouble) => outcomes.push((delivery, Err(trouble))),
            }
        }
        // Those that have waited longest come first: the time may not be enough for all.
        to_decide.sort_by_key(|(delivery, happened)| (std::cmp::Reverse(delivery.deliveries), happened.at));
        let mut silence = None;
        let mut to_publish: Vec<(&Happening, Notification)> = Vec::new();
        let mut publish_for = Vec::new();
        for (delivery, happened) in &to_decide {
            match Box::pin(self.decide(happened, delivery, &mut silence)).await {
                // The same message twice in a batch.
                Ok(Next::Publish(_)) if to_publish.iter().any(|(one, _)| **one == happened.happening) => {}
                Ok(Next::Publish(notice)) => {
                    to_publish.push((&happened.happening, *notice));
                    publish_for.push(*delivery);
                }
                Ok(Next::Over(outcome)) => outcomes.push((delivery, Ok(outcome))),
                Err(trouble) => outcomes.push((delivery, Err(trouble))),
            }
        }
        outcomes.extend(publish_for.into_iter().zip(self.publish_all(&to_publish).await));
        let mut answer = BatchAnswer::default();
        for (delivery, outcome) in outcomes {
            let (why, wait) = match outcome {
                Ok(Outcome::Done) => continue,
                Ok(Outcome::Later { why, wait }) => (why, wait),
                Err(trouble) => (trouble.to_string(), Duration::ZERO),
            };
            let wait = self.wait(delivery).max(wait).min(LONGEST_WAIT);
            // A field `message` would stand twice in the line: it is the name of the text too.
            let (queue_message, seconds) = (delivery.message_id.as_str(), wait.as_secs());
            tracing::warn!(
                error = why,
                queue_message,
                deliveries = delivery.deliveries,
                seconds,
                "to be delivered again"
            );
            if let Err(trouble) = self.sqs.call(self.engager.queue.put_back(delivery, wait, self.deadline)).await {
                tracing::warn!(error = %trouble, queue_message, "it comes back when its visibility timeout is over");
            }
            answer.failures.push(ItemFailure { id: delivery.message_id.clone() });
        }
        answer
    }

    /// How long a message waits that could not be handled: twice as long after each further time.
    fn wait(&self, delivery: &Delivery) -> Duration {
        let doubled = 2_u32.saturating_pow(delivery.deliveries.saturating_sub(1).min(16));
        let wait = Duration::from_secs(self.config.policy.claude.wait_seconds.into()).saturating_mul(doubled);
        // Somewhat more or less: those that failed together must not come back together.
        wait.mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}
