//! Suppressed addresses, with the reasons.
//!
//! Two pure functions do the work. [`suppression_effect`] returns the changes that an event makes.
//! [`Suppression::merge_change`] adds one change to the stored state of a recipient.
//!
//! # Why order doesn't matter
//!
//! Webhooks arrive at least once and in any order. So each reason has two registers: the newest suppressing change and
//! the newest lifting change ever seen. A change only moves its own register forward, to the greater of `(time of the
//! event, webhook id)`. A maximum is associative, commutative and idempotent. So any permutation of a set of changes,
//! with any duplicates, ends in the same registers. A reason is active depending on the two registers only. A topic has two
//! such registers as well: the newest opt-out and the newest opt-in.
//!
//! ```text
//!   unsubscribed at 10:00 ─┐                      suppressed 10:00, lifted 11:00 → lifted
//!   resubscribed at 11:00 ─┼─ in any order ────▶  (the 10:00 event, coming last, moves nothing)
//!   unsubscribed at 10:00 ─┘ (a duplicate)
//! ```

mod record;
mod topics;

use std::collections::BTreeMap;

use strum::{EnumString, IntoStaticStr, VariantArray};

pub use self::record::{ReasonState, Suppression};
pub use self::topics::{MAX_TOPIC_ID, MAX_TOPICS, TopicChange, TopicState};
use super::affected::AffectedRecipients;
use super::bounce::{hard_bounce_detail, soft_bounce};
use crate::resend::event::{Event, EventType, Subscription};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// Maximum length of the detail stored with a reason, in characters. It holds a server's reply, and keeps an item
/// within one write unit.
const MAX_DETAIL_CHARS: usize = 400;

/// Maximum length of an email id stored with a reason, in bytes; Resend's ids have 36. A longer id is left out. Otherwise it
/// could make an item, or a transaction, too large for DynamoDB, and the recipient would not be suppressed.
pub const MAX_EMAIL_ID: usize = 256;

/// Time and webhook of a change. They decide which of two changes is newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeStamp {
    /// The event's own time.
    pub at: UnixMillis,
    /// Id of the webhook.
    pub message: MessageId,
}

/// Replaces a stamp by a newer one.
fn move_forward(known: &mut Option<ChangeStamp>, stamp: ChangeStamp) {
    if known.as_ref().is_none_or(|known| *known < stamp) {
        *known = Some(stamp);
    }
}

/// Reason why an address is suppressed. Each reason is active or lifted independently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumString, VariantArray)]
pub enum Reason {
    /// The recipient reported an email as spam.
    #[strum(serialize = "complaint")]
    Complaint,
    /// The address does not exist, or its server rejects it permanently.
    #[strum(serialize = "hard_bounce")]
    HardBounce,
    /// The contact is unsubscribed from everything at Resend.
    #[strum(serialize = "unsubscribed")]
    Unsubscribed,
    /// The recipient opted out elsewhere.
    #[strum(serialize = "opted_out")]
    OptedOut,
    /// Several consecutive emails had soft bounces. This reason expires.
    #[strum(serialize = "soft_bounce")]
    SoftBounce,
    /// The address is on Resend's own suppression list.
    #[strum(serialize = "provider")]
    Provider,
    /// An operator added the address.
    #[strum(serialize = "manual")]
    Manual,
}

impl Reason {
    /// All reasons.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the name in the table, in logs and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the reason with this name.
    pub fn from_text(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// A change of one reason of one recipient, by one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionChange {
    /// The reason.
    pub reason: Reason,
    /// Time of the change: the event's own time, but never later than its receipt.
    pub at: UnixMillis,
    /// Id of the webhook; it orders changes of equal time.
    pub message: MessageId,
    /// Effect on the reason.
    pub effect: ChangeEffect,
}

/// A change of a recipient's item, by one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemChange {
    /// Of a reason.
    Reason(SuppressionChange),
    /// Of the subscription to a topic.
    Topic(TopicChange),
}

impl ItemChange {
    /// Returns the change of a reason, if it is one.
    pub const fn reason(&self) -> Option<&SuppressionChange> {
        match self {
            Self::Reason(change) => Some(change),
            Self::Topic(_) => None,
        }
    }
}

impl From<SuppressionChange> for ItemChange {
    fn from(change: SuppressionChange) -> Self {
        Self::Reason(change)
    }
}

/// Effect of a change on its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEffect {
    /// The reason becomes active.
    Suppress(ReasonDetail),
    /// The reason is lifted.
    Lift,
}

/// Details of an active reason, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonDetail {
    /// The email that caused the reason.
    pub email_id: Option<String>,
    /// The circumstances, in a few words.
    pub detail: Option<String>,
    /// Time at which the reason expires; `None` if it is active until lifted.
    pub until: Option<UnixMillis>,
}

/// Effect of an event on the suppression list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuppressionEffect {
    /// No effect.
    Nothing,
    /// Changes, by recipient.
    Changes(BTreeMap<Recipient, Vec<ItemChange>>),
    /// The event would suppress a recipient, but does not say which: one of these, or one without a valid address. No
    /// address is suppressed, because a bounce must never suppress other recipients. A person has to look.
    Ambiguous(Vec<Recipient>),
}

/// Returns the effect of an event on the suppression list.
///
/// A change has its event's own time, but never later than `received_at`. Otherwise a lift with a future time would
/// outweigh every event until then.
pub fn suppression_effect(event: &Event<'_>, message: &MessageId, received_at: UnixMillis) -> SuppressionEffect {
    let Some(event_type) = event.event_type() else { return SuppressionEffect::Nothing };
    let at = event.happened_at(received_at);
    let change = |reason, effect| SuppressionChange { reason, at, message: message.clone(), effect };
    let suppress = |reason, email_id: Option<String>, detail: Option<String>| {
        let email_id = email_id.filter(|id| id.len() <= MAX_EMAIL_ID);
        let detail = detail.map(|text| text.chars().take(MAX_DETAIL_CHARS).collect());
        change(reason, ChangeEffect::Suppress(ReasonDetail { email_id, detail, until: None }))
    };
    let lifted = |changes: Vec<SuppressionChange>| match event.address() {
        Some(recipient) => {
            let changes = changes.into_iter().map(ItemChange::Reason).collect();
            SuppressionEffect::Changes(BTreeMap::from([(recipient, changes)]))
        }
        None => SuppressionEffect::Nothing,
    };
    match event_type {
        EventType::EmailComplained => for_those(
            event,
            AffectedRecipients::by_outcome(event),
            &suppress(Reason::Complaint, event.email_id(), None),
        ),
        EventType::EmailBounced => match hard_bounce_detail(event) {
            Some(detail) => {
                let change = suppress(Reason::HardBounce, event.email_id(), Some(detail));
                for_those(event, AffectedRecipients::by_outcome(event), &change)
            }
            None => match soft_bounce(event) {
                // A known recipient would count towards a suppression.
                Some(AffectedRecipients::Unclear(possible)) => SuppressionEffect::Ambiguous(possible),
                Some(AffectedRecipients::Known(_)) | None => SuppressionEffect::Nothing,
            },
        },
        EventType::EmailSuppressed => {
            let change = suppress(Reason::Provider, event.email_id(), event.suppression_reason());
            for_those(event, AffectedRecipients::by_outcome(event), &change)
        }
        EventType::SuppressionAdded => {
            let change = suppress(Reason::Provider, event.source_email_id(), event.origin());
            for_those(event, AffectedRecipients::by_contact(event), &change)
        }
        EventType::SuppressionRemoved => {
            let reasons = [Some(Reason::Provider), event.origin().as_deref().and_then(reason_of_origin)];
            lifted(reasons.into_iter().flatten().map(|reason| change(reason, ChangeEffect::Lift)).collect())
        }
        EventType::ContactCreated | EventType::ContactUpdated | EventType::ContactDeleted => {
            match (event.unsubscribed(), event_type) {
                (Some(true), _) => {
                    for_those(event, AffectedRecipients::by_contact(event), &suppress(Reason::Unsubscribed, None, None))
                }
                // A deleted contact does not mean that the person can receive email again.
                (Some(false), EventType::ContactDeleted) | (None, _) => SuppressionEffect::Nothing,
                (Some(false), _) => lifted(vec![change(Reason::Unsubscribed, ChangeEffect::Lift)]),
            }
        }
        EventType::ContactTopicsUpdated => topics_effect(event, message, at),
        _ => SuppressionEffect::Nothing,
    }
}

/// Returns the effect of a contact's new subscriptions to topics.
fn topics_effect(event: &Event<'_>, message: &MessageId, at: UnixMillis) -> SuppressionEffect {
    let subscriptions = event.topics().into_iter().filter(|(topic, _)| topic.len() <= MAX_TOPIC_ID);
    let changes: Vec<TopicChange> = subscriptions
        .map(|(topic, subscription)| TopicChange { topic, at, message: message.clone(), subscription })
        .collect();
    let opts_out = changes.iter().any(|change| change.subscription == Subscription::OptOut);
    let changes: Vec<ItemChange> = changes.into_iter().map(ItemChange::Topic).collect();
    match AffectedRecipients::by_contact(event) {
        _ if changes.is_empty() => SuppressionEffect::Nothing,
        AffectedRecipients::Known(all) => {
            SuppressionEffect::Changes(all.into_iter().map(|recipient| (recipient, changes.clone())).collect())
        }
        AffectedRecipients::Unclear(possible) if opts_out => SuppressionEffect::Ambiguous(possible),
        AffectedRecipients::Unclear(_) => SuppressionEffect::Nothing,
    }
}

/// Returns the change with the receiving server's reply about this recipient before the other details, because people
/// look for it first.
fn with_diagnosis(mut change: SuppressionChange, event: &Event<'_>, recipient: &Recipient) -> SuppressionChange {
    if let (ChangeEffect::Suppress(details), Some(said)) = (&mut change.effect, event.servers_said_of(recipient)) {
        let detail = details.detail.take().map(|detail| format!(" ({detail})")).unwrap_or_default();
        details.detail = Some(format!("{said}{detail}").chars().take(MAX_DETAIL_CHARS).collect());
    }
    change
}

/// Returns the change for each recipient that the event is about.
fn for_those(event: &Event<'_>, concerned: AffectedRecipients, change: &SuppressionChange) -> SuppressionEffect {
    let theirs = |recipient: Recipient| {
        let change = with_diagnosis(change.clone(), event, &recipient);
        (recipient, vec![ItemChange::Reason(change)])
    };
    match concerned {
        AffectedRecipients::Known(all) => SuppressionEffect::Changes(all.into_iter().map(theirs).collect()),
        AffectedRecipients::Unclear(possible) => SuppressionEffect::Ambiguous(possible),
    }
}

/// Returns the reason for an origin at Resend (<https://resend.com/docs/api-reference/suppressions>).
fn reason_of_origin(origin: &str) -> Option<Reason> {
    match origin.trim().to_ascii_lowercase().as_str() {
        "bounce" => Some(Reason::HardBounce),
        "complaint" => Some(Reason::Complaint),
        "manual" => Some(Reason::Manual),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
