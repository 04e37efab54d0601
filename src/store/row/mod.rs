//! An event's row: its key, and the payload within one write unit.
//!
//! The row is the idempotency record, the entry in the email's timeline, and the outbox that feeds the stream. DynamoDB
//! bills writes by begun KB, so a usual row fits in one. The sort key holds the type (stream filters match it by
//! prefix), nothing in the payload is repeated, and a payload that would begin another KB is compressed if that saves
//! one.

use std::borrow::Cow;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};
use strum::IntoStaticStr;

use super::{Item, number, text};
use crate::resend::event::Event;
use crate::resend::signature::MessageId;
use crate::time::{UnixMillis, days};

/// Maximum size of a body that is accepted, in bytes. Svix sends at most about 350 kB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Size that DynamoDB bills as one write, in bytes.
pub const WRITE_UNIT: usize = 1024;

/// Maximum size of a DynamoDB item, in bytes
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html#limits-items>).
const MAX_ITEM: usize = 400 * 1024;

/// Maximum length of a resource id used as partition key, and of a webhook id used unchanged, in bytes. Resend's have
/// 36 and 31. DynamoDB's limits are 2,048 for a partition key and 1,024 for a sort key.
const MAX_ID: usize = 256;

/// Maximum length of a sort key, in bytes: DynamoDB's limit.
const MAX_SORT_KEY: usize = 1024;

/// Number of bytes kept of a body that is too large for an item, before compression.
const HEAD_BYTES: usize = 16 * 1024;

/// zlib's middle level: a higher one takes longer and saves next to nothing on bodies of this size.
const COMPRESSION_LEVEL: u8 = 6;

/// Kind of a row in the events table: the attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum RowKind {
    /// A webhook that was parsed as an event.
    #[strum(serialize = "event")]
    Event,
    /// A signed webhook that cannot be parsed or stored as an event.
    #[strum(serialize = "quarantine")]
    Quarantine,
}

impl RowKind {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Reason why an event cannot be stored as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The type makes the sort key too long.
    #[error("the type is too long for a sort key")]
    TypeTooLong,
    /// The payload does not fit in an item, even compressed.
    #[error("the body is too large for an item")]
    TooLarge,
}

/// Attributes that every row has.
#[derive(Clone, Copy, Debug)]
pub struct RowMeta {
    /// Time of receipt of the webhook.
    pub received_at: UnixMillis,
    /// Retention of the row, in days.
    pub retention_days: u32,
}

/// A row of the events table, ready to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Item);

impl Row {
    /// Creates the row of an event.
    pub fn event(event: &Event<'_>, message: &MessageId, body: &[u8], meta: RowMeta) -> Result<Self, RowError> {
        let usable = |id: &String| id.len() <= MAX_ID;
        let email_id = event.resource_id().filter(usable).unwrap_or_else(|| partition_of(message));
        let sort = format!("{}#{}", event.type_text(), key_text(message));
        if sort.len() > MAX_SORT_KEY {
            return Err(RowError::TypeTooLong);
        }
        let item = with_payload(common(email_id, sort, RowKind::Event, meta), body);
        if item_size(&item) > MAX_ITEM { Err(RowError::TooLarge) } else { Ok(Self(item)) }
    }

    /// Creates the row of a signed webhook that can never be an event: the raw body, or its head and hash if it is too
    /// large.
    ///
    /// Its attributes are those of an event's row, with `kind` = `quarantine`, the sort key `quarantine#<svix-id>`, and
    /// `problem` as text. If the body is too large, `payload` holds its beginning, `payload_bytes` its length, and
    /// `payload_sha256` the hash of the whole body in hex.
    pub fn quarantine(message: &MessageId, body: &[u8], problem: &str, meta: RowMeta) -> Self {
        let sort = format!("quarantine#{}", key_text(message));
        let mut item = common(partition_of(message), sort, RowKind::Quarantine, meta);
        item.insert("problem".to_owned(), text(problem));
        let whole = with_payload(item.clone(), body);
        if item_size(&whole) <= MAX_ITEM {
            return Self(whole);
        }
        item.insert("payload_bytes".to_owned(), number(i64::try_from(body.len()).unwrap_or(i64::MAX)));
        item.insert("payload_sha256".to_owned(), text(hex::encode(Sha256::digest(body))));
        Self(with_payload(item, body.get(..HEAD_BYTES).unwrap_or(body)))
    }

    /// The attributes.
    pub fn item(&self) -> &Item {
        &self.0
    }

    /// Returns true if the item that was read from the table was written by the call that made this row.
    pub(super) fn is_in(&self, stored: &Item) -> bool {
        stored.get("received_at") == self.0.get("received_at") && stored.get("payload") == self.0.get("payload")
    }

    /// Size of the row as DynamoDB bills it, in bytes.
    pub fn size(&self) -> usize {
        item_size(&self.0)
    }
}

/// Reads a row's payload, byte for byte. Returns `None` if the row has no readable payload.
pub fn payload(item: &Item) -> Option<Cow<'_, [u8]>> {
    match item.get("payload")? {
        AttributeValue::S(text) => Some(Cow::Borrowed(text.as_bytes())),
        AttributeValue::B(zlib) => {
            // A body is never larger than the function accepts, so this is the limit of the decompressed size too.
            let limit = MAX_BODY_BYTES;
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(zlib.as_ref(), limit).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

/// Compresses a body as rows hold it.
pub fn compressed(body: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(body, COMPRESSION_LEVEL)
}

/// Reads a row's payload that is text, such as the receipt of a decision. Returns an empty text if there is none.
pub fn payload_text(item: &Item) -> String {
    payload(item).and_then(|payload| String::from_utf8(payload.into_owned()).ok()).unwrap_or_default()
}

fn common(email_id: String, sort: String, kind: RowKind, meta: RowMeta) -> Item {
    let expires_at = meta.received_at.plus(days(meta.retention_days));
    Item::from([
        ("email_id".to_owned(), text(email_id)),
        ("event".to_owned(), text(sort)),
        ("kind".to_owned(), text(kind.as_str())),
        ("received_at".to_owned(), number(meta.received_at.0)),
        ("expires_at".to_owned(), number(expires_at.seconds())),
    ])
}

fn with_payload(mut item: Item, body: &[u8]) -> Item {
    let value = encode_payload(item_size(&item), body);
    item.insert("payload".to_owned(), value);
    item
}

/// Encodes `payload` for an item that has `other_bytes` bytes without it: as text if it is text and costs no more than
/// compressed, else as zlib.
pub(super) fn encode_payload(other_bytes: usize, body: &[u8]) -> AttributeValue {
    let rest = other_bytes + "payload".len();
    let units = |payload_bytes: usize| (rest + payload_bytes).div_ceil(WRITE_UNIT);
    let as_text = std::str::from_utf8(body).ok();
    match as_text {
        Some(plain) if units(plain.len()) == 1 => text(plain),
        _ => {
            let zlib = miniz_oxide::deflate::compress_to_vec_zlib(body, COMPRESSION_LEVEL);
            match as_text {
                Some(plain) if units(plain.len()) <= units(zlib.len()) => text(plain),
                _ => AttributeValue::B(Blob::new(zlib)),
            }
        }
    }
}

fn partition_of(message: &MessageId) -> String {
    format!("message#{}", key_text(message))
}

/// A webhook's id as used in keys: unchanged, or its hash if it is too long.
fn key_text(message: &MessageId) -> Cow<'_, str> {
    let id = message.as_str();
    if id.len() <= MAX_ID {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("sha256-{}", hex::encode(Sha256::digest(id))))
    }
}

/// Size of an item as DynamoDB counts it, rounded up because its rule for numbers is approximate
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
