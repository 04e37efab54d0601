//! One batch of queue messages. Each is classified, then decided, then published. Messages that are not done are
//! retried later.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::MAX_CONCURRENT;
use super::classify::Classifier;
use super::decide::Decider;
use super::later::Later;
use super::publish::Publisher;
use super::step::{BatchMessage, NextStep, Retry};
use crate::aws::queue::QueueMessage;
use crate::aws::stream::BatchResponse;

/// The steps of a batch.
pub(super) struct Steps<'a> {
    pub(super) classifier: Classifier<'a>,
    pub(super) decider: Decider<'a>,
    pub(super) publisher: &'a Publisher<'a>,
    pub(super) later: Later<'a>,
}

impl Steps<'_> {
    /// Handles the messages of a batch. Returns those that the queue must deliver again.
    pub(super) async fn handle(mut self, deliveries: &[QueueMessage]) -> BatchResponse {
        let mut messages = classify_all(&self.classifier, deliveries).await;
        for message in &mut messages {
            if let NextStep::PublishPending(occurrence) = &message.step {
                message.step = NextStep::Finish(self.publisher.publish_pending(occurrence, message.delivery).await);
            }
        }
        self.decide_all(&mut messages).await;
        self.publisher.publish_all(&mut messages).await;
        let mut answer = BatchResponse::default();
        for BatchMessage { delivery, step } in messages {
            let retry = match step {
                NextStep::Finish(Ok(())) => continue,
                NextStep::Finish(Err(retry)) => retry,
                NextStep::PublishPending(_) | NextStep::Decide(_) | NextStep::Publish(..) => {
                    Retry { why: "the batch ended before this message was finished".to_owned(), wait: Duration::ZERO }
                }
            };
            self.later.retry_later(delivery, &retry).await;
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
            message.step = match Box::pin(self.decider.decide(candidate, message.delivery)).await {
                // The same webhook twice in a batch.
                Ok(NextStep::Publish(occurrence, _)) if !to_publish.insert(occurrence.clone()) => NextStep::DONE,
                result => result.into(),
            };
        }
    }
}

async fn classify_all<'a>(classifier: &Classifier<'_>, deliveries: &'a [QueueMessage]) -> Vec<BatchMessage<'a>> {
    let classified: Vec<BoxFuture<'_, BatchMessage<'a>>> = deliveries
        .iter()
        .map(|delivery| {
            async move { BatchMessage { delivery, step: classifier.classify(delivery).await.into() } }.boxed()
        })
        .collect();
    stream::iter(classified).buffered(MAX_CONCURRENT).collect().await
}
