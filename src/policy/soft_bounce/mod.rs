//! Suppression after several soft bounces, and its end.
//!
//! The guarantee: no recipient is suppressed if an email was delivered after the first of the counted bounces. An email
//! that was delivered, and then "bounced" softly, got an automatic reply. It does not count as a bounce.
//!
//! ```text
//!   bounce a    bounce b               bounce c: three, suppressed
//!   ──┴────────────┴───────────────────────┴──────────────▶
//!   bounce a    bounce b   delivered d     bounce c: one since the delivery, not suppressed
//!   ──┴────────────┴───────────┴───────────┴──────────────▶
//! ```
//!
//! # Why order doesn't matter
//!
//! Each part of [`SoftBounces`] moves in one direction only, for any order and any number of repeats: the newest bounce
//! of each email, its delivery, and the newest delivery of any email. The one exception is `since`, the start:
//! deliveries before it were not recorded. So an older bounce does not count, and a mailbox may need one bounce more if
//! webhooks are late.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limits::{MAX_BOUNCES, SoftBouncePolicy};
use super::suppression::{ChangeEffect, ChangeStamp, Reason, ReasonDetail, ReasonState, SuppressionChange};
use crate::policy::count::count;
use crate::resend::signature::MessageId;
use crate::time::{UnixMillis, days};

/// Time before [`SoftBounces::since`] in which a bounce still counts: the time in which most webhooks arrive.
pub const EARLIER: Duration = Duration::from_secs(600);

/// Time after the policy's windows in which a late webhook may still arrive, in days: Resend replays webhooks that are
/// 30 days old.
const LATE_DAYS: u32 = 35;

/// The newest soft bounce of an email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounce {
    /// Time of the bounce.
    pub at: UnixMillis,
    /// Id of the webhook that reported the bounce.
    pub message: MessageId,
    /// True if the email was delivered anyway.
    pub delivered: bool,
}

/// Soft bounces of a recipient, and deliveries since the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounces {
    /// Receipt of the first bounce, or the time of its processing if that was later by more than [`EARLIER`].
    /// Deliveries are recorded from then on.
    pub since: UnixMillis,
    /// The newest bounce of each email, by email id; at most [`MAX_BOUNCES`].
    pub bounces: BTreeMap<String, SoftBounce>,
    /// Time of the newest delivery of any email.
    pub delivered_at: Option<UnixMillis>,
}

impl SoftBounces {
    /// Creates the state for a first bounce with this time of receipt.
    pub fn begun(since: UnixMillis) -> Self {
        Self { since, bounces: BTreeMap::new(), delivered_at: None }
    }

    /// Returns the state after one more bounce of an email.
    #[must_use]
    pub fn bounced(mut self, email_id: &str, at: UnixMillis, message: &MessageId) -> Self {
        let bounce = SoftBounce { at, message: message.clone(), delivered: false };
        let known = self.bounces.entry(email_id.to_owned()).or_insert_with(|| bounce.clone());
        if (known.at, &known.message) < (bounce.at, &bounce.message) {
            *known = SoftBounce { delivered: known.delivered, ..bounce };
        }
        while self.bounces.len() > MAX_BOUNCES {
            let oldest = self.bounces.iter().min_by_key(|(email, bounce)| (bounce.at, *email));
            let Some(oldest) = oldest.map(|(email, _)| email.clone()) else { break };
            self.bounces.remove(&oldest);
        }
        self
    }

    /// Returns the state after the delivery of an email, bounced or not.
    #[must_use]
    pub fn delivered(mut self, email_id: &str, at: UnixMillis) -> Self {
        self.delivered_at = self.delivered_at.max(Some(at));
        if let Some(bounce) = self.bounces.get_mut(email_id) {
            bounce.delivered = true;
        }
        self
    }

    /// Returns the time at which the item may be deleted: no bounce in it can count then, and no suppression from one
    /// can be active.
    pub fn expires_at(&self, policy: &SoftBouncePolicy) -> UnixMillis {
        let newest = self.bounces.values().map(|bounce| bounce.at).max().unwrap_or(self.since);
        newest.plus(days(policy.within_days.max(policy.lapse_days) + LATE_DAYS))
    }

    /// Returns the suppression that follows from these bounces, if any. Its bounce is the newest one that completes the
    /// number.
    pub fn suppression(&self, policy: &SoftBouncePolicy) -> Option<SuppressionChange> {
        let from = self.since.minus(EARLIER);
        let counts = |bounce: &SoftBounce| {
            !bounce.delivered && bounce.at >= from && self.delivered_at.is_none_or(|delivered| bounce.at > delivered)
        };
        let counted: Vec<(&String, &SoftBounce)> = self.bounces.iter().filter(|(_, bounce)| counts(bounce)).collect();
        let within = days(policy.within_days);
        let completes = |last: &&(&String, &SoftBounce)| {
            let window = last.1.at.minus(within)..=last.1.at;
            counted.iter().filter(|(_, bounce)| window.contains(&bounce.at)).count() >= policy.emails
        };
        let (email_id, last) =
            counted.iter().filter(completes).max_by_key(|(_, bounce)| (bounce.at, &bounce.message))?;
        let details = ReasonDetail {
            email_id: Some((*email_id).clone()),
            detail: Some(format!(
                "{} within {}",
                count(policy.emails, "soft bounce"),
                count(policy.within_days, "day")
            )),
            until: Some(last.at.plus(days(policy.lapse_days))),
        };
        Some(SuppressionChange {
            reason: Reason::SoftBounce,
            at: last.at,
            message: last.message.clone(),
            effect: ChangeEffect::Suppress(details),
        })
    }

    /// Returns the changes to the suppression list, given the stored state of `soft_bounce`. A suppression that
    /// followed from one of these bounces, and no longer follows, is lifted with its own time and 1 ms. A suppression
    /// by an operator or an import stays.
    pub fn changes(&self, listed: &ReasonState, policy: &SoftBouncePolicy) -> Vec<SuppressionChange> {
        let follows = self.suppression(policy);
        let ours = listed.suppressed.as_ref().filter(|made| listed.suppresses() && self.is_from(made));
        let Some((said, details)) = ours else { return follows.into_iter().collect() };
        let is_known = |change: &SuppressionChange| change.effect == ChangeEffect::Suppress(details.clone());
        match follows {
            Some(change) if change.at >= said.at || is_known(&change) => vec![change],
            follows => {
                let at = UnixMillis(said.at.0.saturating_add(1));
                let lift = SuppressionChange {
                    reason: Reason::SoftBounce,
                    at,
                    message: said.message.clone(),
                    effect: ChangeEffect::Lift,
                };
                // An older bounce still completes the number, so the suppression is renewed after the lift.
                std::iter::once(lift).chain(follows.map(|change| SuppressionChange { at, ..change })).collect()
            }
        }
    }

    fn is_from(&self, (said, details): &(ChangeStamp, ReasonDetail)) -> bool {
        let by_email = details.email_id.as_ref().is_some_and(|email| self.bounces.contains_key(email));
        by_email || self.bounces.values().any(|bounce| bounce.message == said.message)
    }
}

#[cfg(test)]
mod tests;
