//! What follows from one event, besides its counts.

use std::collections::BTreeMap;

use super::Work;
use super::batch::Read;
use super::brakes::Braked;
use crate::aws::CallError;
use crate::message::alert::wording::{self, About, Listed, Standing, Unclear, shown};
use crate::policy::addressees::Concerned;
use crate::policy::delay::{Delayed, Verdict, Wait, repeated};
use crate::policy::soft_bounce::soft_bounce;
use crate::policy::suppression::{Protection, Reason};
use crate::resend::campaign::{Campaign, Cohort};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::store::agenda::{Entry, Kind};
use crate::store::facts::Fact;
use crate::store::timeline::Carrier;
use crate::store::{as_number, number, row, text};
use crate::time::UnixMillis;

/// A delayed email, and whoever waits for it.
pub(super) struct DelayedMail<'a> {
    pub(super) email_id: &'a str,
    pub(super) recipient: &'a Recipient,
    pub(super) campaign: Option<&'a Campaign>,
    pub(super) delayed_at: UnixMillis,
    pub(super) expires_at: UnixMillis,
}

impl Work<'_> {
    /// Does what follows from one event. To do it again changes nothing.
    pub(super) async fn effects(&self, read: &Read<'_>, braked: &BTreeMap<Campaign, Braked>) -> Result<(), CallError> {
        let Some(event) = &read.event else { return self.quarantined(read).await };
        match event.event_type() {
            Some(EventType::EmailComplained) => self.complained(read, event, braked).await,
            Some(EventType::EmailBounced) => match soft_bounce(event) {
                None => self.ambiguous(read, event, Unclear::Bounced).await,
                Some(Concerned::Unclear(_)) => self.ambiguous(read, event, Unclear::BouncedSoftly).await,
                Some(Concerned::Known(_)) => self.bounced_softly(read, event).await,
            },
            Some(EventType::EmailSuppressed) => self.ambiguous(read, event, Unclear::Skipped).await,
            Some(EventType::EmailDeliveryDelayed) => self.delayed(read, event).await,
            Some(EventType::EmailFailed) => self.failed(read, event).await,
            Some(EventType::DomainUpdated | EventType::DomainDeleted) => self.domain(read, event).await,
            Some(EventType::ContactCreated | EventType::ContactUpdated | EventType::ContactDeleted) => {
                self.ambiguous(read, event, Unclear::Unsubscribed).await?;
                self.note_lifts(read).await
            }
            Some(EventType::SuppressionAdded | EventType::SuppressionRemoved) => {
                self.ambiguous(read, event, Unclear::Listed).await?;
                self.note_lifts(read).await
            }
            _ => Ok(()),
        }
    }

    async fn quarantined(&self, read: &Read<'_>) -> Result<(), CallError> {
        let received = &read.entry.received;
        let alert =
            wording::quarantine(&received.partition, received.message.as_str(), &read.entry.problem, received.at);
        self.tell_of(read, alert).await
    }

    async fn complained(
        &self,
        read: &Read<'_>,
        event: &Event<'_>,
        braked: &BTreeMap<Campaign, Braked>,
    ) -> Result<(), CallError> {
        let campaign = self.protector.config.campaign_tags.counted_for(event);
        let about = self.about(read, event, campaign.as_ref());
        let standing = campaign.as_ref().and_then(|campaign| braked.get(campaign));
        let standing = standing.map(|braked| Standing { view: &braked.view, state: &braked.state, now: self.now });
        match &read.protection {
            Protection::Ambiguous(_) => self.ambiguous(read, event, Unclear::Complained).await,
            Protection::Nothing => Ok(()),
            Protection::Changes(changes) => {
                for recipient in changes.keys() {
                    let listed = self.listed(recipient).await?;
                    self.tell_of(read, wording::complaint(&about, (recipient, &listed), standing)).await?;
                }
                Ok(())
            }
        }
    }

    /// What the list says of somebody who complained: it was written before the event came here.
    async fn listed(&self, recipient: &Recipient) -> Result<Listed, CallError> {
        let stored = self.suppressions.find(recipient.as_str()).await?.unwrap_or_default();
        let standing = stored.standing(self.now);
        if !standing.is_empty() {
            return Ok(Listed::Suppressed(standing.into_iter().map(|standing| standing.reason).collect()));
        }
        if let Some(key) = self.suppressions.forgotten_key().await?
            && !self.suppressions.standing(recipient, Some(&key), self.now).await?.is_empty()
        {
            return Ok(Listed::Forgotten);
        }
        let complaint = stored.suppression.records.get(&Reason::Complaint);
        Ok(match complaint.and_then(|record| record.lifted.as_ref()) {
            Some(said) => Listed::Lifted { at: said.at, by: said.message.as_str().to_owned() },
            None => Listed::NotSuppressed,
        })
    }

    /// Tells people of somebody who would be suppressed, if the event said who.
    async fn ambiguous(&self, read: &Read<'_>, event: &Event<'_>, what: Unclear) -> Result<(), CallError> {
        let Protection::Ambiguous(recipients) = &read.protection else { return Ok(()) };
        let campaign = self.protector.config.campaign_tags.counted_for(event);
        let about = self.about(read, event, campaign.as_ref());
        let alert = wording::with_diagnosis(wording::ambiguous(&about, what, recipients), &event.servers_said());
        self.tell_of(read, alert).await
    }

    async fn delayed(&self, read: &Read<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let campaign = self.protector.config.campaign_tags.counted_for(event);
        let policy = &self.protector.config.policy.delay;
        let received = &read.entry.received;
        for recipient in &event.addressees().all() {
            let moment = (received.happened_at(event), &received.message);
            let facts = self.facts.remember(recipient, &received.partition, moment, policy.remembered()).await?;
            let delays: Vec<Delayed> = facts.iter().filter_map(delayed).collect();
            for news in repeated(&delays, policy) {
                let email_id = news.delayed.email_id.as_str();
                // Of another email than this one it is not known here to which campaign it belongs.
                let campaign = campaign.as_ref().filter(|_| email_id == received.partition);
                let why = wording::Delay::Repeated { emails: news.emails, within_days: policy.repeated_within_days };
                let about = About { email_id, campaign, at: news.delayed.first };
                let carrier = Carrier::Event(read.entry.event.clone());
                // Not told again while it is remembered, and so found again with each further delay.
                let expires_at = received.expires_at.max(news.delayed.last.plus(policy.remembered()));
                self.tell(wording::delay(&about, recipient, why), email_id, &carrier, expires_at).await?;
            }
            let mail = DelayedMail {
                email_id: &received.partition,
                recipient,
                campaign: campaign.as_ref(),
                delayed_at: received.happened_at(event),
                expires_at: received.expires_at,
            };
            self.look_at_delay(&mail, &Carrier::Event(read.entry.event.clone())).await?;
        }
        Ok(())
    }

    /// Looks whether a delayed email has an outcome by now. Answers when to look again, if it is to be; tells people if it has waited
    /// too long.
    pub(super) async fn look_at_delay(
        &self,
        mail: &DelayedMail<'_>,
        carrier: &Carrier,
    ) -> Result<Option<UnixMillis>, CallError> {
        let policy = &self.protector.config.policy.delay;
        let mut wait = Wait::of_delayed(mail.delayed_at);
        for item in self.timeline.rows(mail.email_id, "email").await? {
            let Some(body) = row::payload(&item) else { continue };
            let (Ok(event), Some(received_at)) = (Event::read(&body), item.get("received_at").and_then(as_number))
            else {
                continue;
            };
            wait.add(&event, event.happened_at(UnixMillis(received_at)), mail.recipient);
        }
        match wait.verdict(policy, self.now) {
            Verdict::Resolved => Ok(None),
            Verdict::Wait(due) => {
                let attributes = [
                    ("email_id", text(mail.email_id)),
                    ("recipient", text(mail.recipient.as_str())),
                    ("campaign", text(mail.campaign.map_or("", Campaign::as_str))),
                    ("delayed_at", number(mail.delayed_at.0)),
                    ("keep_until", number(mail.expires_at.0)),
                ];
                let key = format!("{}#{}", mail.email_id, mail.recipient);
                self.agenda.put(&Entry::new(Kind::Delay, due, key, &attributes)).await?;
                Ok(Some(due))
            }
            Verdict::Alert(since) => {
                let about = About { email_id: mail.email_id, campaign: mail.campaign, at: mail.delayed_at };
                let hours = (self.now.0 - since.0) / (60 * 60 * 1000);
                let alert = wording::delay(&about, mail.recipient, wording::Delay::Waiting { since, hours });
                match self.tell(alert, mail.email_id, carrier, mail.expires_at).await? {
                    super::tell::Told::Settled => Ok(None),
                    super::tell::Told::Anothers => Ok(Some(self.now)),
                }
            }
        }
    }

    async fn failed(&self, read: &Read<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let campaign = self.protector.config.campaign_tags.counted_for(event);
        let reason = shown(event.failed_because().as_deref().unwrap_or("no reason given"));
        let about = self.about(read, event, campaign.as_ref());
        let hour = Cohort::of(read.entry.received.at).start();
        let alert = wording::failed(&about, &reason, hour);
        // Not in the email's partition: which of the hour's emails it is about is chance.
        let partition = format!("failed#{reason}");
        self.tell(alert, &partition, &Carrier::Event(read.entry.event.clone()), read.entry.received.expires_at).await?;
        Ok(())
    }

    /// Tells people of an alert about an event's own partition.
    pub(super) async fn tell_of(&self, read: &Read<'_>, alert: crate::message::alert::Alert) -> Result<(), CallError> {
        let received = &read.entry.received;
        let carrier = Carrier::Event(read.entry.event.clone());
        self.tell(alert, &received.partition, &carrier, received.expires_at).await?;
        Ok(())
    }

    fn about<'a>(&self, read: &'a Read<'_>, event: &Event<'_>, campaign: Option<&'a Campaign>) -> About<'a> {
        let received = &read.entry.received;
        About { email_id: &received.partition, campaign, at: received.happened_at(event) }
    }
}

fn delayed(fact: &Fact) -> Option<Delayed> {
    let (first, last) = (fact.moments.first()?.0, fact.moments.last()?.0);
    Some(Delayed { email_id: fact.email_id.clone(), first, last })
}
