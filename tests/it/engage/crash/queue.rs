//! The queue, as Lambda reads it: with real receipt handles, so that returning a message is a call like any other.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use rebound::aws::queue::QueueMessage;
use rebound_dev::stack::ENGAGE_QUEUE;

use crate::engage::EngageHarness;

/// Not through the proxies: Lambda's own calls do not fail here.
pub(super) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub(super) fn of(stage: &EngageHarness) -> Self {
        Self { client: stage.aws.clients().sqs(), url: stage.aws.variable("ENGAGE_QUEUE_URL").unwrap() }
    }

    pub(super) async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    /// Receives all messages as soon as they are visible. None: the queue is empty.
    pub(super) async fn receive(&self, stage: &EngageHarness) -> Vec<QueueMessage> {
        for _ in 0..500 {
            let counts = stage.aws.sqs.as_ref().unwrap().counts(ENGAGE_QUEUE);
            if (counts.not_visible, counts.delayed) == (0, 0) {
                return if counts.visible == 0 { Vec::new() } else { self.receive_now().await };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a message is not back");
    }

    async fn receive_now(&self) -> Vec<QueueMessage> {
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let received = receive.send().await.unwrap().messages.unwrap_or_default();
        let delivery = |message: Message| {
            let attributes = message.attributes.unwrap();
            QueueMessage {
                message_id: message.message_id.unwrap(),
                receipt_handle: message.receipt_handle.unwrap(),
                body: message.body.unwrap(),
                deliveries: attributes[&MessageSystemAttributeName::ApproximateReceiveCount].parse().unwrap(),
            }
        };
        received.into_iter().map(delivery).collect()
    }

    pub(super) async fn delete(&self, deliveries: impl Iterator<Item = &QueueMessage>) {
        for delivery in deliveries {
            let delete = self.client.delete_message().queue_url(&self.url);
            delete.receipt_handle(&delivery.receipt_handle).send().await.unwrap();
        }
    }

    /// Makes these visible immediately, as if their visibility timeouts were over.
    pub(super) async fn release(&self, deliveries: &[QueueMessage]) {
        for delivery in deliveries {
            let release = self.client.change_message_visibility().queue_url(&self.url).visibility_timeout(0);
            // A message that was returned before is visible already, and its timeout cannot be changed.
            let _ = release.receipt_handle(&delivery.receipt_handle).send().await;
        }
    }
}
