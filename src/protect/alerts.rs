//! Alerts: each is sent once, and too many of a kind are grouped into digests.

use super::LEASE;
use super::event_row::EventRow;
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::aws::breaker::Breaker;
use crate::aws::topic::Topic;
use crate::message::alert::Alert;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::alerts::alert_key;
use crate::store::outbox::{ClaimOwner, Outbox, OutboxClaim};
use crate::store::text;
use crate::time::UnixMillis;

/// Sends alerts to the topic.
pub(super) struct Alerts<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) agenda: &'a Agenda,
    pub(super) topic: &'a Topic,
    /// Name of the stack, for the commands in texts.
    pub(super) stack: Option<&'a str>,
    /// The topic's breaker: after a failed call, no other call is made in this run.
    pub(super) breaker: Breaker,
    /// Number of alerts of a kind and a campaign that are sent one by one in an hour. The others are grouped.
    pub(super) one_by_one_in_an_hour: usize,
    pub(super) run: ProtectRun<'a>,
}

/// Result of sending an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlertOutcome {
    /// The alert is published, grouped into a digest, or left to the next tick.
    Settled,
    /// Another event, or a tick, holds the claim and sends the alert.
    HeldByOther,
}

impl Alerts<'_> {
    /// Sends an alert once. `about` is the partition of its record. The first few of a kind and campaign in an hour are
    /// published; the others are grouped into a digest.
    pub(super) async fn send_alert(
        &self,
        alert: Alert,
        about: &str,
        owner: &ClaimOwner,
        expires_at: UnixMillis,
    ) -> Result<AlertOutcome, CallError> {
        let payload = serde_json::to_string(&alert).map_err(|error| CallError::Permanent(error.to_string()))?;
        let claim =
            self.outbox.claim_alert(alert_key(about, &alert.id), &payload, expires_at, owner, self.run.now, LEASE);
        let payload = match claim.await? {
            OutboxClaim::Settled(()) => return Ok(AlertOutcome::Settled),
            OutboxClaim::HeldByOther => return Ok(AlertOutcome::HeldByOther),
            OutboxClaim::Acquired(payload) => payload,
        };
        // The text of the first claim, so that a repeat has the same text.
        let alert = serde_json::from_str(&payload).unwrap_or(alert);
        if self.is_one_too_many(&alert).await? {
            self.group(&alert, about).await?;
        } else {
            self.publish(&alert, about).await?;
        }
        Ok(AlertOutcome::Settled)
    }

    /// Sends an alert in an event's own partition.
    pub(super) async fn alert_for_event(&self, row: &EventRow, alert: Alert) -> Result<(), CallError> {
        let received = &row.received;
        self.send_alert(alert, &received.partition, &row.owner(), received.expires_at).await?;
        Ok(())
    }

    /// Publishes an alert that was left over.
    pub(super) async fn retry_publish(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let (about, id) = (entry.text("about"), entry.text("alert"));
        if let Some(payload) = self.outbox.pending_alert(about, id).await? {
            let alert: Alert =
                serde_json::from_str(&payload).map_err(|error| CallError::Permanent(error.to_string()))?;
            // An alert of a follow-up's transaction was not counted yet.
            if alert.kind.is_stored_for_tick() && self.is_one_too_many(&alert).await? {
                self.group(&alert, about).await?;
            } else {
                self.try_to_publish(&alert, about).await?.map_err(CallError::Transient)?;
            }
        }
        self.agenda.delete(entry).await
    }

    /// Returns the first failure of the topic in this run, if there was one.
    pub(super) fn failure(&self) -> Option<&str> {
        self.breaker.failure()
    }

    async fn is_one_too_many(&self, alert: &Alert) -> Result<bool, CallError> {
        if !alert.kind.is_rate_limited() {
            return Ok(false);
        }
        Ok(!self.agenda.is_among_first(alert, self.run.now, self.one_by_one_in_an_hour).await?)
    }

    async fn group(&self, alert: &Alert, about: &str) -> Result<(), CallError> {
        let digests = Agenda::digests(alert, self.run.now);
        if self.outbox.fold_alert(&alert_key(about, &alert.id), self.agenda, &digests).await? {
            self.run.did.add(Activity::AlertGrouped { id: alert.id.clone() });
        }
        Ok(())
    }

    /// Publishes a claimed alert. If SNS does not accept it, it is left to the next tick: a failed alert must not stop
    /// the counting.
    async fn publish(&self, alert: &Alert, about: &str) -> Result<(), CallError> {
        match self.try_to_publish(alert, about).await? {
            Ok(()) => Ok(()),
            Err(why) => {
                tracing::error!(error = why, alert = alert.id, "not published; the next tick tries again");
                let attributes = [("about", text(about)), ("alert", text(&alert.id))];
                self.agenda.put(&AgendaEntry::new(AgendaKind::Publish, self.run.now, &alert.id, &attributes)).await
            }
        }
    }

    /// Returns `Ok(Err(why))` if it must be retried later. An alert that SNS rejects for good is marked so, and is
    /// done.
    async fn try_to_publish(&self, alert: &Alert, about: &str) -> Result<Result<(), String>, CallError> {
        let notice = alert.notification().map_err(|error| CallError::Permanent(error.to_string()))?;
        match self.breaker.call(self.topic.publish(&notice, self.run.deadline)).await {
            Ok(_) => {
                let (id, kind) = (alert.id.clone(), alert.kind);
                self.run.did.add(Activity::AlertPublished { id, kind, title: notice.subject });
                self.outbox.mark_published(alert_key(about, &alert.id), None, self.run.now).await.map(Ok)
            }
            Err(CallError::Transient(why)) => Ok(Err(why)),
            Err(CallError::Permanent(why)) => {
                tracing::error!(error = why, alert = alert.id, "never published; the alert is in the events table");
                self.outbox.mark_rejected(alert_key(about, &alert.id), &why).await.map(Ok)
            }
        }
    }
}
