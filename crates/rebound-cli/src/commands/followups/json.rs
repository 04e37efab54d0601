//! JSON of follow-ups.

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::Item;
use rebound::store::followups::SwitchOf;
use serde_json::{Value, json};

/// Attributes that hold JSON as text.
const PARSED: [&str; 2] = ["request", "guards"];

/// The attributes of a row, with `request` and `guards` parsed.
pub(super) fn row(item: &Item) -> Value {
    let mut names: Vec<&String> = item.keys().collect();
    names.sort();
    let fields = names.into_iter().filter_map(|name| {
        let value = value(item.get(name)?);
        let parsed =
            value.as_str().filter(|_| PARSED.contains(&name.as_str())).and_then(|text| serde_json::from_str(text).ok());
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
