//! Tests of topics: order, ties, expiry, limits.

use proptest::prelude::*;

use super::super::*;
use super::{EVENT, lift, message, protection_of, recipient, suppress};
use crate::time::days;

fn topic(name: &str, at: i64, id: &str, subscription: Subscription) -> ItemChange {
    ItemChange::Topic(TopicChange { topic: name.to_owned(), at: UnixMillis(at), message: message(id), subscription })
}

fn out(name: &str, at: i64, id: &str) -> ItemChange {
    topic(name, at, id, Subscription::OptOut)
}

fn back_in(name: &str, at: i64, id: &str) -> ItemChange {
    topic(name, at, id, Subscription::OptIn)
}

fn merged<'a>(changes: impl IntoIterator<Item = &'a ItemChange>) -> Suppression {
    changes.into_iter().fold(Suppression::default(), Suppression::merge_change)
}

fn is_out(known: &Suppression, name: &str) -> bool {
    known.topics.get(name).is_some_and(TopicState::is_out)
}

#[test]
fn a_topic_change_has_the_time_and_the_id_of_its_webhook() {
    let data = r#"{"email":"a@x.io","topics":[{"id":"t","subscription":"opt_out"}]}"#;
    let SuppressionEffect::Changes(changes) = protection_of("contact.topics.updated", data) else { panic!() };
    assert_eq!(changes[&recipient("a@x.io")], [out("t", EVENT.0, "msg_1")]);
}

#[test]
fn a_topic_with_too_long_an_id_is_left_out_and_the_others_count() {
    let data = |id: &str| format!(r#"{{"email":"a@x.io","topics":[{{"id":"{id}","subscription":"opt_out"}}]}}"#);
    for (id, counts) in [("t".repeat(64), true), ("t".repeat(65), false), ("é".repeat(33), false)] {
        let effect = protection_of("contact.topics.updated", &data(&id));
        assert_eq!(effect != SuppressionEffect::Nothing, counts, "{id}");
    }
}

#[test]
fn at_equal_times_the_opt_out_wins_whatever_the_ids() {
    for (one, other) in [("a", "b"), ("b", "a")] {
        assert!(is_out(&merged(&[out("t", 10, one), back_in("t", 10, other)]), "t"));
        assert!(is_out(&merged(&[back_in("t", 10, one), out("t", 10, other)]), "t"));
    }
    assert!(!is_out(&merged(&[back_in("t", 11, "a"), out("t", 10, "b")]), "t"), "whatever comes last");
}

#[test]
fn a_topic_that_is_out_keeps_the_item_and_an_opt_in_alone_does_not() {
    let tombstone = |at: i64| Some(UnixMillis(at).plus(days(35)));
    assert_eq!(merged(&[back_in("t", 5, "a")]).expires_at(), tombstone(5));
    assert_eq!(merged(&[out("t", 5, "a")]).expires_at(), None);
    assert_eq!(merged(&[out("t", 5, "a"), back_in("t", 6, "b")]).expires_at(), tombstone(6));
    assert_eq!(merged(&[back_in("t", 5, "a"), out("u", 4, "b")]).expires_at(), None, "one of several topics is out");
    let with_lift = [lift(Reason::Provider, 9, "a").into(), back_in("t", 5, "b")];
    assert_eq!(merged(&with_lift).expires_at(), tombstone(9), "the newest lift or opt-in counts");
    assert_eq!(merged(&[suppress(Reason::Complaint, 1, "a").into(), back_in("t", 5, "b")]).expires_at(), None);
    let far = UnixMillis(1).plus(days(90));
    let detail = ReasonDetail { until: Some(far), ..ReasonDetail::default() };
    let soft = SuppressionChange { effect: ChangeEffect::Suppress(detail), ..suppress(Reason::SoftBounce, 1, "a") };
    let known = merged(&[soft.into(), back_in("t", 5, "b")]);
    assert_eq!((known.until(), known.expires_at()), (Some(far), Some(far)), "topics do not change `until`");
}

#[test]
fn topics_over_the_limit_are_the_same_ones_in_any_order() {
    let many: Vec<ItemChange> = (0..600).map(|n| out(&format!("t{n:03}"), n, "a")).collect();
    let (one, other) = (merged(&many), merged(many.iter().rev()));
    assert_eq!((one.topics.len(), &one), (MAX_TOPICS, &other));
    assert!(is_out(&one, "t499") && !one.topics.contains_key("t500"));
}

/// Changes of few topics and reasons, at few times, from few webhooks, so that ties and repeats are common.
fn a_change() -> impl Strategy<Value = ItemChange> {
    (0..4_usize, 0..4_i64, 0..4_u8, any::<bool>()).prop_map(|(what, at, id, is_no)| {
        let id = format!("msg_{id}");
        match (["t", "u", "v"].get(what), is_no) {
            (Some(name), true) => out(name, at, &id),
            (Some(name), false) => back_in(name, at, &id),
            (None, true) => suppress(Reason::Complaint, at, &id).into(),
            (None, false) => lift(Reason::Complaint, at, &id).into(),
        }
    })
}

proptest! {
    #[test]
    fn any_order_and_any_duplicates_of_topics_end_in_the_same(
        (changes, shuffled) in prop::collection::vec(a_change(), 0..12).prop_flat_map(|changes| {
            let twice: Vec<ItemChange> = changes.iter().chain(&changes).cloned().collect();
            (Just(changes), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(merged(&changes), merged(&shuffled));
    }

    #[test]
    fn the_newest_change_of_each_topic_decides(changes in prop::collection::vec(a_change(), 0..12)) {
        let known = merged(&changes);
        for name in ["t", "u", "v"] {
            // The same policy, implemented differently: sort by time, then opt-ins before opt-outs; the last one counts.
            let of_topic = changes.iter().filter_map(|change| match change {
                ItemChange::Topic(change) if change.topic == name => Some(change),
                _ => None,
            });
            let newest = of_topic.max_by_key(|change| (change.at, change.subscription == Subscription::OptOut));
            prop_assert_eq!(is_out(&known, name), newest.is_some_and(|change| change.subscription == Subscription::OptOut));
        }
        if known.topics.values().any(TopicState::is_out) {
            prop_assert_eq!(known.expires_at(), None);
        } else if !known.topics.is_empty() && known.reasons().next().is_none() {
            prop_assert!(known.expires_at().is_some(), "nothing is kept for ever that says no to nothing");
        }
    }
}
