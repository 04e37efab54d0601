//! Publication of stored decisions.

use futures_util::{FutureExt, StreamExt, stream};

use super::run::EngageRun;
use super::step::{BatchMessage, NextStep, Retry};
use super::{LEASE, MAX_CONCURRENT};
use crate::aws::CallError;
use crate::aws::breaker::Breaker;
use crate::aws::queue::QueueMessage;
use crate::aws::topic::Topic;
use crate::message::decision::{Receipt, wording};
use crate::message::notification::Notification;
use crate::store::decisions::{Decisions, Occurrence, StoredDecision};

/// Publishes decisions.
pub(super) struct Publisher<'a> {
    topic: &'a Topic,
    sns: Breaker,
    decisions: &'a Decisions,
    /// Name of the stack, for the commands in texts.
    stack: Option<&'a str>,
    run: EngageRun<'a>,
}

impl<'a> Publisher<'a> {
    /// Creates a publisher of the `decisions` to `topic`.
    pub(super) fn new(topic: &'a Topic, decisions: &'a Decisions, stack: Option<&'a str>, run: EngageRun<'a>) -> Self {
        Self { topic, sns: Breaker::default(), decisions, stack, run }
    }

    /// Publishes a decision that was found unpublished. It is read again first: another message, even of this batch,
    /// may have published it.
    pub(super) async fn publish_pending(&self, occurrence: &Occurrence, delivery: &QueueMessage) -> Result<(), Retry> {
        let Some(decided) = self.decisions.decided(occurrence).await? else { return Ok(()) };
        self.publish(occurrence, &decided, delivery).await
    }

    /// Publishes a stored decision, and marks it as published.
    pub(super) async fn publish(
        &self,
        occurrence: &Occurrence,
        decided: &StoredDecision,
        delivery: &QueueMessage,
    ) -> Result<(), Retry> {
        let Some(notice) = self.notification(decided, delivery)? else { return Ok(()) };
        let published = self.sns.call(self.topic.publish(&notice, self.run.deadline)).await;
        self.note(occurrence, published).await
    }

    /// Publishes the decisions of a batch in as few calls as possible.
    pub(super) async fn publish_all(&self, messages: &mut [BatchMessage<'_>]) {
        let notices: Vec<Notification> = messages
            .iter()
            .filter_map(|message| match &message.step {
                NextStep::Publish(_, notice) => Some(notice.as_ref().clone()),
                _ => None,
            })
            .collect();
        let published = self.topic.publish_all(&notices, self.run.deadline, &self.sns).await;
        let waiting = messages.iter_mut().filter(|message| matches!(message.step, NextStep::Publish(..)));
        let noted = waiting.zip(published).map(|(message, published)| {
            async move {
                if let NextStep::Publish(occurrence, _) = &message.step {
                    message.step = NextStep::Finish(self.note(occurrence, published).await);
                }
            }
            .boxed()
        });
        stream::iter(noted.collect::<Vec<_>>()).buffered(MAX_CONCURRENT).collect::<()>().await;
    }

    /// Returns the notification of a decision if this message must publish it. Only the message that made the decision
    /// publishes it, until its lease expires.
    pub(super) fn notification(
        &self,
        decided: &StoredDecision,
        delivery: &QueueMessage,
    ) -> Result<Option<Notification>, CallError> {
        let is_anothers = decided.owner != delivery.message_id && decided.at.plus(LEASE) > self.run.now;
        if decided.is_settled || is_anothers {
            return Ok(None);
        }
        let receipt: Receipt =
            serde_json::from_str(&decided.receipt).map_err(|error| CallError::Permanent(error.to_string()))?;
        wording::notification(&receipt, self.stack).map_err(|error| CallError::Permanent(error.to_string()))
    }

    /// Marks a decision as published, or as rejected for good.
    async fn note(&self, occurrence: &Occurrence, published: Result<String, CallError>) -> Result<(), Retry> {
        let outbox = self.decisions.outbox();
        match published {
            Ok(message) => outbox.mark_published(occurrence.key(), Some(&message), self.run.now).await?,
            Err(error @ CallError::Transient(_)) => return Err(error.into()),
            Err(CallError::Permanent(why)) => {
                let decision = occurrence.decision_id();
                tracing::error!(error = why, decision, "never published; the decision is in the events table");
                outbox.mark_rejected(occurrence.key(), &why).await?;
            }
        }
        Ok(())
    }
}
