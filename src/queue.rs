//! SQS: opens and clicks, on their way to `engage`.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::describe;
use crate::store::calls::Trouble;

/// The most messages that one call takes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>).
pub const BATCH: usize = 10;

/// What `engage` is told: where the row of the open or the click is. It reads the rest for itself, when it has settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engagement {
    /// The row's partition.
    pub email_id: String,
    /// The row's sort key.
    pub event: String,
}

/// The queue that `engage` reads.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue of this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends at most [`BATCH`] messages. To send one twice does no harm: `engage` decides once.
    ///
    /// # Errors
    /// Some may not be sent.
    pub async fn send(&self, engagements: &[Engagement], deadline: Instant) -> Result<(), Trouble> {
        let entries = engagements.iter().enumerate().map(|(index, engagement)| {
            let body = serde_json::to_string(engagement).map_err(|error| Trouble::Never(error.to_string()))?;
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build();
            entry.map_err(|error| Trouble::Never(error.to_string()))
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send();
        let sent = tokio::time::timeout_at(deadline, send).await;
        let sent = sent.map_err(|_| Trouble::Passing("SQS gave no answer before the deadline".to_owned()))?;
        let answer = sent.map_err(|error| Trouble::Passing(format!("SQS: {}", describe(&error))))?;
        match answer.failed.first() {
            None => Ok(()),
            Some(failed) => Err(Trouble::Passing(format!(
                "SQS took {} of {}: {}",
                answer.successful.len(),
                engagements.len(),
                failed.code
            ))),
        }
    }
}
