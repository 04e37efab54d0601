//! A batch of records, from the stream to the answer.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::Work;
use super::brakes::Braked;
use super::entry::{Entry, Place};
use crate::aws::CallError;
use crate::aws::queue::{BATCH, Engagement};
use crate::aws::stream::{BatchAnswer, ItemFailure, Record};
use crate::metrics::Metric;
use crate::policy::counting::{Count, Counter, counts};
use crate::policy::suppression::{Protection, protection};
use crate::resend::campaign::Campaign;
use crate::resend::event::Event;
use crate::store::as_number;
use crate::store::row::RowKind;
use crate::store::timeline::Carrier;
use crate::time::{UnixMillis, days};

/// How many campaigns, or calls to the queue, are under way at once.
pub(super) const AT_ONCE: usize = 8;

/// How long it is remembered that a record was unreadable which does not say how long it stays itself.
const KEPT_DAYS: u32 = 90;

/// An event of the batch, and what it means.
pub(super) struct Read<'a> {
    pub(super) entry: &'a Entry,
    /// `None` for a row in quarantine.
    pub(super) event: Option<Event<'a>>,
    pub(super) protection: Protection,
    counts: Vec<Count>,
}

/// What became of each record, by its place in the batch.
pub(super) type Outcomes = Vec<Result<(), CallError>>;

impl Work<'_> {
    pub(super) async fn records(&self, records: &[Record]) -> BatchAnswer {
        let entries: Vec<Result<Entry, CallError>> =
            records.iter().map(|record| Entry::read(record, self.now).map_err(CallError::Permanent)).collect();
        if let Some(oldest) = entries.iter().flatten().map(|entry| entry.received.at).min() {
            self.tally.peak(Metric::ProtectLag, self.now.seconds_since(oldest));
        }
        let reads: Vec<Result<Read<'_>, CallError>> = entries.iter().map(|entry| self.read(entry)).collect();
        let mut outcomes: Outcomes = reads.iter().map(|read| read.as_ref().map(|_| ()).map_err(Clone::clone)).collect();

        let braked = self.count(&reads, &mut outcomes).await;
        for (index, read) in reads.iter().enumerate() {
            if let (Ok(read), Some(outcome @ Ok(()))) = (read, outcomes.get_mut(index)) {
                *outcome = Box::pin(self.effects(read, &braked)).await;
            }
        }
        self.delivered(&reads, &mut outcomes).await;
        self.alert_lifts(&reads, &mut outcomes).await;
        self.hand_on(&reads, &mut outcomes).await;
        for (record, outcome) in records.iter().zip(&mut outcomes) {
            if let Err(CallError::Permanent(problem)) = outcome {
                *outcome = self.poison(record, &problem.clone()).await;
            }
        }
        answer(records, &outcomes)
    }

    fn read<'a>(&self, entry: &'a Result<Entry, CallError>) -> Result<Read<'a>, CallError> {
        let entry = entry.as_ref().map_err(Clone::clone)?;
        if entry.kind == RowKind::Quarantine {
            return Ok(Read { entry, event: None, protection: Protection::Nothing, counts: Vec::new() });
        }
        let event = Event::read(&entry.body).map_err(|error| CallError::Permanent(error.to_string()))?;
        let received = &entry.received;
        let protection = protection(&event, &received.message, received.at);
        let counts = counts(&event, received, &protection, &self.protector.config.campaign_tags);
        Ok(Read { entry, event: Some(event), protection, counts })
    }

    /// Counts the batch, campaign by campaign, and computes the brakes that the counts may have changed.
    async fn count(
        &self,
        reads: &[Result<Read<'_>, CallError>],
        outcomes: &mut Outcomes,
    ) -> BTreeMap<Campaign, Braked> {
        let mut by_campaign: BTreeMap<&Campaign, Vec<(usize, &Count)>> = BTreeMap::new();
        for (index, read) in reads.iter().enumerate() {
            for count in read.iter().flat_map(|read| &read.counts) {
                by_campaign.entry(&count.campaign).or_default().push((index, count));
            }
        }
        // Boxed: the compiler can't tell that a stream of unboxed ones may move to another thread.
        let work: Vec<BoxFuture<'_, _>> = by_campaign
            .into_iter()
            .map(|(campaign, counts)| self.count_campaign(campaign, counts, reads).boxed())
            .collect();
        let done: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        let mut braked = BTreeMap::new();
        for (campaign, campaign_braked, failed) in done {
            braked.extend(campaign_braked.map(|braked| (campaign.clone(), braked)));
            for (index, trouble) in failed {
                if let Some(outcome @ Ok(())) = outcomes.get_mut(index) {
                    *outcome = Err(trouble);
                }
            }
        }
        braked
    }

    async fn count_campaign<'a>(
        &self,
        campaign: &'a Campaign,
        counts: Vec<(usize, &Count)>,
        reads: &[Result<Read<'_>, CallError>],
    ) -> (&'a Campaign, Option<Braked>, Vec<(usize, CallError)>) {
        let indexes = || counts.iter().map(|(index, _)| *index).collect::<BTreeSet<usize>>();
        let all: Vec<Count> = counts.iter().map(|(_, count)| (*count).clone()).collect();
        let mut failed = Vec::new();
        match self.campaigns.count(campaign, &all).await {
            Ok(()) => {}
            // Something in it can never be counted: find out what, and count the rest.
            Err(CallError::Permanent(_)) => {
                for (index, count) in &counts {
                    if let Err(trouble) = self.campaigns.count(campaign, std::slice::from_ref(*count)).await {
                        failed.push((*index, trouble));
                    }
                }
            }
            Err(trouble) => {
                return (campaign, None, indexes().into_iter().map(|index| (index, trouble.clone())).collect());
            }
        }
        if !all.iter().any(|count| moves_a_brake(count.counter)) {
            return (campaign, None, failed);
        }
        let carrier = counts.iter().find_map(|(index, _)| reads.get(*index)?.as_ref().ok());
        let carrier = carrier.map_or(Carrier::Tick, |read| Carrier::Event(read.entry.event.clone()));
        match self.brake(campaign, &carrier).await {
            Ok(braked) => (campaign, Some(braked), failed),
            Err(trouble) => {
                failed.extend(indexes().into_iter().map(|index| (index, trouble.clone())));
                (campaign, None, failed)
            }
        }
    }

    /// Hands opens and clicks on to `engage`.
    async fn hand_on(&self, reads: &[Result<Read<'_>, CallError>], outcomes: &mut Outcomes) {
        let engages = |read: &Read<'_>| {
            let counter = read.event.as_ref().and_then(Counter::of);
            let entry = read.entry;
            matches!(counter, Some(Counter::Opened | Counter::Clicked))
                .then(|| Engagement { email_id: entry.received.partition.clone(), event: entry.event.clone() })
        };
        let engagements: Vec<(usize, Engagement)> = reads
            .iter()
            .enumerate()
            .filter(|(index, _)| outcomes.get(*index) == Some(&Ok(())))
            .filter_map(|(index, read)| Some((index, engages(read.as_ref().ok()?)?)))
            .collect();
        let sends: Vec<BoxFuture<'_, _>> = engagements.chunks(BATCH).map(|some| self.send(some).boxed()).collect();
        let sent: Vec<_> = stream::iter(sends).buffer_unordered(AT_ONCE).collect().await;
        for (some, result) in sent {
            if let Err(trouble) = result {
                for (index, _) in some {
                    if let Some(outcome) = outcomes.get_mut(*index) {
                        *outcome = Err(trouble.clone());
                    }
                }
            }
        }
    }

    async fn send<'a>(&self, some: &'a [(usize, Engagement)]) -> (&'a [(usize, Engagement)], Result<(), CallError>) {
        let messages: Vec<Engagement> = some.iter().map(|(_, engagement)| engagement.clone()).collect();
        (some, self.sqs.call(self.protector.queue.send(&messages, self.deadline)).await)
    }

    /// Records, tells of, and passes what can never be handled, so that it doesn't hold up what comes after it.
    async fn poison(&self, record: &Record, problem: &str) -> Result<(), CallError> {
        let place = Place::of(record);
        tracing::error!(problem, sequence_number = record.sequence_number, "an event can't be handled");
        let kept = record.row.get("expires_at").and_then(as_number);
        let kept = kept.map_or_else(|| self.now.plus(days(KEPT_DAYS)), |at| UnixMillis(at.saturating_mul(1_000)));
        let expires_at = kept.max(self.now.plus(days(KEPT_DAYS)));
        let recorded = self.timeline.put_poison(&place.partition, &place.event, problem, self.now, expires_at).await;
        let told = match recorded {
            Ok(()) => {
                let alert =
                    crate::message::alert::wording::quarantine(&place.partition, &place.event, problem, self.now);
                let carrier = Carrier::Event(place.event.clone());
                self.tell(alert, &place.partition, &carrier, expires_at).await.map(|_| ())
            }
            Err(trouble) => Err(trouble),
        };
        match told {
            // Not even the record of it can be written. The log has it.
            Err(CallError::Permanent(problem)) => {
                tracing::error!(problem, sequence_number = record.sequence_number, "nor can that be recorded");
                Ok(())
            }
            told => told,
        }
    }
}

/// Whether the brake is computed from it.
fn moves_a_brake(counter: Counter) -> bool {
    matches!(
        counter,
        Counter::Sent | Counter::Delivered | Counter::Complained | Counter::BouncedHard | Counter::BouncedSoft
    )
}

/// Everything that may pass, to be delivered again. A record that can't be named makes it the whole batch.
fn answer(records: &[Record], outcomes: &Outcomes) -> BatchAnswer {
    let failed = records.iter().zip(outcomes).filter_map(|(record, outcome)| {
        let trouble = outcome.as_ref().err()?;
        tracing::warn!(error = %trouble, sequence_number = record.sequence_number, "to be delivered again");
        Some(ItemFailure { id: record.sequence_number.clone() })
    });
    BatchAnswer { failures: failed.collect() }
}
