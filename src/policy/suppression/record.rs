//! State of a recipient: for each reason, its newest suppressing and its newest lifting change.

use std::collections::BTreeMap;

use super::topics::{self, TopicState};
use super::{ChangeEffect, ChangeStamp, ItemChange, Reason, ReasonDetail, SuppressionChange, move_forward};
use crate::time::{UnixMillis, days};

/// Time for which a lift or an opt-in is stored after no reason is active and no topic is out, in days. Older events can't arrive any more: Resend
/// replays webhooks up to 30 days old, and retries for 28 hours.
const TOMBSTONE_DAYS: u32 = 35;

/// State of one reason: its newest suppressing and its newest lifting change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonState {
    /// The newest suppressing change.
    pub suppressed: Option<(ChangeStamp, ReasonDetail)>,
    /// The newest lifting change.
    pub lifted: Option<ChangeStamp>,
}

impl ReasonState {
    /// Returns true if the reason is not lifted. At equal times, suppressing wins over lifting.
    pub fn suppresses(&self) -> bool {
        match (&self.suppressed, &self.lifted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((suppressed, _)), Some(lifted)) => suppressed.at >= lifted.at,
        }
    }

    /// Returns true if the reason is active at `now`: neither lifted nor expired.
    pub fn is_active(&self, now: UnixMillis) -> bool {
        let until = self.suppressed.as_ref().and_then(|(_, details)| details.until);
        self.suppresses() && until.is_none_or(|until| until > now)
    }

    /// Returns true if the reason is active until it is lifted, and never expires.
    pub fn is_permanent(&self) -> bool {
        self.suppresses() && self.suppressed.as_ref().is_some_and(|(_, details)| details.until.is_none())
    }
}

/// State of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppression {
    /// State of each reason with at least one change.
    pub records: BTreeMap<Reason, ReasonState>,
    /// State of each topic with at least one change, by its id.
    pub topics: BTreeMap<String, TopicState>,
}

impl Suppression {
    /// Returns the state after this change. Merging in any order, or twice, gives the same result.
    #[must_use]
    pub fn merge(mut self, change: &SuppressionChange) -> Self {
        let record = self.records.entry(change.reason).or_default();
        let said = ChangeStamp { at: change.at, message: change.message.clone() };
        match &change.effect {
            ChangeEffect::Suppress(details) => {
                if record.suppressed.as_ref().is_none_or(|(known, _)| *known < said) {
                    record.suppressed = Some((said, details.clone()));
                }
            }
            ChangeEffect::Lift => move_forward(&mut record.lifted, said),
        }
        self
    }

    /// Returns the state after this change, of a reason or of a topic. Merging in any order, or twice, gives the same
    /// result.
    #[must_use]
    pub fn merge_change(mut self, change: &ItemChange) -> Self {
        match change {
            ItemChange::Reason(change) => self.merge(change),
            ItemChange::Topic(change) => {
                topics::merge(&mut self.topics, change);
                self
            }
        }
    }

    /// Returns the time of an operator's change of a reason: `now`, or 1 ms after the newest stored change, if that is
    /// later. So an operator's change is always the newest.
    pub fn time_by_hand(&self, reason: Reason, now: UnixMillis) -> UnixMillis {
        let record = self.records.get(&reason).cloned().unwrap_or_default();
        let stored = record.suppressed.map(|(said, _)| said.at).max(record.lifted.map(|said| said.at));
        stored.map_or(now, |stored| now.max(UnixMillis(stored.0.saturating_add(1))))
    }

    /// Returns the reasons that are not lifted. While there is one, no email must be sent (until [`Self::until`], if
    /// that is set).
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.records.iter().filter(|(_, record)| record.suppresses()).map(|(reason, _)| *reason)
    }

    /// Returns the time at which the last reason expires. Returns `None` if a reason never expires, or if all are
    /// lifted.
    pub fn until(&self) -> Option<UnixMillis> {
        let mut latest = None;
        for record in self.records.values().filter(|record| record.suppresses()) {
            latest = latest.max(Some(record.suppressed.as_ref()?.1.until?));
        }
        latest
    }

    /// Returns the time at which the item may be deleted. All reasons have expired then, and no event can arrive that
    /// is older than a lift or an opt-in, or that would renew a lifted suppression. Returns `None` while a reason never
    /// expires, or while a topic is out.
    pub fn expires_at(&self) -> Option<UnixMillis> {
        let until = self.until();
        if (until.is_none() && self.reasons().next().is_some()) || self.topics.values().any(TopicState::is_out) {
            return None;
        }
        let opt_ins = self.topics.values().filter_map(|topic| topic.opted_in.as_ref());
        let lifts = self.records.values().filter_map(|record| record.lifted.as_ref()).chain(opt_ins);
        let expiry = |record: &ReasonState| record.suppressed.as_ref().and_then(|(_, details)| details.until);
        let lifted_until = self.records.values().filter(|record| record.lifted.is_some()).filter_map(expiry);
        lifts.map(|lifted| lifted.at.plus(days(TOMBSTONE_DAYS))).chain(lifted_until).chain(until).max()
    }
}
