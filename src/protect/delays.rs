//! Delayed emails: an alert if one waits too long, or if a recipient's emails are delayed again.

use super::alerts::{AlertOutcome, Alerts};
use super::record::ParsedEvent;
use super::run::ProtectRun;
use crate::aws::CallError;
use crate::message::alert::wording::{self, AlertContext};
use crate::policy::delay::{DelayRecord, DelayStatus, DelayTracker, repeated};
use crate::policy::limits::DelayPolicy;
use crate::resend::campaign::Campaign;
use crate::resend::event::Event;
use crate::resend::recipient::Recipient;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::outbox::ClaimOwner;
use crate::store::recipients::{Recipients, RecordedDelay};
use crate::store::timeline::Timeline;
use crate::store::{as_number, number, row, text};
use crate::time::{UnixMillis, days};

/// Retention of an alert's record if the agenda does not set it, in days.
const RETENTION_DAYS: u32 = 90;

/// Tracks delayed emails.
pub(super) struct Delays<'a> {
    pub(super) recipients: &'a Recipients,
    pub(super) timeline: &'a Timeline,
    pub(super) agenda: &'a Agenda,
    pub(super) alerts: &'a Alerts<'a>,
    pub(super) policy: &'a DelayPolicy,
    pub(super) run: ProtectRun<'a>,
}

/// A delayed email to one recipient.
struct DelayedEmail<'a> {
    email_id: &'a str,
    recipient: &'a Recipient,
    campaign: Option<&'a Campaign>,
    delayed_at: UnixMillis,
    expires_at: UnixMillis,
}

impl Delays<'_> {
    /// Records a delay for each of its recipients. Sends an alert if another email to a recipient was delayed before,
    /// or if this email has waited too long.
    pub(super) async fn delayed(&self, parsed: &ParsedEvent<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let (received, owner) = (&parsed.row.received, parsed.row.owner());
        let delayed_at = received.happened_at(event);
        for recipient in &event.recipients().into_vec() {
            let (email_id, moment) = (&received.partition, (delayed_at, &received.message));
            let delayed_emails =
                self.recipients.record_delay(recipient, email_id, moment, self.policy.retention()).await?;
            let delays: Vec<DelayRecord> = delayed_emails.iter().filter_map(delayed).collect();
            for again in repeated(&delays, self.policy) {
                let email_id = again.delayed.email_id.as_str();
                // The campaign is known only for this email, not for another one.
                let campaign = parsed.campaign.as_ref().filter(|_| email_id == received.partition);
                let within_days = self.policy.repeated_within_days;
                let why = wording::Delay::Repeated { emails: again.emails, within_days };
                let about = AlertContext { email_id, campaign, at: again.delayed.first };
                // Kept as long as the delay is recorded, because each further delay finds it again.
                let expires_at = received.expires_at.max(again.delayed.last.plus(self.policy.retention()));
                let alert = wording::delay(&about, recipient, why);
                self.alerts.send_alert(alert, email_id, &owner, expires_at).await?;
            }
            let (campaign, expires_at) = (parsed.campaign.as_ref(), received.expires_at);
            let email = DelayedEmail { email_id, recipient, campaign, delayed_at, expires_at };
            self.check_delay(&email, &owner).await?;
        }
        Ok(())
    }

    /// Checks the delayed email of an agenda entry.
    pub(super) async fn recheck(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let Some(recipient) = Recipient::parse(entry.text("recipient")) else { return self.agenda.delete(entry).await };
        let campaign = Campaign::new(entry.text("campaign"));
        let millis = |name: &str| entry.number(name).map(UnixMillis);
        let email = DelayedEmail {
            email_id: entry.text("email_id"),
            recipient: &recipient,
            campaign: campaign.as_ref(),
            delayed_at: millis("delayed_at").unwrap_or(entry.due),
            expires_at: millis("keep_until").unwrap_or_else(|| self.run.now.plus(days(RETENTION_DAYS))),
        };
        match self.check_delay(&email, &ClaimOwner::Tick).await? {
            // Another run sends the alert, or it is not due yet.
            Some(due) if due <= self.run.now || due == entry.due => Ok(()),
            Some(_) | None => self.agenda.delete(entry).await,
        }
    }

    /// Checks if a delayed email has an outcome by now, and sends an alert if it has waited too long. Returns the time
    /// of the next check, if there is one.
    async fn check_delay(&self, email: &DelayedEmail<'_>, owner: &ClaimOwner) -> Result<Option<UnixMillis>, CallError> {
        let mut wait = DelayTracker::of_delayed(email.delayed_at);
        for item in self.timeline.rows(email.email_id, "email").await? {
            let Some(body) = row::payload(&item) else { continue };
            let (Ok(event), Some(received_at)) = (Event::read(&body), item.get("received_at").and_then(as_number))
            else {
                continue;
            };
            wait.add(&event, event.happened_at(UnixMillis(received_at)), email.recipient);
        }
        match wait.status(self.policy, self.run.now) {
            DelayStatus::Resolved => Ok(None),
            DelayStatus::Waiting(due) => {
                let attributes = [
                    ("email_id", text(email.email_id)),
                    ("recipient", text(email.recipient.as_str())),
                    ("campaign", text(email.campaign.map_or("", Campaign::as_str))),
                    ("delayed_at", number(email.delayed_at.0)),
                    ("keep_until", number(email.expires_at.0)),
                ];
                let key = format!("{}#{}", email.email_id, email.recipient);
                self.agenda.put(&AgendaEntry::new(AgendaKind::Delay, due, key, &attributes)).await?;
                Ok(Some(due))
            }
            DelayStatus::Overdue(since) => {
                let about = AlertContext { email_id: email.email_id, campaign: email.campaign, at: email.delayed_at };
                let hours = (self.run.now.0 - since.0) / (60 * 60 * 1000);
                let alert = wording::delay(&about, email.recipient, wording::Delay::Waiting { since, hours });
                Ok(match self.alerts.send_alert(alert, email.email_id, owner, email.expires_at).await? {
                    AlertOutcome::Settled => None,
                    AlertOutcome::HeldByOther => Some(self.run.now),
                })
            }
        }
    }
}

fn delayed(delay: &RecordedDelay) -> Option<DelayRecord> {
    let (first, last) = (delay.moments.first()?.0, delay.moments.last()?.0);
    Some(DelayRecord { email_id: delay.email_id.clone(), first, last })
}
