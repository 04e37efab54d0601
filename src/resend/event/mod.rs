//! Resend's events, parsed leniently.
//!
//! Only `type`, a string, and `data`, an object, are required. Any other field that is missing, null or of another type
//! counts as missing. An event that can't be processed in full must still be stored: an answer other than 200 makes
//! Resend retry for a day, and finally disable the endpoint. The shapes are Resend's own, current and older ones
//! (<https://resend.com/docs/dashboard/webhooks/event-types>).

mod diagnosis;
mod object;
mod recipients;
mod types;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

pub(crate) use self::object::Object;
use self::object::text_of;
pub use self::recipients::EventRecipients;
pub use self::types::EventType;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// Maximum length of a `Message-ID` that is used in a header, in bytes.
const MAX_MESSAGE_ID: usize = 250;

/// A verified body that can't be parsed as an event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The body is not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON, or not a JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// `type` is missing or not a string.
    #[error("the body has no `type` that is a string")]
    NoType,
    /// `data` is missing or not an object.
    #[error("the body has no `data` that is an object")]
    NoData,
}

/// A parsed event. It borrows the body, which is stored unchanged.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    type_text: String,
    envelope: Object<'a>,
    data: Object<'a>,
}

/// Fields of `data.bounce`, if present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounce {
    /// `Permanent`, `Transient`, `Temporary` or `Undetermined`, in any case.
    pub bounce_type: Option<String>,
    /// `General`, `MailboxFull`, `MessageRejected` and so on.
    pub sub_type: Option<String>,
    /// Description of the bounce.
    pub message: Option<String>,
}

/// Fields of `data.click` or `data.open`, if present. All of it is external text: data, never an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOrClickData {
    /// Time of the open or click.
    pub at: Option<UnixMillis>,
    /// The clicked link, as written in the email.
    pub link: Option<String>,
    /// The user agent. An empty text means that the event names none.
    pub agent: Option<String>,
    /// The network address of the client.
    pub ip: Option<String>,
}

/// Subscription of a contact to a topic
/// (<https://resend.com/docs/dashboard/topics/introduction>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// The contact gets the topic's emails.
    OptIn,
    /// The contact does not.
    OptOut,
}

impl<'a> Event<'a> {
    /// Parses an event from a verified body.
    ///
    /// # Errors
    /// The body is not a JSON object with a string `type` and an object `data`.
    pub fn read(body: &'a [u8]) -> Result<Self, EventError> {
        let text = std::str::from_utf8(body).map_err(|_| EventError::NotUtf8)?;
        let envelope = Object::parse(text).map_err(|_| EventError::NotAnObject)?;
        let type_text = text_of(envelope.raw("type").ok_or(EventError::NoType)?).ok_or(EventError::NoType)?;
        let data = envelope.object("data").ok_or(EventError::NoData)?;
        Ok(Self { type_text, envelope, data })
    }

    /// Returns the `type` field unchanged.
    pub fn type_text(&self) -> &str {
        &self.type_text
    }

    /// Returns the type, if this version knows it.
    pub fn event_type(&self) -> Option<EventType> {
        EventType::from_text(&self.type_text)
    }

    /// Returns the time of the event as the event states it. The time may be in the future: see [`Self::happened_at`].
    pub fn at(&self) -> Option<UnixMillis> {
        time(&self.envelope, "created_at")
    }

    /// Returns the time of the event, but never later than `received_at`. An event without a time gets `received_at`.
    pub fn happened_at(&self, received_at: UnixMillis) -> UnixMillis {
        self.at().map_or(received_at, |at| at.min(received_at))
    }

    /// Returns the id of the email.
    pub fn email_id(&self) -> Option<String> {
        self.data.id("email_id")
    }

    /// Returns the creation time of the email or other resource, often long before the event.
    pub fn resource_created_at(&self) -> Option<UnixMillis> {
        time(&self.data, "created_at")
    }

    /// Returns the subject. It is external text: data, never an instruction.
    pub fn subject(&self) -> Option<String> {
        self.data.text("subject")
    }

    /// Returns the sender's address without the name, from `Name <address>`.
    pub fn from(&self) -> Option<Recipient> {
        Recipient::parse(&self.data.text("from")?)
    }

    /// Returns the recipients in `to`.
    pub fn recipients(&self) -> EventRecipients {
        EventRecipients::read(self.data.raw("to"))
    }

    /// Returns the address of this recipient as `to` has it, without a name. Returns `None` if it can't be told apart from
    /// the text around it.
    pub fn address_of(&self, recipient: &Recipient) -> Option<String> {
        let texts = self.data.texts("to");
        let mut bare = texts.iter().map(|text| match text.rsplit_once('<') {
            Some((_, rest)) => rest.split('>').next().unwrap_or_default().trim().to_owned(),
            None => text.trim().to_owned(),
        });
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ',' | ';' | '<' | '>' | '"');
        bare.find(|bare| bare.chars().all(is_plain) && Recipient::parse(bare).as_ref() == Some(recipient))
    }

    /// Returns the email's `Message-ID`, if it is `<…@…>`, printable ASCII, and at most 250 bytes long.
    pub fn rfc_message_id(&self) -> Option<String> {
        let id = self.data.text("message_id")?;
        let inner = id.strip_prefix('<')?.strip_suffix('>')?;
        let is_plain = id.len() <= MAX_MESSAGE_ID && inner.bytes().all(|byte| byte.is_ascii_graphic());
        let (left, right) = inner.split_once('@')?;
        (is_plain && !left.is_empty() && !right.is_empty() && !inner.contains(['<', '>'])).then_some(id)
    }

    /// Returns the recipients in `cc` and `bcc`.
    pub fn copied(&self) -> Vec<Recipient> {
        ["cc", "bcc"].into_iter().flat_map(|field| EventRecipients::read(self.data.raw(field)).into_vec()).collect()
    }

    /// Returns the email's tags, from the current form (an object) or the older one (an array of `{name, value}`).
    pub fn tags(&self) -> BTreeMap<String, String> {
        if let Some(object) = self.data.object("tags") {
            return object.entries().filter_map(|(name, value)| Some((name.to_owned(), text_of(value)?))).collect();
        }
        self.data
            .list("tags")
            .into_iter()
            .filter_map(|pair| {
                let pair = Object::parse(pair.get()).ok()?;
                Some((pair.text("name")?, text_of(pair.raw("value")?)?))
            })
            .collect()
    }

    /// Returns the fields of `data.bounce`, all empty if there is none.
    pub fn bounce(&self) -> Bounce {
        let bounce = self.data.object("bounce").unwrap_or_default();
        Bounce { bounce_type: bounce.text("type"), sub_type: bounce.text("subType"), message: bounce.text("message") }
    }

    /// Returns the receiving servers' replies: `diagnosticCode` of `bounce` or of `suppressed`, an array with one entry
    /// per recipient or a single string.
    pub fn diagnostics(&self) -> Vec<String> {
        ["bounce", "suppressed"]
            .into_iter()
            .filter_map(|outcome| self.data.object(outcome))
            .flat_map(|outcome| outcome.texts("diagnosticCode"))
            .collect()
    }

    /// Returns the reason why Resend skipped the email, for `email.suppressed`: its `type`, or else its `reason`, or
    /// else its `message`.
    pub fn suppression_reason(&self) -> Option<String> {
        let suppressed = self.data.object("suppressed")?;
        ["type", "reason", "message"].into_iter().find_map(|field| suppressed.text(field))
    }

    /// Returns the fields of `data.click`, or else of `data.open`. All fields are empty if both are missing, which is
    /// common for opens.
    pub fn open_or_click(&self) -> OpenOrClickData {
        let Some(said) = ["click", "open"].iter().find_map(|name| self.data.object(name)) else {
            return OpenOrClickData::default();
        };
        OpenOrClickData {
            at: time(&said, "timestamp"),
            link: said.text("link"),
            agent: said.raw("userAgent").and_then(text_of),
            ip: said.text("ipAddress"),
        }
    }

    /// Returns the sender as written in the email: `Name <address>`.
    pub fn from_text(&self) -> Option<String> {
        self.data.text("from")
    }

    /// Returns the reason of a failure, for `email.failed`: `reached_daily_quota`, `domain_not_verified` and so on.
    pub fn failure_reason(&self) -> Option<String> {
        self.data.object("failed")?.text("reason")
    }

    /// Returns the id of the email's broadcast.
    pub fn broadcast_id(&self) -> Option<String> {
        self.data.id("broadcast_id")
    }

    /// Returns the id of the email's template.
    pub fn template_id(&self) -> Option<String> {
        self.data.id("template_id")
    }

    /// Returns the name of the domain or other resource.
    pub fn resource_name(&self) -> Option<String> {
        self.data.text("name")
    }

    /// Returns the status of the resource; for a domain `verified`, `pending`, `temporary_failure` and so on.
    pub fn resource_status(&self) -> Option<String> {
        self.data.text("status")
    }

    /// Returns the address of a contact or a suppression, if there is exactly one.
    pub fn address(&self) -> Option<Recipient> {
        match self.contact() {
            EventRecipients::One(recipient) => Some(recipient),
            EventRecipients::None | EventRecipients::Many(_) => None,
        }
    }

    /// Returns the recipients that a contact or a suppression names.
    pub fn contact(&self) -> EventRecipients {
        EventRecipients::read(self.data.raw("email"))
    }

    /// Returns true if a contact has unsubscribed from everything, and `None` if the event does not say.
    pub fn unsubscribed(&self) -> Option<bool> {
        self.data.get("unsubscribed")
    }

    /// Returns the changed subscriptions of a contact, by the topics' ids. Entries without an id, or with an unknown
    /// subscription, are left out.
    pub fn topics(&self) -> Vec<(String, Subscription)> {
        let one = |entry: &RawValue| {
            let entry = Object::parse(entry.get()).ok()?;
            let subscription = match entry.text("subscription")?.trim().to_ascii_lowercase().as_str() {
                "opt_in" => Subscription::OptIn,
                "opt_out" => Subscription::OptOut,
                _ => return None,
            };
            Some((entry.id("id")?, subscription))
        };
        self.data.list("topics").into_iter().filter_map(one).collect()
    }

    /// Returns the origin of an entry in Resend's suppression list: `bounce`, `complaint` or `manual`.
    pub fn origin(&self) -> Option<String> {
        self.data.text("origin")
    }

    /// Returns the id of the email that put an address on Resend's suppression list.
    pub fn source_email_id(&self) -> Option<String> {
        self.data.id("source_id")
    }

    /// Returns the id of the resource, which becomes part of the row's key.
    ///
    /// The field depends only on the beginning of the type, not on the list of known types. So the key of a retried
    /// webhook does not change when a later version knows the type.
    pub fn resource_id(&self) -> Option<String> {
        let begins = |prefix: &str| self.type_text.starts_with(prefix);
        if begins("inbox.draft.") {
            self.data.id("draft_id")
        } else if begins("inbox.thread.") {
            self.data.id("thread_id")
        } else if begins("email.") || begins("inbox.email.") {
            self.email_id()
        } else if begins("inbox.") {
            self.data.id("inbox_id")
        } else {
            self.email_id().or_else(|| self.data.id("id"))
        }
    }
}

fn time(object: &Object<'_>, field: &str) -> Option<UnixMillis> {
    UnixMillis::parse(&object.get::<String>(field)?)
}

#[cfg(test)]
pub(crate) mod tests;
