//! The bodies of webhooks, in Resend's current and older formats.

use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};

/// User agent of an email app on a phone: a human.
pub const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                         Version/18.5 Mobile/15E148 Safari/604.1";

/// User agent of Google's image proxy, which fetches when a human opens the email.
pub const GOOGLE: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";

/// User agent of Apple's privacy proxy, which fetches even if nobody opens the email.
pub const APPLE: &str = "Mozilla/5.0";

/// The fields of an email that are in all webhooks about it.
#[derive(Clone, Debug)]
pub struct EmailFields<'a> {
    /// The email's id.
    pub email_id: &'a str,
    /// Time of creation.
    pub created_at: UnixMillis,
    /// The recipients.
    pub to: &'a [String],
    /// The campaign, which is in a tag.
    pub campaign: &'a str,
    /// True if the tags are an array, as in older webhooks.
    pub old_tags: bool,
}

impl EmailFields<'_> {
    /// The body of an event of this type at this time, with the fields `extra` in its `data`.
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

/// The body of an event. `type` is the last field, as in Resend's webhooks.
pub fn event(event_type: &str, at: UnixMillis, data: Value) -> Vec<u8> {
    json!({ "created_at": at.to_text(), "data": data, "type": event_type }).to_string().into_bytes()
}

/// The fields of a bounce in `data`. `diagnosis` has one entry for each recipient that it names.
pub fn bounce(bounce_type: &str, sub_type: &str, diagnosis: Option<Vec<String>>) -> Value {
    let mut bounce = Map::from_iter([
        ("message".to_owned(), json!("The recipient's mail server did not take it.")),
        ("type".to_owned(), json!(bounce_type)),
        ("subType".to_owned(), json!(sub_type)),
    ]);
    bounce.extend(diagnosis.map(|diagnosis| ("diagnosticCode".to_owned(), json!(diagnosis))));
    json!({ "bounce": bounce })
}

/// The fields of an open in `data`.
pub fn open(at: UnixMillis, agent: &str) -> Value {
    json!({ "open": { "ipAddress": "203.0.113.7", "timestamp": at.to_text(), "userAgent": agent } })
}

/// The fields of a click in `data`, on the email's link with this number.
pub fn click(at: UnixMillis, agent: &str, link: usize, ip: &str) -> Value {
    let link = format!("https://northwindgarden.example/bulbs/{link}?utm_source=mail&who=r1");
    json!({ "click": { "ipAddress": ip, "link": link, "timestamp": at.to_text(), "userAgent": agent } })
}
