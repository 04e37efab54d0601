//! SNS: the topics of alerts and of decisions.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use tokio::time::Instant;

use crate::aws::backoff::Backoff;
use crate::aws::breaker::Breaker;
use crate::aws::{CallError, describe, has_timed_out};
use crate::message::notification::Notification;

/// Maximum number of tries before a publication is left to the next tick.
const MAX_ATTEMPTS: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Maximum number of messages in one call (<https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>).
pub const BATCH: usize = 10;

/// Number of bytes that SNS bills as one request (<https://aws.amazon.com/sns/pricing/>).
const BATCH_BYTES: usize = 64 * 1024;

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// Creates a handle for the topic with this ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes a notification, and returns SNS's message id. If the response is lost, it is published again, with the
    /// same text.
    ///
    /// # Errors
    /// The notification may not be published.
    pub async fn publish(&self, notification: &Notification, deadline: Instant) -> Result<String, CallError> {
        self.with_retries(deadline, || self.publish_once(notification)).await
    }

    /// Publishes notifications in as few calls as possible. Returns a result for each, in their order: SNS's message
    /// id, or the error. If a response is lost, all its notifications are published again. After a failed call, no
    /// other call is made.
    pub async fn publish_all(
        &self,
        notifications: &[Notification],
        deadline: Instant,
        breaker: &Breaker,
    ) -> Vec<Result<String, CallError>> {
        let mut results = Vec::with_capacity(notifications.len());
        for some in batches(notifications) {
            match some {
                [one] => results.push(breaker.call(self.publish(one, deadline)).await),
                some => match breaker.call(self.with_retries(deadline, || self.publish_batch_once(some))).await {
                    Ok(answers) => results.extend(answers),
                    // SNS rejects one of them as invalid: the others are sent without it.
                    Err(CallError::Permanent(_)) => {
                        for notification in some {
                            results.push(breaker.call(self.publish(notification, deadline)).await);
                        }
                    }
                    Err(error) => results.extend(some.iter().map(|_| Err(error.clone()))),
                },
            }
        }
        results
    }

    async fn with_retries<T, F>(&self, deadline: Instant, call: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, PublishError>>,
    {
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE).until(deadline);
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match tokio::time::timeout_at(deadline, call()).await {
                Ok(Ok(done)) => return Ok(done),
                // After a timeout, no second try: there is not enough time for it.
                Ok(Err(PublishError::TimedOut(why))) => return Err(CallError::Transient(why)),
                Ok(Err(PublishError::Answered(error))) => error,
                Err(_) => return Err(CallError::Transient("SNS gave no answer before the deadline".to_owned())),
            };
            if matches!(error, CallError::Permanent(_)) || tries == MAX_ATTEMPTS || backoff.wait().await.is_err() {
                return Err(error);
            }
        }
    }

    async fn publish_once(&self, notification: &Notification) -> Result<String, PublishError> {
        let publish = self.client.publish().topic_arn(&self.arn).subject(&notification.subject);
        let publish = publish.message_structure("json").message(notification.message());
        let published = publish.set_message_attributes(Some(attributes(notification)?)).send().await;
        published.map(|output| output.message_id.unwrap_or_default()).map_err(|error| failed(&error))
    }

    /// Makes one call. Returns a result for each notification, in their order.
    async fn publish_batch_once(
        &self,
        notifications: &[Notification],
    ) -> Result<Vec<Result<String, CallError>>, PublishError> {
        let entry = |(index, notification): (usize, &Notification)| {
            let entry = PublishBatchRequestEntry::builder().id(index.to_string()).subject(&notification.subject);
            let entry = entry.message_structure("json").message(notification.message());
            let entry = entry.set_message_attributes(Some(attributes(notification)?)).build();
            entry.map_err(|error| CallError::Permanent(error.to_string()))
        };
        let entries = notifications.iter().enumerate().map(entry).collect::<Result<Vec<_>, CallError>>()?;
        let publish = self.client.publish_batch().topic_arn(&self.arn).set_publish_batch_request_entries(Some(entries));
        let answer = publish.send().await.map_err(|error| failed(&error))?;
        let result = |index: usize| {
            let id = index.to_string();
            let message = answer.successful().iter().find(|entry| entry.id() == Some(&id));
            if let Some(message) = message {
                return Ok(message.message_id().unwrap_or_default().to_owned());
            }
            let Some(failed) = answer.failed().iter().find(|entry| entry.id() == id) else {
                return Err(CallError::Transient("SNS returned no result for this message".to_owned()));
            };
            let described = format!("SNS: {}: {}", failed.code(), failed.message().unwrap_or("no message"));
            Err(classify(Some(failed.code()), described))
        };
        Ok((0..notifications.len()).map(result).collect())
    }
}

/// Error of one try.
#[derive(Debug)]
enum PublishError {
    /// The response did not arrive in time.
    TimedOut(String),
    /// SNS returned an error, or closed the connection.
    Answered(CallError),
}

impl From<CallError> for PublishError {
    fn from(error: CallError) -> Self {
        Self::Answered(error)
    }
}

fn failed<E, R>(error: &SdkError<E, R>) -> PublishError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    let described = format!("SNS: {}", describe(error));
    if has_timed_out(error) {
        return PublishError::TimedOut(described);
    }
    PublishError::Answered(classify(error.as_service_error().and_then(ProvideErrorMetadata::code), described))
}

/// Classifies an error of SNS.
fn classify(code: Option<&str>, described: String) -> CallError {
    match code {
        Some("InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid") => CallError::Permanent(described),
        _ => CallError::Transient(described),
    }
}

/// Splits the notifications into as few batches as possible. Each batch is billed as one request.
fn batches(mut notifications: &[Notification]) -> Vec<&[Notification]> {
    let mut batches = Vec::new();
    while !notifications.is_empty() {
        let mut bytes = 0;
        let fits = |notification: &&Notification| {
            bytes += notification.size();
            bytes <= BATCH_BYTES
        };
        let (batch, rest) = notifications.split_at(notifications.iter().take(BATCH).take_while(fits).count().max(1));
        batches.push(batch);
        notifications = rest;
    }
    batches
}

fn attributes(notification: &Notification) -> Result<HashMap<String, MessageAttributeValue>, CallError> {
    notification.attributes.iter().map(|(name, value)| Ok(((*name).to_owned(), attribute(value)?))).collect()
}

fn attribute(value: &str) -> Result<MessageAttributeValue, CallError> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|error| CallError::Permanent(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(bytes: usize) -> Notification {
        let text = "x".repeat(bytes);
        Notification {
            subject: String::new(),
            email: String::new(),
            sms: String::new(),
            json: text,
            attributes: vec![],
        }
    }

    #[test]
    fn a_batch_has_at_most_ten_and_one_billed_request() {
        let sizes =
            |notifications: &[Notification]| batches(notifications).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&vec![notice(1_000); 23]), [10, 10, 3]);
        assert_eq!(sizes(&vec![notice(30_000); 5]), [2, 2, 1]);
        assert_eq!(sizes(&[notice(1), notice(70_000), notice(1)]), [1, 1, 1], "too large for any is alone");
    }
}
