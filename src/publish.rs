//! SNS: an alert to everybody who wants to hear it.

use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::json;
use tokio::time::Instant;

use crate::alert::Alert;
use crate::aws::describe;
use crate::store::calls::Trouble;

/// How often a publish is tried before it is left to the next tick.
const TRIES: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The alerts topic.
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

    /// Publishes an alert: text for e-mail and SMS, JSON for everything else, and attributes for filter policies. If an answer is
    /// lost it is published again, with the same id.
    ///
    /// # Errors
    /// It may not be published.
    pub async fn publish(&self, alert: &Alert, deadline: Instant) -> Result<(), Trouble> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let trouble = match tokio::time::timeout_at(deadline, self.once(alert)).await {
                Ok(Ok(())) => return Ok(()),
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

    async fn once(&self, alert: &Alert) -> Result<(), Trouble> {
        let machines = serde_json::to_string(alert).map_err(|error| Trouble::Never(error.to_string()))?;
        let message = json!({ "default": machines, "email": alert.text, "sms": alert.sms() });
        let mut publish = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(alert.subject())
            .message_structure("json")
            .message(message.to_string())
            .message_attributes("kind", attribute(alert.kind.as_str())?)
            .message_attributes("severity", attribute(alert.severity.as_str())?);
        if let Some(campaign) = &alert.campaign {
            publish = publish.message_attributes("campaign", attribute(campaign.as_str())?);
        }
        publish.send().await.map(|_| ()).map_err(|error| {
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
