//! Storing a decision: once for each occurrence; the first writer wins.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};

use super::{Claim, Decided, Decisions, Happening, Outbox, begun};
use crate::aws::CallError;
use crate::store::calls::{Change, Written, put_item, update_item};
use crate::store::followups::Place;
use crate::store::forgotten::{self, KEY_ITEM};
use crate::store::opt_outs::none_stands;
use crate::store::row::{item_size, payload_beside};
use crate::store::{number, text};
use crate::time::UnixMillis;

/// Bytes that marking as published adds to a row: `published_at`, and `message_id` with SNS's id of 36 characters.
const NOTED: usize = 70;

/// Bytes that `claimed_at`, `decided_at` and `nothing_to_publish` add to a row.
const TIMES: usize = 60;

impl Decisions {
    /// Stores a decision of the built-in rules in one write, without a claim. Nothing is written if the occurrence is
    /// claimed or decided. Returns the decision that counts: this one, or the one stored before.
    pub async fn decide_at_once(
        &self,
        happening: &Happening,
        decided: &Decided,
        expires_at: UnixMillis,
    ) -> Result<Claim<Decided>, CallError> {
        let mut item = begun(happening, expires_at);
        item.insert("carrier".to_owned(), text(&decided.owner));
        item.insert("decided_at".to_owned(), number(decided.at.0));
        if decided.is_settled {
            item.insert("nothing_to_publish".to_owned(), AttributeValue::Bool(true));
        }
        item.insert("payload".to_owned(), receipt_beside(item_size(&item), decided));
        Ok(match self.outbox.put(&item).await? {
            None => Claim::Settled(decided.clone()),
            // Stored by another writer, or by our own first try, whose response was lost.
            Some(stored) => Decided::from_item(&stored).map_or(Claim::HeldByOther, Claim::Settled),
        })
    }

    /// Stores a decision if there is none. A follow-up is stored together with its slot among the recipient's
    /// follow-ups. The transaction requires that the recipient is not suppressed under any of `names`, and that no
    /// opt-out click blocks a follow-up.
    ///
    /// Returns the decision that counts: this one, or the one stored before. [`Claim::Acquired`] means that the input
    /// of the guards has changed: the claim stays, and the guards must check again.
    pub async fn decide(
        &self,
        happening: &Happening,
        decided: &Decided,
        place: Option<(&Place, &[String])>,
    ) -> Result<Claim<Decided>, CallError> {
        let (Outbox { calls, table }, change) = (&self.outbox, storing(happening, decided));
        let Some((place, names)) = place else {
            return match calls.update(table, happening.key(), &change).await? {
                Written::Done(_) => Ok(Claim::Settled(decided.clone())),
                // Decided before: by another writer, or by the try whose response was lost.
                Written::Refused(stored) => as_stored(stored.as_ref().and_then(Decided::from_item)),
            };
        };
        let mut patience = calls.patience();
        loop {
            let mut items = vec![
                update_item(change.of_transaction(table, happening.key()))?,
                put_item(place.put(&self.recipients))?,
                none_stands(&self.recipients, &place.recipient, decided.at)?,
            ];
            for name in names {
                items.push(self.not_suppressed(name, decided.at)?);
            }
            match calls.transact(items).await {
                Ok(Ok(())) => return Ok(Claim::Settled(decided.clone())),
                Ok(Err(refused)) if refused.contains(&0) => return as_stored(self.decided(happening).await?),
                Ok(Err(_)) => return Ok(Claim::Acquired(String::new())),
                Err(failure) => patience.with(failure).await?,
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

/// Encodes the receipt for a row that has `others` bytes without it. Reserves room for the marks of a later
/// publication.
fn receipt_beside(others: usize, decided: &Decided) -> AttributeValue {
    let more = if decided.is_settled { 0 } else { NOTED };
    payload_beside(others + more, decided.receipt.as_bytes())
}

/// Builds the update that stores a decision where there is a claim, and no decision yet.
fn storing(happening: &Happening, decided: &Decided) -> Change {
    let others = item_size(&begun(happening, decided.at)) + "carrier".len() + decided.owner.len() + TIMES;
    let mut change = Change {
        update: "SET payload = :receipt, carrier = :carrier, decided_at = :now".to_owned(),
        condition: Some("attribute_exists(claimed_at) AND attribute_not_exists(decided_at)"),
        names: Vec::new(),
        values: vec![
            (":receipt".to_owned(), receipt_beside(others, decided)),
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
fn as_stored(decided: Option<Decided>) -> Result<Claim<Decided>, CallError> {
    decided.map(Claim::Settled).ok_or_else(|| CallError::Transient("the decision's row was deleted".to_owned()))
}
