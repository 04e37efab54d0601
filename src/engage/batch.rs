//! One batch of queue messages. Each is classified, then decided, then published. Messages that are not done are
//! retried later.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::MAX_CONCURRENT;
use super::candidate::Candidate;
use super::classify::Classifier;
use super::decide::{DecideOutcome, Decider};
use super::later::Later;
use super::publish::Publisher;
use super::step::{BatchMessage, MessageOutcome, NextStep};
use crate::aws::CallError;
use crate::aws::queue::QueueMessage;
use crate::aws::stream::BatchResponse;

/// The steps of a batch.
pub(super) struct Steps<'a> {
    pub(super) classifier: Classifier<'a>,
    pub(super) decider: Decider<'a>,
    pub(super) publisher: Publisher<'a>,
    pub(super) later: Later<'a>,
}

impl Steps<'_> {
    /// Handles the messages of a batch. Returns those that the queue must deliver again.
    pub(super) async fn handle(mut self, deliveries: &[QueueMessage]) -> BatchResponse {
        let mut messages = classify_all(&self.classifier, deliveries).await;
        for message in &mut messages {
            if let NextStep::PublishPending(occurrence) = &message.step {
                message.step = self.publisher.publish_pending(occurrence, message.delivery).await.into();
            }
        }
        self.decide_all(&mut messages).await;
        self.publisher.publish_all(&mut messages).await;
        let mut answer = BatchResponse::default();
        for BatchMessage { delivery, step } in messages {
            let (why, wait) = match step {
                NextStep::Finish(MessageOutcome::Done) => continue,
                NextStep::Finish(MessageOutcome::Retry { why, wait }) => (why, wait),
                NextStep::PublishPending(_) | NextStep::Decide(_) | NextStep::Publish(..) => {
                    ("the batch ended before this message was finished".to_owned(), Duration::ZERO)
                }
            };
            self.later.retry_later(delivery, &why, wait).await;
            answer.retry(&delivery.message_id);
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
                Ok(NextStep::Publish(occurrence, _)) if !to_publish.insert(occurrence.clone()) => NextStep::DONE,
                Ok(step) => step,
                Err(error) => NextStep::Finish(error.into()),
            };
        }
    }

    async fn decide(&mut self, candidate: &Candidate, delivery: &QueueMessage) -> Result<NextStep, CallError> {
        let occurrence = &candidate.occurrence;
        Ok(match self.decider.decide(candidate, delivery).await? {
            DecideOutcome::Finished(outcome) => NextStep::Finish(outcome),
            DecideOutcome::Publish(decided) => self.publisher.publish(occurrence, &decided, delivery).await.into(),
            DecideOutcome::PublishWithOthers(decided) => match self.publisher.notification(&decided, delivery)? {
                Some(notice) => NextStep::Publish(occurrence.clone(), Box::new(notice)),
                None => NextStep::DONE,
            },
        })
    }
}

async fn classify_all<'a>(classifier: &Classifier<'_>, deliveries: &'a [QueueMessage]) -> Vec<BatchMessage<'a>> {
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
    stream::iter(classified).buffered(MAX_CONCURRENT).collect().await
}
