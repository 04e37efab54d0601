//! SNS: an alert, or a decision, to everybody who wants to hear it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;
use tokio::time::Instant;

use crate::aws::breaker::Breaker;
use crate::aws::{describe, has_timed_out};
use crate::message::text::one_line;
use crate::store::calls::Trouble;

/// How often a publish is tried before it is left to the next tick.
const TRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest subject that SNS takes: "less than 100 characters long", ASCII, without line breaks
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const MAX_SUBJECT: usize = 99;

/// The most messages that one call takes
/// (<https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>).
pub const BATCH: usize = 10;

/// How many bytes of them are billed as one request (<https://aws.amazon.com/sns/pricing/>).
const BATCH_BYTES: usize = 64 * 1024;

/// What fits into one SMS of the plain alphabet.
const MAX_SMS: usize = 160;

/// What is published, for each who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The subject of an e-mail.
    pub subject: String,
    /// The text of an e-mail.
    pub email: String,
    /// The text of an SMS.
    pub sms: String,
    /// JSON, for everything else.
    pub machines: String,
    /// The message attributes, for filter policies.
    pub attributes: Vec<(&'static str, String)>,
}

impl Notice {
    /// The texts by protocol, JSON.
    fn message(&self) -> String {
        json!({ "default": self.machines, "email": self.email, "sms": self.sms }).to_string()
    }

    /// What SNS counts of it, in bytes.
    fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.message().len() + attributes.sum::<usize>()
    }
}

/// The subject of an e-mail: a title, as far as SNS takes it.
pub fn subject(title: &str) -> String {
    let ascii = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let subject: String = title.chars().map(ascii).take(MAX_SUBJECT).collect();
    // SNS wants it to begin with a letter, a digit or a punctuation mark.
    subject.trim().to_owned()
}

/// The text of an SMS: as much of a text as fits.
pub fn sms(text: &str) -> String {
    let whole = one_line(text);
    let whole = whole.trim_end();
    if whole.chars().count() <= MAX_SMS {
        return whole.to_owned();
    }
    let begin: String = whole.chars().take(MAX_SMS - 3).collect();
    format!("{begin}...")
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    /// The topic of this ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    /// Publishes a notice, and answers SNS's id of the message. If an answer is lost it is published again, with the same text.
    ///
    /// # Errors
    /// It may not be published.
    pub async fn publish(&self, notice: &Notice, deadline: Instant) -> Result<String, Trouble> {
        self.tried(deadline, || self.once(notice)).await
    }

    /// Publishes notices, in as few calls as there can be, and answers for each, in their order, SNS's id of the message, or why it may
    /// not be published. If an answer is lost, all that it was about are published again. After a call that fails there is no other.
    pub async fn publish_all(
        &self,
        notices: &[Notice],
        deadline: Instant,
        breaker: &Breaker,
    ) -> Vec<Result<String, Trouble>> {
        let mut results = Vec::with_capacity(notices.len());
        for some in batches(notices) {
            match some {
                [one] => results.push(breaker.call(self.publish(one, deadline)).await),
                some => match breaker.call(self.tried(deadline, || self.at_once(some))).await {
                    Ok(answers) => results.extend(answers),
                    // One of them is what SNS will never take: the others are not to go with it.
                    Err(Trouble::Never(_)) => {
                        for notice in some {
                            results.push(breaker.call(self.publish(notice, deadline)).await);
                        }
                    }
                    Err(trouble) => results.extend(some.iter().map(|_| Err(trouble.clone()))),
                },
            }
        }
        results
    }

    async fn tried<T, F>(&self, deadline: Instant, call: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let trouble = match tokio::time::timeout_at(deadline, call()).await {
                Ok(Ok(done)) => return Ok(done),
                // Who has just waited in vain for so long does not do so again.
                Ok(Err(Failed::TimedOut(why))) => return Err(Trouble::Passing(why)),
                Ok(Err(Failed::Answered(trouble))) => trouble,
                Err(_) => return Err(Trouble::Passing("SNS gave no answer before the deadline".to_owned())),
            };
            let wait = pause.mul_f64(fastrand::f64());
            if matches!(trouble, Trouble::Never(_)) || tries == TRIES || Instant::now() + wait >= deadline {
                return Err(trouble);
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
    }

    async fn once(&self, notice: &Notice) -> Result<String, Failed> {
        let publish = self.client.publish().topic_arn(&self.arn).subject(&notice.subject);
        let publish = publish.message_structure("json").message(notice.message());
        let published = publish.set_message_attributes(Some(attributes(notice)?)).send().await;
        published.map(|output| output.message_id.unwrap_or_default()).map_err(|error| failed(&error))
    }

    /// One call. What became of each notice, in their order.
    async fn at_once(&self, notices: &[Notice]) -> Result<Vec<Result<String, Trouble>>, Failed> {
        let entry = |(index, notice): (usize, &Notice)| {
            let entry = PublishBatchRequestEntry::builder().id(index.to_string()).subject(&notice.subject);
            let entry = entry.message_structure("json").message(notice.message());
            let entry = entry.set_message_attributes(Some(attributes(notice)?)).build();
            entry.map_err(|error| Trouble::Never(error.to_string()))
        };
        let entries = notices.iter().enumerate().map(entry).collect::<Result<Vec<_>, Trouble>>()?;
        let publish = self.client.publish_batch().topic_arn(&self.arn).set_publish_batch_request_entries(Some(entries));
        let answer = publish.send().await.map_err(|error| failed(&error))?;
        let result = |index: usize| {
            let id = index.to_string();
            let message = answer.successful().iter().find(|entry| entry.id() == Some(&id));
            if let Some(message) = message {
                return Ok(message.message_id().unwrap_or_default().to_owned());
            }
            let Some(failed) = answer.failed().iter().find(|entry| entry.id() == id) else {
                return Err(Trouble::Passing("SNS does not say what became of it".to_owned()));
            };
            let described = format!("SNS: {}: {}", failed.code(), failed.message().unwrap_or("no message"));
            Err(trouble(Some(failed.code()), described))
        };
        Ok((0..notices.len()).map(result).collect())
    }
}

/// Why one try did not succeed.
#[derive(Debug)]
enum Failed {
    /// There was no answer in time.
    TimedOut(String),
    /// SNS answered, or closed the connection.
    Answered(Trouble),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Answered(trouble)
    }
}

fn failed<E, R>(error: &SdkError<E, R>) -> Failed
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    let described = format!("SNS: {}", describe(error));
    if has_timed_out(error) {
        return Failed::TimedOut(described);
    }
    Failed::Answered(trouble(error.as_service_error().and_then(ProvideErrorMetadata::code), described))
}

/// Whether an error of SNS's may pass.
fn trouble(code: Option<&str>, described: String) -> Trouble {
    match code {
        Some("InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid") => Trouble::Never(described),
        _ => Trouble::Passing(described),
    }
}

/// The notices in as few batches as there can be, each of which is one request on the bill.
fn batches(mut notices: &[Notice]) -> Vec<&[Notice]> {
    let mut batches = Vec::new();
    while !notices.is_empty() {
        let mut bytes = 0;
        let fits = |notice: &&Notice| {
            bytes += notice.size();
            bytes <= BATCH_BYTES
        };
        let (batch, rest) = notices.split_at(notices.iter().take(BATCH).take_while(fits).count().max(1));
        batches.push(batch);
        notices = rest;
    }
    batches
}

fn attributes(notice: &Notice) -> Result<HashMap<String, MessageAttributeValue>, Trouble> {
    notice.attributes.iter().map(|(name, value)| Ok(((*name).to_owned(), attribute(value)?))).collect()
}

fn attribute(value: &str) -> Result<MessageAttributeValue, Trouble> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|error| Trouble::Never(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(bytes: usize) -> Notice {
        let text = "x".repeat(bytes);
        Notice { subject: String::new(), email: String::new(), sms: String::new(), machines: text, attributes: vec![] }
    }

    #[test]
    fn a_batch_has_at_most_ten_notices_and_what_is_billed_as_one_request() {
        let sizes = |notices: &[Notice]| batches(notices).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&vec![notice(1_000); 23]), [10, 10, 3]);
        assert_eq!(sizes(&vec![notice(30_000); 5]), [2, 2, 1]);
        assert_eq!(sizes(&[notice(1), notice(70_000), notice(1)]), [1, 1, 1], "too large for any is alone");
    }
}
