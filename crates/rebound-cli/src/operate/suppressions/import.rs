//! Taking over a list: from a CSV, from JSON lines as [`export`](super::export) writes them, or from a bare list of addresses.
//!
//! Each entry is merged, as an event is; so to import the same list twice changes nothing. Whoever was lifted by hand in between stays
//! lifted, and is named.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use rebound::aws::CallError;
use rebound::policy::suppression::{Change, Effect, Reason};
use rebound::resend::recipient::Recipient;
use rebound::store::calls::Change as Condition;
use rebound::store::suppressions::Suppressions;
use rebound::time::UnixMillis;
use serde::Serialize;

use super::List;
pub use super::entry::{Entry, Read, read};
use super::lifted::{Lifted, LiftedByHand, Taken, take};
use crate::operate::audit::{IMPORT, Note};
use crate::operate::check::{Answer, check};
pub use crate::operate::lists::Unreadable;

/// How many entries are merged at once.
const AT_ONCE: usize = 16;

/// What became of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// So many recipients and reasons are new, or newer.
    pub changed: usize,
    /// So many were known.
    pub unchanged: usize,
    /// So many are of people who were forgotten, and stay so.
    pub forgotten: usize,
    /// Those who were lifted since, and are not suppressed.
    pub lifted: Vec<Lifted>,
    /// The lines that can't be read.
    pub unreadable: Vec<Unreadable>,
}

impl Report {
    /// Adds what became of another part of the same list.
    pub fn add(&mut self, part: Self) {
        self.changed += part.changed;
        self.unchanged += part.unchanged;
        self.forgotten += part.forgotten;
        self.lifted.extend(part.lifted);
        self.unreadable.extend(part.unreadable);
    }
}

/// Merges the changes of a list, with one note for all of them, which is kept first. `done` hears of each.
///
/// # Errors
/// Some may not be merged. To import the list again is safe.
pub async fn import(
    list: &List,
    read: Read,
    by_hand: LiftedByHand,
    note: &Note,
    done: impl Fn(),
) -> Result<Report, CallError> {
    if !read.changes.is_empty() {
        keep_note(list, note).await?;
    }
    import_part(list, read, by_hand, note, done).await
}

/// Keeps the note of an import. It comes before what is imported.
///
/// # Errors
/// DynamoDB can't be asked.
pub async fn keep_note(list: &List, note: &Note) -> Result<(), CallError> {
    list.calls.put(&list.events, &note.row(IMPORT, "imported", &[]), &Condition::default()).await.map(drop)
}

/// Merges a part of a list, whose note is kept already.
///
/// # Errors
/// Some may not be merged. To import the list again is safe.
pub async fn import_part(
    list: &List,
    read: Read,
    by_hand: LiftedByHand,
    note: &Note,
    done: impl Fn(),
) -> Result<Report, CallError> {
    let Read { mut changes, unreadable } = read;
    let mut report = Report { unreadable, ..Report::default() };
    if changes.is_empty() {
        return Ok(report);
    }
    let key = list.forgotten_key().await?;
    let key = key.as_ref();
    let forgotten = if key.is_some() { forgotten(list, &changes, note.at).await? } else { BTreeSet::new() };
    let before = changes.len();
    changes.retain(|(recipient, _)| !forgotten.contains(recipient));
    report.forgotten = before - changes.len();

    // What the list itself says to be lifted is as it should be.
    let lifts: BTreeSet<(&Recipient, Reason)> = changes
        .iter()
        .filter(|(_, change)| change.effect == Effect::Lift)
        .map(|(recipient, change)| (recipient, change.reason))
        .collect();
    let table = &Suppressions::new(list.calls.clone(), &list.suppressions);
    let merges: Vec<BoxFuture<'_, Result<Taken, CallError>>> = changes
        .iter()
        .map(|entry| {
            let (recipient, change) = entry;
            let is_lifted_there = lifts.contains(&(recipient, change.reason));
            async move {
                if is_lifted_there {
                    return Ok(table.merge(recipient, key, None, change).await?.into());
                }
                take(list, table, key, entry, change.at != note.at, by_hand, note).await
            }
            .boxed()
        })
        .collect();
    let mut merges = stream::iter(merges).buffer_unordered(AT_ONCE);
    while let Some(taken) = merges.next().await {
        match taken? {
            Taken::Changed => report.changed += 1,
            Taken::Unchanged => report.unchanged += 1,
            Taken::Lifted(lifted) => report.lifted.push(lifted),
            Taken::Forgotten => report.forgotten += 1,
        }
        done();
    }
    report.lifted.sort_by(|one, other| (&one.recipient, one.reason).cmp(&(&other.recipient, other.reason)));
    Ok(report)
}

/// Those of a list who were forgotten.
async fn forgotten(
    list: &List,
    changes: &[(Recipient, Change)],
    now: UnixMillis,
) -> Result<BTreeSet<Recipient>, CallError> {
    let all: Vec<&Recipient> = changes.iter().map(|(recipient, _)| recipient).collect();
    let addresses: Vec<String> = all.iter().map(|recipient| recipient.as_str().to_owned()).collect();
    let answers = check(&list.calls, &list.suppressions, &addresses, now, |_| {}).await?;
    let forgotten = all.into_iter().zip(answers).filter(|(_, answer)| *answer == Answer::Forgotten);
    Ok(forgotten.map(|(recipient, _)| recipient.clone()).collect())
}
