//! Emails that the stub accepted: its own record, and the events about them.

use std::time::Instant;

use rebound::time::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An email that the stub accepted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AcceptedEmail {
    /// Its id.
    pub id: String,
    /// The request's body.
    pub request: Value,
    /// The request's idempotency key.
    pub idempotency_key: Option<String>,
    /// Time by the stub's clock.
    pub at: UnixMillis,
    /// Real time. Not on the stub's page.
    #[serde(skip, default = "Instant::now")]
    pub moment: Instant,
}

impl AcceptedEmail {
    /// The value of a tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tags = self.request.get("tags")?.as_array()?.iter();
        tags.filter(|tag| tag.get("name").and_then(Value::as_str) == Some(name))
            .find_map(|tag| tag.get("value")?.as_str())
    }

    /// The bodies of the events that follow, with their types: the email was sent and delivered, or suppressed.
    pub(super) fn events(&self, last_event: &str) -> Vec<(&'static str, String)> {
        let types: &[&str] = match last_event {
            "suppressed" => &["email.suppressed"],
            "scheduled" => &["email.scheduled"],
            _ => &["email.sent", "email.delivered"],
        };
        types.iter().map(|event_type| (*event_type, self.event(event_type))).collect()
    }

    fn event(&self, event_type: &str) -> String {
        let at = self.at.to_text();
        let field = |name: &str| self.request.get(name).cloned().unwrap_or_default();
        let to = match field("to") {
            Value::String(one) => json!([one]),
            several => several,
        };
        let tags = field("tags");
        let tag = |tag: &Value| Some((tag.get("name")?.as_str()?.to_owned(), tag.get("value")?.clone()));
        let tags: serde_json::Map<String, Value> = tags.as_array().into_iter().flatten().filter_map(tag).collect();
        let headers = field("headers");
        let header = |(name, value): (&String, &Value)| json!({ "name": name, "value": value });
        let headers: Vec<Value> = headers.as_object().into_iter().flatten().map(header).collect();
        let mut data = json!({
            "email_id": self.id, "message_id": format!("<{}@email.amazonses.com>", self.id), "created_at": at,
            "from": field("from"), "to": to, "subject": field("subject"), "tags": tags, "headers": headers,
        });
        if event_type == "email.suppressed" {
            let why =
                json!({ "message": "The address is on the suppression list.", "type": "OnAccountSuppressionList" });
            data.as_object_mut().and_then(|data| data.insert("suppressed".to_owned(), why));
        }
        json!({ "type": event_type, "created_at": at, "data": data }).to_string()
    }
}

/// The largest number of these moments within a second.
pub(super) fn busiest_second(moments: &[Instant]) -> usize {
    let second = std::time::Duration::from_secs(1);
    let within = |from: &Instant| moments.iter().filter(|at| *at >= from && at.duration_since(*from) < second).count();
    moments.iter().map(within).max().unwrap_or(0)
}
