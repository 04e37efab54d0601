//! Invocation events of the events table's stream, parsed leniently, and the response to Lambda
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>).

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Item;

/// An invocation event of `protect`.
#[derive(Clone, Debug)]
pub enum Invocation {
    /// Rows that were added to the events table.
    Records(Vec<StreamRecord>),
    /// The schedule's event: process what is due.
    Tick,
}

/// An invocation event of an unknown form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation event is neither a batch of stream records nor {{\"tick\": true}}")]
pub struct InvalidStreamEvent;

impl Invocation {
    /// Reads the event: a stream batch, `{"tick": true}`, or a schedule's own event.
    ///
    /// # Errors
    /// The event has another form.
    pub fn read(event: Value) -> Result<Self, InvalidStreamEvent> {
        let Value::Object(mut event) = event else { return Err(InvalidStreamEvent) };
        if let Some(Value::Array(records)) = event.remove("Records") {
            return Ok(Self::Records(records.into_iter().map(StreamRecord::read).collect()));
        }
        let is = |field: &str, value: Value| event.get(field) == Some(&value);
        if is("tick", true.into()) || is("source", "aws.events".into()) || is("source", "aws.scheduler".into()) {
            Ok(Self::Tick)
        } else {
            Err(InvalidStreamEvent)
        }
    }
}

/// A row that was added, with the attributes that could be read.
#[derive(Clone, Debug, Default)]
pub struct StreamRecord {
    /// The sequence number, by which Lambda is asked to deliver the record again.
    pub sequence_number: String,
    /// The row's keys.
    pub keys: Item,
    /// The row.
    pub row: Item,
}

impl StreamRecord {
    fn read(record: Value) -> Self {
        let Value::Object(mut record) = record else { return Self::default() };
        let Some(Value::Object(mut change)) = record.remove("dynamodb") else { return Self::default() };
        let sequence_number = match change.remove("SequenceNumber") {
            Some(Value::String(number)) => number,
            _ => String::new(),
        };
        let mut item = |field: &str| match change.remove(field) {
            Some(Value::Object(attributes)) => item(attributes),
            _ => Item::new(),
        };
        Self { sequence_number, keys: item("Keys"), row: item("NewImage") }
    }
}

/// Reads texts, numbers and bytes. Rebound reads no other types from a row.
fn item(attributes: Map<String, Value>) -> Item {
    attributes.into_iter().filter_map(|(name, value)| Some((name, attribute(value)?))).collect()
}

fn attribute(value: Value) -> Option<AttributeValue> {
    let Value::Object(value) = value else { return None };
    match value.into_iter().next()? {
        (name, Value::String(text)) if name == "S" => Some(AttributeValue::S(text)),
        (name, Value::String(number)) if name == "N" => Some(AttributeValue::N(number)),
        (name, Value::String(base64)) if name == "B" => {
            Some(AttributeValue::B(Blob::new(STANDARD.decode(base64).ok()?)))
        }
        _ => None,
    }
}

/// The response: the items of the batch to deliver again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResponse {
    /// For a stream, Lambda delivers everything again from the first of them on; for a queue, only these.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<BatchItemFailure>,
}

impl BatchResponse {
    /// Adds an item to deliver again: a record's sequence number, or a queue message's id.
    pub fn retry(&mut self, id: &str) {
        self.failures.push(BatchItemFailure { id: id.to_owned() });
    }
}

/// A stream record or queue message to deliver again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItemFailure {
    /// Its sequence number, or the id of a queue message.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_and_both_forms_of_a_tick_are_read_and_no_others() {
        let batch = json!({ "Records": [{ "dynamodb": {
            "SequenceNumber": "7",
            "Keys": { "email_id": { "S": "e1" } },
            "NewImage": { "received_at": { "N": "5" }, "payload": { "B": "aGk=" }, "odd": { "L": [] }, "broken": { "B": "?" } },
        } }, "nonsense", {}] });
        let Ok(Invocation::Records(records)) = Invocation::read(batch) else { panic!("a batch") };
        assert_eq!(records.len(), 3, "an unreadable record is kept, to be reported");
        assert_eq!(records[0].sequence_number, "7");
        assert_eq!(records[0].keys["email_id"], AttributeValue::S("e1".into()));
        assert_eq!(records[0].row["payload"], AttributeValue::B(Blob::new("hi")));
        assert_eq!(records[0].row.len(), 2);
        for tick in [json!({ "tick": true }), json!({ "source": "aws.events", "detail-type": "Scheduled Event" })] {
            assert!(matches!(Invocation::read(tick), Ok(Invocation::Tick)));
        }
        for other in [json!({}), json!([]), json!({ "tick": "true" }), json!({ "Records": 5 }), json!(null)] {
            assert!(Invocation::read(other.clone()).is_err(), "{other}");
        }
    }

    #[test]
    fn the_answer_is_as_lambda_wants_it() {
        let mut answer = BatchResponse::default();
        answer.retry("7");
        assert_eq!(serde_json::to_value(answer).unwrap(), json!({ "batchItemFailures": [{ "itemIdentifier": "7" }] }));
    }
}
