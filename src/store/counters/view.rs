//! Reads the input of a campaign's brake.

use super::Campaigns;
use super::late::{LATE_END, add_late};
use super::pending::{COMPLAINED_AT, complained_at};
use crate::aws::CallError;
use crate::policy::brake::{BrakeInput, LONG_WINDOW_DAYS, SHORT_WINDOW_HOURS};
use crate::policy::counting::late::LateSends;
use crate::policy::counting::{Counter, CounterTotals};
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::{Item, as_number};
use crate::time::{UnixMillis, days, hours};

/// Maximum number of keys of one BatchGetItem
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>).
const MAX_KEYS: usize = 100;

impl Campaigns {
    /// Returns all cohorts of a campaign that are still stored, the oldest first.
    pub async fn cohorts(&self, campaign: &Campaign) -> Result<Vec<(Cohort, CounterTotals)>, CallError> {
        let partition = ("campaign", campaign.as_str());
        let items = self.calls.query(&self.table, partition, ("cohort", "0", ":"), usize::MAX).await?;
        Ok(items.iter().filter_map(cohort_figures).collect())
    }

    /// Reads the input of a campaign's brake, strongly consistent.
    pub async fn view(&self, campaign: &Campaign, now: UnixMillis) -> Result<BrakeInput, CallError> {
        let from = Cohort::containing(now.minus(days(LONG_WINDOW_DAYS)));
        let from_complaint = complained_at(now.minus(hours(SHORT_WINDOW_HOURS)), "");
        let partition = ("campaign", campaign.as_str());
        // ':' follows '9', so the range ends where the cohorts end. The late sums come right after the complaints: read
        // in one range with them, they cost nothing if there are none.
        let from_cohort = from.to_string();
        let cohorts = self.calls.query(&self.table, partition, ("cohort", &from_cohort, ":"), usize::MAX);
        let others = self.calls.query(&self.table, partition, ("cohort", &from_complaint, LATE_END), usize::MAX);
        let (cohorts, others) = tokio::join!(cohorts, others);
        let (mut cohorts, others) = (cohorts?, others?);
        let mut late = LateSends::default();
        others.iter().for_each(|item| add_late(item, &mut late));
        let older: Vec<Item> = late
            .cohorts_sent_since(from)
            .filter(|cohort| *cohort < from)
            .map(|cohort| self.key(campaign, &cohort.to_string()))
            .collect();
        for chunk in older.chunks(MAX_KEYS) {
            cohorts.extend(self.calls.batch_get(&self.table, chunk.to_vec()).await?);
        }
        Ok(BrakeInput {
            cohorts: cohorts.iter().filter_map(cohort_figures).collect(),
            late,
            complaints: others.iter().filter_map(complaint_time).collect(),
        })
    }
}

/// Reads the counters of a cohort's item. Returns `None` for other items.
pub fn cohort_figures(item: &Item) -> Option<(Cohort, CounterTotals)> {
    let cohort = Cohort::parse(item.get("cohort")?.as_s().ok()?)?;
    let figure = |counter: Counter| Some((counter, as_number(item.get(counter.as_str())?)?));
    Some((cohort, CounterTotals(Counter::ALL.iter().copied().filter_map(figure).collect())))
}

fn complaint_time(item: &Item) -> Option<UnixMillis> {
    let key = item.get("cohort")?.as_s().ok()?.strip_prefix(COMPLAINED_AT)?;
    Some(UnixMillis(key.split('#').next()?.parse().ok()?))
}
