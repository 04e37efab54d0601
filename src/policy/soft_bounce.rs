//! When soft bounces add up to a suppression.

use super::numbers::SoftBouncePolicy;
use super::suppression::{Change, Effect, Grounds, Reason};
use crate::event::{Event, EventType};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::time::{UnixMillis, days};

/// A soft bounce, as remembered of a recipient. An email may bounce more than once; it counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftBounce {
    /// The email.
    pub email_id: String,
    /// When it bounced.
    pub at: UnixMillis,
    /// The message that said so.
    pub message: MessageId,
}

/// Whose mail bounced softly: those whom the event is about, if its bounce is one of the types that may pass
/// (<https://resend.com/docs/dashboard/emails/email-bounces>). Nobody, if that is unclear.
pub fn soft_bounced(event: &Event<'_>) -> Vec<Recipient> {
    let soft = ["transient", "temporary", "undetermined"];
    let bounce_type = event.bounce().bounce_type.unwrap_or_default().trim().to_lowercase();
    if event.event_type() != Some(EventType::EmailBounced) || !soft.contains(&bounce_type.as_str()) {
        return Vec::new();
    }
    super::suppression::recipients_named(event).unwrap_or_default()
}

/// The suppression that follows from a recipient's soft bounces, if one does: from the newest bounce that completes the number.
///
/// It depends on the set of bounces alone, not on their order; and one that is made from a part of them is older than, or the
/// same as, the one that is made from all, so merging both ends in the latter.
pub fn suppression(bounces: &[SoftBounce], policy: &SoftBouncePolicy) -> Option<Change> {
    let within = days(policy.within_days);
    let completes = |last: &&SoftBounce| {
        let counted = bounces.iter().filter(|bounce| bounce.at <= last.at && bounce.at >= last.at.minus(within));
        let mut emails: Vec<&str> = counted.map(|bounce| bounce.email_id.as_str()).collect();
        emails.sort_unstable();
        emails.dedup();
        emails.len() >= policy.emails
    };
    let last = bounces.iter().filter(completes).max_by_key(|bounce| (bounce.at, &bounce.message))?;
    let grounds = Grounds {
        email_id: Some(last.email_id.clone()),
        detail: Some(format!("{} emails bounced softly within {} days", policy.emails, policy.within_days)),
        until: Some(last.at.plus(days(policy.lapse_days))),
    };
    Some(Change {
        reason: Reason::SoftBounce,
        at: last.at,
        message: last.message.clone(),
        effect: Effect::Suppress(grounds),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn bounce(email: &str, at: i64) -> SoftBounce {
        SoftBounce {
            email_id: email.to_owned(),
            at: UnixMillis(at),
            message: MessageId::already_verified(format!("msg_{email}_{at}")),
        }
    }

    fn last_and_until(bounces: &[SoftBounce]) -> Option<(i64, i64)> {
        let change = suppression(bounces, &SoftBouncePolicy::default())?;
        let Effect::Suppress(grounds) = change.effect else { panic!("soft bounces never lift") };
        Some((change.at.0, grounds.until.unwrap().0))
    }

    #[test]
    fn three_distinct_emails_in_thirty_days_suppress_until_thirty_days_after_the_last() {
        assert_eq!(last_and_until(&[bounce("a", 0), bounce("b", DAY)]), None);
        assert_eq!(last_and_until(&[bounce("a", 0), bounce("b", DAY), bounce("b", 2 * DAY)]), None);
        assert_eq!(
            last_and_until(&[bounce("a", 0), bounce("b", DAY), bounce("c", 30 * DAY)]),
            Some((30 * DAY, 60 * DAY))
        );
        assert_eq!(last_and_until(&[bounce("a", 0), bounce("b", DAY), bounce("c", 30 * DAY + 1)]), None);
    }

    #[test]
    fn each_further_one_puts_the_lapsing_off() {
        let four = [bounce("a", 0), bounce("b", DAY), bounce("c", 2 * DAY), bounce("d", 29 * DAY)];
        assert_eq!(last_and_until(&four), Some((29 * DAY, 59 * DAY)));
        let long_after = [bounce("a", 0), bounce("b", DAY), bounce("c", 2 * DAY), bounce("d", 90 * DAY)];
        assert_eq!(last_and_until(&long_after), Some((2 * DAY, 32 * DAY)));
    }

    #[test]
    fn only_bounces_that_may_pass_count_and_only_for_whom_they_are_about() {
        let of = |bounce_type: &str, to: serde_json::Value, code: serde_json::Value| {
            let data = serde_json::json!({ "to": to, "bounce": { "type": bounce_type, "diagnosticCode": code } });
            let body = serde_json::json!({ "type": "email.bounced", "data": data }).to_string();
            soft_bounced(&Event::read(body.as_bytes()).unwrap()).len()
        };
        let one = || serde_json::json!(["a@b.c"]);
        let two = || serde_json::json!(["a@b.c", "d@e.f"]);
        for soft in ["Transient", "TEMPORARY", " undetermined "] {
            assert_eq!(of(soft, one(), serde_json::Value::Null), 1, "{soft}");
        }
        for other in ["Permanent", "", "Strange"] {
            assert_eq!(of(other, one(), serde_json::Value::Null), 0, "{other}");
        }
        assert_eq!(of("Transient", two(), serde_json::json!("452 <d@e.f> full")), 1);
        assert_eq!(of("Transient", two(), serde_json::Value::Null), 0, "it must not silence a bystander");
    }

    proptest! {
        #[test]
        fn a_part_of_the_bounces_never_says_more_than_all_of_them_and_order_does_not_matter(
            mut bounces in prop::collection::vec((0..6_u8, 0..80_i64), 0..12),
            part in 0..12_usize,
        ) {
            let made = |bounces: &[(u8, i64)]| -> Vec<SoftBounce> {
                bounces.iter().map(|(email, day)| bounce(&email.to_string(), day * DAY)).collect()
            };
            let policy = SoftBouncePolicy::default();
            let said = |change: Option<Change>| change.map(|change| (change.at, change.message));
            let all = said(suppression(&made(&bounces), &policy));
            let some = said(suppression(&made(&bounces[..part.min(bounces.len())]), &policy));
            prop_assert!(some <= all);
            bounces.reverse();
            prop_assert_eq!(said(suppression(&made(&bounces), &policy)), all);
        }
    }
}
