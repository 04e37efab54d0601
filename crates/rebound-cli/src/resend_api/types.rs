//! The types of Resend's responses.

use std::fmt;

use rebound::resend::recipient::Recipient;
use rebound::resend::signature::SigningSecretError;
use serde_json::Value;

use super::list::ListItem;

/// A webhook's signing secret, as text. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// A text that is a signing secret.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, SigningSecretError> {
        let _: rebound::resend::signature::SigningSecret = text.parse()?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The text, for the place where secrets are kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A webhook at Resend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it posts to.
    pub endpoint: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// The types of event that it is subscribed to. `None`: every type, as Svix has it for an endpoint without a filter
    /// (<https://docs.svix.com/event-types>).
    pub events: Option<Vec<String>>,
    /// Its signing secret, if Resend returned it.
    pub signing_secret: Option<SecretText>,
}

impl Webhook {
    /// Returns true if the webhook posts to this URL.
    pub fn is_for(&self, url: &str) -> bool {
        self.endpoint.trim_end_matches('/') == url.trim_end_matches('/')
    }

    /// Returns true if the webhook is enabled.
    pub fn is_enabled(&self) -> bool {
        self.status.eq_ignore_ascii_case("enabled")
    }

    /// Returns true if it is subscribed to a type.
    pub fn is_subscribed_to(&self, event_type: &str) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|event| event == event_type))
    }
}

impl ListItem for Webhook {
    fn read(entry: &Value) -> Result<Self, &'static str> {
        let events = entry.get("events").and_then(Value::as_array);
        let events = events.map(|events| events.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Ok(Self {
            id: text(entry, "id").ok_or("a webhook without an id")?,
            endpoint: text(entry, "endpoint").ok_or("a webhook without an endpoint")?,
            status: text(entry, "status").unwrap_or_default(),
            events,
            signing_secret: secret(entry),
        })
    }
}

/// An address on Resend's own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResendSuppression {
    /// Its id, where it has one.
    pub id: Option<String>,
    /// The address, in its one spelling.
    pub recipient: Recipient,
    /// `bounce`, `complaint` or `manual`.
    pub origin: Option<String>,
    /// The email that caused it.
    pub source_id: Option<String>,
    /// Time at which it was added.
    pub created_at: Option<String>,
}

impl ListItem for ResendSuppression {
    fn read(entry: &Value) -> Result<Self, &'static str> {
        Ok(Self {
            id: text(entry, "id"),
            recipient: text(entry, "email").and_then(|email| Recipient::parse(&email)).ok_or("no address in it")?,
            origin: text(entry, "origin"),
            source_id: text(entry, "source_id"),
            created_at: text(entry, "created_at"),
        })
    }
}

/// An event that a webhook was to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// The message's id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// Time at which the event was created.
    pub created_at: String,
    /// `success`, `failed`, or `attempting` or `pending`, while Resend still tries.
    pub status: String,
}

impl ListItem for DeliveryAttempt {
    fn read(entry: &Value) -> Result<Self, &'static str> {
        let or_empty = |field: &str| text(entry, field).unwrap_or_default();
        Ok(Self {
            id: text(entry, "id").ok_or("an event without an id")?,
            event_type: or_empty("type"),
            created_at: or_empty("created_at"),
            status: or_empty("status"),
        })
    }
}

/// A webhook that was made, or given a new secret: its id and its signing secret.
pub(super) struct CreatedWebhook(pub(super) String, pub(super) Option<SecretText>);

impl ListItem for CreatedWebhook {
    fn read(entry: &Value) -> Result<Self, &'static str> {
        Ok(Self(text(entry, "id").ok_or("a response without an id")?, secret(entry)))
    }
}

/// A text that is not empty.
fn text(entry: &Value, field: &str) -> Option<String> {
    entry.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn secret(entry: &Value) -> Option<SecretText> {
    SecretText::new(entry.get("signing_secret")?.as_str()?).ok()
}
