//! Who has subscribed to a topic, as far as it is counted: `Subscribe` and `GetTopicAttributes`
//! (<https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html>). Nothing is sent to them, and they are gone with the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::escaped;
use super::request::{SnsError, refused, topic_of};
use crate::uuid;

/// The protocols whose subscribers have to confirm that they want it
/// (<https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.confirm.html>).
const TO_BE_CONFIRMED: [&str; 4] = ["email", "email-json", "http", "https"];

/// The other protocols.
const OTHERS: [&str; 4] = ["sqs", "lambda", "sms", "firehose"];

/// A topic, a protocol and an endpoint.
type Subscription = [String; 3];

/// The subscriptions, and whether each is confirmed.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<BTreeMap<Subscription, bool>>);

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subscription, bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes, and answers the result as XML. To subscribe again changes nothing.
    pub(super) fn subscribe(&self, form: &BTreeMap<String, String>) -> Result<String, SnsError> {
        let topic = topic_of(form)?;
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let (protocol, endpoint) = (field("Protocol"), field("Endpoint"));
        let is_to_be_confirmed = TO_BE_CONFIRMED.contains(&protocol.as_str());
        if !is_to_be_confirmed && !OTHERS.contains(&protocol.as_str()) {
            return Err(refused(
                "InvalidParameter",
                format!("Invalid parameter: Does not support this protocol string: {protocol}"),
            ));
        }
        if endpoint.is_empty() {
            return Err(refused("InvalidParameter", "Invalid parameter: Endpoint"));
        }
        let is_confirmed = *self.lock().entry([topic.clone(), protocol, endpoint]).or_insert(!is_to_be_confirmed);
        let arn =
            if is_confirmed { format!("{}:{}", escaped(&topic), uuid()) } else { "pending confirmation".to_owned() };
        Ok(format!("<SubscribeResult><SubscriptionArn>{arn}</SubscriptionArn></SubscribeResult>"))
    }

    /// Confirms all that wait for it.
    pub(super) fn confirm_all(&self) {
        self.lock().values_mut().for_each(|is_confirmed| *is_confirmed = true);
    }

    /// A topic's attributes as XML. So many `listeners` in this process get what is published, too.
    pub(super) fn attributes(&self, form: &BTreeMap<String, String>, listeners: usize) -> Result<String, SnsError> {
        let topic = topic_of(form)?;
        let (confirmed, pending) = self.lock().iter().filter(|([of, ..], _)| *of == topic).fold(
            (listeners, 0),
            |(confirmed, pending), (_, is_confirmed)| match is_confirmed {
                true => (confirmed + 1, pending),
                false => (confirmed, pending + 1),
            },
        );
        let attributes = [
            ("TopicArn", escaped(&topic)),
            ("SubscriptionsConfirmed", confirmed.to_string()),
            ("SubscriptionsPending", pending.to_string()),
            ("SubscriptionsDeleted", "0".to_owned()),
        ];
        let entries: String = attributes
            .iter()
            .map(|(key, value)| format!("<entry><key>{key}</key><value>{value}</value></entry>"))
            .collect();
        Ok(format!("<GetTopicAttributesResult><Attributes>{entries}</Attributes></GetTopicAttributesResult>"))
    }
}
