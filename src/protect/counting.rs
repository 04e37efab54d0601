//! The counters of the campaigns, updated for a whole batch, and the brakes that follow.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::brakes::Brakes;
use super::record::{BatchRecord, MAX_CONCURRENT, pending};
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::message::alert::wording::CampaignSnapshot;
use crate::policy::counting::{Counter, Increment};
use crate::resend::campaign::Campaign;
use crate::store::counters::Campaigns;

/// Counts events.
pub(super) struct Counting<'a> {
    pub(super) campaigns: &'a Campaigns,
    pub(super) brakes: &'a Brakes<'a>,
    pub(super) run: ProtectRun<'a>,
}

impl Counting<'_> {
    /// Counts the batch, campaign by campaign, and returns the brakes that the counts may have changed.
    pub(super) async fn count(&self, batch: &[BatchRecord<'_>]) -> BTreeMap<Campaign, CampaignSnapshot> {
        let mut by_campaign: BTreeMap<&Campaign, Vec<(&BatchRecord<'_>, &Increment)>> = BTreeMap::new();
        for (record, event) in pending(batch) {
            for count in &event.counts {
                by_campaign.entry(&count.campaign).or_default().push((record, count));
            }
        }
        // Boxed: the compiler cannot prove that a stream of unboxed futures is `Send`.
        let campaigns: Vec<BoxFuture<'_, _>> =
            by_campaign.into_iter().map(|(campaign, counts)| self.count_campaign(campaign, counts).boxed()).collect();
        let brakes: Vec<Option<_>> = stream::iter(campaigns).buffer_unordered(MAX_CONCURRENT).collect().await;
        brakes.into_iter().flatten().collect()
    }

    async fn count_campaign(
        &self,
        campaign: &Campaign,
        counts: Vec<(&BatchRecord<'_>, &Increment)>,
    ) -> Option<(Campaign, CampaignSnapshot)> {
        let fail_all = |error| counts.iter().for_each(|(record, _)| record.fail(&error));
        let all: Vec<Increment> = counts.iter().map(|(_, count)| (*count).clone()).collect();
        match self.add(campaign, &all).await {
            Ok(()) => {}
            // One of the events can never be counted: find it, and count the rest.
            Err(CallError::Permanent(_)) => {
                for (record, count) in &counts {
                    record.note(self.add(campaign, std::slice::from_ref(*count)).await);
                }
            }
            Err(error) => {
                fail_all(error);
                return None;
            }
        }
        if !all.iter().any(|count| affects_brake(count.counter)) {
            return None;
        }
        let (first, _) = counts.first()?;
        match self.brakes.update(campaign, &first.owner()).await {
            Ok(brake) => Some((campaign.clone(), brake)),
            Err(error) => {
                fail_all(error);
                None
            }
        }
    }

    async fn add(&self, campaign: &Campaign, counts: &[Increment]) -> Result<(), CallError> {
        let mut added = Vec::new();
        let result = self.campaigns.count(campaign, counts, &mut added).await;
        for (cohort, figures) in added {
            for (counter, number) in figures.0.into_iter().filter(|(_, number)| *number != 0) {
                self.run.did.add(Activity::Counted { campaign: campaign.clone(), cohort, counter, number });
            }
        }
        result
    }
}

/// Returns true if the brake is computed from this counter.
fn affects_brake(counter: Counter) -> bool {
    matches!(
        counter,
        Counter::Sent | Counter::Delivered | Counter::Complained | Counter::BouncedHard | Counter::BouncedSoft
    )
}
