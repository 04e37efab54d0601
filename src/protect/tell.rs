//! Telling people: each alert once, and no storm.

use super::{LEASE, Work};
use crate::aws::CallError;
use crate::message::alert::Alert;
use crate::metrics::Metric;
use crate::store::agenda::{Agenda, Entry, Group, Kind, Place};
use crate::store::text;
use crate::store::timeline::{AlertRow, Carrier, Claim};
use crate::time::UnixMillis;

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is published, folded into a digest, or left to the next tick: it will not be lost.
    Settled,
    /// Somebody else has claimed it and is at it.
    Anothers,
}

impl Work<'_> {
    /// Tells people of an alert about `about`, the partition of its record, once. The first few of a kind and campaign in an hour are
    /// published, whatever their texts; the rest is folded into a digest.
    pub(super) async fn tell(
        &self,
        alert: Alert,
        about: &str,
        carrier: &Carrier,
        expires_at: UnixMillis,
    ) -> Result<Told, CallError> {
        let payload = serde_json::to_string(&alert).map_err(|error| CallError::Permanent(error.to_string()))?;
        let row = AlertRow { about: about.to_owned(), id: alert.id.clone(), payload, expires_at };
        let payload = match self.timeline.claim(&row, carrier, self.now, LEASE).await? {
            Claim::Settled => return Ok(Told::Settled),
            Claim::Anothers => return Ok(Told::Anothers),
            Claim::Ours(payload) => payload,
        };
        // As it was claimed first: a repeat has the same text too.
        let alert = serde_json::from_str(&payload).unwrap_or(alert);
        if alert.kind.may_storm() {
            let group = Group { kind: alert.kind.as_str(), campaign: alert.counted_in() };
            let first_few = self.protector.config.policy.alerts.one_by_one_in_an_hour;
            if self.agenda.place(&group, &alert.id, self.now, first_few).await? == Place::TooMany {
                let digests = Agenda::digests(&group, self.now);
                self.timeline.fold(&row, &self.agenda, &digests).await?;
                return Ok(Told::Settled);
            }
        }
        self.publish(&alert, about).await?;
        Ok(Told::Settled)
    }

    /// Publishes an alert that is claimed. If SNS can't be reached, or refuses, it is left to the next tick: that people can't be
    /// told must not stop the counting.
    async fn publish(&self, alert: &Alert, about: &str) -> Result<(), CallError> {
        match self.try_to_publish(alert, about).await? {
            Ok(()) => Ok(()),
            Err(why) => {
                tracing::error!(error = why, alert = alert.id, "not published; the next tick tries again");
                let attributes = [("about", text(about)), ("alert", text(&alert.id))];
                self.agenda.put(&Entry::new(Kind::Publish, self.now, &alert.id, &attributes)).await
            }
        }
    }

    /// `Ok(Err(why))`: not now. What SNS will never take is noted as such, and is done.
    async fn try_to_publish(&self, alert: &Alert, about: &str) -> Result<Result<(), String>, CallError> {
        let notice = alert.notice().map_err(|error| CallError::Permanent(error.to_string()))?;
        match self.sns.call(self.protector.topic.publish(&notice, self.deadline)).await {
            Ok(_) => {
                self.tally.one(Metric::of_alert(alert.kind));
                self.timeline.note_published(about, &alert.id, self.now).await.map(Ok)
            }
            Err(CallError::Transient(why)) => Ok(Err(why)),
            Err(CallError::Permanent(why)) => {
                tracing::error!(error = why, alert = alert.id, "never published; the alert is in the events table");
                self.timeline.note_refused(about, &alert.id, &why).await.map(Ok)
            }
        }
    }

    /// Publishes an alert that was left over.
    pub(super) async fn publish_again(&self, entry: &Entry) -> Result<(), CallError> {
        let (about, id) = (entry.text("about"), entry.text("alert"));
        if let Some(payload) = self.timeline.unsettled(about, id).await? {
            let alert: Alert =
                serde_json::from_str(&payload).map_err(|error| CallError::Permanent(error.to_string()))?;
            self.try_to_publish(&alert, about).await?.map_err(CallError::Transient)?;
        }
        self.agenda.delete(entry).await
    }
}
