//! The campaigns table's numbers: counted exactly once, whatever is delivered again.
//!
//! | sort key `cohort` | holds |
//! | --- | --- |
//! | `2026-11-23T13` | the numbers of the emails created in that hour; `version`: a text that is another one whenever webhooks were added to them; `rows`: the sort keys of the ledger rows of the last additions |
//! | `ledger#1795440600#<random>` | messages that were received in those thirty seconds and are counted |
//! | `complained#<email>#<recipient>`, `bounced_hard#…`, `bounced_soft#…` | that this happening is counted, since when and in which cohort |
//! | `late#<hour>#<cohort>` | `sent`: how many emails of the cohort were sent in that hour, where it is more than six hours later: see [`late`](crate::policy::late) |
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

mod late;
mod memory;
mod seen;
mod tally;
mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use self::late::add_late;
use self::memory::{Memory, memories};
use self::tally::Tally;
pub use self::view::cohort_figures;
use super::calls::Calls;
use super::failure::Failure;
use super::{Item, text};
use crate::aws::CallError;
use crate::policy::counting::{Count, Figures};
use crate::resend::campaign::{Campaign, Cohort};

/// How many cohorts and late sums one transaction adds to, and how many memories it writes. It holds 100 items at most; a memory that
/// moves a count writes two more items, and adds to a cohort more.
const ADDED_TO: usize = 30;
const MEMORIES: usize = 16;

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    pub(super) calls: Calls,
    pub(super) table: String,
}

impl Campaigns {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Counts, for one campaign, what is not counted yet. Puts into `added` what each transaction adds to each cohort, of those before an
    /// error too.
    ///
    /// # Errors
    /// Some of it may not be counted. To count all of it again is safe.
    pub async fn count(
        &self,
        campaign: &Campaign,
        counts: &[Count],
        added: &mut Vec<(Cohort, Figures)>,
    ) -> Result<(), CallError> {
        for part in parts(counts) {
            let memories: Vec<(String, Memory)> = memories(part).into_iter().collect();
            for some in memories.chunks(MEMORIES) {
                self.count_some(campaign, some, added).await?;
            }
        }
        Ok(())
    }

    async fn count_some(
        &self,
        campaign: &Campaign,
        memories: &[(String, Memory)],
        added: &mut Vec<(Cohort, Figures)>,
    ) -> Result<(), CallError> {
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
            self.add_all(campaign, &seen, &mut tally)?;
            match self.calls.transact(tally.items).await {
                Ok(Ok(())) => {
                    added.extend(tally.cohorts);
                    return self.wait_for(campaign, &tally.counted, patience).await;
                }
                Ok(Err(_)) => patience.with(Failure::Busy("others kept counting the same".to_owned())).await?,
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    pub(super) fn key(&self, campaign: &Campaign, cohort: &str) -> Item {
        Item::from([("campaign".to_owned(), text(campaign.as_str())), ("cohort".to_owned(), text(cohort))])
    }
}

/// The counts in parts, each of which adds to at most [`ADDED_TO`] cohorts and late sums.
fn parts(counts: &[Count]) -> Vec<Vec<&Count>> {
    let mut places: BTreeMap<(Cohort, Option<Cohort>), Vec<&Count>> = BTreeMap::new();
    for count in counts {
        places.entry((count.cohort, count.late)).or_default().push(count);
    }
    let mut parts: Vec<Vec<&Count>> = Vec::new();
    let mut added_to = BTreeSet::new();
    for ((cohort, late), counts) in places {
        let these = [(cohort, None), (cohort, late)];
        added_to.extend(these);
        match parts.last_mut() {
            Some(part) if added_to.len() <= ADDED_TO => part.extend(counts),
            _ => {
                added_to = BTreeSet::from(these);
                parts.push(counts);
            }
        }
    }
    parts
}
