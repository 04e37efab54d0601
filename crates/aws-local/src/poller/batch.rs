//! One invocation: its event, its result, and the deletion of messages that are done.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use serde_json::{Map, Value, json};

use super::MAX_MESSAGES;
use crate::describe;
use crate::feeder::Invoke;

/// A queue, with the function of its messages.
pub(super) struct Mapped {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) partial_failures: bool,
    pub(super) visibility: Duration,
    pub(super) invoke: Invoke,
}

/// The messages of an invocation.
#[derive(Debug)]
pub(super) struct Batch(Vec<Message>);

/// The messages of a batch that are not done.
#[derive(Debug, PartialEq, Eq)]
enum Failed<'a> {
    All,
    These(HashSet<&'a str>),
}

impl Batch {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        Self(messages)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn ids(&self) -> HashSet<&str> {
        self.0.iter().filter_map(Message::message_id).collect()
    }

    /// Builds the event
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event>).
    fn event(&self, arn: &str) -> Value {
        let region = arn.split(':').nth(3).unwrap_or_default();
        let records: Vec<Value> = self.0.iter().map(|message| record(message, arn, region)).collect();
        json!({ "Records": records })
    }
}

fn record(message: &Message, arn: &str, region: &str) -> Value {
    let attributes: Map<String, Value> = [
        MessageSystemAttributeName::ApproximateReceiveCount,
        MessageSystemAttributeName::SentTimestamp,
        MessageSystemAttributeName::SenderId,
        MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
    ]
    .iter()
    .filter_map(|name| Some((name.as_str().to_owned(), message.attributes()?.get(name)?.as_str().into())))
    .collect();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": region,
    })
}

impl Mapped {
    /// Invokes the function, and deletes the messages that are done. Returns true if some are not done.
    pub(super) async fn hand_over(&self, batch: &Batch) -> bool {
        let answer = (self.invoke)(batch.event(&self.arn)).await;
        let failed = match &answer {
            Ok(answer) if self.partial_failures => failed(answer, &batch.ids()),
            Ok(_) => Failed::These(HashSet::new()),
            Err(error) => {
                tracing::warn!(error, messages = batch.len(), "the function failed; its messages are delivered again");
                Failed::All
            }
        };
        let Failed::These(failed) = failed else {
            self.give_back(batch).await;
            return true;
        };
        let is_done = |message: &&Message| !message.message_id().is_some_and(|id| failed.contains(id));
        let done: Vec<&Message> = batch.0.iter().filter(is_done).collect();
        for done in done.chunks(MAX_MESSAGES) {
            self.delete(done).await;
        }
        !failed.is_empty()
    }

    /// A local queue hides received messages as long as the function may run; this time is not shortened as the others
    /// are. So after a failed invocation, the remaining messages get the queue's own visibility timeout, which is
    /// shortened.
    async fn give_back(&self, batch: &Batch) {
        let seconds = i32::try_from(self.visibility.as_secs()).unwrap_or(i32::MAX);
        for message in &batch.0 {
            let change = self.client.change_message_visibility().queue_url(&self.url).visibility_timeout(seconds);
            let _ = change.set_receipt_handle(message.receipt_handle().map(str::to_owned)).send().await;
        }
    }

    /// Messages that cannot be deleted are delivered again, as on Lambda.
    async fn delete(&self, messages: &[&Message]) {
        let entries = messages.iter().enumerate().filter_map(|(index, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.receipt_handle(message.receipt_handle()?).build().ok()
        });
        let delete = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries.collect()));
        let error = match delete.send().await {
            Ok(answer) => answer.failed.first().map(|failed| failed.code.clone()),
            Err(error) => Some(describe(&error)),
        };
        if let Some(error) = error {
            tracing::warn!(error, "messages that are done can't be deleted; they come again");
        }
    }
}

/// Reads the failures from a result (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>). A
/// failure that names no message of the batch is a failure of the whole batch.
fn failed<'a>(answer: &'a Value, ids: &HashSet<&str>) -> Failed<'a> {
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Failed::These(HashSet::new()),
        Some(Value::Array(failures)) => failures,
        Some(_) => return Failed::All,
    };
    let id = |failure: &'a Value| failure.get("itemIdentifier")?.as_str().filter(|id| ids.contains(id));
    failures.iter().map(id).collect::<Option<_>>().map_or(Failed::All, Failed::These)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_messages_failed_and_an_unknown_name_means_all() {
        let ids = HashSet::from(["a", "b", "c"]);
        let failure = |id: Value| json!({ "itemIdentifier": id });
        let these = |ids: &[&'static str]| Failed::These(ids.iter().copied().collect());
        for (answer, expected) in [
            (json!(null), these(&[])),
            (json!({}), these(&[])),
            (json!("done"), these(&[])),
            (json!({ "batchItemFailures": null }), these(&[])),
            (json!({ "batchItemFailures": [] }), these(&[])),
            (json!({ "batchItemFailures": [failure(json!("c"))] }), these(&["c"])),
            (json!({ "batchItemFailures": [failure(json!("c")), failure(json!("a"))] }), these(&["a", "c"])),
            (json!({ "batchItemFailures": [failure(json!("x"))] }), Failed::All),
            (json!({ "batchItemFailures": [failure(json!("c")), failure(json!(""))] }), Failed::All),
            (json!({ "batchItemFailures": [failure(json!(null))] }), Failed::All),
            (json!({ "batchItemFailures": [{ "id": "c" }] }), Failed::All),
            (json!({ "batchItemFailures": "c" }), Failed::All),
        ] {
            assert_eq!(failed(&answer, &ids), expected, "{answer}");
        }
    }
}
