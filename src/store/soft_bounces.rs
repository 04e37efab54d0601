//! The soft bounces of a recipient: one item of the recipients table, `fact` = `soft`.
//!
//! | attribute | value |
//! | --- | --- |
//! | `since` | milliseconds; receipt of the bounce that made the item |
//! | `bounces` | a map by email id: `at`, `message_id`, `delivered` (only if it was delivered) |
//! | `delivered_at` | milliseconds; the newest delivery of any email since then |
//! | `version` | goes up with each write; the next write's condition |
//! | `expires_at` | seconds, DynamoDB's TTL |
//!
//! # Why the two items always agree
//!
//! The suppression is computed from both items and written with both, in one transaction, on the versions of both. So a
//! writer that adds a bounce or a delivery in between makes the other one read both again:
//!
//! ```text
//!   A: a third bounce     reads soft v2, list v7     soft v3 + list v8 {soft_bounce}   ✗ refused: soft is v3
//!   B: a delivery            reads soft v2     soft v3 ✓                               A reads again: no suppression
//! ```

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, Consistency, RetryClient, put_item};
use super::error::DynamoDbError;
use super::suppressions::Suppressions;
use super::version::SeenVersion;
use super::{Item, as_number, fact_key, number, string, text};
use crate::aws::CallError;
use crate::policy::limits::SoftBouncePolicy;
use crate::policy::soft_bounce::{SoftBounce, SoftBounces};
use crate::policy::suppression::Reason;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// The sort key.
const FACT: &str = "soft";

/// Maximum number of recipients of one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
pub const BATCH: usize = 100;

/// Effect of a change on the suppression list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftBounceChange {
    /// No effect.
    Nothing,
    /// The record of `soft_bounce` changed, but it is active, or inactive, as before.
    Noted,
    /// `soft_bounce` is now active, and was not before.
    Suppressed,
    /// `soft_bounce` is no longer active.
    Lifted,
}

/// The part of the recipients table that holds soft bounces, and the suppression list.
#[derive(Clone, Debug)]
pub struct SoftBounceTable {
    calls: RetryClient,
    table: String,
    list: Suppressions,
}

impl SoftBounceTable {
    /// Creates a handle for the table `table` and the suppression list.
    pub fn new(calls: RetryClient, table: impl Into<String>, list: Suppressions) -> Self {
        Self { calls, table: table.into(), list }
    }

    /// Returns the recipients that have soft bounces, out of at most [`BATCH`]. Eventually consistent.
    pub async fn among(&self, recipients: &[&Recipient]) -> Result<Vec<Recipient>, CallError> {
        let keys = recipients.iter().map(|recipient| fact_key(recipient, FACT)).collect();
        let items = self.calls.batch_get_with(Consistency::Eventual, &self.table, keys).await?;
        Ok(items.iter().filter_map(|item| Recipient::parse(string(item, "recipient"))).collect())
    }

    /// Changes a recipient's soft bounces, and the suppression that follows from them. `change` gets the current state
    /// and returns the new one, or `None` to change nothing. Making the same change again changes nothing.
    ///
    /// # Errors
    /// The change may not be made. Making it again is safe.
    pub async fn change(
        &self,
        recipient: &Recipient,
        policy: &SoftBouncePolicy,
        now: UnixMillis,
        change: impl Fn(Option<SoftBounces>) -> Option<SoftBounces>,
    ) -> Result<SoftBounceChange, CallError> {
        let mut backoff = self.calls.backoff();
        loop {
            let item = self.calls.get(&self.table, fact_key(recipient, FACT)).await?;
            let before = item.as_ref().and_then(from_item);
            let Some(after) = change(before.clone()) else { return Ok(SoftBounceChange::Nothing) };
            let known = self.list.find(recipient.as_str()).await?.unwrap_or_default();
            let record = known.suppression.records.get(&Reason::SoftBounce).cloned().unwrap_or_default();
            let merged = known.merged(&after.changes(&record, policy));
            if merged.is_none() && before.as_ref() == Some(&after) {
                return Ok(SoftBounceChange::Nothing);
            }
            let (item, condition) =
                SeenVersion::of(item.as_ref()).overwrite("recipient", to_item(recipient, &after, policy));
            let Some(merged) = merged else {
                match self.calls.put(&self.table, &item, &condition).await? {
                    ConditionalWrite::Applied(()) => return Ok(SoftBounceChange::Nothing),
                    ConditionalWrite::ConditionFailed(_) => {
                        backoff.wait(DynamoDbError::Busy(CONFLICT.to_owned())).await?
                    }
                }
                continue;
            };
            let is_active = merged.suppression.records.get(&Reason::SoftBounce).is_some_and(|one| one.is_active(now));
            let soft = condition.put_in_transaction(&self.table, item);
            let (item, condition) = merged.overwrite(recipient);
            let list = condition.put_in_transaction(&self.list.table, item);
            match self.calls.transact(vec![put_item(soft)?, put_item(list)?]).await {
                Ok(Ok(())) => return Ok(SoftBounceChange::of(record.is_active(now), is_active)),
                Ok(Err(_)) => backoff.wait(DynamoDbError::Busy(CONFLICT.to_owned())).await?,
                Err(error) => backoff.wait(error).await?,
            }
        }
    }
}

/// Error text when other writers are faster.
const CONFLICT: &str = "other writers kept changing the same soft bounces";

impl SoftBounceChange {
    const fn of(was_active: bool, is_active: bool) -> Self {
        match (was_active, is_active) {
            (false, true) => Self::Suppressed,
            (true, false) => Self::Lifted,
            _ => Self::Noted,
        }
    }
}

/// Reads an item. Returns `None` if it is invalid: it is then replaced.
fn from_item(item: &Item) -> Option<SoftBounces> {
    let bounce = |(email, value): (&String, &AttributeValue)| {
        let map = value.as_m().ok()?;
        let at = UnixMillis(map.get("at").and_then(as_number)?);
        let message = MessageId::from_verified(string(map, "message_id"));
        let delivered = map.get("delivered").and_then(|value| value.as_bool().ok()).copied().unwrap_or(false);
        Some((email.clone(), SoftBounce { at, message, delivered }))
    };
    Some(SoftBounces {
        since: UnixMillis(item.get("since").and_then(as_number)?),
        bounces: item.get("bounces")?.as_m().ok()?.iter().filter_map(bounce).collect(),
        delivered_at: item.get("delivered_at").and_then(as_number).map(UnixMillis),
    })
}

fn to_item(recipient: &Recipient, known: &SoftBounces, policy: &SoftBouncePolicy) -> Item {
    let bounce = |(email, bounce): (&String, &SoftBounce)| {
        let mut map = Item::from([
            ("at".to_owned(), number(bounce.at.0)),
            ("message_id".to_owned(), text(bounce.message.as_str())),
        ]);
        if bounce.delivered {
            map.insert("delivered".to_owned(), AttributeValue::Bool(true));
        }
        (email.clone(), AttributeValue::M(map))
    };
    let mut item = fact_key(recipient, FACT);
    item.insert("since".to_owned(), number(known.since.0));
    item.insert("bounces".to_owned(), AttributeValue::M(known.bounces.iter().map(bounce).collect()));
    item.extend(known.delivered_at.map(|at| ("delivered_at".to_owned(), number(at.0))));
    item.insert("expires_at".to_owned(), number(known.expires_at(policy).seconds()));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let bounced = SoftBounces::begun(UnixMillis(5)).bounced("e1", UnixMillis(4), &MessageId::from_verified("m"));
        let both = bounced.clone().bounced("e2", UnixMillis(9), &MessageId::from_verified("n"));
        for known in [bounced, both.delivered("e1", UnixMillis(7))] {
            let item = to_item(&ann, &known, &SoftBouncePolicy::default());
            assert_eq!(from_item(&item), Some(known));
        }
    }

    #[test]
    fn a_mailbox_that_takes_nothing_is_one_small_item() {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let many = (0..500).fold(SoftBounces::begun(UnixMillis(0)), |known, number| {
            let id = format!("0b6f3d52-7a1e-4c55-9c1d-{number:012}");
            known.bounced(&id, UnixMillis(number), &MessageId::from_verified(format!("msg_{number:027}")))
        });
        let item = to_item(&ann, &many, &SoftBouncePolicy::default());
        assert!(super::super::row::item_size(&item) < 8 * 1_024, "{}", super::super::row::item_size(&item));
    }
}
