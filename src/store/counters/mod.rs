//! The counters in the campaigns table. Each webhook is counted exactly once, however often it is delivered.

mod counted_state;
mod dedup;
mod late;
mod pending;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use self::dedup::{DedupRecord, dedup_records};
pub use self::late::add_late;
use self::pending::PendingWrites;
pub use self::view::cohort_figures;
use super::client::RetryClient;
use super::error::DynamoDbError;
use super::{Item, text};
use crate::aws::CallError;
use crate::policy::counting::{CounterTotals, Increment};
use crate::resend::campaign::{Campaign, Cohort};

/// Maximum number of cohorts and late sums that one transaction adds to, and of dedup records that it writes. A
/// transaction holds 100 items at most. A record that moves a count writes two more items, and adds to one more cohort.
const MAX_TARGETS: usize = 30;
const MAX_RECORDS: usize = 16;

/// The campaigns table.
#[derive(Clone, Debug)]
pub struct Campaigns {
    pub(super) calls: RetryClient,
    pub(super) table: String,
}

impl Campaigns {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
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
            let dedup_records: Vec<(String, DedupRecord)> = dedup_records(part).into_iter().collect();
            for chunk in dedup_records.chunks(MAX_RECORDS) {
                self.count_some(campaign, chunk, added).await?;
            }
        }
        Ok(())
    }

    async fn count_some(
        &self,
        campaign: &Campaign,
        dedup_records: &[(String, DedupRecord)],
        added: &mut Vec<(Cohort, CounterTotals)>,
    ) -> Result<(), CallError> {
        let mut backoff = self.calls.backoff();
        loop {
            let mut seen = self.read_state(campaign, dedup_records).await?;
            if let Err(error) = self.read_missing(campaign, &mut seen).await {
                backoff.wait(error).await?;
                continue;
            }
            let mut pending = PendingWrites::default();
            for (key, record) in dedup_records {
                self.add_record(campaign, key, record, &seen, &mut pending)?;
            }
            if pending.items.is_empty() {
                return self.wait_for(campaign, &pending.counted, backoff).await;
            }
            self.add_all(campaign, &seen, &mut pending)?;
            match self.calls.transact(pending.items).await {
                Ok(Ok(())) => {
                    added.extend(pending.cohorts);
                    return self.wait_for(campaign, &pending.counted, backoff).await;
                }
                Ok(Err(_)) => {
                    backoff
                        .wait(DynamoDbError::Busy("other writers kept changing the same counters".to_owned()))
                        .await?
                }
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    pub(super) fn key(&self, campaign: &Campaign, cohort: &str) -> Item {
        Item::from([("campaign".to_owned(), text(campaign.as_str())), ("cohort".to_owned(), text(cohort))])
    }
}

/// Splits the counts into parts, each of which adds to at most [`MAX_TARGETS`] cohorts and late sums.
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
            Some(part) if added_to.len() <= MAX_TARGETS => part.extend(counts),
            _ => {
                added_to = BTreeSet::from(these);
                parts.push(counts);
            }
        }
    }
    parts
}
