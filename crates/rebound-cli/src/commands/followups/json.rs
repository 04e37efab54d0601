//! JSON of follow-ups.

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::Item;
use rebound::store::followups::{FollowupRow, SwitchOf};
use serde_json::{Map, Value, json};

/// Attributes that hold JSON as text.
const PARSED: [&str; 2] = ["request", "guards"];

/// A follow-up in a list. Absent fields are left out; `at` is the time of the last change.
pub(super) fn line(row: &FollowupRow) -> Value {
    let state = &row.state;
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("id", Some(json!(row.id)));
    set("email_id", Some(json!(row.email_id)));
    set("status", Some(json!(state.status.as_str())));
    set("mode", Some(json!(row.mode.as_str())));
    set("recipient", row.recipient.as_ref().map(|recipient| json!(recipient.as_str())));
    set("campaign", row.campaign.as_ref().map(|campaign| json!(campaign.as_str())));
    set("not_before", Some(json!(state.not_before.to_text())));
    set("tries", Some(json!(state.tries)));
    set("reason", state.reason.as_ref().map(|reason| json!(reason.to_string())));
    set("unclear", state.is_unclear().then_some(json!(true)));
    set("resend_id", state.resend_id.as_ref().map(|id| json!(id)));
    set("at", state.history.last().map(|line| json!(line.at.to_text())));
    Value::Object(fields)
}

/// The attributes of a row, with `request` and `guards` parsed.
pub(super) fn row(item: &Item) -> Value {
    let mut names: Vec<&String> = item.keys().collect();
    names.sort();
    let fields = names.into_iter().filter_map(|name| {
        let value = value(item.get(name)?);
        let parsed = value.as_str().filter(|_| PARSED.contains(&name.as_str())).and_then(|text| serde_json::from_str(text).ok());
        Some((name.clone(), parsed.unwrap_or(value)))
    });
    Value::Object(fields.collect())
}

/// A switch after a command.
pub(super) fn switch(of: &SwitchOf, is_paused: bool) -> Value {
    match of {
        SwitchOf::All => json!({ "paused": is_paused }),
        SwitchOf::Campaign(campaign) => json!({ "campaign": campaign.as_str(), "paused": is_paused }),
    }
}

fn value(attribute: &AttributeValue) -> Value {
    match attribute {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(digits) => digits.parse::<i64>().map_or_else(|_| json!(digits), |number| json!(number)),
        AttributeValue::Bool(truth) => json!(truth),
        AttributeValue::Ss(texts) => json!(texts),
        AttributeValue::L(list) => list.iter().map(value).collect(),
        AttributeValue::M(map) => row(map),
        _ => Value::Null,
    }
}
