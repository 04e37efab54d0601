//! Effects of one event, except its counts.

use std::collections::BTreeMap;

use super::alerts::Alerts;
use super::delays::Delays;
use super::domains::Domains;
use super::followups::Followups;
use super::lifts::Lifts;
use super::record::ParsedEvent;
use super::soft_bounces::SoftBounceTracker;
use crate::aws::CallError;
use crate::message::alert::wording::{self, AddressState, AlertContext, CampaignSnapshot, UnclearOutcome, sanitize};
use crate::policy::affected::AffectedRecipients;
use crate::policy::bounce::soft_bounce;
use crate::policy::suppression::{Reason, SuppressionEffect};
use crate::resend::campaign::{Campaign, Cohort};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::store::suppressions::Suppressions;
use crate::time::UnixMillis;

/// Applies the effects of events.
pub(super) struct Effects<'a> {
    pub(super) suppressions: &'a Suppressions,
    pub(super) alerts: &'a Alerts<'a>,
    pub(super) soft_bounces: &'a SoftBounceTracker<'a>,
    pub(super) delays: &'a Delays<'a>,
    pub(super) domains: &'a Domains<'a>,
    pub(super) lifts: &'a Lifts<'a>,
    pub(super) followups: &'a Followups<'a>,
    pub(super) now: UnixMillis,
}

impl Effects<'_> {
    /// Applies the effects of one event. Applying them again changes nothing.
    pub(super) async fn apply(
        &self,
        parsed: &ParsedEvent<'_>,
        brakes: &BTreeMap<Campaign, CampaignSnapshot>,
    ) -> Result<(), CallError> {
        let Some(event) = &parsed.event else { return self.quarantined(parsed).await };
        self.followups.record(parsed, event).await?;
        match event.event_type() {
            Some(EventType::EmailComplained) => self.complained(parsed, event, brakes).await,
            Some(EventType::EmailBounced) => match soft_bounce(event) {
                None => self.ambiguous(parsed, event, UnclearOutcome::Bounced).await,
                Some(AffectedRecipients::Unclear(_)) => {
                    self.ambiguous(parsed, event, UnclearOutcome::BouncedSoftly).await
                }
                Some(AffectedRecipients::Known(_)) => self.soft_bounces.bounced(parsed, event).await,
            },
            Some(EventType::EmailSuppressed) => self.ambiguous(parsed, event, UnclearOutcome::Skipped).await,
            Some(EventType::EmailDeliveryDelayed) => self.delays.delayed(parsed, event).await,
            Some(EventType::EmailFailed) => self.failed(parsed, event).await,
            Some(EventType::DomainUpdated | EventType::DomainDeleted) => self.domains.changed(parsed, event).await,
            Some(EventType::ContactCreated | EventType::ContactUpdated | EventType::ContactDeleted) => {
                self.ambiguous(parsed, event, UnclearOutcome::Unsubscribed).await?;
                self.lifts.note(parsed).await
            }
            Some(EventType::ContactTopicsUpdated) => self.ambiguous(parsed, event, UnclearOutcome::OutOfTopic).await,
            Some(EventType::SuppressionAdded | EventType::SuppressionRemoved) => {
                self.ambiguous(parsed, event, UnclearOutcome::Listed).await?;
                self.lifts.note(parsed).await
            }
            _ => Ok(()),
        }
    }

    async fn quarantined(&self, parsed: &ParsedEvent<'_>) -> Result<(), CallError> {
        let (row, received) = (parsed.row, &parsed.row.received);
        let alert = wording::quarantine(&received.partition, received.message.as_str(), &row.problem, received.at);
        self.alerts.alert_for_event(row, alert).await
    }

    async fn complained(
        &self,
        parsed: &ParsedEvent<'_>,
        event: &Event<'_>,
        brakes: &BTreeMap<Campaign, CampaignSnapshot>,
    ) -> Result<(), CallError> {
        let brake = parsed.campaign.as_ref().and_then(|campaign| brakes.get(campaign));
        match &parsed.protection {
            SuppressionEffect::Ambiguous(_) => self.ambiguous(parsed, event, UnclearOutcome::Complained).await,
            SuppressionEffect::Nothing => Ok(()),
            SuppressionEffect::Changes(changes) => {
                for recipient in changes.keys() {
                    let listed = self.listed(recipient).await?;
                    let alert =
                        wording::complaint(&about(parsed, event), (recipient, &listed), brake, self.alerts.stack);
                    self.alerts.alert_for_event(parsed.row, alert).await?;
                }
                Ok(())
            }
        }
    }

    /// Returns the suppression of a recipient who complained: it was written before the event reached the stream.
    async fn listed(&self, recipient: &Recipient) -> Result<AddressState, CallError> {
        let stored = self.suppressions.find(recipient.as_str()).await?.unwrap_or_default();
        let active = stored.active_reasons(self.now);
        if !active.is_empty() {
            return Ok(AddressState::Suppressed(active.into_iter().map(|active| active.reason).collect()));
        }
        if let Some(key) = self.suppressions.forgotten_key().await?
            && !self.suppressions.active_reasons(recipient, Some(&key), self.now).await?.is_empty()
        {
            return Ok(AddressState::Forgotten);
        }
        let complaint = stored.suppression.records.get(&Reason::Complaint);
        Ok(match complaint.and_then(|record| record.lifted.as_ref()) {
            Some(said) => AddressState::Lifted { at: said.at, by: said.message.as_str().to_owned() },
            None => AddressState::NotSuppressed,
        })
    }

    /// Sends an alert if a recipient would be suppressed, but the event does not name one recipient.
    async fn ambiguous(
        &self,
        parsed: &ParsedEvent<'_>,
        event: &Event<'_>,
        what: UnclearOutcome,
    ) -> Result<(), CallError> {
        let SuppressionEffect::Ambiguous(recipients) = &parsed.protection else { return Ok(()) };
        let alert = wording::ambiguous(&about(parsed, event), what, recipients, self.alerts.stack);
        let alert = wording::with_diagnosis(alert, &event.servers_said());
        self.alerts.alert_for_event(parsed.row, alert).await
    }

    async fn failed(&self, parsed: &ParsedEvent<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let (row, received) = (parsed.row, &parsed.row.received);
        let reason = sanitize(event.failure_reason().as_deref().unwrap_or("no reason given"));
        let alert = wording::failed(&about(parsed, event), &reason, Cohort::containing(received.at).start());
        // Not in the email's partition: which email of the hour comes first is random.
        let partition = format!("failed#{reason}");
        self.alerts.send_alert(alert, &partition, &row.owner(), received.expires_at).await?;
        Ok(())
    }
}

fn about<'a>(parsed: &'a ParsedEvent<'_>, event: &Event<'_>) -> AlertContext<'a> {
    let received = &parsed.row.received;
    AlertContext { email_id: &received.partition, campaign: parsed.campaign.as_ref(), at: received.happened_at(event) }
}
