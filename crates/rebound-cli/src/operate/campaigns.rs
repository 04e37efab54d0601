//! The campaigns: their cohorts, their rates and their brakes.

use std::collections::{BTreeMap, HashMap};

use rebound::aws::CallError;
use rebound::policy::brake::BrakeState;
use rebound::policy::counting::late::LateSends;
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::resend::campaign::{Campaign, Cohort};
use rebound::store::client::RetryClient;
use rebound::store::counters::{Campaigns, add_late, cohort_figures};
use rebound::store::string;
use rebound::time::{UnixMillis, days};

use super::scan::{ScanFilter, scan};

/// The counters and the brake of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CampaignSummary {
    /// Its cohorts, the oldest first.
    pub cohorts: Vec<(Cohort, CounterTotals)>,
    /// The campaign's brake. `None` if no brake was computed yet.
    pub state: Option<BrakeState>,
    /// The cohorts of which emails were sent late: see [`Campaigns::late`].
    pub late: LateSends,
}

impl CampaignSummary {
    /// The sum of all cohorts.
    pub fn total(&self) -> CounterTotals {
        sum(self.cohorts.iter().map(|(_, figures)| figures))
    }

    /// The sum of the cohorts that were created at `since` or later, or of which at least a tenth was sent since then.
    pub fn since(&self, since: UnixMillis) -> CounterTotals {
        sum(self.late.within(&self.cohorts, Cohort::containing(since)).map(|(_, figures)| figures))
    }

    fn keep_since(&mut self, since: UnixMillis) {
        self.cohorts = self.late.within(&self.cohorts, Cohort::containing(since)).cloned().collect();
    }

    /// The cohorts by day, in UTC.
    pub fn by_day(&self) -> Vec<(String, CounterTotals)> {
        let mut days: BTreeMap<String, CounterTotals> = BTreeMap::new();
        for (cohort, figures) in &self.cohorts {
            days.entry(cohort.start().day()).or_default().add_all(figures);
        }
        days.into_iter().collect()
    }
}

/// The sum of several totals.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a CounterTotals>) -> CounterTotals {
    let mut sum = CounterTotals::default();
    all.into_iter().for_each(|figures| sum.add_all(figures));
    sum
}

/// A rate, as a fraction. `None` if `of` is zero.
pub fn rate(number: i64, of: i64) -> Option<f64> {
    (of > 0).then(|| number as f64 / of as f64)
}

/// Complaints, as a fraction of the delivered emails.
pub fn complaint_rate(figures: &CounterTotals) -> Option<f64> {
    rate(figures.get(Counter::Complained), figures.get(Counter::Delivered))
}

/// Hard bounces, as a fraction of the sent emails. `None` if no email was reported as sent or delivered: a bounce alone is no rate of 100 %.
pub fn bounce_rate(figures: &CounterTotals) -> Option<f64> {
    let is_sent = [Counter::Sent, Counter::Delivered].iter().any(|counter| figures.get(*counter) > 0);
    if is_sent { rate(figures.get(Counter::BouncedHard), figures.attempted()) } else { None }
}

/// Reads a campaign, with the cohorts that were created or sent at `since` or later: two Queries and one GetItem. Returns `None` if the
/// campaign has no items.
pub async fn load_campaign(
    calls: &RetryClient,
    table: &str,
    campaign: &Campaign,
    since: UnixMillis,
) -> Result<Option<CampaignSummary>, CallError> {
    let campaigns = Campaigns::new(calls.clone(), table);
    let cohorts = campaigns.cohorts(campaign).await?;
    let late = campaigns.late(campaign, since).await?;
    let state = campaigns.state(campaign).await?;
    let is_known = !cohorts.is_empty() || state.is_some();
    let mut known = CampaignSummary { cohorts, state, late };
    known.keep_since(since);
    Ok(is_known.then_some(known))
}

/// Reads every campaign with a cohort that was created in the last `since_days` days, or of which a tenth was sent in them. The whole
/// table is scanned, the ledger items included. `read` is called with the number of items of each page.
pub async fn load_campaigns(
    calls: &RetryClient,
    table: &str,
    now: UnixMillis,
    since_days: u32,
    read: impl Fn(usize),
) -> Result<BTreeMap<String, CampaignSummary>, CallError> {
    let mut found: BTreeMap<String, CampaignSummary> = BTreeMap::new();
    // Cohorts begin with a digit.
    let wanted = ScanFilter {
        filter: Some("#c < :letters OR #c = :state OR begins_with(#c, :late)".to_owned()),
        names: HashMap::from([("#c".to_owned(), "cohort".to_owned())]),
        values: HashMap::from([
            (":letters".to_owned(), rebound::store::text(":")),
            (":state".to_owned(), rebound::store::text("state")),
            (":late".to_owned(), rebound::store::text("late#")),
        ]),
        ..ScanFilter::default()
    };
    scan(calls, table, &wanted, async |items, number| {
        read(number);
        for item in items {
            let known = found.entry(string(&item, "campaign").to_owned()).or_default();
            match cohort_figures(&item) {
                Some(cohort) => known.cohorts.push(cohort),
                None if string(&item, "cohort") == "state" => known.state = rebound::store::state::from_item(&item),
                None => add_late(&item, &mut known.late),
            }
        }
        Ok::<(), CallError>(())
    })
    .await?;
    found.values_mut().for_each(|known| known.keep_since(now.minus(days(since_days))));
    found.retain(|_, known| !known.cohorts.is_empty());
    for known in found.values_mut() {
        known.cohorts.sort_unstable_by_key(|(cohort, _)| *cohort);
    }
    Ok(found)
}

/// The known names that are most similar to an unknown name, at most five.
pub fn similar_names<'a>(name: &str, known: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let shared = |other: &str| {
        let other = other.to_lowercase();
        let prefix = lower.chars().zip(other.chars()).take_while(|(one, another)| one == another).count();
        if other.contains(&lower) || lower.contains(&other) { 100 + prefix } else { prefix }
    };
    let mut like: Vec<(usize, &str)> = known.into_iter().map(|other| (shared(other), other.as_str())).collect();
    like.retain(|(shared, _)| *shared > 1);
    like.sort_by_key(|(shared, name)| (std::cmp::Reverse(*shared), *name));
    like.into_iter().take(5).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_zero_emails_is_none() {
        let mut figures = CounterTotals::default();
        assert_eq!((complaint_rate(&figures), bounce_rate(&figures)), (None, None));
        figures.add(Counter::Delivered, 200);
        figures.add(Counter::Complained, 1);
        figures.add(Counter::BouncedHard, 50);
        assert_eq!((complaint_rate(&figures), bounce_rate(&figures)), (Some(0.005), Some(0.2)));
    }

    #[test]
    fn bounces_alone_have_no_rate() {
        let mut figures = CounterTotals::default();
        figures.add(Counter::BouncedHard, 3);
        assert_eq!(bounce_rate(&figures), None, "nothing was sent, so 100 % would be false");
        figures.add(Counter::Sent, 4);
        assert_eq!(bounce_rate(&figures), Some(0.75));
    }

    #[test]
    fn a_name_that_is_not_known_is_answered_with_those_like_it() {
        let known = ["spring-sale".to_owned(), "spring".to_owned(), "autumn".to_owned()];
        assert_eq!(similar_names("Spring-sal", &known), ["spring-sale", "spring"]);
        assert!(similar_names("xyz", &known).is_empty());
    }
}
