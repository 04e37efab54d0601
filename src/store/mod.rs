//! DynamoDB: what the rows look like, and how each is written so that it is right whatever happens in between.
//!
//! - [`row`]: an event's row, and how it stays within one write unit.
//! - [`suppressions`]: a suppression item, to and from what policy knows of a recipient.
//! - [`version`]: the condition of a write over what was read, for every table.
//! - [`mod@write`]: the one write that makes a webhook durable, with the race and crash cases drawn above it.
//! - [`counters`]: a campaign's numbers, counted exactly once.
//! - [`state`]: a campaign's brake, never an older view over a newer.
//! - [`facts`]: what is remembered of a recipient for a while.
//! - [`agenda`]: what has to be looked at again, and when.
//! - [`lifts`]: which webhooks lifted a reason, for whoever wants to undo it.
//! - [`tables`]: their names and keys.
//! - [`timeline`]: the events of one email.
//! - [`outbox`]: what is published, each row by the owner of its claim.
//! - [`alerts`]: the record of each alert.
//! - [`verdicts`]: who opened or clicked.
//! - [`decisions`]: what is decided about it, each happening once.
//! - [`forgotten`]: whoever asked to be forgotten.
//! - [`soft_bounces`]: which emails to a recipient bounced softly, and what follows for the list.
//! - [`followups`]: which follow-ups a recipient has had.
//! - [`opt_outs`]: who clicked an opt-out link lately.
//! - [`budget`]: what asking Claude has cost today.
//! - [`calls`]: DynamoDB's calls, tried again while that may help.
//! - [`mod@operator`]: changes of an operator's, with a note of who made them.
//! - [`failure`]: what an unsuccessful call means, and `patience`: when to try again.

pub mod agenda;
pub mod alerts;
pub mod budget;
pub mod calls;
pub mod counters;
pub mod decisions;
pub mod facts;
pub mod failure;
pub mod followups;
pub mod forgotten;
pub mod lifts;
pub mod operator;
pub mod opt_outs;
pub mod outbox;
mod patience;
pub mod row;
pub mod soft_bounces;
pub mod state;
pub mod suppressions;
pub mod tables;
pub mod timeline;
pub mod verdicts;
pub mod version;
pub mod write;

use aws_sdk_dynamodb::types::AttributeValue;

pub use crate::aws::Item;

/// Only if the events table has a row of this key: what is noted of a row must not bring back one that was deleted.
const THERE: &str = "attribute_exists(email_id)";

/// Only if the events table has no row of this key.
const NOT_THERE: &str = "attribute_not_exists(email_id)";

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The key of an item of the suppressions table: a recipient, or whatever else it is about.
pub fn recipient_key(name: &str) -> Item {
    Item::from([("recipient".to_owned(), text(name))])
}

/// The key of a row of the events table.
fn event_key(partition: &str, event: &str) -> Item {
    Item::from([("email_id".to_owned(), text(partition)), ("event".to_owned(), text(event))])
}

/// A number attribute.
pub fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The number in an attribute; `None` if it holds none.
pub fn as_number(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

/// A text attribute; empty if it is not there.
pub fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}
