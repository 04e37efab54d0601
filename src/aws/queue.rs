//! SQS: the queue of opens and clicks for `engage`.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::aws::{CallError, describe};

/// Maximum number of messages in one call
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
pub const BATCH: usize = 10;

/// A message to `engage`: the key of the row of an open or a click. `engage` reads the row itself after the queue's
/// delay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngageMessage {
    /// The row's partition.
    pub email_id: String,
    /// The row's sort key.
    pub event: String,
}

impl EngageMessage {
    /// Encodes the message body as JSON. The two characters that JSON allows and SQS rejects are escaped
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
    ///
    /// # Errors
    /// The message cannot be written as JSON.
    pub fn body(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
    }
}

/// A queue message, as Lambda delivers it (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueMessage {
    /// The message's id: the same for each delivery.
    pub message_id: String,
    /// The receipt handle of this delivery.
    pub receipt_handle: String,
    /// The body that was sent.
    pub body: String,
    /// Number of deliveries, including this one.
    pub deliveries: u32,
}

/// An invocation event that is not a batch of queue messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation event is not a batch of queue messages")]
pub struct InvalidQueueEvent;

impl QueueMessage {
    /// Reads a batch. Missing fields are empty.
    ///
    /// # Errors
    /// The event is not a batch of queue messages.
    pub fn read_all(event: &Value) -> Result<Vec<Self>, InvalidQueueEvent> {
        let records = event.get("Records").and_then(Value::as_array).ok_or(InvalidQueueEvent)?;
        let text = |record: &Value, at: &str| record.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let delivery = |record: &Value| Self {
            message_id: text(record, "/messageId"),
            receipt_handle: text(record, "/receiptHandle"),
            body: text(record, "/body"),
            deliveries: text(record, "/attributes/ApproximateReceiveCount").parse().unwrap_or(1),
        };
        Ok(records.iter().map(delivery).collect())
    }
}

/// The queue that `engage` reads.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Creates a handle for the queue with this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Makes a message visible again after `wait`. SQS allows up to 12 hours.
    ///
    /// # Errors
    /// The message may become visible later: when its visibility timeout is over.
    pub async fn retry_later(
        &self,
        delivery: &QueueMessage,
        wait: Duration,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let seconds = i32::try_from(wait.as_secs()).unwrap_or(i32::MAX).min(12 * 60 * 60);
        let change = self.client.change_message_visibility().queue_url(&self.url).visibility_timeout(seconds);
        let change = change.receipt_handle(&delivery.receipt_handle).send();
        let changed = tokio::time::timeout_at(deadline, change).await;
        let changed = changed.map_err(|_| CallError::Transient("SQS gave no answer before the deadline".to_owned()))?;
        changed.map(|_| ()).map_err(|error| {
            let described = format!("SQS: {}", describe(&error));
            let is_over = error
                .as_service_error()
                .is_some_and(|error| error.is_message_not_inflight() || error.is_receipt_handle_is_invalid());
            if is_over { CallError::Permanent(described) } else { CallError::Transient(described) }
        })
    }

    /// Sends at most [`BATCH`] messages. Sending one twice does no harm, because `engage` decides once.
    ///
    /// # Errors
    /// Some messages may not be sent.
    pub async fn send(&self, messages: &[EngageMessage], deadline: Instant) -> Result<(), CallError> {
        let entries = messages.iter().enumerate().map(|(index, engagement)| {
            let body = engagement.body().map_err(|error| CallError::Permanent(error.to_string()))?;
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            entry.map_err(|error| CallError::Permanent(error.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send();
        let sent = tokio::time::timeout_at(deadline, send).await;
        let sent = sent.map_err(|_| CallError::Transient("SQS gave no answer before the deadline".to_owned()))?;
        let answer = sent.map_err(|error| CallError::Transient(format!("SQS: {}", describe(&error))))?;
        match answer.failed.first() {
            None => Ok(()),
            Some(failed) => Err(CallError::Transient(format!(
                "SQS accepted {} of {} messages: {}",
                answer.successful.len(),
                messages.len(),
                failed.code
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_is_read_as_lambda_hands_it_over_and_nothing_else_is() {
        let batch = json!({ "Records": [
            { "messageId": "m", "receiptHandle": "h", "body": "{}", "attributes": { "ApproximateReceiveCount": "3" } },
            { "messageId": "n" },
            null,
        ] });
        let read = QueueMessage::read_all(&batch).unwrap();
        let whole =
            QueueMessage { message_id: "m".into(), receipt_handle: "h".into(), body: "{}".into(), deliveries: 3 };
        assert_eq!((&read[0], read[1].deliveries, read.len()), (&whole, 1, 3));
        for other in [json!({}), json!([]), json!({ "Records": {} })] {
            assert_eq!(QueueMessage::read_all(&other), Err(InvalidQueueEvent));
        }
    }

    #[test]
    fn a_body_has_no_character_that_sqs_refuses() {
        for odd in ["e\u{fffe}1", "e\u{ffff}1", "e\u{1}\u{7f}\u{d7ff}\u{fffd}\u{10ffff}1", "\\ufffe"] {
            let engagement = EngageMessage { email_id: odd.to_owned(), event: format!("email.opened#{odd}") };
            let body = engagement.body().unwrap();
            let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
            assert!(body.chars().all(is_allowed), "{body:?}");
            assert_eq!(serde_json::from_str::<EngageMessage>(&body).unwrap(), engagement);
        }
    }
}
