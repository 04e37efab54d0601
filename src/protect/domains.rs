//! A domain that is no longer verified.

use super::Work;
use super::batch::Read;
use super::tell::Told;
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::policy::domain::{DomainState, DomainStatus, Verification, state};
use crate::resend::campaign::Cohort;
use crate::resend::event::Event;
use crate::store::agenda::{Entry, Kind};
use crate::store::timeline::Carrier;
use crate::store::{as_number, row, string};
use crate::time::{UnixMillis, days};

/// Time for which the record of an alert that a tick makes is kept, in days.
const KEPT_DAYS: u32 = 90;

impl Work<'_> {
    /// Alerts people of a domain that is lost, immediately. What may be lost is put into the agenda: a domain that is `pending` now, and one
    /// that was verified, because its webhook may come after that of `pending`.
    pub(super) async fn domain(&self, read: &Read<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let received = &read.entry.received;
        let at = received.happened_at(event);
        let Some(status) = DomainStatus::of(event, &read.entry.event, at) else { return Ok(()) };
        if status.verification != Verification::Lost {
            let due = at.plus(self.protector.config.policy.domain.patience());
            return self.agenda.put(&Entry::new(Kind::Domain, due, &received.partition, &[])).await;
        }
        let mut statuses = self.domain_statuses(&received.partition).await?;
        let is_verified_again = matches!(state(&mut statuses), DomainState::Fine)
            && statuses.last().is_some_and(|newest| newest.verification == Verification::Stands && *newest > status);
        if is_verified_again {
            return Ok(());
        }
        let hour = Cohort::of(received.at).start();
        self.tell_of(read, wording::domain(&received.partition, &status, &status.word, at, hour)).await
    }

    /// Looks at a domain that was `pending`, or verified: whether it has been `pending` for too long by now.
    pub(super) async fn domain_again(&self, entry: &Entry) -> Result<(), CallError> {
        let mut statuses = self.domain_statuses(&entry.key).await?;
        if let DomainState::Pending { since, newest } = state(&mut statuses)
            && since.at.plus(self.protector.config.policy.domain.patience()) <= self.now
        {
            // Whichever of its statuses is looked at, it is one alert.
            let hour = Cohort::of(since.at).start();
            let alert = wording::domain(&entry.key, newest, "pending", since.at, hour);
            let expires_at = self.now.plus(days(KEPT_DAYS));
            if self.tell(alert, &entry.key, &Carrier::Tick, expires_at).await? == Told::Anothers {
                return Ok(());
            }
        }
        self.agenda.delete(entry).await
    }

    /// All statuses of a domain that are stored.
    async fn domain_statuses(&self, partition: &str) -> Result<Vec<DomainStatus>, CallError> {
        let status = |row: &crate::store::Item| {
            let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
            let body = row::payload(row)?;
            let event = Event::read(&body).ok()?;
            DomainStatus::of(&event, string(row, "event"), event.happened_at(received_at))
        };
        Ok(self.timeline.rows(partition, "domain").await?.iter().filter_map(status).collect())
    }
}
