//! Changes of an operator's to the suppressions: each in one transaction with the note of who made it, so that neither is there without
//! the other. Behind the feature `cli`.
//!
//! # Why nobody comes back who is forgotten meanwhile
//!
//! Each transaction checks that the recipient was not forgotten; or, where nobody ever was when it was looked, that still nobody was.
//! `forget` stores the hash before it reads anything, so a change is either there when `forget` reads, and is erased, or is refused.
//!
//! # Why what was done is told
//!
//! ```text
//!   change:  note + item + check ──▶ done, and the answer is lost
//!            the very same again  ──▶ refused, since the note is there: it was done, by us
//! ```
//!
//! A try whose outcome is unclear is repeated as it was, before anything is read again: what a read shows then may be our own change.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};

use super::calls::put_item;
use super::failure::Failure;
use super::forgotten::{self, ForgottenKey};
use super::patience::Patience;
use super::suppressions::{Stored, Suppressions};
use super::version::SeenVersion;
use super::{Item, NOT_THERE, recipient_key};
use crate::aws::CallError;
use crate::policy::suppression::Change;
use crate::resend::recipient::Recipient;

/// What is said when others write faster than we do.
const OVERTAKEN: &str = "others kept changing the same suppression";

/// The place in a transaction of the note.
const NOTE: usize = 0;

/// A change by hand, and what is written with it.
#[derive(Debug)]
pub struct ByHand<'a> {
    /// Whom it is about.
    pub recipient: &'a Recipient,
    /// The key of those who were forgotten, as last read.
    pub key: Option<&'a ForgottenKey>,
    /// The events table, and the row that tells of the change there, without the reasons that were changed.
    pub note: Option<(&'a str, Item)>,
    /// Another item that is put.
    pub also: Option<PutBuilder>,
}

/// What became of a change by hand, and the recipient's item after it.
#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    /// These changes were made, by this call.
    Made(Vec<Change>, Stored),
    /// There was nothing to change.
    Unchanged(Stored),
    /// The recipient was forgotten. Nothing was written.
    Forgotten(Stored),
}

/// What became of a transaction.
enum Settled {
    Done,
    /// The conditions of these items don't hold. `after_unclear`: an earlier try may have been done.
    Refused {
        items: Vec<usize>,
        after_unclear: bool,
    },
}

impl Suppressions {
    /// Merges a change of a list into what is known of a recipient, unless they were forgotten. Merging it again changes nothing. `known`:
    /// the item, if it was read already.
    ///
    /// # Errors
    /// It may not be merged. To merge it again is safe.
    pub async fn merge(
        &self,
        recipient: &Recipient,
        key: Option<&ForgottenKey>,
        known: Option<Stored>,
        change: &Change,
    ) -> Result<Changed, CallError> {
        let by_hand = ByHand { recipient, key, note: None, also: None };
        self.change(&by_hand, known, |_| vec![change.clone()]).await
    }

    /// Makes the changes that follow from what is known of a recipient, with the note of them, unless they were forgotten. Without changes
    /// nothing is written, and nothing is noted. `known`: the item, if it was read already.
    ///
    /// # Errors
    /// They may not be made. To make them again is safe.
    pub async fn change(
        &self,
        by_hand: &ByHand<'_>,
        mut known: Option<Stored>,
        changes: impl Fn(&Stored) -> Vec<Change>,
    ) -> Result<Changed, CallError> {
        let recipient = by_hand.recipient;
        let mut key = by_hand.key.cloned();
        let mut patience = self.calls.patience();
        loop {
            let stored = match known.take() {
                Some(stored) => stored,
                None => self.find(recipient.as_str()).await?.unwrap_or_default(),
            };
            let wanted = changes(&stored);
            let Some(merged) = stored.merged(&wanted) else { return Ok(Changed::Unchanged(stored)) };
            let (item, condition) = merged.overwrite(recipient);
            let version = SeenVersion::of(Some(&item));
            let put = condition.put_in_transaction(&self.table, item);
            let check = forgotten::check_that_not(&self.table, recipient, key.as_ref())?;
            let note = by_hand.note.as_ref().map(|(table, row)| noted(table, with_reasons(row.clone(), &wanted)));
            let mut items = note.into_iter().collect::<Result<Vec<_>, _>>()?;
            let has_note = !items.is_empty();
            items.push(put_item(put)?);
            let check_at = items.len();
            items.push(check);
            if let Some(also) = &by_hand.also {
                items.push(put_item(also.clone())?);
            }
            let (refused, after_unclear) = match self.settle(items, &mut patience).await? {
                Settled::Done => return Ok(Changed::Made(wanted, merged)),
                Settled::Refused { items, after_unclear } => (items, after_unclear),
            };
            if has_note && refused.contains(&NOTE) {
                return Ok(Changed::Made(wanted, merged));
            }
            let now = self.find(recipient.as_str()).await?.unwrap_or_default();
            // Without a note, the version tells that it is ours.
            if after_unclear && !has_note && now.seen == version && now.merged(&wanted).is_none() {
                return Ok(Changed::Made(wanted, now));
            }
            if refused.contains(&check_at) {
                if key.is_some() {
                    return Ok(Changed::Forgotten(now));
                }
                key = self.forgotten_key().await?;
            }
            known = Some(now);
            patience.with(Failure::Busy(OVERTAKEN.to_owned())).await?;
        }
    }

    /// Lets somebody be written to again who was forgotten, by the name that the hash gives, with the note of it. `false`: nobody of that
    /// name was.
    ///
    /// # Errors
    /// It may not be done. To do it again is safe.
    pub async fn recall(&self, name: &str, events_table: &str, note: &Item) -> Result<bool, CallError> {
        let delete = Delete::builder().table_name(&self.table).set_key(Some(recipient_key(name)));
        let delete = delete.condition_expression("attribute_exists(recipient)").build();
        let delete = delete.map_err(|error| CallError::Permanent(error.to_string()))?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.once(noted(events_table, note.clone())?, delete).await
    }

    /// Stores that somebody was forgotten, with the note of it. `false`: it was stored before, and so was a note.
    ///
    /// # Errors
    /// It may not be done. To do it again is safe.
    pub async fn keep_forgotten(&self, item: Item, events_table: &str, note: &Item) -> Result<bool, CallError> {
        let put = PutBuilder::default().table_name(&self.table).set_item(Some(item));
        let put = put_item(put.condition_expression("attribute_not_exists(recipient)"))?;
        self.once(noted(events_table, note.clone())?, put).await
    }

    /// Writes an item with the note of it. `false`: the item's condition doesn't hold.
    async fn once(&self, note: TransactWriteItem, write: TransactWriteItem) -> Result<bool, CallError> {
        Ok(match self.settle(vec![note, write], &mut self.calls.patience()).await? {
            Settled::Done => true,
            Settled::Refused { items, .. } => items.contains(&NOTE),
        })
    }

    /// Makes a transaction, and makes the same one again until it is known what became of it.
    async fn settle(&self, items: Vec<TransactWriteItem>, patience: &mut Patience) -> Result<Settled, CallError> {
        let mut after_unclear = false;
        loop {
            match self.calls.transact(items.clone()).await {
                Ok(Ok(())) => return Ok(Settled::Done),
                Ok(Err(items)) => return Ok(Settled::Refused { items, after_unclear }),
                Err(failure) => {
                    after_unclear |= matches!(failure, Failure::Unclear(_));
                    patience.with(failure).await?;
                }
            }
        }
    }
}

/// A note, put if it is not there: it has a key of its own, so if it is, an earlier try was done.
fn noted(events_table: &str, note: Item) -> Result<TransactWriteItem, CallError> {
    let put = PutBuilder::default().table_name(events_table).set_item(Some(note));
    put_item(put.condition_expression(NOT_THERE))
}

/// A note with the reasons that were added or lifted.
fn with_reasons(mut note: Item, changes: &[Change]) -> Item {
    let reasons: Vec<String> = changes.iter().map(|change| change.reason.as_str().to_owned()).collect();
    if !reasons.is_empty() {
        note.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
    }
    note
}
