//! The counters in the campaigns table. Each webhook is counted exactly once, however often it is delivered.

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
use crate::policy::counting::{CounterTotals, Increment};
use crate::resend::campaign::{Campaign, Cohort};

/// Maximum number of cohorts and late sums that one transaction adds to, and of dedup records that it writes. A
/// transaction holds 100 items at most. A record that moves a count writes two more items, and adds to one more cohort.
const ADDED_TO: usize = 30;
const MEMORIES: usize = 16;

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    pub(super) calls: Calls,
    pub(super) table: String,
}

impl Campaigns {
    /// Creates a handle for the table `table`.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Counts the events of one campaign that are not counted yet. Appends to `added` the change of each cohort,
    /// including the changes made before an error.
    ///
    /// # Errors
    /// Some of the events may not be counted. Counting all of them again is safe.
    pub async fn count(
        &self,
        campaign: &Campaign,
        counts: &[Increment],
        added: &mut Vec<(Cohort, CounterTotals)>,
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
        added: &mut Vec<(Cohort, CounterTotals)>,
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
                Ok(Err(_)) => {
                    patience.with(Failure::Busy("other writers kept changing the same counters".to_owned())).await?
                }
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    pub(super) fn key(&self, campaign: &Campaign, cohort: &str) -> Item {
        Item::from([("campaign".to_owned(), text(campaign.as_str())), ("cohort".to_owned(), text(cohort))])
    }
}

/// Splits the counts into parts, each of which adds to at most [`ADDED_TO`] cohorts and late sums.
fn parts(counts: &[Increment]) -> Vec<Vec<&Increment>> {
    let mut places: BTreeMap<(Cohort, Option<Cohort>), Vec<&Increment>> = BTreeMap::new();
    for count in counts {
        places.entry((count.cohort, count.late)).or_default().push(count);
    }
    let mut parts: Vec<Vec<&Increment>> = Vec::new();
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
