//! The campaigns table's numbers: counted exactly once, whatever is delivered again.
//!
//! | sort key `cohort` | holds |
//! | --- | --- |
//! | `2026-11-23T13` | the numbers of the emails created in that hour, and `version`: a text that is another one whenever messages were added to them |
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
//! A row is written once and never again, so what counting writes does not grow with what was counted before: for a batch of one
//! campaign and hour two items, whatever came in those thirty seconds.
//!
//! A complaint or a bounce counts once per happening, whichever messages tell of it: its memory is an item of its own, which
//! keeps the earliest time and cohort that any of them tells, and moves the count if an earlier one comes later.
//!
//! What it does not cover: an event that is handled again after its own row and the memory of it have expired; and messages that tell
//! of one happening but name different campaigns, which count in both.

mod memory;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use sha2::{Digest, Sha256};

use self::memory::{Memory, happening, ledger, memories};
#[cfg(feature = "cli")]
pub(crate) use self::view::cohort_figures;
use super::calls::{Calls, Trouble, put_item, update_item};
use super::failure::Failure;
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
    /// The cohorts that messages are added to: on the condition that no others were.
    of_messages: BTreeSet<Cohort>,
}

/// What is remembered, as it was read.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, String>,
    happenings: BTreeMap<String, Item>,
    ledgers: BTreeMap<String, BTreeSet<MessageHash>>,
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
            let seen = self.seen(campaign, memories).await?;
            let mut tally = Tally::default();
            for (key, memory) in memories {
                self.remember(campaign, key, memory, &seen, &mut tally)?;
            }
            if tally.items.is_empty() {
                return Ok(());
            }
            for (cohort, figures) in &tally.cohorts {
                let key = cohort.to_string();
                let version = tally.of_messages.contains(cohort).then(|| seen.versions.get(&key).map(String::as_str));
                tally.items.push(self.add(campaign, *cohort, figures, version)?);
            }
            match self.calls.transact(tally.items).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => patience.with(Failure::Busy("others kept counting the same".to_owned())).await?,
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    /// Reads what is remembered: first the versions, then the ledgers that they guard.
    async fn seen(&self, campaign: &Campaign, memories: &[(String, Memory)]) -> Result<Seen, Trouble> {
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for (key, memory) in memories {
            match memory {
                Memory::Ledger { messages, .. } => keys.extend(messages.values().map(|(cohort, _)| cohort.to_string())),
                Memory::Happening { .. } => _ = keys.insert(key.clone()),
            }
        }
        let keys = keys.iter().map(|key| self.key(campaign, key)).collect();
        let mut seen = Seen::default();
        for item in self.calls.get_all(&self.table, keys).await? {
            let key = super::string(&item, "cohort").to_owned();
            match super::string(&item, "version") {
                "" => _ = seen.happenings.insert(key, item),
                version => _ = seen.versions.insert(key, version.to_owned()),
            }
        }
        for (key, _) in memories.iter().filter(|(_, memory)| matches!(memory, Memory::Ledger { .. })) {
            // '$' is what follows '#'.
            let (from, to) = (format!("{key}#"), format!("{key}$"));
            let partition = ("campaign", campaign.as_str());
            let rows = self.calls.range(&self.table, partition, ("cohort", &from, &to), usize::MAX).await?;
            seen.ledgers.insert(key.clone(), rows.iter().flat_map(ledger).collect());
        }
        Ok(seen)
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
                let new: Vec<_> = messages.iter().filter(|(hash, _)| is_new(hash)).collect();
                if new.is_empty() {
                    return Ok(());
                }
                for (_, (cohort, counter)) in &new {
                    tally.cohorts.entry(*cohort).or_default().add(*counter, 1);
                    tally.of_messages.insert(*cohort);
                }
                let hashes: Vec<u8> = new.iter().flat_map(|(hash, _)| hash.0).collect();
                let mut item = self.key(campaign, &format!("{key}#{:016x}", fastrand::u64(..)));
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

    /// Adds to a cohort. With a `version`: on the condition that it is still the one that was read (`None`: there was none).
    fn add(
        &self,
        campaign: &Campaign,
        cohort: Cohort,
        figures: &Figures,
        version: Option<Option<&str>>,
    ) -> Result<TransactWriteItem, Trouble> {
        let key = self.key(campaign, &cohort.to_string());
        let mut update = Update::builder().table_name(&self.table).set_key(Some(key));
        let mut added = Vec::new();
        for (index, (counter, by)) in figures.0.iter().enumerate() {
            added.push(format!("{} :n{index}", counter.as_str()));
            update = update.expression_attribute_values(format!(":n{index}"), number(*by));
        }
        let mut set = "expires_at = :expires_at".to_owned();
        if let Some(version) = version {
            set.push_str(", #version = :version");
            update = update
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", text(format!("{:016x}", fastrand::u64(..))));
            update = match version {
                Some(seen) => {
                    update.condition_expression("#version = :seen").expression_attribute_values(":seen", text(seen))
                }
                None => update.condition_expression("attribute_not_exists(#version)"),
            };
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
