//! Decisions of the built-in rules: made in one write without a request to Claude, and published together, with any one
//! call failing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_local::faults::{Call, Fault};
use rebound::aws::queue::QueueMessage;
use rebound::message::decision::{DecidedBy, DecisionResult};
use serde_json::{Value, json};

use super::{EngageHarness, LINK, MINUTE, NOW, PHONE, StagedEmail, after};

/// Time after which an unhandled message is visible again, and its claim has expired.
const LATER: Duration = Duration::from_secs(12 * 60);

const BATCHES: [&[&str]; 2] = [&["a1", "b1", "c1", "d1"], &["a2", "c2", "c3", "a1"]];

/// Two clicks by one person, an open, a person who clicks three links, and a machine.
async fn stage() -> EngageHarness {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let [a, b, c, d] =
        ["a", "b", "c", "d"].map(|name| StagedEmail::to(&format!("e-{name}"), &format!("{name}@example.com")));
    let at = |minutes: i64| after(-10 * MINUTE + minutes * MINUTE);
    let link = |name: &str| format!("https://shop.example/{name}");
    stage
        .receives(&[
            a.delivered(),
            b.delivered(),
            c.delivered(),
            d.delivered(),
            a.clicked("a1", at(0)),
            a.clicked("a2", at(1)),
            b.opened_by("b1", at(0), PHONE),
            c.clicked_by("c1", at(0), PHONE, &link("one")),
            c.clicked_by("c2", at(1), PHONE, &link("two")),
            c.clicked_by("c3", at(2), PHONE, &link("three")),
            d.clicked_by("d1", at(0), "curl/8.5.0", LINK),
        ])
        .await;
    stage
}

/// Delivers everything until all of it is done. A function that crashes gets no results.
async fn deliver(stage: &EngageHarness) {
    let mut now = NOW;
    for batch in BATCHES {
        let mut left = batch.to_vec();
        for deliveries in 1.. {
            assert!(deliveries < 5, "{left:?} are never done");
            let messages: Vec<QueueMessage> = stage.deliveries(&left, deliveries).await;
            let answer = tokio::select! {
                answer = stage.delivers(&messages, now) => Some(answer),
                () = stage.faults.killed() => None,
            };
            let Some(answer) = answer else {
                stage.faults.plan(|_| None);
                now = now.plus(LATER);
                continue;
            };
            let failed: BTreeSet<String> = answer.failures.into_iter().map(|failure| failure.id).collect();
            left.retain(|id| failed.contains(&format!("sqs-{id}")));
            if left.is_empty() {
                break;
            }
            now = now.plus(LATER);
        }
    }
}

/// The decisions, all of which must be marked as published.
async fn decided(stage: &EngageHarness) -> BTreeMap<String, DecisionResult> {
    let rows = stage.rows().await;
    for row in rows.iter().filter(|row| row["event"].as_s().unwrap().starts_with("decision#")) {
        assert!(row.contains_key("decided_at") && row.contains_key("published_at"), "{row:?}");
    }
    assert_eq!(rows.iter().filter(|row| row["event"].as_s().unwrap().starts_with("verdict#")).count(), 7);
    let receipts = stage.receipts().await;
    assert!(receipts.values().all(|receipt| receipt.asked.by == DecidedBy::Rules && receipt.asked.tries == 0));
    receipts.into_iter().map(|(key, receipt)| (key, receipt.done)).collect()
}

/// The published messages: by id, with repetitions.
fn published(stage: &EngageHarness) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::<String, Vec<Value>>::new();
    for message in stage.published() {
        all.entry(message["id"].as_str().unwrap().to_owned()).or_default().push(message);
    }
    all
}

#[tokio::test]
async fn each_is_decided_and_published_once_if_any_call_fails() {
    let stage_without = stage().await;
    stage_without.faults.plan(|_| None);
    deliver(&stage_without).await;
    let calls = stage_without.faults.calls();
    let (expected, reported) = (decided(&stage_without).await, published(&stage_without));
    assert_eq!(expected.len(), 3);
    assert!(expected.values().any(|done| *done == DecisionResult::HandedToHuman));
    assert!(reported.len() == 3 && reported.values().all(|times| times.len() == 1), "{reported:#?}");
    let operations: BTreeSet<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["PublishBatch", "PutItem", "Query", "UpdateItem"].into());

    // Not by their position among all calls: messages are classified concurrently.
    let mut count = BTreeMap::<&str, usize>::new();
    for call in &calls {
        *count.entry(&call.operation).or_default() += 1;
    }
    for (operation, nth) in count.into_iter().flat_map(|(operation, count)| (0..count).map(move |nth| (operation, nth)))
    {
        let is_published = operation == "PublishBatch";
        for fault in [Fault::RefuseBefore, Fault::LoseAnswer, Fault::KillAfter, Fault::Throttle, Fault::Invalid] {
            // A write that DynamoDB rejects as invalid ends in the dead-letter queue.
            if fault == Fault::Invalid && !is_published {
                continue;
            }
            let stage = stage().await;
            plan(&stage, operation, nth, fault);
            deliver(&stage).await;
            let context = format!("{fault:?} at {operation} {nth}");
            assert_eq!(decided(&stage).await, expected, "{context}");
            let published = published(&stage);
            assert!(published.keys().eq(reported.keys()), "{context}: {published:#?}");
            let may_be_repeated = fault == Fault::KillAfter || (fault == Fault::LoseAnswer && is_published);
            for (id, times) in published {
                assert!(times.len() == 1 || may_be_repeated && times.len() == 2, "{context}: {id}");
                assert!(times.iter().all(|time| *time == times[0]), "{context}: {times:#?}");
            }
        }
    }
}

fn plan(stage: &EngageHarness, operation: &str, nth: usize, fault: Fault) {
    let (operation, mut before) = (operation.to_owned(), 0);
    stage.faults.plan(move |call: &Call| {
        before += usize::from(call.operation == operation);
        (call.operation == operation && before == nth + 1).then_some(fault)
    });
}

#[tokio::test]
async fn a_claimed_occurrence_is_not_decided_by_others() {
    let stage = stage().await;
    let claim = stage.dynamodb.put_item().table_name(stage.aws.variable("EVENTS_TABLE").unwrap());
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let number = |ms: i64| aws_sdk_dynamodb::types::AttributeValue::N(ms.to_string());
    let claim = claim.item("email_id", text("e-a")).item("event", text("decision#email.clicked#a@example.com"));
    let claim = claim.item("kind", text("decision")).item("carrier", text("sqs-another"));
    claim.item("claimed_at", number(NOW.0 - 1_000)).send().await.unwrap();
    let deliveries = stage.deliveries(&["a1"], 1).await;
    assert!(stage.delivers(&deliveries, NOW).await.failures.is_empty());
    assert_eq!((stage.receipts().await.len(), stage.published().len()), (0, 0), "its carrier decides");
    // The lease of the claim has expired by now.
    assert!(stage.delivers(&deliveries, NOW.plus(LATER)).await.failures.is_empty());
    assert_eq!((stage.receipts().await.len(), stage.published().len()), (1, 1));
}

#[tokio::test]
async fn a_receipt_of_the_rules_says_what_they_went_by() {
    let stage = stage().await;
    stage.delivers(&stage.deliveries(&["c1"], 1).await, NOW).await;
    let receipt = stage.receipt().await;
    let engaged = json!({ "clicked": true, "human": true, "distinct_links": 3, "days_active": 1 });
    assert_eq!((receipt.facts, receipt.done), (json!({ "engaged": engaged }), DecisionResult::HandedToHuman));
    assert_eq!(receipt.asked.because.as_deref(), Some("Claude is not configured"));
}
