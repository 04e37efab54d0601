//! Domains that are no longer verified.

use std::time::Duration;

use super::alerts::{AlertOutcome, Alerts};
use super::record::ParsedEvent;
use super::run::ProtectRun;
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::policy::domain::{DomainState, DomainStatus, Verification, state};
use crate::resend::campaign::Cohort;
use crate::resend::event::Event;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::outbox::ClaimOwner;
use crate::store::timeline::Timeline;
use crate::store::{as_number, row, string};
use crate::time::{UnixMillis, days};

/// Retention of the record of an alert made by a tick, in days.
const RETENTION_DAYS: u32 = 90;

/// Tracks the verification of domains.
pub(super) struct Domains<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) agenda: &'a Agenda,
    pub(super) alerts: &'a Alerts<'a>,
    /// Time for which a domain that was verified may be `pending`.
    pub(super) patience: Duration,
    pub(super) run: ProtectRun<'a>,
}

impl Domains<'_> {
    /// Sends an alert for a domain that has lost its verification, immediately. A domain that may lose it is put into
    /// the agenda: one that is `pending` now, and one that was verified, because its webhook may arrive after that of
    /// `pending`.
    pub(super) async fn changed(&self, parsed: &ParsedEvent<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let received = &parsed.row.received;
        let at = received.happened_at(event);
        let Some(status) = DomainStatus::from_event(event, &parsed.row.event, at) else { return Ok(()) };
        if status.verification != Verification::Lost {
            let due = at.plus(self.patience);
            return self.agenda.put(&AgendaEntry::new(AgendaKind::Domain, due, &received.partition, &[])).await;
        }
        let mut statuses = self.statuses(&received.partition).await?;
        let is_verified_again = matches!(state(&mut statuses), DomainState::Fine)
            && statuses.last().is_some_and(|newest| newest.verification == Verification::Verified && *newest > status);
        if is_verified_again {
            return Ok(());
        }
        let hour = Cohort::containing(received.at).start();
        let alert = wording::domain(&received.partition, &status, &status.word, at, hour);
        self.alerts.alert_for_event(parsed.row, alert).await
    }

    /// Checks the domain of an agenda entry: if it has been `pending` for too long, an alert is sent.
    pub(super) async fn recheck(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let mut statuses = self.statuses(&entry.key).await?;
        if let DomainState::Pending { since, newest } = state(&mut statuses)
            && since.at.plus(self.patience) <= self.run.now
        {
            // One alert, whichever of the statuses is checked.
            let hour = Cohort::containing(since.at).start();
            let alert = wording::domain(&entry.key, newest, "pending", since.at, hour);
            let expires_at = self.run.now.plus(days(RETENTION_DAYS));
            if self.alerts.send_alert(alert, &entry.key, &ClaimOwner::Tick, expires_at).await?
                == AlertOutcome::HeldByOther
            {
                return Ok(());
            }
        }
        self.agenda.delete(entry).await
    }

    /// Returns all stored statuses of a domain.
    async fn statuses(&self, partition: &str) -> Result<Vec<DomainStatus>, CallError> {
        let status = |row: &crate::store::Item| {
            let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
            let body = row::payload(row)?;
            let event = Event::read(&body).ok()?;
            DomainStatus::from_event(&event, string(row, "event"), event.happened_at(received_at))
        };
        Ok(self.timeline.rows(partition, "domain").await?.iter().filter_map(status).collect())
    }
}
