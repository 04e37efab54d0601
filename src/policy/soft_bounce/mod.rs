//! When soft bounces add up to a suppression, and when they do not any more.
//!
//! The promise: nobody is suppressed to whom an email was delivered after the first of the bounces that add up. An email that was
//! delivered, and then "bounced" softly, was answered by an autoresponder, and is no bounce.
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
//! Each part of [`SoftBounces`] only moves one way, whatever is added to it and however often: the newest bounce of each email, whether
//! that email was delivered, the newest delivery of all. The one exception is `since`, when it was begun: deliveries before that were not
//! looked for. So a bounce that is older does not count, and a mailbox may need one bounce more where webhooks come late.

use std::collections::BTreeMap;
use std::time::Duration;

use super::addressees::Concerned;
use super::numbers::SoftBouncePolicy;
use super::suppression::{Change, Effect, Grounds, Reason, Record, Said, bounce_is_hard};
use crate::policy::count::count;
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::{UnixMillis, days};

/// How much older than [`SoftBounces::since`] a bounce may be that counts: as long as most webhooks take to come.
pub const EARLIER: Duration = Duration::from_secs(600);

/// The most bounces that are remembered of a recipient, the newest: the item stays small, however much is sent to a full mailbox.
pub const MOST: usize = 50;

/// How long after the policy's windows a late webhook may still come: Resend replays what is 30 days old.
const LATE_DAYS: u32 = 35;

/// Subtypes of bounces that are about the email's content: the mailbox is fine
/// (<https://resend.com/docs/dashboard/emails/email-bounces>).
const ABOUT_CONTENT: [&str; 4] = ["MessageRejected", "MessageTooLarge", "ContentRejected", "AttachmentRejected"];

/// The newest soft bounce of an email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounce {
    /// When it bounced.
    pub at: UnixMillis,
    /// The webhook that said so.
    pub message: MessageId,
    /// Whether the email was delivered all the same.
    pub delivered: bool,
}

/// The soft bounces of a recipient, and what was delivered since they began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounces {
    /// Receipt of the bounce that began it, or when that was handled, if that was later by more than [`EARLIER`]. Deliveries are looked
    /// for from then on.
    pub since: UnixMillis,
    /// The newest bounce of each email, by the email's id; at most [`MOST`].
    pub bounces: BTreeMap<String, SoftBounce>,
    /// Time of the newest delivery of any email.
    pub delivered_at: Option<UnixMillis>,
}

/// Whose email bounced softly, if it did: every bounce is soft but a hard one, or one about the email's content; one without a type, or
/// of an unknown one, too.
pub fn soft_bounce(event: &Event<'_>) -> Option<Concerned> {
    let sub_type = event.bounce().sub_type.unwrap_or_default();
    let is_about_content = ABOUT_CONTENT.iter().any(|known| sub_type.trim().eq_ignore_ascii_case(known));
    let is_soft = event.event_type() == Some(EventType::EmailBounced) && !bounce_is_hard(event) && !is_about_content;
    is_soft.then(|| Concerned::by_outcome(event))
}

/// Those whose email bounced softly. Nobody, if it is unclear whom it is about.
pub fn soft_bounced(event: &Event<'_>) -> Vec<Recipient> {
    match soft_bounce(event) {
        Some(Concerned::Known(all)) => all,
        Some(Concerned::Unclear(_)) | None => Vec::new(),
    }
}

impl SoftBounces {
    /// No bounces yet; begun by one that was received then.
    pub fn begun(since: UnixMillis) -> Self {
        Self { since, bounces: BTreeMap::new(), delivered_at: None }
    }

    /// The same with one more bounce of an email.
    #[must_use]
    pub fn bounced(mut self, email_id: &str, at: UnixMillis, message: &MessageId) -> Self {
        let bounce = SoftBounce { at, message: message.clone(), delivered: false };
        let known = self.bounces.entry(email_id.to_owned()).or_insert_with(|| bounce.clone());
        if (known.at, &known.message) < (bounce.at, &bounce.message) {
            *known = SoftBounce { delivered: known.delivered, ..bounce };
        }
        while self.bounces.len() > MOST {
            let oldest = self.bounces.iter().min_by_key(|(email, bounce)| (bounce.at, *email));
            let Some(oldest) = oldest.map(|(email, _)| email.clone()) else { break };
            self.bounces.remove(&oldest);
        }
        self
    }

    /// The same after the delivery of an email, one that bounced or any other.
    #[must_use]
    pub fn delivered(mut self, email_id: &str, at: UnixMillis) -> Self {
        self.delivered_at = self.delivered_at.max(Some(at));
        if let Some(bounce) = self.bounces.get_mut(email_id) {
            bounce.delivered = true;
        }
        self
    }

    /// When it may be forgotten: once no bounce in it can count, nor a suppression that follows from one can stand.
    pub fn expires_at(&self, policy: &SoftBouncePolicy) -> UnixMillis {
        let newest = self.bounces.values().map(|bounce| bounce.at).max().unwrap_or(self.since);
        newest.plus(days(policy.within_days.max(policy.lapse_days) + LATE_DAYS))
    }

    /// The suppression that follows, if one does: from the newest bounce that completes the number.
    pub fn suppression(&self, policy: &SoftBouncePolicy) -> Option<Change> {
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
        let grounds = Grounds {
            email_id: Some((*email_id).clone()),
            detail: Some(format!(
                "{} bounced softly within {}",
                count(policy.emails, "email"),
                count(policy.within_days, "day")
            )),
            until: Some(last.at.plus(days(policy.lapse_days))),
        };
        Some(Change {
            reason: Reason::SoftBounce,
            at: last.at,
            message: last.message.clone(),
            effect: Effect::Suppress(grounds),
        })
    }

    /// The changes to the list that follow, from what the list has of `soft_bounce`. A suppression that followed from one of these
    /// bounces, and does not follow any more, is lifted with its own time and 1 ms. What an operator or an import put there stays.
    pub fn changes(&self, listed: &Record, policy: &SoftBouncePolicy) -> Vec<Change> {
        let follows = self.suppression(policy);
        let ours = listed.suppressed.as_ref().filter(|made| listed.stands() && self.is_from(made));
        let Some((said, grounds)) = ours else { return follows.into_iter().collect() };
        let is_known = |change: &Change| change.effect == Effect::Suppress(grounds.clone());
        match follows {
            Some(change) if change.at >= said.at || is_known(&change) => vec![change],
            follows => {
                let at = UnixMillis(said.at.0.saturating_add(1));
                let lift =
                    Change { reason: Reason::SoftBounce, at, message: said.message.clone(), effect: Effect::Lift };
                // An older bounce completes the number still: it stands on that one, against the lift.
                std::iter::once(lift).chain(follows.map(|change| Change { at, ..change })).collect()
            }
        }
    }

    fn is_from(&self, (said, grounds): &(Said, Grounds)) -> bool {
        let by_email = grounds.email_id.as_ref().is_some_and(|email| self.bounces.contains_key(email));
        by_email || self.bounces.values().any(|bounce| bounce.message == said.message)
    }
}

#[cfg(test)]
mod tests;
