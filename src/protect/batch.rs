//! A batch of records, from the stream to the response.

use super::Protector;
use super::counting::Counting;
use super::effects::Effects;
use super::engage_queue::EngageQueue;
use super::event_row::EventRow;
use super::followups::Followups;
use super::lifts::Lifts;
use super::poison::Poison;
use super::record::{BatchRecord, pending};
use super::run::{Activity, ProtectRun};
use super::soft_bounces::SoftBounceTracker;
use crate::aws::CallError;
use crate::aws::breaker::Breaker;
use crate::aws::stream::{BatchResponse, StreamRecord};

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
