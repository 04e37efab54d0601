//! Resend's events, read leniently.
//!
//! Only `type`, a string, and `data`, an object, are needed. Whatever else is absent, null or of another type reads as not
//! there: an event that cannot be acted on in full must still be stored, since an answer other than 200 makes Resend
//! retry for a day, and disable the endpoint in the end. The shapes are Resend's own
//! (<https://resend.com/docs/dashboard/webhooks/event-types>), today's and older ones.

mod addressees;
mod diagnosis;
mod object;
mod types;

use std::collections::BTreeMap;

pub use self::addressees::Addressees;
pub(crate) use self::object::Object;
use self::object::text_of;
pub use self::types::EventType;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// Why a verified body cannot be read as an event.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not text at all.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or JSON but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// `type` is absent or not a string.
    #[error("the body has no `type` that is a string")]
    NoType,
    /// `data` is absent or not an object.
    #[error("the body has no `data` that is an object")]
    NoData,
}

/// One event. Borrows the body it was read from, which stays the record of what came.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    type_text: String,
    envelope: Object<'a>,
    data: Object<'a>,
}

/// `data.bounce`, as far as it is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounce {
    /// `Permanent`, `Transient`, `Temporary` or `Undetermined`, in any case.
    pub bounce_type: Option<String>,
    /// `General`, `MailboxFull`, `MessageRejected` and so on.
    pub sub_type: Option<String>,
    /// What happened, in words.
    pub message: Option<String>,
}

/// What `data.click` or `data.open` says, as far as it is there. All of it comes from outside: data, never an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interaction {
    /// When somebody opened or clicked.
    pub at: Option<UnixMillis>,
    /// The link that was clicked, as it stands in the mail.
    pub link: Option<String>,
    /// The user agent; empty if it says that there was none.
    pub agent: Option<String>,
    /// From which network address.
    pub ip: Option<String>,
}

impl<'a> Event<'a> {
    /// Reads an event from a verified body.
    ///
    /// # Errors
    /// The body is not a JSON object with a string `type` and an object `data`.
    pub fn read(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
        let envelope = Object::parse(text).map_err(|_| Unreadable::NotAnObject)?;
        let type_text = text_of(envelope.raw("type").ok_or(Unreadable::NoType)?).ok_or(Unreadable::NoType)?;
        let data = envelope.object("data").ok_or(Unreadable::NoData)?;
        Ok(Self { type_text, envelope, data })
    }

    /// The `type` field as it came.
    pub fn type_text(&self) -> &str {
        &self.type_text
    }

    /// The type, if this version knows it.
    pub fn event_type(&self) -> Option<EventType> {
        EventType::from_text(&self.type_text)
    }

    /// When it happened, as the event itself says. It may claim to be of the future: see [`Self::happened_at`].
    pub fn at(&self) -> Option<UnixMillis> {
        time(&self.envelope, "created_at")
    }

    /// Time of the event, as it counts: its own, but never later than `received_at`. An event without a time happened then.
    pub fn happened_at(&self, received_at: UnixMillis) -> UnixMillis {
        self.at().map_or(received_at, |at| at.min(received_at))
    }

    /// The email that it is about.
    pub fn email_id(&self) -> Option<String> {
        self.data.id("email_id")
    }

    /// When that email (or that other resource) was created: long before the event, often.
    pub fn resource_created_at(&self) -> Option<UnixMillis> {
        time(&self.data, "created_at")
    }

    /// The subject, as its writer put it: data, never an instruction.
    pub fn subject(&self) -> Option<String> {
        self.data.text("subject")
    }

    /// The sender's bare address, from `Name <address>`.
    pub fn from(&self) -> Option<Recipient> {
        Recipient::parse(&self.data.text("from")?)
    }

    /// To whom its email went: whom `to` names.
    pub fn addressees(&self) -> Addressees {
        Addressees::read(self.data.raw("to"))
    }

    /// Who else got its email: whom `cc` and `bcc` name.
    pub fn copied(&self) -> Vec<Recipient> {
        ["cc", "bcc"].into_iter().flat_map(|field| Addressees::read(self.data.raw(field)).all()).collect()
    }

    /// The email's tags, in today's form, an object, or in the older one, an array of `{name, value}`.
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

    /// What `data.bounce` says. Empty if there is none.
    pub fn bounce(&self) -> Bounce {
        let bounce = self.data.object("bounce").unwrap_or_default();
        Bounce { bounce_type: bounce.text("type"), sub_type: bounce.text("subType"), message: bounce.text("message") }
    }

    /// What the receiving servers answered: `diagnosticCode`, an array with one entry for each recipient or a single
    /// string, of `bounce` or of `suppressed`.
    pub fn diagnostics(&self) -> Vec<String> {
        ["bounce", "suppressed"]
            .into_iter()
            .filter_map(|outcome| self.data.object(outcome))
            .flat_map(|outcome| outcome.texts("diagnosticCode"))
            .collect()
    }

    /// Why Resend skipped the send, for `email.suppressed`: its `type`, else its `reason`, else its `message`.
    pub fn suppressed_because(&self) -> Option<String> {
        let suppressed = self.data.object("suppressed")?;
        ["type", "reason", "message"].into_iter().find_map(|field| suppressed.text(field))
    }

    /// What `data.click`, else `data.open`, says. Empty if there is neither: opens often come without.
    pub fn interaction(&self) -> Interaction {
        let Some(said) = ["click", "open"].iter().find_map(|name| self.data.object(name)) else {
            return Interaction::default();
        };
        Interaction {
            at: time(&said, "timestamp"),
            link: said.text("link"),
            agent: said.raw("userAgent").and_then(text_of),
            ip: said.text("ipAddress"),
        }
    }

    /// The sender as it stands in the mail: `Name <address>`.
    pub fn from_text(&self) -> Option<String> {
        self.data.text("from")
    }

    /// Why an email could not be sent, for `email.failed`: `reached_daily_quota`, `domain_not_verified` and so on.
    pub fn failed_because(&self) -> Option<String> {
        self.data.object("failed")?.text("reason")
    }

    /// The broadcast that the email is part of.
    pub fn broadcast_id(&self) -> Option<String> {
        self.data.id("broadcast_id")
    }

    /// The template that the email was made from.
    pub fn template_id(&self) -> Option<String> {
        self.data.id("template_id")
    }

    /// The name of the domain or other resource that the event is about.
    pub fn resource_name(&self) -> Option<String> {
        self.data.text("name")
    }

    /// The status of the resource: of a domain `verified`, `pending`, `temporary_failure` and so on.
    pub fn resource_status(&self) -> Option<String> {
        self.data.text("status")
    }

    /// The address that a contact or a suppression is about, if it is one.
    pub fn address(&self) -> Option<Recipient> {
        match self.contact() {
            Addressees::One(recipient) => Some(recipient),
            Addressees::Nobody | Addressees::Several(_) => None,
        }
    }

    /// Whom a contact or a suppression is about.
    pub fn contact(&self) -> Addressees {
        Addressees::read(self.data.raw("email"))
    }

    /// Whether a contact has unsubscribed from everything.
    pub fn unsubscribed(&self) -> Option<bool> {
        self.data.get("unsubscribed")
    }

    /// Why an address is on Resend's suppression list: `bounce`, `complaint` or `manual`.
    pub fn origin(&self) -> Option<String> {
        self.data.text("origin")
    }

    /// The email that put an address on Resend's suppression list.
    pub fn source_email_id(&self) -> Option<String> {
        self.data.id("source_id")
    }

    /// The id of the resource that the event is about, from which its row's key is made.
    ///
    /// The field depends on the beginning of the type alone, not on the list of known types: a type that a later version
    /// knows must not change the key of a message that is retried across the update.
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
