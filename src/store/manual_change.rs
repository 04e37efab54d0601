//! An operator's changes of the suppressions. Each is stored in one transaction with an audit note, so neither exists
//! without the other.
//!
//! # Why a recipient who is forgotten meanwhile does not come back
//!
//! Each transaction checks that the recipient was not forgotten; or, if no recipient had been forgotten when it was
//! read, that this is still true. `forget` stores the hash before it reads anything. So a change is either there when
//! `forget` reads, and is erased, or it is rejected.
//!
//! # Why each change is reported correctly
//!
//! ```text
//!   change:  note + item + check ──▶ applied, and the response is lost
//!            the same again      ──▶ rejected, because the note is there: it was applied, by us
//! ```
//!
//! A reader may see the item before the note, or the other way round, so the item names the note: [`NOTED`].
//!
//! A try with an unclear outcome is repeated unchanged before anything is read again: a read could show our own change.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};

use super::backoff::CallBackoff;
use super::client::put_item;
use super::error::DynamoDbError;
use super::forgotten::{self, ErasureKey};
use super::suppressions::{SuppressionItem, Suppressions};
use super::version::SeenVersion;
use super::{Item, NOT_THERE, recipient_key};
use crate::aws::CallError;
use crate::policy::suppression::{ItemChange, SuppressionChange};
use crate::resend::recipient::Recipient;

/// Error text when other writers are faster.
const CONFLICT: &str = "other writers kept changing the same suppression";

/// Attribute of an item: the sort key of the note of its newest change by hand.
pub const NOTED: &str = "noted";

/// Index of the note in a transaction.
const NOTE_INDEX: usize = 0;

/// An operator's change, and the items written with it.
#[derive(Debug)]
pub struct ManualChange<'a> {
    /// The recipient.
    pub recipient: &'a Recipient,
    /// The key of the forgotten recipients, as last read.
    pub key: Option<&'a ErasureKey>,
    /// The events table, and the audit note without the changed reasons.
    pub note: Option<(&'a str, Item)>,
    /// Another item to put.
    pub also: Option<PutBuilder>,
}

/// Result of an operator's change, with the recipient's item after it.
#[derive(Clone, Debug, PartialEq)]
pub enum MergeResult<C = SuppressionChange> {
    /// This call made these changes.
    Made(Vec<C>, SuppressionItem),
    /// There was nothing to change.
    Unchanged(SuppressionItem),
    /// The recipient was forgotten. Nothing was written.
    Forgotten(SuppressionItem),
}

/// Result of a transaction.
enum TransactionResult {
    Applied,
    /// The conditions of these items do not hold. `after_unknown`: an earlier try may have been applied.
    Rejected {
        items: Vec<usize>,
        after_unknown: bool,
    },
}

impl Suppressions {
    /// Merges a change into a recipient's suppression item, unless the recipient was forgotten. Merging it again
    /// changes nothing. `known`: the item, if it was read already.
    ///
    /// # Errors
    /// The change may not be merged. Merging it again is safe.
    pub async fn merge<C: Clone + Into<ItemChange>>(
        &self,
        recipient: &Recipient,
        key: Option<&ErasureKey>,
        known: Option<SuppressionItem>,
        change: &C,
    ) -> Result<MergeResult<C>, CallError> {
        let manual = ManualChange { recipient, key, note: None, also: None };
        self.change(&manual, known, |_| vec![change.clone()]).await
    }

    /// Makes the changes that `changes` derives from the item, with the audit note, unless the recipient was forgotten.
    /// Without changes, nothing is written or noted. `known`: the item, if it was read already.
    ///
    /// # Errors
    /// The changes may not be made. Making them again is safe.
    pub async fn change<C: Clone + Into<ItemChange>>(
        &self,
        manual: &ManualChange<'_>,
        mut known: Option<SuppressionItem>,
        changes: impl Fn(&SuppressionItem) -> Vec<C>,
    ) -> Result<MergeResult<C>, CallError> {
        let recipient = manual.recipient;
        let mut key = manual.key.cloned();
        let mut backoff = self.calls.backoff();
        loop {
            let stored = match known.take() {
                Some(stored) => stored,
                None => self.find(recipient.as_str()).await?.unwrap_or_default(),
            };
            let wanted = changes(&stored);
            let Some(merged) = stored.merged(&wanted) else { return Ok(MergeResult::Unchanged(stored)) };
            let (mut item, condition) = merged.overwrite(recipient);
            let noted = manual.note.as_ref().and_then(|(_, note)| note.get("event").cloned());
            item.extend(noted.map(|event| (NOTED.to_owned(), event)));
            let version = SeenVersion::of(Some(&item));
            let put = condition.put_in_transaction(&self.table, item);
            let check = forgotten::check_not_forgotten(&self.table, recipient, key.as_ref())?;
            let note = manual.note.as_ref().map(|(table, row)| put_note(table, with_reasons(row.clone(), &wanted)));
            let mut items = note.into_iter().collect::<Result<Vec<_>, _>>()?;
            let has_note = !items.is_empty();
            items.push(put_item(put)?);
            let check_at = items.len();
            items.push(check);
            if let Some(also) = &manual.also {
                items.push(put_item(also.clone())?);
            }
            let (refused, after_unknown) = match self.settle(items, &mut backoff).await? {
                TransactionResult::Applied => return Ok(MergeResult::Made(wanted, merged)),
                TransactionResult::Rejected { items, after_unknown } => (items, after_unknown),
            };
            if has_note && refused.contains(&NOTE_INDEX) {
                return Ok(MergeResult::Made(wanted, merged));
            }
            let now = self.find(recipient.as_str()).await?.unwrap_or_default();
            // Without a note, the version shows that the change is ours.
            if after_unknown && !has_note && now.seen == version && now.merged(&wanted).is_none() {
                return Ok(MergeResult::Made(wanted, now));
            }
            if refused.contains(&check_at) {
                if key.is_some() {
                    return Ok(MergeResult::Forgotten(now));
                }
                key = self.forgotten_key().await?;
            }
            known = Some(now);
            backoff.wait(DynamoDbError::Busy(CONFLICT.to_owned())).await?;
        }
    }

    /// Removes a forgotten recipient from the table, by the key that the hash gives, with an audit note. Returns false
    /// if there is no such item.
    ///
    /// # Errors
    /// The item may not be removed. Removing it again is safe.
    pub async fn restore_forgotten(&self, name: &str, events_table: &str, note: &Item) -> Result<bool, CallError> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(recipient_key(name)));
        let delete = delete.condition_expression("attribute_exists(recipient)").build();
        let delete = delete.map_err(|error| CallError::Permanent(error.to_string()))?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.write_once(put_note(events_table, note.clone())?, delete).await
    }

    /// Stores that a recipient was forgotten, with an audit note. Returns false if it was stored before, with its note.
    ///
    /// # Errors
    /// The item may not be stored. Storing it again is safe.
    pub async fn store_forgotten(&self, item: Item, events_table: &str, note: &Item) -> Result<bool, CallError> {
        let put = PutBuilder::default().table_name(&self.table).set_item(Some(item));
        let put = put_item(put.condition_expression("attribute_not_exists(recipient)"))?;
        self.write_once(put_note(events_table, note.clone())?, put).await
    }

    /// Writes an item with its note. Returns false if the item's condition does not hold.
    async fn write_once(&self, note: TransactWriteItem, write: TransactWriteItem) -> Result<bool, CallError> {
        Ok(match self.settle(vec![note, write], &mut self.calls.backoff()).await? {
            TransactionResult::Applied => true,
            TransactionResult::Rejected { items, .. } => items.contains(&NOTE_INDEX),
        })
    }

    /// Sends a transaction, and repeats it unchanged until its outcome is known.
    async fn settle(
        &self,
        items: Vec<TransactWriteItem>,
        backoff: &mut CallBackoff,
    ) -> Result<TransactionResult, CallError> {
        let mut after_unknown = false;
        loop {
            match self.calls.transact(items.clone()).await {
                Ok(Ok(())) => return Ok(TransactionResult::Applied),
                Ok(Err(items)) => return Ok(TransactionResult::Rejected { items, after_unknown }),
                Err(error) => {
                    after_unknown |= matches!(error, DynamoDbError::OutcomeUnknown(_));
                    backoff.wait(error).await?;
                }
            }
        }
    }
}

/// Builds the put of a note, if it does not exist. Its key is unique, so an existing note proves that an earlier try
/// was applied.
fn put_note(events_table: &str, note: Item) -> Result<TransactWriteItem, CallError> {
    let put = PutBuilder::default().table_name(events_table).set_item(Some(note));
    put_item(put.condition_expression(NOT_THERE))
}

/// Adds the changed reasons to a note.
fn with_reasons<C: Clone + Into<ItemChange>>(mut note: Item, changes: &[C]) -> Item {
    let changes: Vec<ItemChange> = changes.iter().cloned().map(Into::into).collect();
    let reasons = changes.iter().filter_map(ItemChange::reason);
    let reasons: Vec<String> = reasons.map(|change| change.reason.as_str().to_owned()).collect();
    if !reasons.is_empty() {
        note.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
    }
    note
}
