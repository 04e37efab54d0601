//! Rows of the events table as stream records, in the format of Lambda
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>), for tests and benchmarks without a stream.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rebound::store::row::{Row, item_size};
use rebound::store::{Item, as_number};
use serde_json::{Map, Value, json};

/// The ARN of the stream, with a dummy account.
const STREAM: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/rebound-events/stream/2026-11-20T00:00:00.000";

/// The invocation event of `protect` for new rows, with sequence numbers from `first` on.
pub fn batch<'a>(rows: impl IntoIterator<Item = &'a Row>, first: u64) -> Value {
    let records: Vec<Value> = rows.into_iter().zip(first..).map(|(row, number)| record(row, number)).collect();
    json!({ "Records": records })
}

/// The stream record of a new row, with the time of its receipt.
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

/// An item as JSON. A row of an event has only strings, numbers and bytes.
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
