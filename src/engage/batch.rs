//! One batch of queue messages. Each is classified, then decided, then published. Messages that are not done are
//! retried later.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::AT_ONCE;
use super::candidate::Candidate;
use super::classify::Classifier;
use super::decide::{DecideOutcome, Decider};
use super::later::Later;
use super::publish::Publisher;
use super::step::{BatchMessage, MessageOutcome, NextStep};
use crate::aws::CallError;
use crate::aws::queue::Delivery;
use crate::aws::stream::{BatchAnswer, ItemFailure};

/// The steps of a batch.
pub(super) struct Steps<'a> {
    pub(super) classifier: Classifier<'a>,
    pub(super) decider: Decider<'a>,
    pub(super) publisher: Publisher<'a>,
    pub(super) later: Later<'a>,
}

impl Steps<'_> {
    /// Handles the messages of a batch. Returns those that the queue must deliver again.
    pub(super) async fn handle(mut self, deliveries: &[Delivery]) -> BatchAnswer {
        let mut messages = classify_all(&self.classifier, deliveries).await;
        for message in &mut messages {
            if let NextStep::PublishPending(happening) = &message.step {
                message.step = self.publisher.publish_pending(happening, message.delivery).await.into();
            }
        }
        self.decide_all(&mut messages).await;
        self.publisher.publish_all(&mut messages).await;
        let mut answer = BatchAnswer::default();
        for BatchMessage { delivery, step } in messages {
            let (why, wait) = match step {
                NextStep::Finish(MessageOutcome::Done) => continue,
                NextStep::Finish(MessageOutcome::Retry { why, wait }) => (why, wait),
                NextStep::PublishPending(_) | NextStep::Decide(_) | NextStep::Publish(..) => {
                    ("the batch ended before this message was finished".to_owned(), Duration::ZERO)
                }
            };
            self.later.put_back(delivery, &why, wait).await;
            answer.failures.push(ItemFailure { id: delivery.message_id.clone() });
        }
        answer
    }

    /// Decides about the candidates, one after another.
    async fn decide_all(&mut self, messages: &mut [BatchMessage<'_>]) {
        // The oldest first: the time may not suffice for all.
        messages.sort_by_key(|message| {
            let at = match &message.step {
                NextStep::Decide(candidate) => Some(candidate.event.at),
                _ => None,
            };
            (Reverse(message.delivery.deliveries), at)
        });
        let mut to_publish = BTreeSet::new();
        for message in messages {
            let NextStep::Decide(candidate) = &message.step else { continue };
            message.step = match Box::pin(self.decide(candidate, message.delivery)).await {
                // The same webhook twice in a batch.
                Ok(NextStep::Publish(happening, _)) if !to_publish.insert(happening.clone()) => NextStep::DONE,
                Ok(step) => step,
                Err(error) => NextStep::Finish(error.into()),
            };
        }
    }

    async fn decide(&mut self, candidate: &Candidate, delivery: &Delivery) -> Result<NextStep, CallError> {
        let happening = &candidate.happening;
        Ok(match self.decider.decide(candidate, delivery).await? {
            DecideOutcome::Finished(outcome) => NextStep::Finish(outcome),
            DecideOutcome::Publish(decided) => self.publisher.publish(happening, &decided, delivery).await.into(),
            DecideOutcome::PublishWithOthers(decided) => match self.publisher.notification(&decided, delivery)? {
                Some(notice) => NextStep::Publish(happening.clone(), Box::new(notice)),
                None => NextStep::DONE,
            },
        })
    }
}

async fn classify_all<'a>(classifier: &Classifier<'_>, deliveries: &'a [Delivery]) -> Vec<BatchMessage<'a>> {
    let classified: Vec<BoxFuture<'_, BatchMessage<'a>>> = deliveries
        .iter()
        .map(|delivery| {
            async move {
                let step = classifier.classify(delivery).await;
                BatchMessage { delivery, step: step.unwrap_or_else(|error| NextStep::Finish(error.into())) }
            }
            .boxed()
        })
        .collect();
    stream::iter(classified).buffered(AT_ONCE).collect().await
}
