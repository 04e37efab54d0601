//! What the brake is computed from, read back.

use super::{COMPLAINED_AT, Campaigns, complained_at};
use crate::campaign::{Campaign, Cohort};
use crate::policy::brake::{LONG_WINDOW_DAYS, SHORT_WINDOW_HOURS, View};
use crate::policy::counting::{Counter, Figures};
use crate::store::calls::Trouble;
use crate::store::{Item, as_number};
use crate::time::{UnixMillis, days, hours};

impl Campaigns {
    /// All cohorts of a campaign that are still kept, the oldest first.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn cohorts(&self, campaign: &Campaign) -> Result<Vec<(Cohort, Figures)>, Trouble> {
        let partition = ("campaign", campaign.as_str());
        let items = self.calls.range(&self.table, partition, ("cohort", "0", ":"), usize::MAX).await?;
        Ok(items.iter().filter_map(cohort_figures).collect())
    }

    /// What the brake of a campaign is computed from, as it is now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn view(&self, campaign: &Campaign, now: UnixMillis) -> Result<View, Trouble> {
        let from_cohort = Cohort::of(now.minus(days(LONG_WINDOW_DAYS))).to_string();
        let from_complaint = complained_at(now.minus(hours(SHORT_WINDOW_HOURS)), "");
        let partition = ("campaign", campaign.as_str());
        // ':' is what follows '9', and '$' what follows '#', so the ranges end where these kinds of items end.
        let cohorts = self.calls.range(&self.table, partition, ("cohort", &from_cohort, ":"), usize::MAX);
        let complaints =
            self.calls.range(&self.table, partition, ("cohort", &from_complaint, "complained_at$"), usize::MAX);
        let (cohorts, complaints) = tokio::join!(cohorts, complaints);
        let complaints = complaints?;
        Ok(View {
            cohorts: cohorts?.iter().filter_map(cohort_figures).collect(),
            complaints: complaints.iter().filter_map(complaint_time).collect(),
        })
    }
}

pub(crate) fn cohort_figures(item: &Item) -> Option<(Cohort, Figures)> {
    let cohort = Cohort::parse(item.get("cohort")?.as_s().ok()?)?;
    let figure = |counter: Counter| Some((counter, as_number(item.get(counter.as_str())?)?));
    Some((cohort, Figures(Counter::ALL.into_iter().filter_map(figure).collect())))
}

fn complaint_time(item: &Item) -> Option<UnixMillis> {
    let key = item.get("cohort")?.as_s().ok()?.strip_prefix(COMPLAINED_AT)?;
    Some(UnixMillis(key.split('#').next()?.parse().ok()?))
}
