//! What is known of a recipient: for each reason its newest suppressing and its newest lifting change.

use std::collections::BTreeMap;

use super::{Change, Effect, Grounds, Reason};
use crate::resend::signature::MessageId;
use crate::time::{UnixMillis, days};

/// How long it is remembered that a reason was lifted, once nothing stands: longer than any older event can still
/// arrive. Resend replays what is up to 30 days old, and retries for 28 hours.
const TOMBSTONE_DAYS: u32 = 35;

/// When something was said, and by which message: what decides which of two is the newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// The event's own time.
    pub at: UnixMillis,
    /// The message.
    pub message: MessageId,
}

/// What is known of one reason: the newest suppressing and the newest lifting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The newest change that suppressed.
    pub suppressed: Option<(Said, Grounds)>,
    /// The newest change that lifted.
    pub lifted: Option<Said>,
}

impl Record {
    /// Whether the reason stands. At equal times, suppressing beats lifting.
    pub fn stands(&self) -> bool {
        match (&self.suppressed, &self.lifted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((suppressed, _)), Some(lifted)) => suppressed.at >= lifted.at,
        }
    }

    /// Returns true if the reason is active at `now`: it stands, and has not lapsed.
    pub fn is_active(&self, now: UnixMillis) -> bool {
        let until = self.suppressed.as_ref().and_then(|(_, grounds)| grounds.until);
        self.stands() && until.is_none_or(|until| until > now)
    }

    /// Returns true if the reason stands until it is lifted, and does not lapse by itself.
    pub fn stands_for_good(&self) -> bool {
        self.stands() && self.suppressed.as_ref().is_some_and(|(_, grounds)| grounds.until.is_none())
    }
}

/// What is known of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppression {
    /// The record of each reason that was ever heard of.
    pub records: BTreeMap<Reason, Record>,
}

impl Suppression {
    /// What is known after this change too. Merging in any order, or merging twice, gives the same.
    #[must_use]
    pub fn merge(mut self, change: &Change) -> Self {
        let record = self.records.entry(change.reason).or_default();
        let said = Said { at: change.at, message: change.message.clone() };
        match &change.effect {
            Effect::Suppress(grounds) => {
                if record.suppressed.as_ref().is_none_or(|(known, _)| *known < said) {
                    record.suppressed = Some((said, grounds.clone()));
                }
            }
            Effect::Lift => {
                if record.lifted.as_ref().is_none_or(|known| *known < said) {
                    record.lifted = Some(said);
                }
            }
        }
        self
    }

    /// Time of a change by hand to a reason: `now`, or 1 ms after the newest change that is stored, if that is later. So a change by
    /// hand beats whatever is stored.
    pub fn time_by_hand(&self, reason: Reason, now: UnixMillis) -> UnixMillis {
        let record = self.records.get(&reason).cloned().unwrap_or_default();
        let stored = record.suppressed.map(|(said, _)| said.at).max(record.lifted.map(|said| said.at));
        stored.map_or(now, |stored| now.max(UnixMillis(stored.0.saturating_add(1))))
    }

    /// The reasons that stand. While there is one, do not send (until [`Self::until`], where that is set).
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.records.iter().filter(|(_, record)| record.stands()).map(|(reason, _)| *reason)
    }

    /// When the last standing reason lapses. `None` if one stands for good, or none stands.
    pub fn until(&self) -> Option<UnixMillis> {
        let mut latest = None;
        for record in self.records.values().filter(|record| record.stands()) {
            latest = latest.max(Some(record.suppressed.as_ref()?.1.until?));
        }
        latest
    }

    /// When the item may be forgotten: once all that stands has lapsed, and no older event can arrive that a lift must outweigh, nor what
    /// was lifted would stand any more: what it followed from may be looked at again until then. `None` while something stands for good.
    pub fn expires_at(&self) -> Option<UnixMillis> {
        let until = self.until();
        if until.is_none() && self.reasons().next().is_some() {
            return None;
        }
        let lifts = self.records.values().filter_map(|record| record.lifted.as_ref());
        let lapse = |record: &Record| record.suppressed.as_ref().and_then(|(_, grounds)| grounds.until);
        let lifted_until = self.records.values().filter(|record| record.lifted.is_some()).filter_map(lapse);
        lifts.map(|lifted| lifted.at.plus(days(TOMBSTONE_DAYS))).chain(lifted_until).chain(until).max()
    }
}
