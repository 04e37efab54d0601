//! Tests of soft bounces, with examples and properties.

use proptest::prelude::*;

use super::*;
use crate::policy::bounce::soft_bounced;
use crate::policy::suppression::Suppression;
use crate::resend::event::Event;

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;

/// An event of an email to one recipient, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TestEvent {
    Bounced(u8, i64),
    Delivered(u8, i64),
}

use TestEvent::{Bounced, Delivered};

fn id(email: u8) -> String {
    format!("e{email}")
}

fn add(known: SoftBounces, event: TestEvent) -> SoftBounces {
    match event {
        Bounced(email, at) => {
            let message = MessageId::from_verified(format!("msg_{email}_{at}"));
            known.bounced(&id(email), UnixMillis(at), &message)
        }
        Delivered(email, at) => known.delivered(&id(email), UnixMillis(at)),
    }
}

/// The state after all events, if each webhook arrives immediately. Deliveries before the first bounce are not
/// recorded.
fn known(all: &[TestEvent]) -> SoftBounces {
    let first = all.iter().position(|event| matches!(event, Bounced(..))).unwrap();
    let Bounced(_, since) = all[first] else { unreachable!() };
    all[first..].iter().fold(SoftBounces::begun(UnixMillis(since)), |known, event| add(known, *event))
}

fn last_and_until(all: &[TestEvent]) -> Option<(i64, i64)> {
    let change = known(all).suppression(&SoftBouncePolicy::default())?;
    let ChangeEffect::Suppress(details) = change.effect else { panic!("the change is a lift") };
    Some((change.at.0, details.until.unwrap().0))
}

#[test]
fn three_emails_in_thirty_days_suppress_for_thirty_days() {
    assert_eq!(last_and_until(&[Bounced(1, 0), Bounced(2, DAY)]), None);
    assert_eq!(last_and_until(&[Bounced(1, 0), Bounced(2, DAY), Bounced(2, 2 * DAY)]), None);
    let third = |at| last_and_until(&[Bounced(1, 0), Bounced(2, DAY), Bounced(3, at)]);
    assert_eq!(third(30 * DAY), Some((30 * DAY, 60 * DAY)));
    assert_eq!(third(30 * DAY + 1), None);
}

#[test]
fn each_further_one_puts_the_lapsing_off() {
    let three = [Bounced(1, 0), Bounced(2, DAY), Bounced(3, 2 * DAY)];
    let and = |fourth: i64| last_and_until(&[&three[..], &[Bounced(4, fourth)]].concat());
    assert_eq!(and(29 * DAY), Some((29 * DAY, 59 * DAY)));
    assert_eq!(and(90 * DAY), Some((2 * DAY, 32 * DAY)));
}

/// `MailboxFull` on days 27, 15 and 3, among daily emails that were delivered.
#[test]
fn a_mailbox_that_accepts_emails_in_between_is_not_suppressed() {
    let day = |day: u8| {
        if [3, 15, 27].contains(&day) {
            Bounced(day, i64::from(day) * DAY)
        } else {
            Delivered(day, i64::from(day) * DAY)
        }
    };
    let all: Vec<TestEvent> = (0..29).map(day).collect();
    for days in 1..=all.len() {
        let some = &all[..days];
        assert!(!some.iter().any(|event| matches!(event, Bounced(..))) || last_and_until(some).is_none(), "{days}");
    }
    // Another recipient: one delivery is enough, and the count starts again after it.
    let once = [Bounced(1, 0), Delivered(2, DAY), Bounced(3, 2 * DAY), Bounced(4, 3 * DAY)];
    assert_eq!(last_and_until(&once), None);
    assert!(last_and_until(&[&once[..], &[Bounced(5, 4 * DAY)]].concat()).is_some());
}

#[test]
fn a_bounce_of_a_delivered_email_does_not_count() {
    // Three newsletters at the same time, delivered before any bounce; an automatic reply follows each.
    let bounces: Vec<TestEvent> = (1..=3).map(|email| Bounced(email, i64::from(email) * MINUTE)).collect();
    assert!(last_and_until(&bounces).is_some());
    let delivered: Vec<TestEvent> = (1..=3).map(|email| Delivered(email, 0)).collect();
    assert_eq!(last_and_until(&[&bounces[..], &delivered].concat()), None);
    assert!(last_and_until(&[&bounces[..], &[Delivered(9, 0)]].concat()).is_some(), "another email, before the first");
}

#[test]
fn only_soft_bounces_count_and_only_for_their_recipients() {
    let of = |bounce: serde_json::Value, to: serde_json::Value| {
        let data = serde_json::json!({ "to": to, "bounce": bounce });
        let body = serde_json::json!({ "type": "email.bounced", "data": data }).to_string();
        soft_bounced(&Event::read(body.as_bytes()).unwrap()).len()
    };
    let typed = |bounce_type: &str, sub_type: &str| {
        of(serde_json::json!({ "type": bounce_type, "subType": sub_type }), serde_json::json!(["a@b.c"]))
    };
    for (soft, sub_type) in [
        ("Transient", "MailboxFull"),
        ("TEMPORARY", "General"),
        (" undetermined ", ""),
        ("", "General"),
        ("Strange", "New"),
    ] {
        assert_eq!(typed(soft, sub_type), 1, "{soft} {sub_type}");
    }
    for (other, sub_type) in [
        ("Permanent", "General"),
        ("Permanent", "MessageRejected"),
        ("Transient", "MessageTooLarge"),
        ("transient", " contentrejected"),
        ("Undetermined", "AttachmentRejected"),
        ("", "ContentRejected"),
    ] {
        assert_eq!(typed(other, sub_type), 0, "{other} {sub_type}");
    }
    let one = || serde_json::json!(["a@b.c"]);
    assert_eq!((of(serde_json::Value::Null, one()), of(serde_json::json!({}), one())), (1, 1), "without a type");
    let two = || serde_json::json!(["a@b.c", "d@e.f"]);
    assert_eq!(of(serde_json::json!({ "type": "Transient", "diagnosticCode": "452 <d@e.f> full" }), two()), 1);
    assert_eq!(of(serde_json::json!({ "type": "Transient" }), two()), 0, "other recipients must not be suppressed");
}

/// The suppression list after each step, as the store writes it.
fn listed(steps: &[SoftBounces], policy: &SoftBouncePolicy) -> Suppression {
    steps.iter().fold(Suppression::default(), |list, step| {
        let record = list.records.get(&Reason::SoftBounce).cloned().unwrap_or_default();
        step.changes(&record, policy).iter().fold(list, Suppression::merge)
    })
}

fn steps(all: &[TestEvent]) -> Vec<SoftBounces> {
    let first = all.iter().position(|event| matches!(event, Bounced(..))).unwrap_or(all.len());
    (first + 1..=all.len()).map(|to| known(&all[..to])).collect()
}

#[test]
fn what_does_not_follow_any_more_is_lifted() {
    let policy = SoftBouncePolicy::default();
    let three = [Bounced(1, 0), Bounced(2, DAY), Bounced(3, 2 * DAY)];
    let after = |more: &[TestEvent]| {
        let list = listed(&steps(&[&three[..], more].concat()), &policy);
        let record = list.records.get(&Reason::SoftBounce).cloned().unwrap_or_default();
        (record.suppresses(), record.suppressed.unwrap().0.at.0, record.lifted.map(|said| said.at.0))
    };
    assert_eq!(after(&[]), (true, 2 * DAY, None));
    assert_eq!(
        after(&[Delivered(3, 2 * DAY - 1)]),
        (false, 2 * DAY, Some(2 * DAY + 1)),
        "with its bounce's time and 1 ms"
    );
    assert_eq!(after(&[Delivered(4, 3 * DAY)]), (false, 2 * DAY, Some(2 * DAY + 1)));
    // The fourth was delivered: the third still completes the number.
    let fourth = [Bounced(4, 3 * DAY), Delivered(4, -1)];
    assert_eq!(after(&fourth), (true, 3 * DAY + 1, Some(3 * DAY + 1)));
    assert!(!after(&[&fourth[..], &[Delivered(9, 4 * DAY)]].concat()).0);
    // A suppression by hand is never lifted automatically.
    let by_hand = ChangeStamp { at: UnixMillis(5 * DAY), message: MessageId::from_verified("operator-1") };
    let record = ReasonState { suppressed: Some((by_hand, ReasonDetail::default())), lifted: None };
    assert_eq!(known(&[Bounced(1, 0), Delivered(1, 0)]).changes(&record, &policy), []);
}

#[test]
fn a_full_mailbox_that_gets_very_much_stays_one_small_item() {
    let all: Vec<TestEvent> = (0..200).map(|email| Bounced(email, i64::from(email) * MINUTE)).collect();
    let all = known(&all);
    assert_eq!((all.bounces.len(), all.bounces.contains_key("e199")), (MAX_BOUNCES, true));
    assert_eq!(add(all.clone(), Bounced(3, 3 * MINUTE)), all, "a removed one does not come back");
}

#[test]
fn it_stays_as_long_as_what_follows_from_it() {
    let known = known(&[Bounced(1, 0)]);
    let of =
        |within_days, lapse_days| known.expires_at(&SoftBouncePolicy { emails: 3, within_days, lapse_days }).0 / DAY;
    assert_eq!((of(30, 30), of(180, 30), of(30, 365)), (65, 215, 400));
}

/// Few emails, at few times on some days, so that many are equal.
fn all_events() -> impl Strategy<Value = Vec<TestEvent>> {
    let one = (any::<bool>(), 0..6_u8, 0..12_i64);
    let one = one.prop_map(|(bounced, email, time)| match bounced {
        true => Bounced(email, time * 3 * DAY),
        false => Delivered(email, time * 3 * DAY),
    });
    prop::collection::vec(one, 0..14)
}

proptest! {
    #[test]
    fn any_order_with_any_duplicates_is_the_same(
        (all, shuffled) in all_events().prop_flat_map(|all| {
            let twice: Vec<TestEvent> = all.iter().chain(&all).copied().collect();
            (Just(all), Just(twice).prop_shuffle())
        })
    ) {
        // A delivery is also found with its bounce, whichever arrived first.
        let of = |order: &[TestEvent]| {
            let known = order.iter().fold(SoftBounces::begun(UnixMillis(0)), |known, event| add(known, *event));
            let delivered = order.iter().filter(|event| matches!(event, Delivered(..)));
            delivered.fold(known, |known, event| add(known, *event))
        };
        prop_assert_eq!(of(&all), of(&shuffled));
    }

    #[test]
    fn nobody_is_suppressed_after_a_delivery(mut all in all_events(), lag in prop::collection::vec(0..9_i64, 14)) {
        // Each arrives some minutes late, in the order of arrival.
        let at = |event: &TestEvent| match event { Bounced(_, at) | Delivered(_, at) => *at };
        let mut late: Vec<(i64, TestEvent)> = all.drain(..).zip(lag).map(|(event, lag)| (at(&event) + lag * MINUTE, event)).collect();
        late.sort_by_key(|(comes, _)| *comes);
        let Some(first) = late.iter().position(|(_, event)| matches!(event, Bounced(..))) else { return Ok(()) };
        let since = UnixMillis(late[first].0);
        let known = late[first..].iter().fold(SoftBounces::begun(since), |known, (comes, event)| {
            let known = add(known, *event);
            // Earlier deliveries of the same email are found with its bounce.
            let Bounced(email, _) = event else { return known };
            let is_own = |other: &&(i64, TestEvent)| matches!(other.1, Delivered(own, _) if own == *email) && other.0 <= *comes;
            late.iter().filter(is_own).fold(known, |known, (_, other)| add(known, *other))
        });
        let policy = SoftBouncePolicy::default();
        let Some(change) = known.suppression(&policy) else { return Ok(()) };
        let mut counted: Vec<(&String, &SoftBounce)> =
            known.bounces.iter().filter(|(_, bounce)| !bounce.delivered && bounce.at <= change.at).collect();
        counted.sort_unstable_by_key(|(_, bounce)| std::cmp::Reverse(bounce.at));
        counted.truncate(policy.emails);
        let first_at = counted[policy.emails - 1].1.at.plus(EARLIER).0;
        let breaks = late.iter().find(|(_, event)| match event {
            Delivered(email, at) => *at > first_at || counted.iter().any(|(counted, _)| **counted == id(*email)),
            Bounced(..) => false,
        });
        prop_assert!(breaks.is_none(), "{breaks:?} {late:?} {change:?}");
    }

    #[test]
    fn the_list_ends_as_what_follows_in_the_end(all in all_events()) {
        let policy = SoftBouncePolicy::default();
        let steps = steps(&all);
        let Some(last) = steps.last() else { return Ok(()) };
        let list = listed(&steps, &policy);
        let is_active = list.reasons().any(|reason| reason == Reason::SoftBounce);
        // At most one bounce more is needed than without delays, and never one less.
        prop_assert!(!is_active || last.suppression(&policy).is_some());
        let again = [&steps[..], &[last.clone(), last.clone()]].concat();
        prop_assert_eq!(listed(&again, &policy), list);
    }
}
