//! Rows of the events table as Lambda hands them over from its stream
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>), for what has rows and no stream.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rebound::store::row::{Row, item_size};
use rebound::store::{Item, as_number};
use serde_json::{Map, Value, json};

/// The names that the stack's table and its stream have in an account of nobody's.
const STREAM: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/rebound-events/stream/2026-11-20T00:00:00.000";

/// What `protect` is invoked with when rows were added: each with its sequence number, counted from `first`.
pub fn batch<'a>(rows: impl IntoIterator<Item = &'a Row>, first: u64) -> Value {
    let records: Vec<Value> = rows.into_iter().zip(first..).map(|(row, number)| record(row, number)).collect();
    json!({ "Records": records })
}

/// One record: that a row was added, at the time of its receipt.
fn record(row: &Row, number: u64) -> Value {
    let item = row.item();
    let keys: Item =
        ["email_id", "event"].iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone()))).collect();
    let written = item.get("received_at").and_then(as_number).unwrap_or_default() / 1_000;
    json!({
        "eventID": format!("{number:032x}"),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": written,
            "Keys": image(&keys),
            "NewImage": image(item),
            "SequenceNumber": format!("{number:021}"),
            "SizeBytes": item_size(&keys) + item_size(item),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": STREAM,
    })
}

/// Text, numbers and bytes, which is all that a row of an event has.
fn image(item: &Item) -> Value {
    let attribute = |(name, value): (&String, &AttributeValue)| {
        let value = match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            _ => return None,
        };
        Some((name.clone(), value))
    };
    item.iter().filter_map(attribute).collect::<Map<String, Value>>().into()
}
