//! What calls cost DynamoDB, in its own units:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>.

use std::ops::AddAssign;

use hyper::body::Bytes;
use serde_json::{Value, json};

/// A sum of what calls cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Of 4 KB each, a half where the read was eventually consistent.
    pub read_units: f64,
    /// Of 1 KB each.
    pub write_units: f64,
}

impl AddAssign for Capacity {
    fn add_assign(&mut self, more: Self) {
        self.read_units += more.read_units;
        self.write_units += more.write_units;
    }
}

/// Whether the units of an operation are write units. `None` where there are none.
fn is_write(operation: &str) -> Option<bool> {
    match operation {
        "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan" => Some(false),
        "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => Some(true),
        _ => None,
    }
}

/// A request's body, asking what it costs. `None` where it does already, or can't.
pub(super) fn ask(operation: &str, body: &[u8]) -> Option<Bytes> {
    is_write(operation)?;
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let fields = request.as_object_mut()?;
    if fields.contains_key("ReturnConsumedCapacity") {
        return None;
    }
    fields.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
    Some(request.to_string().into())
}

/// What a call cost, says its answer.
pub(super) fn answered(operation: &str, body: &[u8]) -> Capacity {
    let mut sum = Capacity::default();
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let (Some(is_write), Some(consumed)) = (is_write(operation), answer.get("ConsumedCapacity")) else { return sum };
    // An object for one table, an array for the tables of a batch or a transaction.
    let tables = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
    for table in tables {
        let units = |field: &str| table.get(field).and_then(Value::as_f64);
        sum += match (units("ReadCapacityUnits"), units("WriteCapacityUnits"), units("CapacityUnits")) {
            // A transaction that is sent again with its token costs reads only.
            (read, write, _) if read.is_some() || write.is_some() => {
                Capacity { read_units: read.unwrap_or_default(), write_units: write.unwrap_or_default() }
            }
            (_, _, units) if is_write => Capacity { write_units: units.unwrap_or_default(), ..Capacity::default() },
            (_, _, units) => Capacity { read_units: units.unwrap_or_default(), ..Capacity::default() },
        };
    }
    sum
}
