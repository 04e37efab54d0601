//! The tick: tasks that are due, independent of events.

use tokio::time::Instant;

use super::TickReport;
use super::alerts::{AlertOutcome, Alerts};
use super::brakes::Brakes;
use super::delays::Delays;
use super::domains::Domains;
use super::followups::Followups;
use super::run::ProtectRun;
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::policy::brake::Status;
use crate::policy::count::count;
use crate::resend::campaign::Campaign;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::outbox::ClaimOwner;
use crate::time::{days, hours};

/// Maximum number of entries of a kind that one tick processes. The next tick continues.
const MAX_ENTRIES: usize = 2_000;

/// Time for which a sent digest is kept, in hours, so that no alert is added to it.
const CLOSED_HOURS: u32 = 3;

/// Retention of the record of a digest, in days.
const RETENTION_DAYS: u32 = 90;

/// The kinds that a tick processes, in this order: first those that need only DynamoDB, last those that need only SNS.
const KINDS: [AgendaKind; 5] =
    [AgendaKind::Brake, AgendaKind::Delay, AgendaKind::Domain, AgendaKind::Digest, AgendaKind::Publish];

/// Processes the tasks that are due.
pub(super) struct Tick<'a> {
    pub(super) agenda: &'a Agenda,
    pub(super) alerts: &'a Alerts<'a>,
    pub(super) brakes: &'a Brakes<'a>,
    pub(super) delays: &'a Delays<'a>,
    pub(super) domains: &'a Domains<'a>,
    pub(super) followups: &'a Followups<'a>,
    pub(super) run: ProtectRun<'a>,
}

impl Tick<'_> {
    pub(super) async fn process(&self) -> TickReport {
        let mut report = TickReport::default();
        for (kind, kinds_left) in KINDS.into_iter().zip((1..=KINDS.len()).rev()) {
            let until = share(Instant::now(), self.run.deadline, kinds_left);
            if let Err(error) = self.process_kind(kind, until, &mut report).await {
                report.errors.push(error);
            }
        }
        report.errors.extend(self.followups.measure().await.err());
        report
    }

    /// Processes the due entries of one kind, until its share of the time is over.
    async fn process_kind(&self, kind: AgendaKind, until: Instant, report: &mut TickReport) -> Result<(), CallError> {
        let mut entries = self.agenda.due(kind, self.run.now, MAX_ENTRIES).await?;
        // If the time is short, or one entry always fails, other entries come first the next time.
        fastrand::shuffle(&mut entries);
        let number = entries.len();
        for (done, entry) in entries.into_iter().enumerate() {
            if Instant::now() >= until {
                let (kind, left) = (kind.as_str(), number - done);
                return Err(CallError::Transient(format!("{kind}: there was no time for {left} of {number} tasks")));
            }
            if let (AgendaKind::Publish, Some(why)) = (kind, self.alerts.failure()) {
                return Err(CallError::Transient(format!(
                    "not published: {} of {}: {why}",
                    number - done,
                    count(number, "alert")
                )));
            }
            report.looked_at += 1;
            let done = match kind {
                AgendaKind::Publish => self.alerts.retry_publish(&entry).await,
                AgendaKind::Brake => self.recompute_brake(&entry).await,
                AgendaKind::Digest => self.send_digest(&entry).await,
                AgendaKind::Delay => self.delays.recheck(&entry).await,
                AgendaKind::Domain => self.domains.recheck(&entry).await,
                // These are never due.
                AgendaKind::Lift | AgendaKind::Push | AgendaKind::Followup | AgendaKind::FollowupDone => Ok(()),
            };
            report.errors.extend(done.err());
        }
        Ok(())
    }

    async fn recompute_brake(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let Some(campaign) = Campaign::new(entry.text("campaign")) else { return self.agenda.delete(entry).await };
        let brake = self.brakes.update(&campaign, &ClaimOwner::Tick).await?;
        if brake.state.brake.status == Status::Open && !brake.state.needs_alert() {
            self.agenda.delete(entry).await?;
        }
        Ok(())
    }

    async fn send_digest(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let is_old = entry.due.plus(hours(CLOSED_HOURS)) < self.run.now;
        if entry.item.contains_key("sent") {
            return if is_old { self.agenda.delete(entry).await } else { Ok(()) };
        }
        // Closed first: later alerts find it closed and use the next digest.
        let Some(closed) = self.agenda.close(entry).await? else { return Ok(()) };
        let campaign = Campaign::new(closed.text("campaign"));
        let brake = match &campaign {
            Some(campaign) => Some(self.brakes.update(campaign, &ClaimOwner::Tick).await?),
            None => None,
        };
        let folded = closed.number("folded").unwrap_or(0);
        let alert = wording::digest(closed.text("of"), campaign.as_ref(), folded, closed.due, brake.as_ref());
        let about = campaign.as_ref().map_or_else(|| "digest".to_owned(), |campaign| format!("campaign#{campaign}"));
        let expires_at = self.run.now.plus(days(RETENTION_DAYS));
        if self.alerts.send_alert(alert, &about, &ClaimOwner::Tick, expires_at).await? == AlertOutcome::Settled {
            self.agenda.mark_sent(entry).await?;
        }
        Ok(())
    }
}

/// Returns the deadline of one kind, so that each remaining kind has at least the same time.
fn share(now: Instant, deadline: Instant, kinds_left: usize) -> Instant {
    let parts = u32::try_from(kinds_left.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_has_its_share_and_the_last_what_is_left() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(share(start, at(40), 4), at(10));
        assert_eq!(share(at(1), at(40), 3), at(14), "what one does not need the others have");
        assert_eq!(share(at(14), at(40), 1), at(40));
        assert_eq!(share(at(50), at(40), 2), at(50), "there is no time left");
    }
}
