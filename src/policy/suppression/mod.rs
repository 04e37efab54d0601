//! Who must not be written to, and why.
//!
//! Two pure functions: [`protection`], from an event to the changes that it makes, and [`Suppression::merge`], from what is
//! known of a recipient and one change to what is known then.
//!
//! # Why order doesn't matter
//!
//! Webhooks come at least once and in no order. So each reason holds two registers, the newest suppressing and the
//! newest lifting that were ever seen, and a change only ever moves its own register forward, to the greater of
//! `(time of the event, message id)`. Taking a maximum is associative, commutative and idempotent, so any permutation of
//! a set of changes, with any duplicates, ends in the same registers; and whether a reason stands is a function of the two.
//!
//! ```text
//!   unsubscribed at 10:00 ─┐                      suppressed 10:00, lifted 11:00 → lifted
//!   resubscribed at 11:00 ─┼─ in any order ────▶  (the 10:00 event, coming last, moves nothing)
//!   unsubscribed at 10:00 ─┘ (a duplicate)
//! ```

mod record;

use std::collections::BTreeMap;

use strum::{EnumString, IntoStaticStr, VariantArray};

pub use self::record::{Record, Said, Suppression};
use super::addressees::Concerned;
use super::soft_bounce::soft_bounce;
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// The longest detail kept with a reason, in characters: what a server said, and an item of one reason within a write unit.
const MAX_DETAIL_CHARS: usize = 400;

/// The longest id of an email kept with a reason, in bytes; Resend's have 36. A longer one is left out: it must not make an item,
/// or a transaction of many, so large that DynamoDB never takes it, and the recipient is not suppressed.
const MAX_EMAIL_ID: usize = 256;

/// Why an address must not be written to. Each reason stands and is lifted on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumString, VariantArray)]
pub enum Reason {
    /// The recipient called a mail spam.
    #[strum(serialize = "complaint")]
    Complaint,
    /// The address does not exist, or its server refuses for good.
    #[strum(serialize = "hard_bounce")]
    HardBounce,
    /// The contact is unsubscribed from everything at Resend.
    #[strum(serialize = "unsubscribed")]
    Unsubscribed,
    /// The recipient opted out elsewhere.
    #[strum(serialize = "opted_out")]
    OptedOut,
    /// Several mails in a row bounced softly. Lapses.
    #[strum(serialize = "soft_bounce")]
    SoftBounce,
    /// Resend's own suppression list has it.
    #[strum(serialize = "provider")]
    Provider,
    /// An operator put it there.
    #[strum(serialize = "manual")]
    Manual,
}

impl Reason {
    /// Every reason.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The reason's name in the table, in logs and in the documentation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The reason of this name.
    pub fn from_text(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

/// One reason, suppressed or lifted for one recipient by one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which reason.
    pub reason: Reason,
    /// When it happened, by the event's own time, but not later than its receipt.
    pub at: UnixMillis,
    /// Which message said so; it settles ties.
    pub message: MessageId,
    /// What it does to the reason.
    pub effect: Effect,
}

/// What a change does to its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The reason stands.
    Suppress(Grounds),
    /// The reason is lifted.
    Lift,
}

/// What is kept about a reason that stands, for whoever asks why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// The email that brought it about.
    pub email_id: Option<String>,
    /// The circumstances, in a few words.
    pub detail: Option<String>,
    /// When the reason lapses by itself; `None` for one that stands until it is lifted.
    pub until: Option<UnixMillis>,
}

/// What an event means for the suppression list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    Nothing,
    /// These changes, by recipient.
    Changes(BTreeMap<Recipient, Vec<Change>>),
    /// It would suppress somebody, and nothing says whom: one of these, or somebody whose address can't be read. Nobody is
    /// suppressed, because a bounce must never silence bystanders; a person has to look.
    Ambiguous(Vec<Recipient>),
}

/// What an event means for the suppression list.
///
/// A change counts at its event's own time, but never later than `received_at`: a lift that claims to be of the future must not
/// outweigh what happens until then.
pub fn protection(event: &Event<'_>, message: &MessageId, received_at: UnixMillis) -> Protection {
    let Some(event_type) = event.event_type() else { return Protection::Nothing };
    let at = event.happened_at(received_at);
    let change = |reason, effect| Change { reason, at, message: message.clone(), effect };
    let suppress = |reason, email_id: Option<String>, detail: Option<String>| {
        let email_id = email_id.filter(|id| id.len() <= MAX_EMAIL_ID);
        let detail = detail.map(|text| text.chars().take(MAX_DETAIL_CHARS).collect());
        change(reason, Effect::Suppress(Grounds { email_id, detail, until: None }))
    };
    let lifted = |changes: Vec<Change>| match event.address() {
        Some(recipient) => Protection::Changes(BTreeMap::from([(recipient, changes)])),
        None => Protection::Nothing,
    };
    match event_type {
        EventType::EmailComplained => {
            for_those(event, Concerned::by_outcome(event), &suppress(Reason::Complaint, event.email_id(), None))
        }
        EventType::EmailBounced => match hard_bounce_detail(event) {
            Some(detail) => {
                let change = suppress(Reason::HardBounce, event.email_id(), Some(detail));
                for_those(event, Concerned::by_outcome(event), &change)
            }
            None => match soft_bounce(event) {
                // It would count towards a suppression.
                Some(Concerned::Unclear(possible)) => Protection::Ambiguous(possible),
                Some(Concerned::Known(_)) | None => Protection::Nothing,
            },
        },
        EventType::EmailSuppressed => {
            let change = suppress(Reason::Provider, event.email_id(), event.suppressed_because());
            for_those(event, Concerned::by_outcome(event), &change)
        }
        EventType::SuppressionAdded => {
            let change = suppress(Reason::Provider, event.source_email_id(), event.origin());
            for_those(event, Concerned::by_contact(event), &change)
        }
        EventType::SuppressionRemoved => {
            let reasons = [Some(Reason::Provider), event.origin().as_deref().and_then(reason_of_origin)];
            lifted(reasons.into_iter().flatten().map(|reason| change(reason, Effect::Lift)).collect())
        }
        EventType::ContactCreated | EventType::ContactUpdated | EventType::ContactDeleted => {
            match (event.unsubscribed(), event_type) {
                (Some(true), _) => {
                    for_those(event, Concerned::by_contact(event), &suppress(Reason::Unsubscribed, None, None))
                }
                // That a contact is gone does not say that the person behind it may be written to again.
                (Some(false), EventType::ContactDeleted) | (None, _) => Protection::Nothing,
                (Some(false), _) => lifted(vec![change(Reason::Unsubscribed, Effect::Lift)]),
            }
        }
        _ => Protection::Nothing,
    }
}

/// The change with what the receiving server said of this recipient, before the other circumstances: it is what people ask for first.
fn with_diagnosis(mut change: Change, event: &Event<'_>, recipient: &Recipient) -> Change {
    if let (Effect::Suppress(grounds), Some(said)) = (&mut change.effect, event.servers_said_of(recipient)) {
        let detail = grounds.detail.take().map(|detail| format!(" ({detail})")).unwrap_or_default();
        grounds.detail = Some(format!("{said}{detail}").chars().take(MAX_DETAIL_CHARS).collect());
    }
    change
}

/// The change for each recipient that the event is about.
fn for_those(event: &Event<'_>, concerned: Concerned, change: &Change) -> Protection {
    let theirs = |recipient: Recipient| {
        let change = with_diagnosis(change.clone(), event, &recipient);
        (recipient, vec![change])
    };
    match concerned {
        Concerned::Known(all) => Protection::Changes(all.into_iter().map(theirs).collect()),
        Concerned::Unclear(possible) => Protection::Ambiguous(possible),
    }
}

/// Whether a bounce says that the address is bad for good.
pub(super) fn bounce_is_hard(event: &Event<'_>) -> bool {
    hard_bounce_detail(event).is_some()
}

/// Whether a bounce is of an email that Resend never tried to deliver, because a suppression list had the address
/// (<https://resend.com/docs/dashboard/emails/email-bounces>).
pub(super) fn was_never_tried(event: &Event<'_>) -> bool {
    let sub_type = event.bounce().sub_type.unwrap_or_default();
    let is = |name: &str| sub_type.trim().eq_ignore_ascii_case(name);
    is("OnAccountSuppressionList") || is("Suppressed")
}

/// `type/subtype` of a bounce that says that the address is bad for good; `None` for any other bounce.
///
/// `MessageRejected` is permanent too, but about the content: the address is fine.
/// <https://resend.com/docs/dashboard/emails/email-bounces>
fn hard_bounce_detail(event: &Event<'_>) -> Option<String> {
    let bounce = event.bounce();
    let is =
        |text: &Option<String>, name: &str| text.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case(name));
    let hard = is(&bounce.bounce_type, "Permanent") && !is(&bounce.sub_type, "MessageRejected");
    let parts = [bounce.sub_type, bounce.message];
    hard.then(|| {
        std::iter::once("Permanent".to_owned()).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(": ")
    })
}

/// The reason that an origin at Resend corresponds to (<https://resend.com/docs/api-reference/suppressions>).
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
