//! DynamoDB: what the rows look like, and the one write that makes a webhook durable.
//!
//! - [`row`]: an event's row, and how it stays within one write unit.
//! - [`suppressions`]: a suppression item, to and from what policy knows of a recipient.
//! - [`failure`]: what an unsuccessful call means.
//! - [`mod@write`]: the one write, with the race and crash cases drawn above it.

pub mod failure;
pub mod row;
pub mod suppressions;
pub mod write;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the SDK takes and gives it.
pub type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
