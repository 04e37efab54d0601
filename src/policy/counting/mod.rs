//! The counter that an event increments, and the key that makes it count only once.

pub mod late;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use strum::{IntoStaticStr, VariantArray};

use self::late::late_hour;
use super::affected::AffectedRecipients;
use super::bounce::{is_hard_bounce, was_never_tried};
use super::suppression::SuppressionEffect;
use crate::resend::campaign::{Campaign, CampaignTags, Cohort};
use crate::resend::event::{Event, EventType};
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// A counter of each cohort of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
pub enum Counter {
    /// `email.sent`
    #[strum(serialize = "sent")]
    Sent,
    /// `email.delivered`
    #[strum(serialize = "delivered")]
    Delivered,
    /// `email.delivery_delayed`
    #[strum(serialize = "delayed")]
    Delayed,
    /// `email.bounced`: a hard bounce.
    #[strum(serialize = "bounced_hard")]
    BouncedHard,
    /// `email.bounced`: a soft bounce.
    #[strum(serialize = "bounced_soft")]
    BouncedSoft,
    /// `email.complained`
    #[strum(serialize = "complained")]
    Complained,
    /// `email.failed`
    #[strum(serialize = "failed")]
    Failed,
    /// `email.suppressed`, and `email.bounced` if Resend never tried because a suppression list had the address. Not
    /// part of any rate.
    #[strum(serialize = "suppressed")]
    Suppressed,
    /// `email.opened`
    #[strum(serialize = "opened")]
    Opened,
    /// `email.clicked`
    #[strum(serialize = "clicked")]
    Clicked,
}

impl Counter {
    /// All counters.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the attribute's name in the table.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the counter of an event, or `None` if no counter is for it.
    pub fn for_event(event: &Event<'_>) -> Option<Self> {
        match event.event_type()? {
            EventType::EmailSent => Some(Self::Sent),
            EventType::EmailDelivered => Some(Self::Delivered),
            EventType::EmailDeliveryDelayed => Some(Self::Delayed),
            EventType::EmailBounced if was_never_tried(event) => Some(Self::Suppressed),
            EventType::EmailBounced if is_hard_bounce(event) => Some(Self::BouncedHard),
            EventType::EmailBounced => Some(Self::BouncedSoft),
            EventType::EmailComplained => Some(Self::Complained),
            EventType::EmailFailed => Some(Self::Failed),
            EventType::EmailSuppressed => Some(Self::Suppressed),
            EventType::EmailOpened => Some(Self::Opened),
            EventType::EmailClicked => Some(Self::Clicked),
            _ => None,
        }
    }
}

/// Counters of one cohort, or of several together. A missing counter is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterTotals(pub BTreeMap<Counter, i64>);

impl CounterTotals {
    /// Returns a counter.
    pub fn get(&self, counter: Counter) -> i64 {
        self.0.get(&counter).copied().unwrap_or(0)
    }

    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, number: i64) {
        *self.0.entry(counter).or_default() += number;
    }

    /// Adds all counters of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (counter, number) in &other.0 {
            self.add(*counter, *number);
        }
    }

    /// Returns the number of emails that were sent or have an outcome, the base of the bounce rate. Without the event
    /// `email.sent`, the outcomes themselves are counted.
    pub fn attempted(&self) -> i64 {
        let outcomes = [Counter::Delivered, Counter::BouncedHard, Counter::BouncedSoft];
        outcomes.into_iter().map(|counter| self.get(counter)).sum::<i64>().max(self.get(Counter::Sent))
    }
}

/// A webhook in the ledger: the beginning of the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(pub [u8; 8]);

impl MessageHash {
    /// Returns the hash of a webhook's id.
    pub fn for_message(message: &MessageId) -> Self {
        let digest = Sha256::digest(message.as_str());
        Self(std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default()))
    }
}

/// A key that makes a count happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DedupKey {
    /// Once per webhook: the ledger of the second in which it was received lists it.
    Webhook {
        /// Second of receipt, since the epoch.
        second: i64,
        /// The webhook.
        hash: MessageHash,
    },
    /// Once per occurrence: several webhooks about the same complaint or bounce count once.
    Occurrence {
        /// The occurrence: the email and the recipient.
        key: String,
        /// Time of the occurrence. If webhooks report several times, the earliest counts.
        at: UnixMillis,
    },
}

/// One increment of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// The campaign.
    pub campaign: Campaign,
    /// The cohort.
    pub cohort: Cohort,
    /// The hour of sending, if this is a late send: it is counted by that hour too.
    pub late: Option<Cohort>,
    /// The counter.
    pub counter: Counter,
    /// The key that makes it count once.
    pub dedup_key: DedupKey,
    /// Time at which the key may be deleted: not before the event itself.
    pub expires_at: UnixMillis,
}

/// Data of an event's row besides the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMeta {
    /// Id of the webhook.
    pub message: MessageId,
    /// The row's partition: the email, or a replacement if the event has no email id.
    pub partition: String,
    /// Time of receipt.
    pub at: UnixMillis,
    /// Time at which the row may be deleted.
    pub expires_at: UnixMillis,
}

impl EventMeta {
    /// Returns the time of the event: its own, but never later than the receipt.
    pub fn happened_at(&self, event: &Event<'_>) -> UnixMillis {
        event.happened_at(self.at)
    }
}

/// Returns the increments of an event: one for each recipient that bounced or complained, or one for any other event.
/// Without a campaign or a counter the result is empty. A bounce or complaint about one of several unnamed recipients
/// counts once.
pub fn increments(
    event: &Event<'_>,
    received: &EventMeta,
    protection: &SuppressionEffect,
    tags: &CampaignTags,
) -> Vec<Increment> {
    let Some(counter) = Counter::for_event(event) else { return Vec::new() };
    let Some(campaign) = tags.counted_for(event) else { return Vec::new() };
    let created = event.resource_created_at().unwrap_or_else(|| received.happened_at(event));
    let cohort = Cohort::containing(created.min(received.at));
    let sent_at = (counter == Counter::Sent).then(|| received.happened_at(event));
    let count = |once| Increment {
        campaign: campaign.clone(),
        cohort,
        late: sent_at.and_then(|sent_at| late_hour(cohort, sent_at)),
        counter,
        dedup_key: once,
        expires_at: received.expires_at,
    };
    let occurrence = |recipient: &str| {
        let key = format!("{}#{}#{recipient}", counter.as_str(), received.partition);
        count(DedupKey::Occurrence { key, at: received.happened_at(event) })
    };
    let per_message = || {
        let hash = MessageHash::for_message(&received.message);
        count(DedupKey::Webhook { second: received.at.seconds(), hash })
    };
    match counter {
        Counter::Suppressed if event.event_type() != Some(EventType::EmailBounced) => vec![per_message()],
        Counter::Complained | Counter::BouncedHard | Counter::Suppressed => match protection {
            SuppressionEffect::Changes(changes) => {
                changes.keys().map(|recipient| occurrence(recipient.as_str())).collect()
            }
            SuppressionEffect::Ambiguous(_) | SuppressionEffect::Nothing => vec![occurrence("")],
        },
        Counter::BouncedSoft => match AffectedRecipients::by_outcome(event) {
            AffectedRecipients::Known(recipients) => {
                recipients.iter().map(|recipient| occurrence(recipient.as_str())).collect()
            }
            AffectedRecipients::Unclear(_) => vec![occurrence("")],
        },
        _ => vec![per_message()],
    }
}

#[cfg(test)]
mod tests;
