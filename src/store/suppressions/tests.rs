//! Tests of suppression items: what is written, and what is read.

use aws_sdk_dynamodb::types::AttributeValue;

use super::*;
use crate::policy::suppression::{ChangeEffect, ItemChange, Reason, ReasonDetail, SuppressionChange, TopicChange};
use crate::resend::event::Subscription;
use crate::resend::signature::MessageId;
use crate::store::row::item_size;
use crate::store::version::SeenVersion;
use crate::store::{Item, number, text};

fn change(reason: Reason, at: i64, effect: ChangeEffect) -> SuppressionChange {
    SuppressionChange { reason, at: UnixMillis(at), message: MessageId::from_verified(format!("msg_{at}")), effect }
}

fn suppress(reason: Reason, at: i64, until: Option<i64>) -> SuppressionChange {
    let details =
        ReasonDetail { email_id: Some("e1".into()), detail: Some("why".into()), until: until.map(UnixMillis) };
    change(reason, at, ChangeEffect::Suppress(details))
}

fn ann() -> Recipient {
    Recipient::parse("ann@example.com").unwrap()
}

#[test]
fn what_is_written_reads_back_the_same() {
    let changes = [
        suppress(Reason::Complaint, 5, None),
        change(Reason::Complaint, 9, ChangeEffect::Lift),
        suppress(Reason::SoftBounce, 6, Some(60)),
        change(Reason::Unsubscribed, 7, ChangeEffect::Lift),
    ];
    let stored = SuppressionItem::default().merged(&changes).unwrap();
    let item = stored.to_item(&ann());
    assert_eq!(item["reasons"], AttributeValue::Ss(vec!["soft_bounce".into()]));
    assert_eq!(item["until"], number(60));
    let read = SuppressionItem::from_item(item);
    assert_eq!(read.suppression, stored.suppression);
    assert_eq!(read.merged(&changes), None, "merging the same again changes nothing");
}

#[test]
fn a_tombstone_has_no_reasons_and_expires() {
    let stored = SuppressionItem::default().merged(&[change(Reason::Provider, 0, ChangeEffect::Lift)]).unwrap();
    let item = stored.to_item(&ann());
    assert!(!item.contains_key("reasons") && !item.contains_key("until"));
    assert_eq!(item["expires_at"], number(35 * 24 * 60 * 60));
}

#[test]
fn what_this_version_does_not_know_survives_a_merge() {
    let by_hand = Item::from([
        ("recipient".to_owned(), text("ann@example.com")),
        ("reasons".to_owned(), AttributeValue::Ss(vec!["manual".into(), "legal_hold".into()])),
        ("note".to_owned(), text("asked us on the phone")),
    ]);
    let stored = SuppressionItem::from_item(by_hand);
    assert_eq!(stored.seen, SeenVersion::Unversioned);
    let expiring = stored
        .merged(&[suppress(Reason::SoftBounce, 6, Some(60)), change(Reason::Manual, 7, ChangeEffect::Lift)])
        .unwrap();
    let item = expiring.to_item(&ann());
    assert_eq!(item["note"], text("asked us on the phone"));
    assert_eq!(item["reasons"], AttributeValue::Ss(vec!["soft_bounce".into(), "legal_hold".into()]));
    assert!(!item.contains_key("expires_at"), "a reason that is not known may be permanent");
}

fn topic(name: &str, at: i64, subscription: Subscription) -> ItemChange {
    let message = MessageId::from_verified(format!("msg_{at}"));
    ItemChange::Topic(TopicChange { topic: name.to_owned(), at: UnixMillis(at), message, subscription })
}

fn map(value: &AttributeValue) -> &Item {
    value.as_m().unwrap()
}

#[test]
fn topics_that_are_written_read_back_the_same() {
    let changes = [
        topic("t", 5, Subscription::OptOut),
        topic("t", 4, Subscription::OptIn),
        topic("u", 6, Subscription::OptIn),
        suppress(Reason::Unsubscribed, 3, None).into(),
    ];
    let stored = SuppressionItem::default().merged(&changes).unwrap();
    let item = stored.to_item(&ann());
    let t = Item::from([
        ("out_at".to_owned(), number(5)),
        ("out_by".to_owned(), text("msg_5")),
        ("in_at".to_owned(), number(4)),
        ("in_by".to_owned(), text("msg_4")),
    ]);
    assert_eq!(map(&map(&item["topics"])["t"]), &t);
    assert!(!item.contains_key("expires_at"), "a topic is out");
    let read = SuppressionItem::from_item(item);
    assert_eq!(read.suppression, stored.suppression);
    assert_eq!(read.merged(&changes), None, "merging the same again changes nothing");
}

#[test]
fn an_opt_in_alone_is_a_tombstone_without_reasons() {
    let stored = SuppressionItem::default().merged(&[topic("t", 0, Subscription::OptIn)]).unwrap();
    let item = stored.to_item(&ann());
    assert!(!item.contains_key("reasons") && !item.contains_key("until"));
    assert_eq!(item["expires_at"], number(35 * 24 * 60 * 60));
}

#[test]
fn what_this_version_does_not_know_of_topics_survives() {
    let known = Item::from([("out_at".to_owned(), number(5)), ("asked".to_owned(), text("by phone"))]);
    let topics = Item::from([
        ("t".to_owned(), AttributeValue::M(known)),
        ("later".to_owned(), text("of a later version")),
        ("empty".to_owned(), AttributeValue::M(Item::new())),
    ]);
    let by_hand = Item::from([("topics".to_owned(), AttributeValue::M(topics))]);
    let changes = [topic("t", 6, Subscription::OptIn), topic("later", 7, Subscription::OptOut)];
    let stored = SuppressionItem::from_item(by_hand);
    assert!(stored.suppression.topics["t"].is_out(), "a topic without a webhook counts");
    let item = stored.merged(&[suppress(Reason::Complaint, 1, None)]).unwrap().to_item(&ann());
    let topics = map(&item["topics"]);
    assert_eq!(
        (map(&topics["t"])["asked"].clone(), topics["later"].clone()),
        (text("by phone"), text("of a later version"))
    );
    assert!(topics.contains_key("empty"));
    let read = SuppressionItem::from_item(stored.merged(&changes).unwrap().to_item(&ann()));
    assert!(!read.suppression.topics["t"].is_out() && read.suppression.topics["later"].is_out());
}

#[test]
fn an_item_says_what_readers_see_after_a_change_by_hand() {
    let lifted = [suppress(Reason::Complaint, 5, None), change(Reason::Complaint, 9, ChangeEffect::Lift)];
    let mut added = SuppressionItem::default().merged(&lifted).unwrap().to_item(&ann());
    added.insert("reasons".to_owned(), AttributeValue::Ss(vec!["complaint".into()]));
    let added = SuppressionItem::from_item(added);
    assert_eq!(added.active_reasons(UnixMillis(20)).len(), 1, "it was added to `reasons`");
    let again = added.merged(&[change(Reason::Complaint, 10, ChangeEffect::Lift)]).unwrap();
    assert_eq!(again.active_reasons(UnixMillis(20)), [], "a newer lift counts");

    let mut removed = SuppressionItem::default().merged(&lifted[..1]).unwrap().to_item(&ann());
    removed.remove("reasons");
    let removed = SuppressionItem::from_item(removed);
    assert_eq!(removed.active_reasons(UnixMillis(20)), [], "it was taken out of `reasons`");
    assert_eq!(removed.merged(&lifted[..1]), None, "the same webhook again does not bring it back");
    assert!(removed.merged(&[suppress(Reason::Complaint, 7, None)]).unwrap().to_item(&ann()).contains_key("reasons"));
}

#[test]
fn five_hundred_topics_with_the_longest_ids_fit_in_an_item() {
    let name = |n: usize| format!("{n:064}");
    let message = |n: usize| MessageId::from_verified(format!("{n:0256}"));
    let change = |n: usize, subscription| {
        ItemChange::Topic(TopicChange {
            topic: name(n),
            at: UnixMillis(1_795_000_000_000),
            message: message(n),
            subscription,
        })
    };
    let changes: Vec<ItemChange> =
        (0..600).flat_map(|n| [change(n, Subscription::OptOut), change(n, Subscription::OptIn)]).collect();
    let stored = SuppressionItem::default().merged(&changes).unwrap();
    assert_eq!(stored.suppression.topics.len(), crate::policy::suppression::MAX_TOPICS);
    let size = item_size(&stored.to_item(&ann()));
    assert!(size < 350 * 1024, "{size} bytes, of the 400 KB that an item may have");
}

/// The item that a contact in an import makes: docs/cost.md has its size.
#[test]
fn an_opt_in_alone_takes_less_than_a_quarter_of_a_kilobyte() {
    let message = MessageId::from_verified("msg_2abcdefghijklmnopqrstuvwxyz");
    let (topic, at) = ("9d3e7b12-40c6-4f8a-b5d1-6a2c8e0f4793".to_owned(), UnixMillis(1_795_000_000_000));
    let change = ItemChange::Topic(TopicChange { topic, at, message, subscription: Subscription::OptIn });
    let stored = SuppressionItem::default().merged(&[change]).unwrap();
    let (item, _) = stored.overwrite(&Recipient::parse("lena.okafor@example.com").unwrap());
    let size = item_size(&item);
    println!("{size} bytes");
    assert!((150..200).contains(&size), "{size} bytes");
}
