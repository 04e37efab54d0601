//! Any order and any duplicates of a set of events, through the whole flow, result in the same suppressions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use serde_json::{Value, json};

use crate::support::{ReceiveHarness, now, secret};

fn an_event() -> impl Strategy<Value = Value> {
    let recipients =
        prop::sample::subsequence(vec!["ann@example.com", "bob@example.com", "Carol <CAROL@example.com>"], 1..=2);
    (0..10_usize, recipients, 0..4_u8, 0..3_u8).prop_map(|(kind, to, minute, email)| {
        let (event_type, data) = match kind {
            0 => ("email.complained", json!({ "to": [to[0]] })),
            1 => ("email.bounced", json!({ "to": [to[0]], "bounce": { "type": "Permanent" } })),
            2 => ("email.bounced", json!({ "to": to, "bounce": { "type": "Permanent", "diagnosticCode": to } })),
            3 => ("email.suppressed", json!({ "to": [to[0]], "suppressed": { "type": "OnAccountSuppressionList" } })),
            4 => ("suppression.added", json!({ "email": to[0], "origin": "bounce" })),
            5 => ("suppression.removed", json!({ "email": to[0], "origin": "bounce" })),
            6 => ("contact.updated", json!({ "email": to[0], "unsubscribed": true })),
            7 => ("contact.topics.updated", json!({ "email": to[0], "topics": topics(&["opt_out", "opt_in"]) })),
            8 => ("contact.topics.updated", json!({ "email": to[0], "topics": topics(&["opt_in"]) })),
            _ => ("contact.updated", json!({ "email": to[0], "unsubscribed": false })),
        };
        let mut data = data;
        data["email_id"] = json!(format!("e{email}"));
        json!({ "type": event_type, "created_at": format!("2026-11-20T09:0{minute}:00Z"), "data": data })
    })
}

/// Subscriptions to the topics `t0`, `t1` and so on.
fn topics(subscriptions: &[&str]) -> Value {
    let topic = |(n, subscription): (usize, &&str)| json!({ "id": format!("t{n}"), "subscription": subscription });
    subscriptions.iter().enumerate().map(topic).collect()
}

/// The suppressions after these webhooks, sent one after the other, without the versions.
async fn suppressions_after(messages: &[SignedMessage]) -> BTreeMap<String, Item> {
    let service = ReceiveHarness::start().await;
    for message in messages {
        assert_eq!(service.invoke(message).await.0, 200);
    }
    let mut items = service.suppressions().await;
    for item in items.values_mut() {
        item.remove("version");
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_order_and_any_duplicates_end_in_the_same_suppressions(
        (events, order) in prop::collection::vec(an_event(), 1..10).prop_flat_map(|events| {
            let twice: Vec<usize> = (0..events.len()).chain(0..events.len()).collect();
            (Just(events), Just(twice).prop_shuffle())
        })
    ) {
        let message = |(index, event): (usize, &Value)| SignedMessage::new(format!("msg_{index}"), now(), event.to_string(), &secret());
        let messages: Vec<SignedMessage> = events.iter().enumerate().map(message).collect();
        let shuffled: Vec<SignedMessage> = order.iter().map(|index| messages[*index].clone()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, other) = runtime.block_on(async { (suppressions_after(&messages).await, suppressions_after(&shuffled).await) });
        prop_assert_eq!(one, other);
    }
}
