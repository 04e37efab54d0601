//! Events that can never be processed.

use super::alerts::Alerts;
use super::event_row::row_key;
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::aws::stream::StreamRecord;
use crate::message::alert::wording;
use crate::store::as_number;
use crate::store::outbox::ClaimOwner;
use crate::store::timeline::Timeline;
use crate::time::{UnixMillis, days};

/// Minimum time for which the record of such an event is kept, in days.
const RETENTION_DAYS: u32 = 90;

/// Records events that can never be processed.
pub(super) struct Poison<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) alerts: &'a Alerts<'a>,
    pub(super) run: ProtectRun<'a>,
}

impl Poison<'_> {
    /// Records an event that can never be processed, and sends an alert, so that it does not block later events.
    pub(super) async fn record(&self, record: &StreamRecord, problem: &str) -> Result<(), CallError> {
        tracing::error!(
            problem,
            sequence_number = record.sequence_number,
            "an event can't be processed; it is recorded as poison"
        );
        match self.record_and_alert(record, problem).await {
            // Not even this record can be written. The log has the details.
            Err(CallError::Permanent(problem)) => {
                tracing::error!(
                    problem,
                    sequence_number = record.sequence_number,
                    "the poison event can't be recorded either"
                );
                Ok(())
            }
            result => result,
        }
    }

    async fn record_and_alert(&self, record: &StreamRecord, problem: &str) -> Result<(), CallError> {
        let (partition, event) = row_key(record);
        let kept = record.row.get("expires_at").and_then(as_number).map(|at| UnixMillis(at.saturating_mul(1_000)));
        let at_least = self.run.now.plus(days(RETENTION_DAYS));
        let expires_at = kept.map_or(at_least, |kept| kept.max(at_least));
        if self.timeline.put_poison(&partition, &event, problem, self.run.now, expires_at).await? {
            self.run.did.add(Activity::PoisonRecorded { key: event.clone() });
        }
        let alert = wording::quarantine(&partition, &event, problem, self.run.now);
        self.alerts.send_alert(alert, &partition, &ClaimOwner::Event(event), expires_at).await?;
        Ok(())
    }
}
