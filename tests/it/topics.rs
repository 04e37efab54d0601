//! Topics through the whole flow: any order, redelivery, what is kept and for how long, one call for each webhook.

use rebound::resend::signed::SignedMessage;
use rebound::store::{Item, as_number, number};
use rebound::time::{UnixMillis, days};
use serde_json::json;

use crate::support::{ReceiveHarness, complaint, event, now, secret, signed};

const ANN: &str = "ann@example.com";

/// A webhook about the topic `news`, of this minute.
fn news(id: &str, minute: u8, subscription: &str) -> SignedMessage {
    let topics = json!([{ "id": "news", "subscription": subscription }]);
    let at = format!("2026-11-20T09:0{minute}:00Z");
    let body =
        json!({ "type": "contact.topics.updated", "created_at": at, "data": { "email": ANN, "topics": topics } });
    SignedMessage::new(id, now(), body.to_string(), &secret())
}

fn topic(item: &Item) -> &Item {
    item["topics"].as_m().unwrap()["news"].as_m().unwrap()
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let rest = |first: usize| of.iter().copied().filter(|one| *one != first).collect::<Vec<_>>();
    of.iter()
        .flat_map(|first| permutations(&rest(*first)).into_iter().map(|more| [vec![*first], more].concat()))
        .collect()
}

#[tokio::test]
async fn topics_end_alike_in_any_order_with_redelivery() {
    let messages = [
        news("msg_1", 1, "opt_out"),
        news("msg_2", 2, "opt_in"),
        news("msg_4", 3, "opt_in"),
        news("msg_3", 3, "opt_out"),
    ];
    let mut ends = Vec::new();
    for order in permutations(&[0, 1, 2, 3]) {
        let service = ReceiveHarness::start().await;
        for index in &order {
            assert_eq!(service.invoke(&messages[*index]).await.1["status"], "handled");
        }
        for index in &order {
            assert_eq!(service.invoke(&messages[*index]).await.1["status"], "duplicate", "delivered again");
        }
        let mut item = service.suppressions().await.remove(ANN).unwrap();
        item.remove("version");
        ends.push(item);
    }
    assert_eq!(ends.len(), 24);
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    let at = UnixMillis::parse("2026-11-20T09:03:00Z").unwrap();
    assert_eq!((&topic(&ends[0])["out_at"], &topic(&ends[0])["in_at"]), (&number(at.0), &number(at.0)));
    assert_eq!(topic(&ends[0])["out_by"].as_s().unwrap(), "msg_3");
    assert!(!ends[0].contains_key("expires_at"), "the opt-out wins the tie, and is kept");
}

#[tokio::test]
async fn an_import_of_contacts_leaves_items_that_expire() {
    let service = ReceiveHarness::start().await;
    for n in 0..5 {
        let topics = json!([{ "id": "9d3e7b12-40c6-4f8a-b5d1-6a2c8e0f4793", "subscription": "opt_in" }]);
        let body = event("contact.topics.updated", json!({ "email": format!("r{n}@example.com"), "topics": topics }));
        service.proxy.plan(|_| None);
        service.accepts(&signed(body), "handled").await;
        assert_eq!(service.proxy.calls().len(), 1, "one call for each webhook");
    }
    let items = service.suppressions().await;
    assert_eq!(items.len(), 5);
    let expected = UnixMillis::parse("2026-11-20T09:00:00Z").unwrap().plus(days(35)).seconds();
    for (recipient, item) in items {
        assert_eq!(item.get("expires_at").and_then(as_number), Some(expected), "{recipient}");
        assert!(!item.contains_key("reasons"), "{recipient} is not suppressed");
    }
}

#[tokio::test]
async fn a_topic_with_a_future_time_counts_at_its_receipt() {
    let service = ReceiveHarness::start().await;
    let topics = json!([{ "id": "news", "subscription": "opt_in" }]);
    let body = json!({ "type": "contact.topics.updated", "created_at": "2099-01-01T00:00:00Z", "data": { "email": ANN, "topics": topics } });
    service.accepts(&signed(body.to_string().into_bytes()), "handled").await;
    let in_at = topic(&service.suppressions().await[ANN]).get("in_at").and_then(as_number).unwrap();
    assert!(in_at <= UnixMillis::now().0, "{in_at}");
}

#[tokio::test]
async fn reasons_and_topics_of_one_person_are_in_one_item() {
    let service = ReceiveHarness::start().await;
    service.accepts(&news("msg_1", 1, "opt_out"), "handled").await;
    service.accepts(&signed(complaint(ANN, "e1")), "handled").await;
    service.accepts(&news("msg_2", 2, "opt_in"), "handled").await;
    let items = service.suppressions().await;
    let item = &items[ANN];
    assert_eq!((items.len(), topic(item).len()), (1, 4));
    assert_eq!(item["reasons"].as_ss().unwrap(), &["complaint"]);
    assert!(!item.contains_key("expires_at"), "the complaint is active for good");
}

#[tokio::test]
async fn topics_that_cannot_be_stored_leave_the_webhook_handled() {
    let service = ReceiveHarness::start().await;
    let long = json!([{ "id": "t".repeat(65), "subscription": "opt_out" }]);
    let many: Vec<_> = (0..2_000).map(|n| json!({ "id": format!("t{n:04}"), "subscription": "opt_out" })).collect();
    for (topics, kept) in [(long, 0), (json!("none"), 0), (json!(many), 500)] {
        let body = event("contact.topics.updated", json!({ "email": ANN, "topics": topics }));
        service.accepts(&signed(body), "handled").await;
        let items = service.suppressions().await;
        assert_eq!(items.get(ANN).map_or(0, |item| item["topics"].as_m().unwrap().len()), kept);
    }
    assert_eq!(service.rows().await.len(), 3);
}
