//! Erasing everything about an address, on request: every row about it, in every table. What stays is that it must not be written to,
//! under a keyed hash ([`forgotten`](rebound::store::forgotten)).
//!
//! - [`cut`]: finding an address in texts, and cutting it out.
//! - [`mod@fate`]: what becomes of a row.
//!
//! # Why it may be broken off
//!
//! The hash is written first, in one transaction with the note of it, and the address itself goes last from the list, so at no moment may
//! it be written to. Everything in between is done again by the next run, which finds what is left. A change by hand is refused from the
//! hash on ([`manual_change`](rebound::store::manual_change)). A webhook that comes meanwhile, or later, is stored as any other: run it again.
//!
//! # Why it undoes nothing that others write meanwhile
//!
//! Of a row that is not about them alone, only the attributes are written that have the address in them, and only if each is as it was
//! read. If one is not, the row is looked at again as it is by then; and so it is after it was written, for what it has gained:
//!
//! ```text
//!   forget:  reads {carrier: c1, refused: "… ann@…"}                    refused = "… forgotten", if it is as read ✓
//!   engage:                                           carrier = c2 ✓     stays
//! ```
//!
//! A row that goes, goes whatever was written to it meanwhile: its key says whom it is about, or an attribute that never changes.

pub mod cut;
pub mod fate;
mod folded;
mod hash;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use rebound::aws::CallError;
use rebound::resend::recipient::Recipient;
use rebound::store::client::{ConditionalWrite, RetryClient};
use rebound::store::timeline::Timeline;
use rebound::store::{Item, recipient_key, string, text};

use self::cut::Cutter;
use self::fate::{Fate, cut_attributes, fate, fate_in_list, fate_with_all};
pub use self::tables::Tables;
use super::audit::{Note, partition};
use super::scan::{ScanFilter, scan};

/// How many days point-in-time recovery keeps what was there
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html>).
pub const RECOVERABLE_DAYS: u32 = 35;

/// How often a row is looked at again that others keep changing.
const TRIES: u32 = 20;

/// Why somebody can't be forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// A table can't be read or written.
    #[error("{0}; some rows may be erased already: run the command again for the rest")]
    CallError(#[from] CallError),
    /// The note would keep what is to be forgotten.
    #[error("the reason contains the address, and the reason is stored: write it without the address")]
    NoteHasIt,
    /// No random numbers are to be had.
    #[error("this machine provides no random numbers, so no key can be created")]
    NoRandomness,
    /// The address can't be looked for.
    #[error("the address can't be searched for: {0}")]
    Pattern(#[from] regex::Error),
}

/// What became of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// How many were read.
    pub read: usize,
    /// How many are gone.
    pub deleted: usize,
    /// Of how many only the key is left.
    pub emptied: usize,
    /// Of how many the address was cut out.
    pub cut: usize,
}

/// Whether it is done, or only looked what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is done.
    Forget,
    /// It is only looked.
    DryRun,
}

struct Forgetting<'a> {
    calls: &'a RetryClient,
    tables: &'a Tables,
    recipient: &'a Recipient,
    cutter: Cutter,
    mode: Mode,
}

/// Forgets an address. Answers what became of the rows of each table. `read` hears of each row that is read.
///
/// # Errors
/// It may be done in part. To do it again is safe, and does the rest.
pub async fn forget(
    calls: &RetryClient,
    tables: &Tables,
    recipient: &Recipient,
    note: &Note,
    mode: Mode,
    read: impl Fn(usize),
) -> Result<BTreeMap<&'static str, Counts>, ForgetError> {
    let cutter = Cutter::new(recipient)?;
    if cutter.is_in(&note.why) || cutter.is_in(&note.by) {
        return Err(ForgetError::NoteHasIt);
    }
    let forgetting = Forgetting { calls, tables, recipient, cutter, mode };
    if mode == Mode::Forget {
        forgetting.keep_the_hash(note).await?;
    }
    let mut report = BTreeMap::new();
    report.insert("recipients", forgetting.recipients(&read).await?);
    report.insert("agenda", forgetting.keyed(&tables.agenda, ["kind", "due"], &read).await?);
    report.insert("campaigns", forgetting.keyed(&tables.campaigns, ["campaign", "cohort"], &read).await?);
    let mut events = forgetting.events(&read).await?;
    report.insert("suppressions", forgetting.suppressions(&read).await?);
    if mode == Mode::Forget {
        forgetting.notes(&mut events).await?;
    }
    report.insert("events", events);
    Ok(report)
}

impl Forgetting<'_> {
    async fn recipients(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let (table, who) = (&self.tables.recipients, self.recipient.as_str());
        let facts = self.calls.query(table, ("recipient", who), ("fact", "!", "~"), usize::MAX).await?;
        let mut counts = Counts { read: facts.len(), ..Counts::default() };
        read(facts.len());
        for fact in &facts {
            self.delete((table, &["recipient", "fact"]), fact, &mut counts).await?;
        }
        Ok(counts)
    }

    /// A table whose rows about somebody have the address in their keys, or among few attributes: they go.
    async fn keyed(&self, table: &str, keys: [&str; 2], read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in &found {
            self.delete((table, &keys), item, &mut counts).await?;
        }
        Ok(counts)
    }

    /// The items of a table that have the address in them.
    async fn mentioning(&self, table: &str, read: &impl Fn(usize)) -> Result<(Vec<Item>, Counts), ForgetError> {
        let mut counts = Counts::default();
        let mut found = Vec::new();
        scan(self.calls, table, &ScanFilter::default(), async |items, number| {
            counts.read += number;
            read(number);
            found.extend(items.into_iter().filter(|item| cut_attributes(item, &self.cutter).is_some()));
            Ok::<(), ForgetError>(())
        })
        .await?;
        Ok((found, counts))
    }

    async fn events(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let rows_of = (self.tables.events.as_str(), ["email_id", "event"].as_slice());
        let mut counts = Counts::default();
        let mut alone = BTreeSet::new();
        let audit = partition(self.recipient.as_str());
        let fate_of = |row: &Item| match string(row, "email_id") == audit {
            true => Fate::Deleted,
            false => fate(row, self.recipient, &self.cutter),
        };
        scan(self.calls, rows_of.0, &ScanFilter::default(), async |rows, number| {
            counts.read += number;
            read(number);
            for row in rows {
                if matches!(fate_of(&row), Fate::Emptied(_)) {
                    alone.insert(string(&row, "email_id").to_owned());
                }
                self.meets(rows_of, row, fate_of, &mut counts).await?;
            }
            Ok::<(), ForgetError>(())
        })
        .await?;
        // What was made of a mail that went to nobody else has not always the address in it: verdicts, what could not be handled.
        for email in alone {
            for row in Timeline::new(self.calls.clone(), rows_of.0).all(&email).await? {
                let row = match (self.mode, fate_of(&row)) {
                    // A dry run finds it as it was.
                    (Mode::DryRun, Fate::Deleted) => continue,
                    (Mode::DryRun, Fate::Emptied(left) | Fate::Cut(left)) => left,
                    _ => row,
                };
                let fate_of = |row: &Item| fate_with_all(row, self.recipient, &self.cutter);
                self.meets(rows_of, row, fate_of, &mut counts).await?;
            }
        }
        Ok(counts)
    }

    /// The notes of changes by hand that the scan has not seen, because they were put the moment before the hash was.
    async fn notes(&self, counts: &mut Counts) -> Result<(), ForgetError> {
        let table = self.tables.events.as_str();
        for note in Timeline::new(self.calls.clone(), table).all(&partition(self.recipient.as_str())).await? {
            self.delete((table, &["email_id", "event"]), &note, counts).await?;
        }
        Ok(())
    }

    /// The list itself, last: the address, and whatever mentions it.
    async fn suppressions(&self, read: &impl Fn(usize)) -> Result<Counts, ForgetError> {
        let table = self.tables.suppressions.as_str();
        let (found, mut counts) = self.mentioning(table, read).await?;
        for item in found {
            let fate_of = |item: &Item| fate_in_list(item, self.recipient, &self.cutter);
            self.meets((table, &["recipient"]), item, fate_of, &mut counts).await?;
        }
        if self.mode == Mode::Forget {
            // By its key: a scan may not have seen it yet, if it was put the moment before the hash was.
            self.calls.delete(table, recipient_key(self.recipient.as_str())).await?;
        }
        Ok(counts)
    }

    /// Lets a row of a table meet its fate: the one that it has by then, where others change it meanwhile. It is counted when it is
    /// done; in a dry run, when it would be.
    async fn meets(
        &self,
        (table, keys): (&str, &[&str]),
        mut row: Item,
        fate_of: impl Fn(&Item) -> Fate,
        counts: &mut Counts,
    ) -> Result<(), ForgetError> {
        let mut is_counted = false;
        for _ in 0..TRIES {
            let (left, count) = match fate_of(&row) {
                Fate::Kept => return Ok(()),
                Fate::Deleted => return self.delete((table, keys), &row, counts).await,
                Fate::Emptied(left) => (left, &mut counts.emptied),
                Fate::Cut(left) => (left, &mut counts.cut),
            };
            if self.mode == Mode::DryRun {
                *count += 1;
                return Ok(());
            }
            row = match self.calls.update_changed(table, keys, &row, &left).await? {
                // Looked at again: what it has gained meanwhile may have the address in it.
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
        counts: &mut Counts,
    ) -> Result<(), ForgetError> {
        if self.mode == Mode::Forget {
            let key = keys.iter().map(|name| ((*name).to_owned(), text(string(item, name)))).collect();
            self.calls.delete(table, key).await?;
        }
        counts.deleted += 1;
        Ok(())
    }
}
