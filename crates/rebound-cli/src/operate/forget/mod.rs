//! Erases an address on request: every row about it, in every table. Only a keyed hash remains, which suppresses the address
//! ([`forgotten`](rebound::store::forgotten)).
//!
//! - [`redact`]: finds an address in texts, and redacts it.
//! - [`mod@action`]: the action on each row.
//! - `list`: the list, and what is found by its item.
//!
//! # Why no follow-up goes out
//!
//! A try of a follow-up checks the hash in the transaction with which it begins. After the hash, and again at the end, each follow-up of
//! the recipient is emptied by a transition of its own: one that may have been accepted is still recorded as sent, without the address.
//!
//! # Why it may be interrupted
//!
//! The hash is written first, in one transaction with its audit entry, and the address itself is deleted last from the list: so the
//! address is suppressed at every moment. The next run repeats everything in between, and finds the rows that are left. After the hash is
//! written, a change by hand is refused ([`manual_change`](rebound::store::manual_change)). A webhook that arrives during the run, or
//! later, is stored as any other: run the command again.
//!
//! # Why it undoes no concurrent write
//!
//! In a row that concerns other addresses too, only the attributes that contain the address are written, and only if each is unchanged
//! since it was read. If one has changed, the new row is checked. After a write, the row is checked once more for new attributes:
//!
//! ```text
//!   forget:  reads {carrier: c1, refused: "… ann@…"}                    refused = "… forgotten", if it is as read ✓
//!   engage:                                           carrier = c2 ✓     stays
//! ```
//!
//! A row that is to be deleted is deleted whatever was written to it since: its key, or an attribute that never changes, names the address.

pub mod action;
mod folded;
mod followups;
mod hash;
mod list;
pub mod redact;

use std::collections::{BTreeMap, BTreeSet};

use rebound::aws::CallError;
use rebound::aws::tables::TableNames;
use rebound::resend::recipient::Recipient;
use rebound::store::client::{ConditionalWrite, RetryClient};
use rebound::store::timeline::Timeline;
use rebound::store::{Item, string, text};

use self::action::{EraseAction, action, action_if_alone, is_followup_to, redact_attributes};
pub use self::list::waiting_pushes;
use self::redact::Redactor;
use super::audit::{AuditNote, partition};
use super::scan::{ScanFilter, scan};

/// Days for which point-in-time recovery can restore erased data
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html>).
pub const RECOVERABLE_DAYS: u32 = 35;

/// Maximum number of attempts at a row that other writers keep changing.
const MAX_ATTEMPTS: u32 = 20;

/// A failure of `forget`.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A table can't be read or written.
    #[error("{0}; some rows may be erased already: run the command again for the rest")]
    CallError(#[from] CallError),
    /// The note contains the address, which it would keep.
    #[error("the reason contains the address, and the reason is stored: write it without the address")]
    NoteContainsAddress,
    /// The machine provides no random numbers.
    #[error("this machine provides no random numbers, so no key can be created")]
    NoRandomness,
    /// The address can't be searched for.
    #[error("the address can't be searched for: {0}")]
    Pattern(#[from] regex::Error),
}

/// Numbers of rows of a table, by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EraseCounts {
    /// Number of rows that were read.
    pub read: usize,
    /// Number of rows that were deleted.
    pub deleted: usize,
    /// Number of rows of which only the key remains.
    pub emptied: usize,
    /// Number of rows in which the address was redacted.
    pub cut: usize,
}

impl EraseCounts {
    fn add(&mut self, more: Self) {
        self.read += more.read;
        self.deleted += more.deleted;
        self.emptied += more.emptied;
        self.cut += more.cut;
    }
}

/// The mode of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgetMode {
    /// The address is erased.
    Forget,
    /// The rows are only counted.
    DryRun,
}

struct Forgetting<'a> {
    calls: &'a RetryClient,
    tables: &'a TableNames,
    recipient: &'a Recipient,
    redactor: Redactor,
    mode: ForgetMode,
}

/// Erases an address. Returns the row counts of each table. `read` is called with the number of rows that were read.
///
/// # Errors
/// After an error some rows may be erased. Running it again is safe, and erases the rest.
pub async fn forget(
    calls: &RetryClient,
    tables: &TableNames,
    recipient: &Recipient,
    note: &AuditNote,
    mode: ForgetMode,
    read: impl Fn(usize),
) -> Result<BTreeMap<&'static str, EraseCounts>, ForgetError> {
    let redactor = Redactor::new(recipient)?;
    if redactor.is_in(&note.why) || redactor.is_in(&note.by) {
        return Err(ForgetError::NoteContainsAddress);
    }
    let forgetting = Forgetting { calls, tables, recipient, redactor, mode };
    if mode == ForgetMode::Forget {
        forgetting.keep_the_hash(note).await?;
        // First of all: what is still to be sent.
        forgetting.stop_followups(note).await?;
    }
    let mut report = BTreeMap::new();
    let mut recipients = forgetting.recipients(&read).await?;
    let mut agenda = forgetting.agenda(&read).await?;
    report.insert("campaigns", forgetting.keyed(&tables.campaigns, ["campaign", "cohort"], &read).await?);
    let mut events = forgetting.events(note, &read).await?;
    report.insert("suppressions", forgetting.suppressions(&mut events, &read).await?);
    if mode == ForgetMode::Forget {
        forgetting.notes(&mut events).await?;
        forgetting.pushes(&mut agenda).await?;
        // Once more: one that was decided just before the hash.
        forgetting.stop_followups(note).await?;
        let mut late = forgetting.recipients(&|_| {}).await?;
        late.read = 0;
        recipients.add(late);
    }
    report.insert("recipients", recipients);
    report.insert("agenda", agenda);
    report.insert("events", events);
    Ok(report)
}

impl Forgetting<'_> {
    async fn recipients(&self, read: &impl Fn(usize)) -> Result<EraseCounts, ForgetError> {
        let (table, who) = (&self.tables.recipients, self.recipient.as_str());
        let facts = self.calls.query(table, ("recipient", who), ("fact", "!", "~"), usize::MAX).await?;
        let mut counts = EraseCounts { read: facts.len(), ..EraseCounts::default() };
        read(facts.len());
        for fact in &facts {
            self.delete((table, &["recipient", "fact"]), fact, &mut counts).await?;
        }
        Ok(counts)
    }

    /// Deletes the tasks that mention the address. What a person has paused, and the lock of `act`, stay: the address is redacted
    /// in them.
    async fn agenda(&self, read: &impl Fn(usize)) -> Result<EraseCounts, ForgetError> {
        let (table, keys) = (self.tables.agenda.as_str(), ["kind", "due"]);
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in found {
            let stays = |item: &Item| ["switch", "lock"].contains(&string(item, "kind"));
            if !stays(&item) || self.redactor.is_in(string(&item, "due")) {
                self.delete((table, &keys), &item, &mut counts).await?;
                continue;
            }
            let action_of =
                |item: &Item| redact_attributes(item, &self.redactor).map_or(EraseAction::Keep, EraseAction::Redact);
            self.apply_action((table, &keys), item, action_of, &mut counts).await?;
        }
        Ok(counts)
    }

    /// Deletes the rows of a table that mention the address, in their keys or in their few attributes.
    async fn keyed(&self, table: &str, keys: [&str; 2], read: &impl Fn(usize)) -> Result<EraseCounts, ForgetError> {
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in &found {
            self.delete((table, &keys), item, &mut counts).await?;
        }
        Ok(counts)
    }

    /// The items of a table that contain the address.
    async fn mentioning(&self, table: &str, read: &impl Fn(usize)) -> Result<(Vec<Item>, EraseCounts), ForgetError> {
        let mut counts = EraseCounts::default();
        let mut found = Vec::new();
        scan(self.calls, table, &ScanFilter::default(), async |items, number| {
            counts.read += number;
            read(number);
            found.extend(items.into_iter().filter(|item| redact_attributes(item, &self.redactor).is_some()));
            Ok::<(), ForgetError>(())
        })
        .await?;
        Ok((found, counts))
    }

    async fn events(&self, note: &AuditNote, read: &impl Fn(usize)) -> Result<EraseCounts, ForgetError> {
        let rows_of = (self.tables.events.as_str(), ["email_id", "event"].as_slice());
        let mut counts = EraseCounts::default();
        let mut alone = BTreeSet::new();
        let audit = partition(self.recipient.as_str());
        let action_of = |row: &Item| match string(row, "email_id") == audit {
            true => EraseAction::Delete,
            false => action(row, self.recipient, &self.redactor),
        };
        scan(self.calls, rows_of.0, &ScanFilter::default(), async |rows, number| {
            counts.read += number;
            read(number);
            for row in rows {
                if string(&row, "email_id") == audit {
                    self.push_of(&row).await?;
                }
                if is_followup_to(&row, self.recipient) {
                    self.empty_followup(&row, note).await?;
                    counts.emptied += 1;
                    continue;
                }
                if matches!(action_of(&row), EraseAction::Empty(_)) {
                    alone.insert(string(&row, "email_id").to_owned());
                }
                self.apply_action(rows_of, row, action_of, &mut counts).await?;
            }
            Ok::<(), ForgetError>(())
        })
        .await?;
        // Rows about an email that went to this recipient alone do not always contain the address: verdicts, poison events.
        for email in alone {
            for row in Timeline::new(self.calls.clone(), rows_of.0).all(&email).await? {
                let row = match (self.mode, action_of(&row)) {
                    // In a dry run the row is unchanged.
                    (ForgetMode::DryRun, EraseAction::Delete) => continue,
                    (ForgetMode::DryRun, EraseAction::Empty(left) | EraseAction::Redact(left)) => left,
                    _ => row,
                };
                let action_of = |row: &Item| action_if_alone(row, self.recipient, &self.redactor);
                self.apply_action(rows_of, row, action_of, &mut counts).await?;
            }
        }
        Ok(counts)
    }

    /// Applies the action to a row. If another writer changes the row, the action on the new row is applied. The row is counted once, in
    /// a dry run too.
    async fn apply_action(
        &self,
        (table, keys): (&str, &[&str]),
        mut row: Item,
        action_of: impl Fn(&Item) -> EraseAction,
        counts: &mut EraseCounts,
    ) -> Result<(), ForgetError> {
        let mut is_counted = false;
        for _ in 0..MAX_ATTEMPTS {
            let (left, count) = match action_of(&row) {
                EraseAction::Keep => return Ok(()),
                EraseAction::Delete => return self.delete((table, keys), &row, counts).await,
                EraseAction::Empty(left) => (left, &mut counts.emptied),
                EraseAction::Redact(left) => (left, &mut counts.cut),
            };
            if self.mode == ForgetMode::DryRun {
                *count += 1;
                return Ok(());
            }
            row = match self.calls.update_changed(table, keys, &row, &left).await? {
                // Checked again: new attributes may contain the address.
                ConditionalWrite::Applied(now) => {
                    *count += usize::from(!is_counted);
                    is_counted = true;
                    now
                }
                ConditionalWrite::ConditionFailed(Some(now)) => now,
                ConditionalWrite::ConditionFailed(None) => return Ok(()),
            };
        }
        Err(CallError::Transient("other writers kept changing the same row".to_owned()).into())
    }

    async fn delete(
        &self,
        (table, keys): (&str, &[&str]),
        item: &Item,
        counts: &mut EraseCounts,
    ) -> Result<(), ForgetError> {
        if self.mode == ForgetMode::Forget {
            let key = keys.iter().map(|name| ((*name).to_owned(), text(string(item, name)))).collect();
            self.calls.delete(table, key).await?;
        }
        counts.deleted += 1;
        Ok(())
    }
}
