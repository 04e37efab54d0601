//! One batch of the queue's messages: each is classified, then decided about, then published; what is not done is retried later.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::ask::ClaudeOutage;
use super::classify::Candidate;
use super::decide::DecideOutcome;
use super::{AT_ONCE, Work};
use crate::aws::CallError;
use crate::aws::queue::Delivery;
use crate::aws::stream::{BatchAnswer, ItemFailure};
use crate::message::notification::Notification;
use crate::store::decisions::Happening;

/// The longest that a message waits in the queue before it is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A message of the batch, and what is next for it.
pub(super) struct BatchMessage<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) step: NextStep,
}

/// The next step of a message. Each step puts another in its place.
pub(super) enum NextStep {
    /// None: the message is handled, or is retried later.
    Finish(MessageOutcome),
    /// To publish a decision that an earlier delivery stored.
    PublishPending(Happening),
    /// To decide about a candidate.
    Decide(Box<Candidate>),
    /// To publish a decision, together with the others of the batch.
    Publish(Happening, Box<Notification>),
}

/// The result of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MessageOutcome {
    /// There is nothing more to do.
    Done,
    /// The queue delivers the message again.
    Retry {
        /// The reason, for the log.
        why: String,
        /// The shortest wait before that.
        wait: Duration,
    },
}

impl NextStep {
    /// The end of a message that is handled.
    pub(super) const DONE: Self = Self::Finish(MessageOutcome::Done);
}

impl From<CallError> for MessageOutcome {
    fn from(error: CallError) -> Self {
        Self::Retry { why: error.to_string(), wait: Duration::ZERO }
    }
}

impl From<Result<MessageOutcome, CallError>> for NextStep {
    fn from(result: Result<MessageOutcome, CallError>) -> Self {
        Self::Finish(result.unwrap_or_else(MessageOutcome::from))
    }
}

impl Work<'_> {
    pub(super) async fn batch(&self, deliveries: &[Delivery]) -> BatchAnswer {
        let mut messages = self.classify_all(deliveries).await;
        for message in &mut messages {
            if let NextStep::PublishPending(happening) = &message.step {
                message.step = self.publish_late(happening, message.delivery).await.into();
            }
        }
        self.decide_all(&mut messages).await;
        self.publish_all(&mut messages).await;
        self.answer(messages).await
    }

    async fn classify_all<'a>(&self, deliveries: &'a [Delivery]) -> Vec<BatchMessage<'a>> {
        let classified: Vec<BoxFuture<'_, BatchMessage<'a>>> = deliveries
            .iter()
            .map(|delivery| {
                async move {
                    let step = self.classify(delivery).await;
                    BatchMessage { delivery, step: step.unwrap_or_else(|error| NextStep::Finish(error.into())) }
                }
                .boxed()
            })
            .collect();
        stream::iter(classified).buffered(AT_ONCE).collect().await
    }

    /// Decides about the candidates, one after another.
    async fn decide_all(&self, messages: &mut [BatchMessage<'_>]) {
        // Those that have waited longest come first: the time may not be enough for all.
        messages.sort_by_key(|message| {
            let at = match &message.step {
                NextStep::Decide(candidate) => Some(candidate.at),
                _ => None,
            };
            (Reverse(message.delivery.deliveries), at)
        });
        let mut silence = None;
        let mut to_publish = BTreeSet::new();
        for message in messages {
            let NextStep::Decide(candidate) = &message.step else { continue };
            let step = Box::pin(self.decide_about(candidate, message.delivery, &mut silence)).await;
            message.step = match step {
                // The same message twice in a batch.
                Ok(NextStep::Publish(happening, _)) if !to_publish.insert(happening.clone()) => NextStep::DONE,
                Ok(step) => step,
                Err(error) => NextStep::Finish(error.into()),
            };
        }
    }

    async fn decide_about(
        &self,
        candidate: &Candidate,
        delivery: &Delivery,
        silence: &mut Option<ClaudeOutage>,
    ) -> Result<NextStep, CallError> {
        let happening = &candidate.happening;
        Ok(match self.decide(candidate, delivery, silence).await? {
            DecideOutcome::Finished(outcome) => NextStep::Finish(outcome),
            DecideOutcome::Publish(decided) => self.publish(happening, &decided, delivery).await.into(),
            DecideOutcome::PublishWithOthers(decided) => match self.to_publish(&decided, delivery)? {
                Some(notice) => NextStep::Publish(happening.clone(), Box::new(notice)),
                None => NextStep::DONE,
            },
        })
    }

    /// Puts back what is not done, and answers which messages these are.
    async fn answer(&self, messages: Vec<BatchMessage<'_>>) -> BatchAnswer {
        let mut answer = BatchAnswer::default();
        for BatchMessage { delivery, step } in messages {
            let (why, wait) = match step {
                NextStep::Finish(MessageOutcome::Done) => continue,
                NextStep::Finish(MessageOutcome::Retry { why, wait }) => (why, wait),
                NextStep::PublishPending(_) | NextStep::Decide(_) | NextStep::Publish(..) => {
                    ("a step is left".to_owned(), Duration::ZERO)
                }
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
