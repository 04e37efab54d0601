//! Which number of its campaign an event adds to, and what makes it count only once.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use strum::{IntoStaticStr, VariantArray};

use super::addressees::Concerned;
use super::late::late_hour;
use super::suppression::{Protection, bounce_is_hard, was_never_tried};
use crate::resend::campaign::{Campaign, CampaignTags, Cohort};
use crate::resend::event::{Event, EventType};
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// A number kept for each cohort of a campaign.
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
    /// `email.bounced`, where the address is bad for good.
    #[strum(serialize = "bounced_hard")]
    BouncedHard,
    /// `email.bounced`, any other.
    #[strum(serialize = "bounced_soft")]
    BouncedSoft,
    /// `email.complained`
    #[strum(serialize = "complained")]
    Complained,
    /// `email.failed`
    #[strum(serialize = "failed")]
    Failed,
    /// `email.suppressed`, and `email.bounced` where Resend never tried because a suppression list had the address. Part of no rate.
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
    /// Every counter.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The attribute's name in the table.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The counter of an event; `None` for one that no campaign counts.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match event.event_type()? {
            EventType::EmailSent => Some(Self::Sent),
            EventType::EmailDelivered => Some(Self::Delivered),
            EventType::EmailDeliveryDelayed => Some(Self::Delayed),
            EventType::EmailBounced if was_never_tried(event) => Some(Self::Suppressed),
            EventType::EmailBounced if bounce_is_hard(event) => Some(Self::BouncedHard),
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

/// The numbers of a cohort, or of several together. What is not in the map is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(pub BTreeMap<Counter, i64>);

impl Figures {
    /// One of them.
    pub fn get(&self, counter: Counter) -> i64 {
        self.0.get(&counter).copied().unwrap_or(0)
    }

    /// Adds to one of them.
    pub fn add(&mut self, counter: Counter, number: i64) {
        *self.0.entry(counter).or_default() += number;
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Self) {
        for (counter, number) in &other.0 {
            self.add(*counter, *number);
        }
    }

    /// How many mails are known to have got an outcome, or to be on their way: what bounces are a part of. Where `email.sent` is not
    /// subscribed to, the outcomes themselves tell.
    pub fn attempted(&self) -> i64 {
        let outcomes = [Counter::Delivered, Counter::BouncedHard, Counter::BouncedSoft];
        outcomes.into_iter().map(|counter| self.get(counter)).sum::<i64>().max(self.get(Counter::Sent))
    }
}

/// A message, as the ledger remembers it: the beginning of its id's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(pub [u8; 8]);

impl MessageHash {
    /// The hash of a message's id.
    pub fn of(message: &MessageId) -> Self {
        let digest = Sha256::digest(message.as_str());
        Self(std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default()))
    }
}

/// What makes a count happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// Once per message: it is remembered among those received in the same second.
    Message {
        /// The second in which it was received, since the epoch.
        second: i64,
        /// The message.
        hash: MessageHash,
    },
    /// Once per happening: the same complaint or bounce told by several messages is one.
    Happening {
        /// Which: the email and the recipient.
        key: String,
        /// When it happened; of several times that are told, the earliest counts.
        at: UnixMillis,
    },
}

/// One thing to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// For which campaign.
    pub campaign: Campaign,
    /// In which of its cohorts.
    pub cohort: Cohort,
    /// The hour in which it was sent, where this is a sending, and late: it is counted by that hour too.
    pub late: Option<Cohort>,
    /// Which number.
    pub counter: Counter,
    /// What makes it count once.
    pub once: Once,
    /// When the memory of it may be forgotten: not before the event itself is.
    pub expires_at: UnixMillis,
}

/// What an event's row says besides the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: MessageId,
    /// The row's partition: the email, or what stands for one without an id.
    pub partition: String,
    /// When it was received.
    pub at: UnixMillis,
    /// When the row may be forgotten.
    pub expires_at: UnixMillis,
}

impl Received {
    /// When the event happened: as it says itself, but never later than it was received.
    pub fn happened_at(&self, event: &Event<'_>) -> UnixMillis {
        event.happened_at(self.at)
    }
}

/// What an event counts as: once for each recipient that bounced or complained, once for any other event, nothing where no
/// campaign counts it. A bounce or a complaint that is about one of several, and doesn't say which, counts once.
pub fn counts(event: &Event<'_>, received: &Received, protection: &Protection, tags: &CampaignTags) -> Vec<Count> {
    let Some(counter) = Counter::of(event) else { return Vec::new() };
    let Some(campaign) = tags.counted_for(event) else { return Vec::new() };
    let created = event.resource_created_at().unwrap_or_else(|| received.happened_at(event));
    let cohort = Cohort::of(created.min(received.at));
    let sent_at = (counter == Counter::Sent).then(|| received.happened_at(event));
    let count = |once| Count {
        campaign: campaign.clone(),
        cohort,
        late: sent_at.and_then(|sent_at| late_hour(cohort, sent_at)),
        counter,
        once,
        expires_at: received.expires_at,
    };
    let happening = |recipient: &str| {
        let key = format!("{}#{}#{recipient}", counter.as_str(), received.partition);
        count(Once::Happening { key, at: received.happened_at(event) })
    };
    let per_message = || {
        let hash = MessageHash::of(&received.message);
        count(Once::Message { second: received.at.seconds(), hash })
    };
    match counter {
        Counter::Suppressed if event.event_type() != Some(EventType::EmailBounced) => vec![per_message()],
        Counter::Complained | Counter::BouncedHard | Counter::Suppressed => match protection {
            Protection::Changes(changes) => changes.keys().map(|recipient| happening(recipient.as_str())).collect(),
            Protection::Ambiguous(_) | Protection::Nothing => vec![happening("")],
        },
        Counter::BouncedSoft => match Concerned::by_outcome(event) {
            Concerned::Known(recipients) => recipients.iter().map(|recipient| happening(recipient.as_str())).collect(),
            Concerned::Unclear(_) => vec![happening("")],
        },
        _ => vec![per_message()],
    }
}

#[cfg(test)]
mod tests;
