//! The mails of the demo, and what Resend says of them.

use rebound::time::UnixMillis;
use serde_json::{Value, json};

/// The campaign that is paused.
pub(super) const LARGE: &str = "spring-bulbs";

/// The campaign that is only slowed.
pub(super) const SMALL: &str = "winter-seeds";

/// The mail that does not arrive, and the one that is only late.
pub(super) const LATE: &str = "never@slowmail.example";
pub(super) const SWIFT: &str = "late@slowmail.example";

/// A mail.
#[derive(Clone, Debug)]
pub(super) struct DemoEmail {
    pub(super) id: String,
    pub(super) to: String,
    pub(super) campaign: Option<&'static str>,
    pub(super) created: UnixMillis,
}

impl DemoEmail {
    /// Mail number so-and-so of a campaign.
    pub(super) fn of_campaign(campaign: &'static str, number: usize, created: UnixMillis) -> Self {
        Self {
            id: format!("{campaign}-{number:04}"),
            to: format!("reader-{number}@{campaign}.example"),
            campaign: Some(campaign),
            created,
        }
    }

    /// A mail that belongs to no campaign.
    pub(super) fn alone(id: &str, to: &str, created: UnixMillis) -> Self {
        Self { id: id.to_owned(), to: to.to_owned(), campaign: None, created }
    }

    /// An event of it, as Resend sends it.
    pub(super) fn event(&self, event_type: &str, at: UnixMillis) -> Value {
        let mut data = json!({
            "email_id": self.id,
            "created_at": self.created.to_text(),
            "from": "Northwind Garden <news@mail.northwindgarden.example>",
            "to": [self.to],
            "subject": "Bulbs to plant before the frost",
        });
        if let (Some(campaign), Some(data)) = (self.campaign, data.as_object_mut()) {
            data.insert("tags".to_owned(), json!({ "campaign": campaign }));
        }
        json!({ "type": event_type, "created_at": at.to_text(), "data": data })
    }

    pub(super) fn hard_bounce(&self, at: UnixMillis) -> Value {
        self.bounce(at, "Permanent", "NoEmail", "smtp; 550 5.1.1")
    }

    pub(super) fn soft_bounce(&self, at: UnixMillis) -> Value {
        self.bounce(at, "Transient", "MailboxFull", "smtp; 452 4.2.2")
    }

    fn bounce(&self, at: UnixMillis, bounce_type: &str, sub_type: &str, code: &str) -> Value {
        let diagnostic = [format!("{code} <{}>", self.to)];
        let bounce = json!({ "type": bounce_type, "subType": sub_type, "diagnosticCode": diagnostic });
        with(self.event("email.bounced", at), "bounce", bounce)
    }

    pub(super) fn failed(&self, at: UnixMillis, reason: &str) -> Value {
        with(self.event("email.failed", at), "failed", json!({ "reason": reason }))
    }
}

/// An event with one more thing in its data.
pub(super) fn with(mut event: Value, name: &str, value: Value) -> Value {
    if let Some(data) = event.get_mut("data").and_then(Value::as_object_mut) {
        data.insert(name.to_owned(), value);
    }
    event
}
