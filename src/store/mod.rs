//! DynamoDB: the items of each table, and the writes that keep them correct under races and crashes.
//!
//! - [`row`]: an event's row, and how it fits one write unit.
//! - [`suppressions`]: a suppression item, converted from and to the policy's types.
//! - [`version`]: optimistic locking, for every table.
//! - [`mod@write`]: the write that stores a webhook, with the race and crash cases drawn above it.
//! - [`counters`]: a campaign's counters, counted exactly once.
//! - [`state`]: a campaign's brake; an older one never replaces a newer one.
//! - [`recipients`]: facts about a recipient, kept for a limited time.
//! - [`act_lock`]: the lock of `act`, with its rate and its rests.
//! - [`agenda`]: scheduled tasks.
//! - [`lifts`]: the webhooks that lifted a reason, to list or undo them.
//! - [`tables`]: names and keys of the tables.
//! - [`timeline`]: the events of one email.
//! - [`outbox`]: rows that are published by the owner of their claim.
//! - [`alerts`]: the record of each alert.
//! - [`verdicts`]: the verdict on each open and click.
//! - [`decisions`]: one decision per occurrence.
//! - [`forgotten`]: recipients who asked to be forgotten.
//! - [`soft_bounces`]: the emails to a recipient that bounced softly, and the suppression that follows.
//! - [`followups`]: the follow-ups of a recipient.
//! - [`opt_outs`]: recent clicks on opt-out links.
//! - [`budget`]: the cost of today's Claude requests.
//! - [`client`]: DynamoDB calls with retries.
//! - [`manual_change`]: an operator's changes, with an audit note.
//! - [`audit`]: the audit entries of changes.
//! - [`opt_out_write`]: a recipient's own opt-out.
//! - [`error`]: the meaning of a failed call, and `backoff`: the time of the next try.

pub mod act_lock;
pub mod agenda;
pub mod alerts;
pub mod audit;
mod backoff;
pub mod budget;
pub mod client;
pub mod counters;
pub mod decisions;
pub mod error;
pub mod followups;
pub mod forgotten;
pub mod lifts;
pub mod manual_change;
pub mod opt_out_write;
pub mod opt_outs;
pub mod outbox;
pub mod recipients;
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
use crate::resend::recipient::Recipient;

/// Condition: the events table has a row with this key. A mark must not recreate a deleted row.
const THERE: &str = "attribute_exists(email_id)";

/// Condition: the events table has no row with this key.
const NOT_THERE: &str = "attribute_not_exists(email_id)";

/// Creates a text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Key of an item of the suppressions table: a recipient, or another name.
pub fn recipient_key(name: &str) -> Item {
    Item::from([("recipient".to_owned(), text(name))])
}

/// Key of an item of the recipients table.
fn fact_key(recipient: &Recipient, fact: &str) -> Item {
    Item::from([("recipient".to_owned(), text(recipient.as_str())), ("fact".to_owned(), text(fact))])
}

/// Key of a row of the events table.
pub fn event_key(partition: &str, event: &str) -> Item {
    Item::from([("email_id".to_owned(), text(partition)), ("event".to_owned(), text(event))])
}

/// Creates a number attribute.
pub fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Reads a number attribute. Returns `None` for other values.
pub fn as_number(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

/// Returns a text attribute, or an empty text if there is none.
pub fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}
