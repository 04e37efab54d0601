//! Tests of suppression, with a table and properties.

use proptest::prelude::*;

use super::*;
use crate::time::days;

mod topics;

const RECEIVED: UnixMillis = UnixMillis(1_795_000_000_000);
const EVENT: UnixMillis = UnixMillis(1_794_999_600_000); // 2026-11-18T11:00:00Z

fn message(id: &str) -> MessageId {
    MessageId::from_verified(id)
}

fn recipient(address: &str) -> Recipient {
    Recipient::parse(address).unwrap()
}

fn protection_of(event_type: &str, data: &str) -> SuppressionEffect {
    let body = format!(r#"{{"type":"{event_type}","created_at":"2026-11-18T11:00:00Z","data":{data}}}"#);
    suppression_effect(&Event::read(body.as_bytes()).unwrap(), &message("msg_1"), RECEIVED)
}

/// The effect in short: `ann@example.com +complaint`, `-provider` for a lift, `?` if it is ambiguous.
fn short(protection: SuppressionEffect) -> String {
    match protection {
        SuppressionEffect::Nothing => String::new(),
        SuppressionEffect::Ambiguous(_) => "?".to_owned(),
        SuppressionEffect::Changes(changes) => {
            let one = |(recipient, changes): (Recipient, Vec<ItemChange>)| {
                let signs = changes.iter().map(|change| match change {
                    ItemChange::Reason(change) => match change.effect {
                        ChangeEffect::Suppress(_) => format!(" +{}", change.reason.as_str()),
                        ChangeEffect::Lift => format!(" -{}", change.reason.as_str()),
                    },
                    ItemChange::Topic(change) => match change.subscription {
                        Subscription::OptOut => format!(" out:{}", change.topic),
                        Subscription::OptIn => format!(" in:{}", change.topic),
                    },
                });
                format!("{recipient}{}", signs.collect::<String>())
            };
            changes.into_iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

#[test]
fn too_long_an_email_id_does_not_prevent_suppression() {
    let kept = |event_type: &str, data: &str| match protection_of(event_type, data) {
        SuppressionEffect::Changes(changes) => match &changes[&recipient("a@x.io")][..] {
            [ItemChange::Reason(SuppressionChange { effect: ChangeEffect::Suppress(details), .. })] => {
                details.email_id.clone()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    for (length, is_kept) in [(36, true), (256, true), (257, false), (500_000, false)] {
        let id = "e".repeat(length);
        let expected = is_kept.then(|| id.clone());
        assert_eq!(kept("email.complained", &format!(r#"{{"to":"a@x.io","email_id":"{id}"}}"#)), expected);
        let added = format!(r#"{{"email":"a@x.io","origin":"bounce","source_id":"{id}"}}"#);
        assert_eq!(kept("suppression.added", &added), expected);
    }
}

#[test]
fn each_event_suppresses_or_lifts_what_the_policy_says() {
    let table = [
        ("email.complained", r#"{"to":["Ann@example.com"]}"#, "ann@example.com +complaint"),
        ("email.complained", r#"{"to":[]}"#, "?"),
        ("email.complained", r#"{}"#, "?"),
        ("email.complained", r#"{"to":["Ann \ud83d <Ann@example.com>"]}"#, "ann@example.com +complaint"),
        ("email.complained", r#"{"to":["a\ud83dn@example.com"]}"#, "?"),
        ("email.bounced", r#"{"to":null,"bounce":{"type":"Permanent"}}"#, "?"),
        ("email.bounced", r#"{"to":"a@x.io, b@x.io","bounce":{"type":"Permanent"}}"#, "?"),
        ("email.bounced", r#"{"to":{"email":"a@x.io"},"bounce":{"type":"Permanent"}}"#, "a@x.io +hard_bounce"),
        ("email.bounced", r#"{"to":["\"a b\"@x.io"],"bounce":{"type":"Permanent"}}"#, "\"a b\"@x.io +hard_bounce"),
        (
            "email.bounced",
            r#"{"to":["a@x.io"],"cc":["b@x.io"],"bounce":{"type":"Permanent","diagnosticCode":"550 <b@x.io>"}}"#,
            "b@x.io +hard_bounce",
        ),
        (
            "email.bounced",
            r#"{"to":["a@x.io"],"bounce":{"type":"Permanent","diagnosticCode":"550 <b@forward.io>"}}"#,
            "a@x.io +hard_bounce",
        ),
        ("email.bounced", r#"{"bounce":{"type":"Transient"}}"#, "?"),
        ("email.bounced", r#"{"bounce":{"type":"Brand-new"}}"#, "?"),
        ("email.bounced", r#"{"bounce":{"type":"Permanent","subType":"MessageRejected"}}"#, ""),
        ("email.suppressed", r#"{"to":[{"name":"Ann"}]}"#, "?"),
        ("suppression.added", r#"{"email":null}"#, "?"),
        ("suppression.added", r#"{"email":"Ann (x) <a@x.io>"}"#, "a@x.io +provider"),
        ("suppression.removed", r#"{"email":"a@x.io, b@x.io"}"#, ""),
        (
            "email.bounced",
            r#"{"to":["a@x.io"],"bounce":{"type":"Permanent","subType":"General"}}"#,
            "a@x.io +hard_bounce",
        ),
        (
            "email.bounced",
            r#"{"to":["a@x.io"],"bounce":{"type":"PERMANENT","subType":"noemail"}}"#,
            "a@x.io +hard_bounce",
        ),
        ("email.bounced", r#"{"to":["a@x.io"],"bounce":{"type":"Permanent"}}"#, "a@x.io +hard_bounce"),
        (
            "email.bounced",
            r#"{"to":["a@x.io"],"bounce":{"type":"Permanent","subType":"Suppressed"}}"#,
            "a@x.io +hard_bounce",
        ),
        ("email.bounced", r#"{"to":["a@x.io"],"bounce":{"type":"Permanent","subType":"MessageRejected"}}"#, ""),
        ("email.bounced", r#"{"to":["a@x.io"],"bounce":{"type":"permanent","subType":"messagerejected"}}"#, ""),
        ("email.bounced", r#"{"to":["a@x.io"],"bounce":{"type":"Transient","subType":"MailboxFull"}}"#, ""),
        ("email.bounced", r#"{"to":["a@x.io"],"bounce":{"type":"Undetermined"}}"#, ""),
        ("email.bounced", r#"{"to":["a@x.io"]}"#, ""),
        (
            "email.suppressed",
            r#"{"to":["a@x.io"],"suppressed":{"type":"OnAccountSuppressionList"}}"#,
            "a@x.io +provider",
        ),
        ("email.suppressed", r#"{"to":["a@x.io"]}"#, "a@x.io +provider"),
        ("suppression.added", r#"{"email":"A@x.io","origin":"complaint"}"#, "a@x.io +provider"),
        ("suppression.removed", r#"{"email":"a@x.io","origin":"bounce"}"#, "a@x.io -provider -hard_bounce"),
        ("suppression.removed", r#"{"email":"a@x.io","origin":"Complaint"}"#, "a@x.io -provider -complaint"),
        ("suppression.removed", r#"{"email":"a@x.io","origin":"manual"}"#, "a@x.io -provider -manual"),
        ("suppression.removed", r#"{"email":"a@x.io","origin":"moon"}"#, "a@x.io -provider"),
        ("suppression.removed", r#"{"email":"a@x.io"}"#, "a@x.io -provider"),
        ("contact.created", r#"{"email":"a@x.io","unsubscribed":true}"#, "a@x.io +unsubscribed"),
        ("contact.updated", r#"{"email":"a@x.io","unsubscribed":true}"#, "a@x.io +unsubscribed"),
        ("contact.updated", r#"{"email":"a@x.io","unsubscribed":false}"#, "a@x.io -unsubscribed"),
        ("contact.created", r#"{"email":"a@x.io","unsubscribed":false}"#, "a@x.io -unsubscribed"),
        ("contact.updated", r#"{"email":"a@x.io","unsubscribed":"false"}"#, ""),
        ("contact.updated", r#"{"email":"a@x.io"}"#, ""),
        ("contact.updated", r#"{"unsubscribed":true}"#, "?"),
        ("contact.created", r#"{"email":"nobody","unsubscribed":true}"#, "?"),
        ("contact.updated", r#"{"unsubscribed":false}"#, ""),
        ("contact.deleted", r#"{"email":"a@x.io","unsubscribed":false}"#, ""),
        ("contact.deleted", r#"{"email":"a@x.io","unsubscribed":true}"#, "a@x.io +unsubscribed"),
        (
            "contact.topics.updated",
            r#"{"email":"A@x.io","topics":[{"id":"t","subscription":"opt_out"},{"id":"u","subscription":" OPT_IN"}]}"#,
            "a@x.io out:t in:u",
        ),
        ("contact.topics.updated", r#"{"email":"a@x.io","topics":{"id":"t","subscription":"opt_in"}}"#, "a@x.io in:t"),
        (
            "contact.topics.updated",
            r#"{"email":"a@x.io","topics":[null,7,{},{"id":"t"},{"subscription":"opt_out"},{"id":"","subscription":"opt_out"},{"id":"t","subscription":"maybe"}]}"#,
            "",
        ),
        ("contact.topics.updated", r#"{"email":"a@x.io"}"#, ""),
        ("contact.topics.updated", r#"{"topics":[{"id":"t","subscription":"opt_out"}]}"#, "?"),
        ("contact.topics.updated", r#"{"topics":[{"id":"t","subscription":"opt_in"}]}"#, ""),
        ("email.delivered", r#"{"to":["a@x.io"]}"#, ""),
        ("email.failed", r#"{"to":["a@x.io"],"failed":{"reason":"reached_daily_quota"}}"#, ""),
        ("email.delivery_delayed", r#"{"to":["a@x.io"]}"#, ""),
        ("email.not_known_yet", r#"{"to":["a@x.io"]}"#, ""),
    ];
    for (event_type, data, expected) in table {
        assert_eq!(short(protection_of(event_type, data)), expected, "{event_type} {data}");
    }
}

#[test]
fn only_recipients_that_a_reply_mentions_are_suppressed() {
    let bounce = |diagnostics: &str| {
        let data = format!(
            r#"{{"to":["ann@x.io","joann@x.io","bob@x.io"],"bounce":{{"type":"Permanent","diagnosticCode":{diagnostics}}}}}"#
        );
        short(protection_of("email.bounced", &data))
    };
    assert_eq!(bounce(r#"["smtp; 550 <bob@x.io>: no such user"]"#), "bob@x.io +hard_bounce");
    assert_eq!(bounce(r#""550 <Bob@x.io> unknown""#), "bob@x.io +hard_bounce");
    assert_eq!(bounce(r#"["550 joann@x.io","551 bob@x.io"]"#), "bob@x.io +hard_bounce, joann@x.io +hard_bounce");
    assert_eq!(
        bounce(r#"["550 joann@x.io"]"#),
        "joann@x.io +hard_bounce",
        "ann@x.io is only a part of it, and is not mentioned"
    );
    assert_eq!(bounce(r#"["550 carol@x.io"]"#), "?");
    assert_eq!(bounce(r#"["550 user unknown"]"#), "?");
    assert_eq!(bounce("[]"), "?");
    assert_eq!(bounce("null"), "?");
}

#[test]
fn an_outcome_of_several_recipients_suppresses_nobody() {
    let to = r#"{"to":["ann@x.io","bob@x.io"]}"#;
    assert_eq!(short(protection_of("email.complained", to)), "?");
    assert_eq!(short(protection_of("email.suppressed", to)), "?");
    let transient = r#"{"to":["ann@x.io","bob@x.io"],"bounce":{"type":"Transient"}}"#;
    assert_eq!(short(protection_of("email.bounced", transient)), "?", "it would count towards a suppression");
}

#[test]
fn a_change_has_the_time_and_the_details_of_its_event() {
    let data =
        r#"{"to":["a@x.io"],"email_id":"e1","bounce":{"type":"Permanent","subType":"NoEmail","message":"gone"}}"#;
    let SuppressionEffect::Changes(changes) = protection_of("email.bounced", data) else { panic!("nothing changed") };
    let details =
        ReasonDetail { email_id: Some("e1".into()), detail: Some("Permanent: NoEmail: gone".into()), until: None };
    let expected = SuppressionChange {
        reason: Reason::HardBounce,
        at: EVENT,
        message: message("msg_1"),
        effect: ChangeEffect::Suppress(details),
    };
    assert_eq!(changes[&recipient("a@x.io")], [expected.into()]);
}

#[test]
fn a_change_keeps_the_servers_reply_about_its_recipient() {
    let detail = |event_type: &str, data: &str, who: &str| match protection_of(event_type, data) {
        SuppressionEffect::Changes(changes) => match &changes[&recipient(who)][..] {
            [ItemChange::Reason(SuppressionChange { effect: ChangeEffect::Suppress(details), .. })] => {
                details.detail.clone().unwrap()
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let bounce = r#"{"to":["a@x.io","b@x.io"],"bounce":{"type":"Permanent","subType":"NoEmail","message":"gone",
        "diagnosticCode":["550 <a@x.io> unknown","554 <b@x.io> blocked"]}}"#;
    assert_eq!(detail("email.bounced", bounce, "a@x.io"), "550 <a@x.io> unknown (Permanent: NoEmail: gone)");
    assert_eq!(detail("email.bounced", bounce, "b@x.io"), "554 <b@x.io> blocked (Permanent: NoEmail: gone)");
    let skipped = r#"{"to":"a@x.io","suppressed":{"type":"OnAccountSuppressionList","diagnosticCode":["550 no"]}}"#;
    assert_eq!(detail("email.suppressed", skipped, "a@x.io"), "550 no (OnAccountSuppressionList)");
}

const fn at_of(change: &ItemChange) -> UnixMillis {
    match change {
        ItemChange::Reason(change) => change.at,
        ItemChange::Topic(change) => change.at,
    }
}

#[test]
fn an_event_without_a_time_happened_when_it_was_received() {
    let event = Event::read(br#"{"type":"email.complained","data":{"to":["a@x.io"]}}"#).unwrap();
    let SuppressionEffect::Changes(changes) = suppression_effect(&event, &message("m"), RECEIVED) else {
        panic!("nothing changed")
    };
    assert_eq!(at_of(&changes[&recipient("a@x.io")][0]), RECEIVED);
}

#[test]
fn a_change_with_a_future_time_counts_at_its_receipt() {
    for (event_type, data) in [
        ("suppression.removed", r#"{"email":"a@x.io","origin":"complaint"}"#),
        ("suppression.added", r#"{"email":"a@x.io","origin":"manual"}"#),
        ("contact.updated", r#"{"email":"a@x.io","unsubscribed":false}"#),
        ("contact.created", r#"{"email":"a@x.io","unsubscribed":true}"#),
        ("contact.topics.updated", r#"{"email":"a@x.io","topics":[{"id":"t","subscription":"opt_in"}]}"#),
        ("email.complained", r#"{"to":["a@x.io"]}"#),
        ("email.suppressed", r#"{"to":["a@x.io"]}"#),
    ] {
        let body = format!(r#"{{"type":"{event_type}","created_at":"2099-01-01T00:00:00Z","data":{data}}}"#);
        let protection = suppression_effect(&Event::read(body.as_bytes()).unwrap(), &message("m"), RECEIVED);
        let SuppressionEffect::Changes(changes) = protection else { panic!("{event_type} changes nothing") };
        assert!(changes.values().flatten().all(|change| at_of(change) == RECEIVED), "{event_type}: {changes:?}");
    }
}

fn suppress(reason: Reason, at: i64, id: &str) -> SuppressionChange {
    SuppressionChange {
        reason,
        at: UnixMillis(at),
        message: message(id),
        effect: ChangeEffect::Suppress(ReasonDetail::default()),
    }
}

fn lift(reason: Reason, at: i64, id: &str) -> SuppressionChange {
    SuppressionChange { reason, at: UnixMillis(at), message: message(id), effect: ChangeEffect::Lift }
}

fn merged<'a>(changes: impl IntoIterator<Item = &'a SuppressionChange>) -> Suppression {
    changes.into_iter().fold(Suppression::default(), Suppression::merge)
}

fn active_reasons(suppression: &Suppression) -> Vec<Reason> {
    suppression.reasons().collect()
}

#[test]
fn a_late_bounce_does_not_erase_a_complaint() {
    let known = merged(&[suppress(Reason::Complaint, 20, "b"), suppress(Reason::HardBounce, 10, "a")]);
    assert_eq!(active_reasons(&known), [Reason::Complaint, Reason::HardBounce]);
}

#[test]
fn an_old_resubscription_that_arrives_late_lifts_nothing() {
    let known = merged(&[suppress(Reason::Unsubscribed, 20, "b"), lift(Reason::Unsubscribed, 10, "a")]);
    assert_eq!(active_reasons(&known), [Reason::Unsubscribed]);
}

#[test]
fn an_older_unsubscription_that_arrives_late_stays_lifted() {
    let known = merged(&[lift(Reason::Unsubscribed, 20, "b"), suppress(Reason::Unsubscribed, 10, "a")]);
    assert_eq!(active_reasons(&known), []);
}

#[test]
fn at_equal_times_suppressing_beats_lifting_whatever_the_ids() {
    for (one, other) in [("a", "b"), ("b", "a")] {
        let known = merged(&[suppress(Reason::Provider, 10, one), lift(Reason::Provider, 10, other)]);
        assert_eq!(active_reasons(&known), [Reason::Provider]);
    }
}

#[test]
fn lifting_one_reason_leaves_the_others() {
    let known = merged(&[
        suppress(Reason::Complaint, 1, "a"),
        suppress(Reason::Unsubscribed, 2, "b"),
        lift(Reason::Unsubscribed, 3, "c"),
    ]);
    assert_eq!(active_reasons(&known), [Reason::Complaint]);
}

#[test]
fn an_item_with_a_permanent_reason_never_expires() {
    let until = UnixMillis(5_000);
    let expiring = SuppressionChange {
        effect: ChangeEffect::Suppress(ReasonDetail { until: Some(until), ..ReasonDetail::default() }),
        ..suppress(Reason::SoftBounce, 1, "a")
    };
    let soft = merged([&expiring]);
    assert_eq!((soft.until(), soft.expires_at()), (Some(until), Some(until)));
    let with_complaint = soft.merge(&suppress(Reason::Complaint, 2, "b"));
    assert_eq!((with_complaint.until(), with_complaint.expires_at()), (None, None));
    let lifted = with_complaint.merge(&lift(Reason::Complaint, 3, "c"));
    let tombstone = UnixMillis(3).plus(days(35));
    assert_eq!((lifted.until(), lifted.expires_at()), (Some(until), Some(tombstone)));
    let all_lifted = lifted.merge(&lift(Reason::SoftBounce, 4, "d"));
    assert_eq!((all_lifted.until(), all_lifted.expires_at()), (None, Some(UnixMillis(4).plus(days(35)))));
}

/// A suppression that would have been active for half a year. Its bounces may be read again until then.
#[test]
fn a_lift_is_remembered_as_long_as_what_it_lifted() {
    let half_a_year = UnixMillis(1).plus(days(180));
    let expiring = SuppressionChange {
        effect: ChangeEffect::Suppress(ReasonDetail { until: Some(half_a_year), ..ReasonDetail::default() }),
        ..suppress(Reason::SoftBounce, 1, "a")
    };
    let lifted = merged([&expiring, &lift(Reason::SoftBounce, 2, "b")]);
    assert_eq!((active_reasons(&lifted), lifted.expires_at()), (vec![], Some(half_a_year)));
}

/// Changes of few reasons, at few times, from few webhooks, so that ties and repeats are common.
fn a_change() -> impl Strategy<Value = SuppressionChange> {
    (0..3_usize, 0..4_i64, 0..4_u8, prop::bool::ANY, prop::option::of(0..3_i64)).prop_map(
        |(reason, at, id, lifts, until)| {
            // One webhook always makes the same change to a reason, so the detail follows from its id.
            let details = ReasonDetail {
                detail: Some(format!("said by {id}")),
                until: until.map(|_| UnixMillis(at + 100)),
                email_id: None,
            };
            SuppressionChange {
                reason: Reason::ALL[reason],
                at: UnixMillis(at),
                message: message(&format!("msg_{id}_{}", until.is_some())),
                effect: if lifts { ChangeEffect::Lift } else { ChangeEffect::Suppress(details) },
            }
        },
    )
}

proptest! {
    #[test]
    fn any_order_and_any_duplicates_end_in_the_same(
        (changes, shuffled) in prop::collection::vec(a_change(), 0..12).prop_flat_map(|changes| {
            let twice: Vec<SuppressionChange> = changes.iter().chain(&changes).cloned().collect();
            (Just(changes), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(merged(&changes), merged(&shuffled));
    }

    #[test]
    fn the_newest_change_of_each_reason_decides(changes in prop::collection::vec(a_change(), 0..12)) {
        let known = merged(&changes);
        for &reason in Reason::ALL {
            // The same policy, implemented differently: sort by time, then lifts before suppressions; the last one
            // counts.
            let newest = changes
                .iter()
                .filter(|change| change.reason == reason)
                .max_by_key(|change| (change.at, change.effect != ChangeEffect::Lift));
            let is_active = newest.is_some_and(|change| change.effect != ChangeEffect::Lift);
            prop_assert_eq!(known.reasons().any(|active| active == reason), is_active);
        }
    }

    #[test]
    fn a_change_by_hand_beats_whatever_is_stored(
        changes in prop::collection::vec(a_change(), 0..12), reason in 0..3_usize, now in 0..6_i64, lifts in any::<bool>(),
    ) {
        let (known, reason) = (merged(&changes), Reason::ALL[reason]);
        let at = known.time_by_hand(reason, UnixMillis(now));
        prop_assert!(at >= UnixMillis(now));
        let by_hand = if lifts { lift(reason, at.0, "a") } else { suppress(reason, at.0, "a") };
        let after = known.merge(&by_hand);
        prop_assert_eq!(after.records[&reason].is_active(UnixMillis(now)), !lifts);
        prop_assert!(lifts || after.records[&reason].is_permanent());
    }

    #[test]
    fn a_permanent_reason_never_expires(changes in prop::collection::vec(a_change(), 0..12)) {
        let known = merged(&changes);
        let permanent = known.records.values().any(|record| {
            record.suppresses() && record.suppressed.as_ref().is_some_and(|(_, details)| details.until.is_none())
        });
        if permanent {
            prop_assert_eq!((known.until(), known.expires_at()), (None, None));
        } else if known.reasons().next().is_some() {
            prop_assert!(known.expires_at() >= known.until() && known.until().is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_event_makes_policy_panic((_, body) in crate::resend::event::tests::any_body()) {
        let event = Event::read(body.as_bytes()).expect("type and data are there");
        let _ = suppression_effect(&event, &message("m"), UnixMillis(0));
    }
}
