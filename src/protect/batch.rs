//! A batch of records, from the stream to the response.

use std::sync::OnceLock;

use super::Protector;
use super::counting::Counting;
use super::effects::Effects;
use super::engage_queue::EngageQueue;
use super::event_row::EventRow;
use super::followups::Followups;
use super::lifts::Lifts;
use super::poison::Poison;
use super::run::{Activity, ProtectRun};
use super::soft_bounces::SoftBounceTracker;
use crate::aws::CallError;
use crate::aws::breaker::Breaker;
use crate::aws::stream::{BatchResponse, StreamRecord};
use crate::policy::counting::{Increment, increments};
use crate::policy::suppression::{SuppressionEffect, suppression_effect};
use crate::resend::campaign::{Campaign, CampaignTags};
use crate::resend::event::Event;
use crate::store::outbox::ClaimOwner;

/// Maximum number of campaigns, or of calls to the queue, that are in flight at the same time.
pub(super) const MAX_CONCURRENT: usize = 8;

/// A record of the batch.
pub(super) struct BatchRecord<'a> {
    record: &'a StreamRecord,
    /// `None` if the record cannot be read.
    event: Option<ParsedEvent<'a>>,
    /// The first error, if there was one. It ends the processing of the record.
    error: OnceLock<CallError>,
}

/// An event of the batch, parsed.
pub(super) struct ParsedEvent<'a> {
    pub(super) row: &'a EventRow,
    /// `None` for a row in quarantine.
    pub(super) event: Option<Event<'a>>,
    /// The campaign whose counters it changes.
    pub(super) campaign: Option<Campaign>,
    pub(super) protection: SuppressionEffect,
    pub(super) counts: Vec<Increment>,
}

impl Protector {
    /// Handles a batch of records, and returns those that Lambda must deliver again.
    pub(super) async fn batch(&self, records: &[StreamRecord], run: ProtectRun<'_>) -> BatchResponse {
        let rows: Vec<Result<EventRow, CallError>> =
            records.iter().map(|record| EventRow::read(record, run.now).map_err(CallError::Permanent)).collect();
        if let Some(oldest) = rows.iter().flatten().map(|row| row.received.at).min() {
            run.did.add(Activity::RecordsRead { lag_seconds: run.now.seconds_since(oldest) });
        }
        let tags = &self.config.campaign_tags;
        let batch: Vec<BatchRecord<'_>> =
            records.iter().zip(&rows).map(|(record, row)| BatchRecord::new(record, row, tags)).collect();

        let stores = self.stores(run.deadline);
        let (timeline, agenda, suppressions) = (&stores.timeline, &stores.agenda, &stores.suppressions);
        let policy = &self.config.policy;
        let alerts = &self.alerts(&stores, run);
        let brakes = &self.brakes(&stores, alerts, run);
        let delays = &self.delays(&stores, alerts, run);
        let domains = &self.domains(&stores, alerts, run);
        let lifted_in_an_hour = policy.alerts.lifted_in_an_hour;
        let lifts = &Lifts { suppressions, agenda, alerts, lifted_in_an_hour, run };
        let table = &stores.soft_bounces;
        let soft_bounces = &SoftBounceTracker { table, timeline, policy: &policy.soft_bounces, run };
        let followups = &Followups { store: &stores.followups, run };
        let effects = Effects { suppressions, alerts, soft_bounces, delays, domains, lifts, followups, now: run.now };
        let counting = Counting { campaigns: &stores.campaigns, brakes, run };
        let engage = EngageQueue { queue: &self.queue, breaker: Breaker::default(), run };
        let poison = Poison { timeline, alerts, run };

        let brakes = counting.count(&batch).await;
        for (record, event) in pending(&batch) {
            // Boxed: the compiler nests each future in the one that awaits it, and its depth is limited.
            record.note(Box::pin(effects.apply(event, &brakes)).await);
        }
        soft_bounces.delivered(&batch).await;
        lifts.alert(&batch).await;
        engage.enqueue(&batch).await;
        let mut answer = BatchResponse::default();
        for BatchRecord { record, error, .. } in &batch {
            let error = match error.get() {
                Some(CallError::Permanent(problem)) => poison.record(record, problem).await.err(),
                error => error.cloned(),
            };
            if let Some(error) = error {
                tracing::warn!(%error, sequence_number = record.sequence_number, "the record will be delivered again");
                answer.retry(&record.sequence_number);
            }
        }
        answer
    }
}

impl<'a> BatchRecord<'a> {
    fn new(record: &'a StreamRecord, row: &'a Result<EventRow, CallError>, tags: &CampaignTags) -> Self {
        match row.as_ref().map_err(Clone::clone).and_then(|row| ParsedEvent::read(row, tags)) {
            Ok(event) => Self { record, event: Some(event), error: OnceLock::new() },
            Err(error) => Self { record, event: None, error: OnceLock::from(error) },
        }
    }

    /// Keeps an error, if it is the first.
    pub(super) fn fail(&self, error: &CallError) {
        let _ = self.error.set(error.clone());
    }

    /// Keeps the error of a result, if it is the first.
    pub(super) fn note(&self, result: Result<(), CallError>) {
        if let Err(error) = result {
            self.fail(&error);
        }
    }

    /// Returns the owner of the alerts that follow from the record.
    pub(super) fn owner(&self) -> ClaimOwner {
        self.event.as_ref().map_or(ClaimOwner::Tick, |event| event.row.owner())
    }
}

/// Returns the events of a batch that have no error yet.
pub(super) fn pending<'b, 'a>(
    batch: &'b [BatchRecord<'a>],
) -> impl Iterator<Item = (&'b BatchRecord<'a>, &'b ParsedEvent<'a>)> {
    batch
        .iter()
        .filter(|record| record.error.get().is_none())
        .filter_map(|record| Some((record, record.event.as_ref()?)))
}

impl<'a> ParsedEvent<'a> {
    fn read(row: &'a EventRow, tags: &CampaignTags) -> Result<Self, CallError> {
        let Some(body) = &row.body else {
            return Ok(Self {
                row,
                event: None,
                campaign: None,
                protection: SuppressionEffect::Nothing,
                counts: Vec::new(),
            });
        };
        let event = Event::read(body).map_err(|error| CallError::Permanent(error.to_string()))?;
        let protection = suppression_effect(&event, &row.received.message, row.received.at);
        let counts = increments(&event, &row.received, &protection, tags);
        Ok(Self { row, campaign: tags.counted_for(&event), event: Some(event), protection, counts })
    }
}
