//! A full mailbox is suppressed; one that works is not, whatever bounces in between.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rebound::aws::stream::BatchResponse;
use rebound::resend::signed::SignedMessage;
use serde_json::{Value, json};

use super::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, mail, message_of};

const ANN: &str = "ann@example.com";

fn bounced(email: &str, at: i64, sub_type: &str) -> SignedMessage {
    let bounce = json!({ "bounce": { "type": "Transient", "subType": sub_type } });
    mail(&format!("b-{email}"), "email.bounced", email, "Ann@Example.com", after(at), bounce)
}

fn full(email: &str, at: i64) -> SignedMessage {
    bounced(email, at, "MailboxFull")
}

fn delivered(email: &str, at: i64) -> SignedMessage {
    mail(&format!("d-{email}"), "email.delivered", email, ANN, after(at), json!({}))
}

/// Each arrives when it happens.
async fn come(stage: &ProtectHarness, all: &[(SignedMessage, i64)]) {
    for (message, at) in all {
        stage.comes(message, after(*at)).await;
    }
}

async fn is_suppressed(stage: &ProtectHarness) -> bool {
    stage.reasons().await.get(ANN).is_some_and(|reasons| reasons.contains(&"soft_bounce"))
}

#[tokio::test]
async fn three_soft_bounces_suppress_and_the_suppression_expires() {
    let stage = ProtectHarness::start().await;
    let days = [("e1", -20 * DAY), ("e2", -10 * DAY), ("e3", -DAY)];
    come(&stage, &days[..2].iter().map(|(email, at)| (full(email, *at), *at)).collect::<Vec<_>>()).await;
    assert_eq!(stage.reasons().await, [].into());
    stage.comes(&full("e3", -DAY), after(-DAY)).await;
    let item = &stage.suppressions().await[ANN];
    assert_eq!(item["reasons"].as_ss().unwrap(), &["soft_bounce"]);
    assert_eq!(item["until"].as_n().unwrap(), &after(29 * DAY).0.to_string(), "30 days after the last of them");
    let facts = stage.scan("RECIPIENTS_TABLE").await;
    assert_eq!((facts.len(), facts[0]["fact"].as_s().unwrap().as_str()), (1, "soft"));
    assert_eq!(facts[0]["since"].as_n().unwrap(), &after(-20 * DAY).0.to_string());
    assert_eq!(facts[0]["bounces"].as_m().unwrap().len(), 3);
    assert_eq!(stage.alerts(), []);
}

/// `MailboxFull` on days 27, 15 and 3, among daily emails that were delivered.
#[tokio::test]
async fn a_mailbox_that_gets_email_in_between_is_not_suppressed() {
    let stage = ProtectHarness::start().await;
    for day in (0..28).rev() {
        let (email, at) = (format!("e{day}"), -day * DAY);
        let message = if [3, 15, 27].contains(&day) { full(&email, at) } else { delivered(&email, at) };
        stage.comes(&message, after(at)).await;
        assert!(!is_suppressed(&stage).await, "day {day}");
    }
}

#[tokio::test]
async fn bounces_about_the_content_suppress_nobody() {
    let stage = ProtectHarness::start().await;
    for (index, sub_type) in ["MessageTooLarge", "ContentRejected", "AttachmentRejected"].into_iter().enumerate() {
        stage.happens(&[bounced(&format!("e{index}"), -MINUTE, sub_type)]).await;
    }
    assert_eq!((stage.reasons().await, stage.scan("RECIPIENTS_TABLE").await), ([].into(), vec![]));
    // A neighbour: of an unknown type, or without a type, it is a soft bounce.
    for (email, bounce) in [("e7", json!({})), ("e8", json!({ "type": "Strange" })), ("e9", Value::Null)] {
        let bounce = json!({ "bounce": bounce });
        stage.happens(&[mail(email, "email.bounced", email, ANN, after(-MINUTE), bounce)]).await;
    }
    assert!(is_suppressed(&stage).await);
}

/// Three newsletters of one hour, delivered before any reply; then the autoresponder replies.
#[tokio::test]
async fn an_out_of_office_is_no_bounce() {
    let stage = ProtectHarness::start().await;
    let mails = ["e1", "e2", "e3"];
    come(&stage, &mails.map(|email| (delivered(email, -2 * HOUR), -2 * HOUR))).await;
    come(&stage, &mails.map(|email| (bounced(email, -HOUR, "General"), -HOUR))).await;
    assert_eq!(stage.reasons().await, [].into());
    // A neighbour: an email of last month gets a reply too, and the webhook of the delivery arrives a day later.
    come(&stage, &[(full("e4", 0), 0), (full("e5", HOUR), HOUR), (full("e6", 2 * HOUR), 2 * HOUR)]).await;
    assert!(is_suppressed(&stage).await);
    stage.comes(&delivered("e5", MINUTE), after(DAY)).await;
    assert!(!is_suppressed(&stage).await);
}

#[tokio::test]
async fn what_does_not_follow_any_more_is_lifted_with_its_own_time() {
    let stage = ProtectHarness::start().await;
    let at = |days: i64| days * DAY;
    come(&stage, &[(full("e1", at(0)), at(0)), (full("e2", at(1)), at(1)), (full("e3", at(2)), at(2))]).await;
    assert!(is_suppressed(&stage).await);
    stage.comes(&delivered("e9", at(2) + HOUR), after(at(2) + 2 * HOUR)).await;
    let item = &stage.suppressions().await[ANN];
    assert!(!item.contains_key("reasons"), "{item:?}");
    let record = item["soft_bounce"].as_m().unwrap();
    assert_eq!(record["lifted_at"].as_n().unwrap(), &after(at(2) + 1).0.to_string());
    // Everything again, in any order: the same result. And a new series begins.
    let records = stage.records().await;
    for seed in 0..4 {
        let mut again = records.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut again);
        assert_eq!(stage.deliver(&again, after(at(3))).await, BatchResponse::default());
        assert!(!is_suppressed(&stage).await, "{seed}");
    }
    come(&stage, &[(full("e4", at(4)), at(4)), (full("e5", at(5)), at(5))]).await;
    assert!(!is_suppressed(&stage).await);
    stage.comes(&full("e6", at(6)), after(at(6))).await;
    assert!(is_suppressed(&stage).await);
}

/// The stream was not read for hours, and the shard with the delivery is read first.
#[tokio::test]
async fn protect_hours_late_suppresses_nobody_wrongly() {
    let stage = ProtectHarness::start().await;
    let hours = [("e1", -4), ("e2", -3), ("e3", -2)];
    for (email, hour) in hours {
        stage.stores(&full(email, hour * HOUR), after(hour * HOUR)).await;
    }
    stage.stores(&delivered("e9", -HOUR), after(-HOUR)).await;
    let mut records = stage.records().await;
    records.sort_by_key(|record| std::cmp::Reverse(message_of(record)));
    for record in &records {
        assert_eq!(stage.deliver(std::slice::from_ref(record), NOW).await, BatchResponse::default());
    }
    assert!(!is_suppressed(&stage).await);
    for email in ["e4", "e5", "e6"] {
        stage.comes(&full(email, MINUTE), after(MINUTE)).await;
    }
    assert!(is_suppressed(&stage).await, "it may need some more");
}

/// Two concurrent batches: the last one finds what the other wrote.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deliveries_and_bounces_agree_with_the_policy() {
    for round in 0..6 {
        let stage = ProtectHarness::start().await;
        for (email, minutes) in [("e1", 9), ("e2", 8), ("e3", 7)] {
            assert_eq!(stage.receive_at(&full(email, -minutes * MINUTE), NOW).await, 200);
        }
        // The first bounce is stored; then the others, and a delivery after all of them, concurrently.
        let mut records = stage.records().await;
        records.sort_by_key(message_of);
        assert_eq!(stage.deliver(&records[..1], NOW).await, BatchResponse::default());
        assert_eq!(stage.receive_at(&delivered("e9", -MINUTE), NOW).await, 200);
        let mut rest: Vec<Value> =
            stage.records().await.into_iter().filter(|record| message_of(record) != "b-e1").collect();
        fastrand::Rng::with_seed(round).shuffle(&mut rest);
        let all = rest.iter().map(|record| stage.deliver(std::slice::from_ref(record), NOW));
        assert!(join_all(all).await.iter().all(|answer| *answer == BatchResponse::default()));
        assert!(!is_suppressed(&stage).await, "round {round}");
    }
}

/// A batch of deliveries reads all its recipients together, at half a read unit for each.
#[tokio::test]
async fn a_delivery_costs_half_a_read_unit_more() {
    let stage = ProtectHarness::start().await;
    let delivered = |number: usize| {
        let (id, to) = (format!("d{number}"), format!("r{number}@example.com"));
        mail(&id, "email.delivered", &id, &to, after(-MINUTE), json!({}))
    };
    for number in 0..150 {
        assert_eq!(stage.receive_at(&delivered(number), NOW).await, 200);
    }
    let records = stage.records().await;
    let before = stage.faults.calls().len();
    stage.faults.count_capacity(true);
    assert_eq!(stage.deliver(&records, NOW).await, BatchResponse::default());
    let calls: BTreeMap<String, usize> =
        stage.faults.calls()[before..].iter().fold(BTreeMap::new(), |mut calls, call| {
            *calls.entry(call.operation.clone()).or_default() += 1;
            calls
        });
    assert_eq!(calls, [("BatchGetItem".to_owned(), 2)].into());
    assert_eq!(stage.faults.capacity().read_units, 75.0);
}
