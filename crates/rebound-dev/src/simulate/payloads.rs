//! The bodies of webhooks, in the shapes that Resend's have: today's, and older ones.

use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};

/// A mail program on a phone: a person.
pub const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                         Version/18.5 Mobile/15E148 Safari/604.1";

/// Google's image proxy, which fetches when a person looks.
pub const GOOGLE: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";

/// Apple's privacy proxy, which fetches whether or not anybody looks.
pub const APPLE: &str = "Mozilla/5.0";

/// What all webhooks about an email say of it.
#[derive(Clone, Debug)]
pub struct EmailFields<'a> {
    /// The email.
    pub email_id: &'a str,
    /// When it was created.
    pub created_at: UnixMillis,
    /// To whom it went.
    pub to: &'a [String],
    /// The campaign that its tag names.
    pub campaign: &'a str,
    /// Whether the tags are an array, as in older webhooks.
    pub old_tags: bool,
}

impl EmailFields<'_> {
    /// The body of an event of this type at this moment, with what its `data` holds besides.
    pub fn event(&self, event_type: &str, at: UnixMillis, extra: Value) -> Vec<u8> {
        let tags = if self.old_tags {
            json!([{ "name": "campaign", "value": self.campaign }, { "name": "kind", "value": "newsletter" }])
        } else {
            json!({ "campaign": self.campaign, "kind": "newsletter" })
        };
        let mut data = json!({
            "created_at": self.created_at.to_text(),
            "email_id": self.email_id,
            "from": "Northwind Garden <news@mail.northwindgarden.example>",
            "to": self.to,
            "subject": "Your bulbs are on their way — \"two\" for one",
            "tags": tags,
        });
        if let (Some(data), Value::Object(extra)) = (data.as_object_mut(), extra) {
            data.extend(extra);
        }
        event(event_type, at, data)
    }
}

/// A body: `type` comes last, as in Resend's.
pub fn event(event_type: &str, at: UnixMillis, data: Value) -> Vec<u8> {
    json!({ "created_at": at.to_text(), "data": data, "type": event_type }).to_string().into_bytes()
}

/// What `data` holds of a bounce. `diagnosis`: one entry for each recipient, or none.
pub fn bounce(bounce_type: &str, sub_type: &str, diagnosis: Option<Vec<String>>) -> Value {
    let mut bounce = Map::from_iter([
        ("message".to_owned(), json!("The recipient's mail server did not take it.")),
        ("type".to_owned(), json!(bounce_type)),
        ("subType".to_owned(), json!(sub_type)),
    ]);
    bounce.extend(diagnosis.map(|diagnosis| ("diagnosticCode".to_owned(), json!(diagnosis))));
    json!({ "bounce": bounce })
}

/// What `data` holds of an open.
pub fn open(at: UnixMillis, agent: &str) -> Value {
    json!({ "open": { "ipAddress": "203.0.113.7", "timestamp": at.to_text(), "userAgent": agent } })
}

/// What `data` holds of a click on the mail's link of this number.
pub fn click(at: UnixMillis, agent: &str, link: usize, ip: &str) -> Value {
    let link = format!("https://northwindgarden.example/bulbs/{link}?utm_source=mail&who=r1");
    json!({ "click": { "ipAddress": ip, "link": link, "timestamp": at.to_text(), "userAgent": agent } })
}
