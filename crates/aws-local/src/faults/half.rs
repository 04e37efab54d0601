//! Transactions that are half visible: for some time, reads see one item of a transaction as it was before, and the
//! others as they are after it.
//!
//! DynamoDB's transactions are all or nothing, but only transactional reads see them so. `GetItem`, `BatchGetItem`,
//! `Query` and `Scan` may read one item before and another after the commit
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-isolation>).
//! Meanwhile DynamoDB rejects a write, or a transactional read, of an uncommitted item as a conflict.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::{Map, Value, json};

/// The visibility of a half-visible transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// Index of the item that becomes visible late. If there are fewer items, the last one.
    pub late: usize,
    /// Duration of the half-visible state.
    pub span: Duration,
    /// Response to the caller of the transaction.
    pub response: HalfResponse,
}

/// Response to the caller of a half-visible transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfResponse {
    /// None: the connection is closed immediately.
    None,
    /// The response, once the whole transaction is visible.
    AfterCommit,
}

/// An item that is not visible yet.
#[derive(Clone, Debug)]
pub(super) struct LateItem {
    pub(super) table: String,
    pub(super) key: Value,
    /// The item before the transaction. `None` if it did not exist.
    pub(super) before: Option<Value>,
    pub(super) until: Instant,
}

/// Reads the tables and the writes of a transaction from its request.
pub(super) fn writes(body: &[u8]) -> Vec<(String, Value)> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
    let writes = items.filter_map(Value::as_object).flatten();
    let writes = writes.filter(|(kind, _)| *kind != "ConditionCheck");
    writes.map(|(_, write)| (table_of(write), write.clone())).collect()
}

/// Returns the key of the item in a request, or in a part of a transaction.
pub(super) fn key_of(write: &Value, names: &[String]) -> Option<Value> {
    let attributes = write.get("Key").or_else(|| write.get("Item"))?;
    names
        .iter()
        .map(|name| Some((name.clone(), attributes.get(name)?.clone())))
        .collect::<Option<Map<_, _>>>()
        .map(Value::Object)
}

fn table_of(request: &Value) -> String {
    request.get("TableName").and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl LateItem {
    /// Returns true if an item, or a request's key, is this item.
    fn is(&self, attributes: Option<&Value>) -> bool {
        let (Some(key), Some(attributes)) = (self.key.as_object(), attributes) else { return false };
        key.iter().all(|(name, value)| attributes.get(name) == Some(value))
    }

    fn is_in(&self, request: &Value) -> bool {
        table_of(request) == self.table && (self.is(request.get("Key")) || self.is(request.get("Item")))
    }

    /// Returns true if a call is rejected while this item is late.
    pub(super) fn refuses(&self, operation: &str, request: &Value) -> bool {
        match operation {
            "PutItem" | "UpdateItem" | "DeleteItem" => self.is_in(request),
            "TransactWriteItems" | "TransactGetItems" => {
                let items = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
                items.filter_map(Value::as_object).flat_map(Map::values).any(|item| self.is_in(item))
            }
            _ => false,
        }
    }

    /// Changes the response to a read while this item is late.
    pub(super) fn show(&self, operation: &str, request: &Value, answer: &mut Value) {
        match operation {
            "GetItem" if self.is_in(request) => {
                if let Some(answer) = answer.as_object_mut() {
                    answer.remove("Item");
                    answer.extend(self.before.clone().map(|before| ("Item".to_owned(), before)));
                }
            }
            "BatchGetItem" => {
                let keys = request.get("RequestItems").and_then(|tables| tables.get(&self.table)?.get("Keys"));
                let is_asked =
                    keys.and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|key| self.is(Some(key))));
                let found = answer.get_mut("Responses").and_then(|tables| tables.get_mut(&self.table));
                if let (true, Some(found)) = (is_asked, found.and_then(Value::as_array_mut)) {
                    found.retain(|item| !self.is(Some(item)));
                    found.extend(self.before.clone());
                }
            }
            "Query" | "Scan" if table_of(request) == self.table => self.show_in_page(operation, request, answer),
            _ => {}
        }
    }

    fn show_in_page(&self, operation: &str, request: &Value, answer: &mut Value) {
        let is_whole = request.get("ExclusiveStartKey").is_none() && answer.get("LastEvaluatedKey").is_none();
        let Some(items) = answer.get_mut("Items").and_then(Value::as_array_mut) else { return };
        let before = items.len();
        match (items.iter().position(|item| self.is(Some(item))), &self.before) {
            (Some(at), Some(item)) => items.splice(at..=at, [item.clone()]).for_each(drop),
            (Some(at), None) => _ = items.remove(at),
            // The transaction deletes the item.
            (None, Some(item)) if operation == "Query" && is_whole => {
                if let Some(sort) = in_range(request, item) {
                    let at = items.iter().position(|other| text_of(other.get(&sort)) > text_of(item.get(&sort)));
                    items.insert(at.unwrap_or(items.len()), item.clone());
                }
            }
            (None, _) => {}
        }
        let (count, differs) = (items.len(), items.len() != before);
        if let (true, Some(answer)) = (differs, answer.as_object_mut()) {
            answer.insert("Count".to_owned(), json!(count));
        }
    }
}

fn text_of(value: Option<&Value>) -> &str {
    value.and_then(|value| value.get("S")).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the name of the sort key if an item is in a query's range. Supports only `#p = :p AND #s BETWEEN :from AND
/// :to`, the only form that Rebound uses.
fn in_range(request: &Value, item: &Value) -> Option<String> {
    let condition = request.get("KeyConditionExpression")?.as_str()?;
    let ["#p", "=", ":p", "AND", "#s", "BETWEEN", ":from", "AND", ":to"] =
        condition.split_whitespace().collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let name = |placeholder: &str| request.get("ExpressionAttributeNames")?.get(placeholder)?.as_str();
    let value = |placeholder: &str| request.get("ExpressionAttributeValues")?.get(placeholder);
    let sort = name("#s")?;
    let is_in = item.get(name("#p")?) == value(":p")
        && (text_of(value(":from"))..=text_of(value(":to"))).contains(&text_of(item.get(sort)));
    is_in.then(|| sort.to_owned())
}

/// Encodes a response body.
pub(super) fn body_of(answer: &Value) -> Bytes {
    Bytes::from(answer.to_string())
}
