//! Capacity that calls consume, in DynamoDB's units:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use hyper::body::Bytes;
use serde_json::{Value, json};

/// The sum of consumed capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Read units of 4 KB; half a unit if the read was eventually consistent.
    pub read_units: f64,
    /// Write units of 1 KB.
    pub write_units: f64,
    /// Write units of failed conditions, which DynamoDB also bills, by the size of the existing item. The embedded
    /// engine does not report them; each is estimated as 1 KB.
    pub refused_units: f64,
}

impl AddAssign for Capacity {
    fn add_assign(&mut self, more: Self) {
        self.read_units += more.read_units;
        self.write_units += more.write_units;
        self.refused_units += more.refused_units;
    }
}

/// Returns true if an operation consumes write units. `None` if it consumes no units.
fn is_write(operation: &str) -> Option<bool> {
    match operation {
        "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan" => Some(false),
        "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems" => Some(true),
        _ => None,
    }
}

/// Adds `ReturnConsumedCapacity` to a request's body. Returns `None` if the request has it already, or does not support
/// it.
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

/// Consumed capacity by operation and table.
pub type ByTable = BTreeMap<(String, String), Capacity>;

/// Estimates the capacity of a failed condition. Other errors consume none.
pub(super) fn refused(operation: &str, request: &[u8], answer: &[u8]) -> ByTable {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let is = |name: &str| answer.get("__type").and_then(Value::as_str).is_some_and(|code| code.ends_with(name));
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let writes: Vec<(&Value, f64)> = match operation {
        "PutItem" | "UpdateItem" | "DeleteItem" if is("ConditionalCheckFailedException") => vec![(&request, 1.0)],
        "TransactWriteItems" if is("TransactionCanceledException") => {
            let items = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_object).flat_map(|item| item.values()).map(|write| (write, 2.0)).collect()
        }
        _ => Vec::new(),
    };
    let mut sums = ByTable::new();
    for (write, refused_units) in writes {
        add(&mut sums, operation, write, Capacity { refused_units, ..Capacity::default() });
    }
    sums
}

fn add(sums: &mut ByTable, operation: &str, of_table: &Value, cost: Capacity) {
    let table = of_table.get("TableName").and_then(Value::as_str).unwrap_or_default();
    *sums.entry((operation.to_owned(), table.to_owned())).or_default() += cost;
}

/// Reads the consumed capacity from a response.
pub(super) fn answered(operation: &str, body: &[u8]) -> ByTable {
    let mut sums = ByTable::new();
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let (Some(is_write), Some(consumed)) = (is_write(operation), answer.get("ConsumedCapacity")) else { return sums };
    // An object for one table, an array for the tables of a batch or a transaction.
    let tables = consumed.as_array().map_or(std::slice::from_ref(consumed), Vec::as_slice);
    for table in tables {
        let units = |field: &str| table.get(field).and_then(Value::as_f64);
        let cost = match (units("ReadCapacityUnits"), units("WriteCapacityUnits"), units("CapacityUnits")) {
            // A transaction that is repeated with its token consumes only reads.
            (read, write, _) if read.is_some() || write.is_some() => {
                let (read_units, write_units) = (read.unwrap_or_default(), write.unwrap_or_default());
                Capacity { read_units, write_units, ..Capacity::default() }
            }
            (_, _, units) if is_write => Capacity { write_units: units.unwrap_or_default(), ..Capacity::default() },
            (_, _, units) => Capacity { read_units: units.unwrap_or_default(), ..Capacity::default() },
        };
        add(&mut sums, operation, table, cost);
    }
    sums
}
