//! Hard and soft bounces.

use super::affected::AffectedRecipients;
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;

/// Subtypes of bounces because of the email's content; the mailbox works
/// (<https://resend.com/docs/dashboard/emails/email-bounces>).
const ABOUT_CONTENT: [&str; 4] = ["MessageRejected", "MessageTooLarge", "ContentRejected", "AttachmentRejected"];

/// Returns true for a hard bounce.
pub(super) fn is_hard_bounce(event: &Event<'_>) -> bool {
    hard_bounce_detail(event).is_some()
}

/// Returns true for a bounce of an email that Resend never tried to deliver, because a suppression list had the address
/// (<https://resend.com/docs/dashboard/emails/email-bounces>).
pub(super) fn was_never_tried(event: &Event<'_>) -> bool {
    let sub_type = event.bounce().sub_type.unwrap_or_default();
    let is = |name: &str| sub_type.trim().eq_ignore_ascii_case(name);
    is("OnAccountSuppressionList") || is("Suppressed")
}

/// Returns `type: subtype: message` of a hard bounce, or `None` for any other bounce.
///
/// `MessageRejected` is permanent too, but because of the content: the address works.
/// <https://resend.com/docs/dashboard/emails/email-bounces>
pub(super) fn hard_bounce_detail(event: &Event<'_>) -> Option<String> {
    let bounce = event.bounce();
    let is =
        |text: &Option<String>, name: &str| text.as_deref().is_some_and(|text| text.trim().eq_ignore_ascii_case(name));
    let hard = is(&bounce.bounce_type, "Permanent") && !is(&bounce.sub_type, "MessageRejected");
    let parts = [bounce.sub_type, bounce.message];
    hard.then(|| {
        std::iter::once("Permanent".to_owned()).chain(parts.into_iter().flatten()).collect::<Vec<_>>().join(": ")
    })
}

/// Returns the recipients of a soft bounce, or `None` for any other event. Every bounce is soft, except a hard bounce
/// and a bounce because of the email's content. A missing or unknown type counts as soft.
pub fn soft_bounce(event: &Event<'_>) -> Option<AffectedRecipients> {
    let sub_type = event.bounce().sub_type.unwrap_or_default();
    let is_about_content = ABOUT_CONTENT.iter().any(|known| sub_type.trim().eq_ignore_ascii_case(known));
    let is_soft = event.event_type() == Some(EventType::EmailBounced) && !is_hard_bounce(event) && !is_about_content;
    is_soft.then(|| AffectedRecipients::by_outcome(event))
}

/// Returns the recipients of a soft bounce. The result is empty if the recipient is unclear.
pub fn soft_bounced(event: &Event<'_>) -> Vec<Recipient> {
    match soft_bounce(event) {
        Some(AffectedRecipients::Known(all)) => all,
        Some(AffectedRecipients::Unclear(_)) | None => Vec::new(),
    }
}
