//! Storing a decision: once for each occurrence; the first writer wins.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};

use super::{Decisions, Occurrence, Outbox, OutboxClaim, StoredDecision, claimed_item};
use crate::aws::CallError;
use crate::store::client::{ConditionalWrite, UpdateExpression, put_item, update_item};
use crate::store::followups::{FollowupSlot, NewFollowup};
use crate::store::forgotten::{self, KEY_ITEM};
use crate::store::opt_outs::no_click_blocks;
use crate::store::row::{encode_payload, item_size};
use crate::store::{number, text};
use crate::time::UnixMillis;

/// Bytes that marking as published adds to a row: `published_at`, and `message_id` with SNS's id of 36 characters.
const MARK_BYTES: usize = 70;

/// Bytes that `claimed_at`, `decided_at` and `nothing_to_publish` add to a row.
const TIME_BYTES: usize = 60;

/// A follow-up that is stored with its decision.
#[derive(Clone, Copy, Debug)]
pub struct DecidedFollowup<'a> {
    /// Its place among the recipient's follow-ups.
    pub slot: &'a FollowupSlot,
    /// The table keys under which the recipient must not be suppressed.
    pub names: &'a [String],
    /// Its row, if Rebound sends it.
    pub scheduled: Option<&'a NewFollowup>,
}

impl Decisions {
    /// Stores a decision of the built-in rules in one write, without a claim. Nothing is written if the occurrence is
    /// claimed or decided. Returns the decision that counts: this one, or the one stored before.
    pub async fn decide_without_claim(
        &self,
        occurrence: &Occurrence,
        decided: &StoredDecision,
        expires_at: UnixMillis,
    ) -> Result<OutboxClaim<StoredDecision>, CallError> {
        let mut item = claimed_item(occurrence, expires_at);
        item.insert("carrier".to_owned(), text(&decided.owner));
        item.insert("decided_at".to_owned(), number(decided.at.0));
        if decided.is_settled {
            item.insert("nothing_to_publish".to_owned(), AttributeValue::Bool(true));
        }
        item.insert("payload".to_owned(), encode_receipt(item_size(&item), decided));
        Ok(match self.outbox.put(&item).await? {
            None => OutboxClaim::Settled(decided.clone()),
            // Stored by another writer, or by our own first try, whose response was lost.
            Some(stored) => StoredDecision::from_item(&stored).map_or(OutboxClaim::HeldByOther, OutboxClaim::Settled),
        })
    }

    /// Stores a decision if there is none. A follow-up is stored together with its slot among the recipient's
    /// follow-ups, and with its row if Rebound sends it. The transaction requires that the recipient is not suppressed
    /// under any of its names, and that no opt-out click blocks a follow-up.
    ///
    /// Returns the decision that counts: this one, or the one stored before. [`OutboxClaim::Acquired`] means that the input
    /// of the guards has changed: the claim stays, and the guards must check again.
    pub async fn decide(
        &self,
        occurrence: &Occurrence,
        decided: &StoredDecision,
        followup: Option<DecidedFollowup<'_>>,
    ) -> Result<OutboxClaim<StoredDecision>, CallError> {
        let (Outbox { calls, table }, change) = (&self.outbox, store_expression(occurrence, decided));
        let Some(DecidedFollowup { slot, names, scheduled }) = followup else {
            return match calls.update(table, occurrence.key(), &change).await? {
                ConditionalWrite::Applied(_) => Ok(OutboxClaim::Settled(decided.clone())),
                // Decided before: by another writer, or by the try whose response was lost.
                ConditionalWrite::ConditionFailed(stored) => {
                    stored_before(stored.as_ref().and_then(StoredDecision::from_item))
                }
            };
        };
        let mut backoff = calls.backoff();
        loop {
            let mut items = vec![
                update_item(change.update_in_transaction(table, occurrence.key()))?,
                put_item(slot.put(&self.recipients))?,
                no_click_blocks(&self.recipients, &slot.recipient, decided.at)?,
            ];
            if let Some(scheduled) = scheduled {
                items.extend(scheduled.puts(&self.outbox.table, &self.agenda)?);
            }
            for name in names {
                items.push(self.not_suppressed(name, decided.at)?);
            }
            match calls.transact(items).await {
                Ok(Ok(())) => return Ok(OutboxClaim::Settled(decided.clone())),
                Ok(Err(refused)) if refused.contains(&0) => return stored_before(self.decided(occurrence).await?),
                Ok(Err(_)) => return Ok(OutboxClaim::Acquired(String::new())),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    fn not_suppressed(&self, name: &str, now: UnixMillis) -> Result<TransactWriteItem, CallError> {
        // If no recipient had been forgotten, none may have been forgotten since.
        if name == KEY_ITEM || forgotten::is_name(name) {
            return forgotten::check_name(&self.suppressions, name);
        }
        let check = ConditionCheck::builder()
            .table_name(&self.suppressions)
            .key("recipient", text(name))
            .condition_expression("attribute_not_exists(reasons) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.0))
            .build();
        let check = check.map_err(|error| CallError::Permanent(error.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

/// Encodes the receipt for a row that has `other_bytes` bytes without it. Reserves room for the marks of a later
/// publication.
fn encode_receipt(other_bytes: usize, decided: &StoredDecision) -> AttributeValue {
    let more = if decided.is_settled { 0 } else { MARK_BYTES };
    encode_payload(other_bytes + more, decided.receipt.as_bytes())
}

/// Builds the update that stores a decision where there is a claim, and no decision yet.
fn store_expression(occurrence: &Occurrence, decided: &StoredDecision) -> UpdateExpression {
    let other_bytes =
        item_size(&claimed_item(occurrence, decided.at)) + "carrier".len() + decided.owner.len() + TIME_BYTES;
    let mut change = UpdateExpression {
        update: "SET payload = :receipt, carrier = :carrier, decided_at = :now".to_owned(),
        condition: Some("attribute_exists(claimed_at) AND attribute_not_exists(decided_at)"),
        names: Vec::new(),
        values: vec![
            (":receipt".to_owned(), encode_receipt(other_bytes, decided)),
            (":carrier".to_owned(), text(&decided.owner)),
            (":now".to_owned(), number(decided.at.0)),
        ],
    };
    if decided.is_settled {
        change.update.push_str(", nothing_to_publish = :settled");
        change.values.push((":settled".to_owned(), AttributeValue::Bool(true)));
    }
    change
}

/// Returns the decision that was stored before.
fn stored_before(decided: Option<StoredDecision>) -> Result<OutboxClaim<StoredDecision>, CallError> {
    decided.map(OutboxClaim::Settled).ok_or_else(|| CallError::Transient("the decision's row was deleted".to_owned()))
}
