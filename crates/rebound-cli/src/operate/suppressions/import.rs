//! Imports a list: one that [`export`](super::export) wrote, one of [another service](super::meaning), or bare addresses.
//!
//! Each entry is merged, as an event is, so importing the same list twice changes nothing. A recipient who was lifted by hand in between
//! stays lifted, and is reported.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::policy::suppression::{ChangeEffect, ItemChange, Reason};
use rebound::resend::recipient::Recipient;
use rebound::store::client::UpdateExpression;
use rebound::store::suppressions::{EmailKind, Suppressions};
use rebound::time::UnixMillis;
use serde::Serialize;

use super::List;
pub use super::entry::{ListEntry, ListRow};
use super::lifted::{EntryResult, Lifted, LiftedByHand, take};
pub use super::parsed::{ParsedList, read};
use crate::operate::audit::{AuditNote, IMPORT};
use crate::operate::check::{SendCheck, check};
pub use crate::operate::lists::Remark;

/// Maximum number of concurrent merges.
const MAX_CONCURRENT: usize = 16;

/// The result of an import. It is counted in entries, as an export is: an address and a reason, lifted or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Number of entries that are new, or newer.
    pub changed: usize,
    /// Number of entries that were stored already.
    pub unchanged: usize,
    /// Number of entries of erased addresses, which stay erased.
    pub forgotten: usize,
    /// The entries that were lifted since, and are not suppressed.
    pub lifted: Vec<Lifted>,
    /// The lines that can't be read.
    pub unreadable: Vec<Remark>,
    /// The lines that are odd, and were imported nevertheless.
    pub odd: Vec<Remark>,
    /// Numbers of lines that suppress no address, by their meaning.
    pub left_out: BTreeMap<&'static str, usize>,
}

impl ImportReport {
    /// Adds the result of another part of the same list.
    pub fn add(&mut self, part: Self) {
        self.changed += part.changed;
        self.unchanged += part.unchanged;
        self.forgotten += part.forgotten;
        self.lifted.extend(part.lifted);
        self.unreadable.extend(part.unreadable);
        self.odd.extend(part.odd);
        for (word, number) in part.left_out {
            *self.left_out.entry(word).or_default() += number;
        }
    }

    /// Number of entries of the list.
    pub fn entries(&self) -> usize {
        self.changed + self.unchanged + self.forgotten + self.lifted.len()
    }
}

/// Merges the entries of a list, with one audit entry for all of them, which is stored first. `done` is called after each entry.
///
/// # Errors
/// After an error some entries may be merged. Importing the list again is safe.
pub async fn import(
    list: &List,
    read: ParsedList,
    by_hand: LiftedByHand,
    note: &AuditNote,
    done: impl Fn(),
) -> Result<ImportReport, CallError> {
    if !read.entries.is_empty() {
        keep_note(list, note).await?;
    }
    import_part(list, read, by_hand, note, done).await
}

/// Stores the audit entry of an import, before its entries are merged.
pub async fn keep_note(list: &List, note: &AuditNote) -> Result<(), CallError> {
    list.calls.put(&list.events, &note.row(IMPORT, "imported", &[]), &UpdateExpression::default()).await.map(drop)
}

/// Merges a part of a list, whose audit entry is stored already.
pub async fn import_part(
    list: &List,
    read: ParsedList,
    by_hand: LiftedByHand,
    note: &AuditNote,
    done: impl Fn(),
) -> Result<ImportReport, CallError> {
    let ParsedList { mut entries, unreadable, odd, left_out } = read;
    let mut report = ImportReport { unreadable, odd, left_out, ..ImportReport::default() };
    if entries.is_empty() {
        return Ok(report);
    }
    let key = list.forgotten_key().await?;
    let key = key.as_ref();
    let forgotten = if key.is_some() { forgotten(list, &entries, note.at).await? } else { BTreeSet::new() };
    let before = entries.len();
    entries.retain(|entry| !forgotten.contains(&entry.recipient));
    report.forgotten = before - entries.len();

    // A reason that the list itself lifts needs no check.
    let lifts: BTreeSet<(&Recipient, Reason)> = entries
        .iter()
        .flat_map(|entry| entry.changes.iter().map(move |change| (&entry.recipient, change)))
        .filter_map(|(recipient, change)| Some((recipient, change.reason()?)))
        .filter(|(_, change)| change.effect == ChangeEffect::Lift)
        .map(|(recipient, change)| (recipient, change.reason))
        .collect();
    let lifts = &lifts;
    let table = &Suppressions::new(list.calls.clone(), &list.suppressions);
    let merges: Vec<BoxFuture<'_, Result<EntryResult, CallError>>> = entries
        .iter()
        .map(|entry| {
            async move {
                let recipient = &entry.recipient;
                let mut taken = EntryResult::Unchanged;
                for change in &entry.changes {
                    let next = match change {
                        ItemChange::Reason(change) if !lifts.contains(&(recipient, change.reason)) => {
                            take(list, table, key, (recipient, change), change.at != note.at, by_hand, note).await?
                        }
                        change => table.merge(recipient, key, None, change).await?.into(),
                    };
                    taken = taken.and(next);
                }
                Ok(taken)
            }
            .boxed()
        })
        .collect();
    let mut merges = stream::iter(merges).buffer_unordered(MAX_CONCURRENT);
    while let Some(taken) = merges.next().await {
        match taken? {
            EntryResult::Changed => report.changed += 1,
            EntryResult::Unchanged => report.unchanged += 1,
            EntryResult::Lifted(lifted) => report.lifted.push(lifted),
            EntryResult::Forgotten => report.forgotten += 1,
        }
        done();
    }
    report.lifted.sort_by(|one, other| (&one.recipient, one.reason).cmp(&(&other.recipient, other.reason)));
    Ok(report)
}

/// The recipients of a list that were erased.
async fn forgotten(list: &List, entries: &[ListEntry], now: UnixMillis) -> Result<BTreeSet<Recipient>, CallError> {
    let all: Vec<Option<&Recipient>> = entries.iter().map(|entry| Some(&entry.recipient)).collect();
    let answers = check(&list.calls, &list.suppressions, &all, EmailKind::default(), now, |_| {}).await?;
    let forgotten = all.into_iter().zip(answers).filter(|(_, answer)| *answer == SendCheck::Forgotten);
    Ok(forgotten.filter_map(|(recipient, _)| recipient.cloned()).collect())
}
