//! The campaigns table's numbers: counted exactly once, whatever is delivered again.
//!
//! | sort key `cohort` | holds |
//! | --- | --- |
//! | `2026-11-23T13` | the numbers of the emails created in that hour; `version`: a text that is another one whenever webhooks were added to them; `rows`: the sort keys of the ledger rows of the last additions |
//! | `ledger#1795440600#<random>` | messages that were received in those thirty seconds and are counted |
//! | `complained#<email>#<recipient>`, `bounced_hard#…`, `bounced_soft#…` | that this happening is counted, since when and in which cohort |
//! | `complained_at#<ms>#<hash>` | when a counted complaint happened, for the brake |
//! | `state` | the brake: see [`state`](super::state) |
//!
//! # Why it is exact
//!
//! A stream delivers again from the first failure on, with other borders, perhaps out of order; two shards deliver at once; a
//! function dies between any two calls. So a number is only ever added to together with the memory of what was added, in one
//! transaction, on the condition that nothing was added since the memory was read:
//!
//! ```text
//!   batch: m1 m2 m3, received in the same thirty seconds              their ledger            their cohort
//!   ────────────────────────────────────────────────────              ───────────────────     ─────────────────────
//!   read the cohort's version  → none
//!   read the ledger            → nothing
//!   subtract                   → m1 m2 m3 are new
//!   transaction: a row {m1 m2 m3}, cohort + 3 if none        ──────▶  {m1 m2 m3}              delivered 3, version x
//!   ✗ the function dies, or the answer is lost
//!   delivered again: m2 m3 m4
//!   read version, ledger       → x, {m1 m2 m3}
//!   subtract                   → m4 is new
//!   transaction: a row {m4}, cohort + 1 if version x         ──────▶  {m1 m2 m3} {m4}         delivered 4, version y
//!
//!   a second shard, in between: the version is not the one any more; it reads again, and subtracts again
//! ```
//!
//! The transaction is all or nothing, so there is no moment at which a message is remembered but not added, or added but not
//! remembered. A message is of one cohort, so whoever has added it since has moved that cohort's version; and the version is read
//! before the ledger, so that nothing can be added unseen between the two. Where to look follows from the event's row alone, so every
//! delivery of it looks in the same place.
//!
//! # Why a reader who sees half of a transaction counts right
//!
//! Two reads are of two moments, and each may see a transaction half: one of its items as it is after it, and another still as it was
//! before. Writes are refused until all of it is there, reads are not.
//!
//! ```text
//!   transaction T: a row {m1}, cohort + 1 if version x → version y, rows {row of m1}
//!   ✗ the answer is lost; T is still becoming visible
//!   delivered again: m1
//!   read version, rows         → y, {row of m1}
//!   read the ledger            → nothing yet                               it misses a row that the cohort names,
//!   read the row in a transaction: refused while T is under way            so it asks for it in a way that waits for T
//!   again: the row             → m1 is counted
//! ```
//!
//! The other half, a row without its cohort's new version, is harmless to the count: the write is refused. But a brake that is computed
//! then would not have it in its numbers, and nobody would compute it again. So whoever finds something counted already reads its
//! cohort in a transaction too, before the brake is computed: after that, everybody sees all of it.
//!
//! A row is written once and never again, so what counting writes does not grow with what was counted before: for a batch of one
//! campaign and hour two items, whatever came in those thirty seconds.
//!
//! A complaint or a bounce counts once per happening, whichever messages tell of it: its memory is an item of its own, which
//! keeps the earliest time and cohort that any of them tells, and moves the count if an earlier one comes later.
//!
//! What it does not cover: an event that is handled again after its own row and the memory of it have expired; and messages that tell
//! of one happening but name different campaigns, which count in both.

mod memory;
mod seen;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use sha2::{Digest, Sha256};

use self::memory::{Memory, happening, memories};
use self::seen::{Seen, addition_of, last_rows, rows_of};
#[cfg(feature = "cli")]
pub(crate) use self::view::cohort_figures;
use super::calls::{Calls, Trouble, put_item, update_item};
use super::failure::Failure;
use super::version::SeenVersion;
use super::{Item, number, text};
use crate::campaign::{Campaign, Cohort};
use crate::policy::brake::LONG_WINDOW_DAYS;
use crate::policy::counting::{Count, Counter, Figures, MessageHash};
use crate::time::{UnixMillis, days};

/// How many cohorts one transaction adds to, and how many memories it writes. It holds 100 items at most; a memory that moves a count
/// writes two more items, and adds to a cohort more.
const COHORTS: usize = 30;
const MEMORIES: usize = 16;

/// How long a cohort's numbers stay: for the same season of the next year.
const COHORT_DAYS: u32 = 400;

/// How much longer a memory stays than the event: what is remembered must not be the first to go.
const LONGER_DAYS: u32 = 7;

/// What begins the sort key of a complaint's time.
const COMPLAINED_AT: &str = "complained_at#";

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    pub(super) calls: Calls,
    pub(super) table: String,
}

/// A transaction in the making: its items, and what each cohort gets.
#[derive(Default)]
struct Tally {
    items: Vec<TransactWriteItem>,
    cohorts: BTreeMap<Cohort, Figures>,
    /// The cohorts that webhooks are added to, on the condition that no others were; and the ledger rows that are put for each.
    of_messages: BTreeMap<Cohort, BTreeSet<String>>,
    /// The items of what is counted already.
    counted: BTreeSet<String>,
}

impl Campaigns {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Counts, for one campaign, what is not counted yet.
    ///
    /// # Errors
    /// Some of it may not be counted. To count all of it again is safe.
    pub async fn count(&self, campaign: &Campaign, counts: &[Count]) -> Result<(), Trouble> {
        let cohorts: BTreeSet<Cohort> = counts.iter().map(|count| count.cohort).collect();
        for some in cohorts.into_iter().collect::<Vec<_>>().chunks(COHORTS) {
            let of_these = counts.iter().filter(|count| some.contains(&count.cohort));
            let memories: Vec<(String, Memory)> = memories(of_these).into_iter().collect();
            for some in memories.chunks(MEMORIES) {
                self.count_some(campaign, some).await?;
            }
        }
        Ok(())
    }

    async fn count_some(&self, campaign: &Campaign, memories: &[(String, Memory)]) -> Result<(), Trouble> {
        let mut patience = self.calls.patience();
        loop {
            let mut seen = self.seen(campaign, memories).await?;
            if let Err(failure) = self.read_missing(campaign, &mut seen).await {
                patience.with(failure).await?;
                continue;
            }
            let mut tally = Tally::default();
            for (key, memory) in memories {
                self.remember(campaign, key, memory, &seen, &mut tally)?;
            }
            if tally.items.is_empty() {
                return self.wait_for(campaign, &tally.counted, patience).await;
            }
            for (cohort, figures) in &tally.cohorts {
                let before = seen.cohorts.get(&cohort.to_string());
                let rows = tally.of_messages.get(cohort).map(|rows| (before, rows));
                tally.items.push(self.add(campaign, *cohort, figures, rows)?);
            }
            match self.calls.transact(tally.items).await {
                Ok(Ok(())) => return self.wait_for(campaign, &tally.counted, patience).await,
                Ok(Err(_)) => patience.with(Failure::Busy("others kept counting the same".to_owned())).await?,
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    /// Adds to the tally what must be written for one memory, if anything must.
    fn remember(
        &self,
        campaign: &Campaign,
        key: &str,
        memory: &Memory,
        seen: &Seen,
        tally: &mut Tally,
    ) -> Result<(), Trouble> {
        match memory {
            Memory::Ledger { messages, expires_at } => {
                let known = seen.ledgers.get(key);
                let is_new = |hash: &MessageHash| known.is_none_or(|known| !known.contains(hash));
                let (new, counted): (Vec<_>, Vec<_>) = messages.iter().partition(|(hash, _)| is_new(hash));
                tally.counted.extend(counted.iter().map(|(_, (cohort, _))| cohort.to_string()));
                if new.is_empty() {
                    return Ok(());
                }
                let addition = new.iter().filter_map(|(_, (cohort, _))| seen.cohorts.get(&cohort.to_string()));
                let addition = addition.flat_map(rows_of).map(|row| addition_of(row)).max().map_or(0, |last| last + 1);
                let row = format!("{key}#{addition:08x}{:08x}", fastrand::u32(..));
                for (_, (cohort, counter)) in &new {
                    tally.cohorts.entry(*cohort).or_default().add(*counter, 1);
                    tally.of_messages.entry(*cohort).or_default().insert(row.clone());
                }
                let hashes: Vec<u8> = new.iter().flat_map(|(hash, _)| hash.0).collect();
                let mut item = self.key(campaign, &row);
                item.insert("messages".to_owned(), AttributeValue::B(Blob::new(hashes)));
                item.insert("expires_at".to_owned(), number(forget(*expires_at)));
                let put = Put::builder().table_name(&self.table).set_item(Some(item));
                tally.items.push(put_item(put.condition_expression("attribute_not_exists(campaign)"))?);
            }
            Memory::Happening { counter, at, cohort, expires_at } => {
                let known = seen.happenings.get(key).and_then(happening);
                let told = (*at, *cohort);
                let earliest = known.map_or(told, |known| (known.0.min(told.0), known.1.min(told.1)));
                if known == Some(earliest) {
                    tally.counted.insert(earliest.1.to_string());
                    if *counter == Counter::Complained {
                        tally.counted.insert(complained_at(earliest.0, key));
                    }
                    return Ok(());
                }
                tally.cohorts.entry(earliest.1).or_default().add(*counter, 1);
                if let Some((_, counted_in)) = known {
                    tally.cohorts.entry(counted_in).or_default().add(*counter, -1);
                }
                let mut item = self.key(campaign, key);
                item.insert("at".to_owned(), number(earliest.0.0));
                item.insert("counted_in".to_owned(), text(earliest.1.to_string()));
                item.insert("expires_at".to_owned(), number(forget(*expires_at)));
                let put = Put::builder().table_name(&self.table).set_item(Some(item));
                let put = match known {
                    Some((at, counted_in)) => put
                        .condition_expression("#at = :at AND counted_in = :counted_in")
                        .expression_attribute_names("#at", "at")
                        .expression_attribute_values(":at", number(at.0))
                        .expression_attribute_values(":counted_in", text(counted_in.to_string())),
                    None => put.condition_expression("attribute_not_exists(campaign)"),
                };
                tally.items.push(put_item(put)?);
                if *counter == Counter::Complained && known.map(|known| known.0) != Some(earliest.0) {
                    self.move_complaint(campaign, key, known.map(|known| known.0), earliest.0, tally)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps when a complaint happened, in the order of time, so that the brake reads only the last day's.
    fn move_complaint(
        &self,
        campaign: &Campaign,
        key: &str,
        from: Option<UnixMillis>,
        to: UnixMillis,
        tally: &mut Tally,
    ) -> Result<(), Trouble> {
        if let Some(from) = from {
            let delete = Delete::builder().table_name(&self.table);
            let delete = delete.set_key(Some(self.key(campaign, &complained_at(from, key)))).build();
            let delete = delete.map_err(|error| Trouble::Never(error.to_string()))?;
            tally.items.push(TransactWriteItem::builder().delete(delete).build());
        }
        let mut item = self.key(campaign, &complained_at(to, key));
        // It is of no use to the brake after a day.
        item.insert("expires_at".to_owned(), number(to.plus(days(LONG_WINDOW_DAYS)).seconds()));
        tally.items.push(put_item(Put::builder().table_name(&self.table).set_item(Some(item)))?);
        Ok(())
    }

    /// Adds to a cohort. With the ledger rows that are put for it: on the condition that the cohort is still as it was read.
    fn add(
        &self,
        campaign: &Campaign,
        cohort: Cohort,
        figures: &Figures,
        rows: Option<(Option<&Item>, &BTreeSet<String>)>,
    ) -> Result<TransactWriteItem, Trouble> {
        let key = self.key(campaign, &cohort.to_string());
        let mut update = Update::builder().table_name(&self.table).set_key(Some(key));
        let mut added = Vec::new();
        for (index, (counter, by)) in figures.0.iter().enumerate() {
            added.push(format!("{} :n{index}", counter.as_str()));
            update = update.expression_attribute_values(format!(":n{index}"), number(*by));
        }
        let mut set = "expires_at = :expires_at".to_owned();
        if let Some((before, rows)) = rows {
            set.push_str(", #version = :version, #rows = :rows");
            let unchanged = SeenVersion::of(before).unchanged("campaign");
            update = update
                .set_condition_expression(unchanged.condition.map(str::to_owned))
                .expression_attribute_names("#version", "version")
                .expression_attribute_names("#rows", "rows")
                .expression_attribute_values(":version", text(format!("{:016x}", fastrand::u64(..))))
                .expression_attribute_values(":rows", AttributeValue::Ss(last_rows(before, rows)));
            for (placeholder, name) in unchanged.names {
                update = update.expression_attribute_names(placeholder, name);
            }
            for (placeholder, value) in unchanged.values {
                update = update.expression_attribute_values(placeholder, value);
            }
        }
        let expires_at = cohort.start().plus(days(COHORT_DAYS)).seconds();
        let update = update
            .update_expression(format!("ADD {} SET {set}", added.join(", ")))
            .expression_attribute_values(":expires_at", number(expires_at));
        update_item(update)
    }

    pub(super) fn key(&self, campaign: &Campaign, cohort: &str) -> Item {
        Item::from([("campaign".to_owned(), text(campaign.as_str())), ("cohort".to_owned(), text(cohort))])
    }
}

/// Fifteen digits last until the year 33658, and keep the order of time.
fn complained_at(at: UnixMillis, happening: &str) -> String {
    let digest = Sha256::digest(happening);
    let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let hash = if happening.is_empty() { "" } else { &hash };
    format!("{COMPLAINED_AT}{:015}#{hash}", at.0.max(0))
}

/// When a memory may be forgotten, in seconds.
fn forget(expires_at: UnixMillis) -> i64 {
    expires_at.plus(days(LONGER_DAYS)).seconds()
}
