//! SNS: an alert, or a decision, to everybody who wants to hear it.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::json;
use tokio::time::Instant;

use crate::aws::describe;
use crate::store::calls::Trouble;

/// How often a publish is tried before it is left to the next tick.
const TRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest subject that SNS takes: ASCII, without line breaks
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const MAX_SUBJECT: usize = 100;

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

/// The subject of an e-mail: a title, as far as SNS takes it.
pub fn subject(title: &str) -> String {
    let ascii = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let subject: String = title.chars().map(ascii).take(MAX_SUBJECT).collect();
    // SNS wants it to begin with a letter, a digit or a punctuation mark.
    subject.trim().to_owned()
}

/// The text of an SMS: as much of a text as fits.
pub fn sms(text: &str) -> String {
    let whole: String = text.chars().filter(|c| !c.is_control()).collect();
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
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let trouble = match tokio::time::timeout_at(deadline, self.once(notice)).await {
                Ok(Ok(message)) => return Ok(message),
                Ok(Err(trouble)) => trouble,
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

    async fn once(&self, notice: &Notice) -> Result<String, Trouble> {
        let message = json!({ "default": notice.machines, "email": notice.email, "sms": notice.sms });
        let mut publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&notice.subject)
            .message_structure("json")
            .message(message.to_string());
        for (name, value) in &notice.attributes {
            publish = publish.message_attributes(*name, attribute(value)?);
        }
        let published = publish.send().await;
        published.map(|output| output.message_id.unwrap_or_default()).map_err(|error| {
            let described = format!("SNS: {}", describe(&error));
            match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("InvalidParameter" | "InvalidParameterValue" | "ParameterValueInvalid") => {
                    Trouble::Never(described)
                }
                _ => Trouble::Passing(described),
            }
        })
    }
}

fn attribute(value: &str) -> Result<MessageAttributeValue, Trouble> {
    let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
    attribute.map_err(|error| Trouble::Never(error.to_string()))
}
