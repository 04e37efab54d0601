//! Number of calls per click.

use std::collections::BTreeMap;

use aws_local::faults::Service;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::{DecidedBy, DecisionResult};

use super::{EngageHarness, LINK, MINUTE, NOW, StagedEmail, after};

/// Number of calls by operation while these stored events are handled.
async fn calls(stage: &EngageHarness, ids: &[&str]) -> BTreeMap<String, usize> {
    let deliveries = stage.deliveries(ids, 1).await;
    stage.faults.plan(|_| None);
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    let mut counts = BTreeMap::new();
    for call in stage.faults.calls() {
        *counts.entry(call.operation).or_default() += 1;
    }
    counts
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(operation, count)| ((*operation).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_proposal_takes_eleven_calls_of_dynamodb_and_a_repeat_two() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.receives(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    // The email's rows; the verdict; the claim; for the facts and the guards: the suppression, the follow-ups with the
    // opt-out click, the brake, and for the guards the brake again; reserving, settling, and marking as published; the
    // decision. And, once a minute, the key of the forgotten recipients.
    let expected = counts(&[
        ("Query", 1 + 1),
        ("PutItem", 2),
        ("GetItem", 3 + 1),
        ("UpdateItem", 3),
        ("TransactWriteItems", 1),
        ("messages", 1),
        ("Publish", 1),
    ]);
    assert_eq!(calls(&stage, &["c1"]).await, expected);
    let of_dynamodb = stage.faults.calls().iter().filter(|call| call.service == Service::DynamoDb).count();
    assert_eq!((of_dynamodb, stage.receipt().await.done), (11 + 1, DecisionResult::FollowupProposed));

    assert_eq!(calls(&stage, &["c1"]).await, counts(&[("Query", 1)]), "delivered once more");
    stage.receives(&[mail.clicked("c2", after(-9 * MINUTE))]).await;
    assert_eq!(calls(&stage, &["c2"]).await, counts(&[("Query", 1), ("PutItem", 1)]), "clicked once more");
}

#[tokio::test]
async fn a_machines_click_takes_two_calls() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let scan = mail.clicked_by("c1", after(-10 * MINUTE), "curl/8.5.0", LINK);
    stage.receives(&[mail.delivered(), scan]).await;
    assert_eq!(calls(&stage, &["c1"]).await, counts(&[("Query", 1), ("PutItem", 1)]));
    assert_eq!(stage.verdict("c1").await.unwrap().0, "machine");
}

#[tokio::test]
async fn a_click_over_budget_costs_nine_calls_and_later_ones_four() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "k"), ("CLAUDE_DAILY_BUDGET_USD", "0.0015")]).await;
    for (email, to) in [("e1", "ann@example.com"), ("e2", "bob@example.com"), ("e3", "eve@example.com")] {
        let mail = StagedEmail::to(email, to);
        stage.receives(&[mail.delivered(), mail.clicked(&format!("c-{email}"), after(-10 * MINUTE))]).await;
    }
    calls(&stage, &["c-e1"]).await;
    // The rejected reservation; the decision; and marking as published.
    let refused = counts(&[("Query", 1 + 1), ("PutItem", 2), ("GetItem", 2), ("UpdateItem", 3), ("Publish", 1)]);
    assert_eq!(calls(&stage, &["c-e2"]).await, refused);
    // The verdict; the decision; and marking as published.
    let known = counts(&[("Query", 1), ("PutItem", 2), ("UpdateItem", 1), ("Publish", 1)]);
    assert_eq!(calls(&stage, &["c-e3"]).await, known);
    let by: Vec<DecidedBy> = stage.receipts().await.into_values().map(|receipt| receipt.asked.by).collect();
    assert_eq!(by.last(), Some(&DecidedBy::Rules));
}

#[tokio::test]
async fn rule_decisions_are_published_in_one_call_at_one_unit_each() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let ids: Vec<String> = (0..10).map(|index| format!("c{index}")).collect();
    for id in &ids {
        let mail = StagedEmail::to(&format!("e-{id}"), &format!("{id}@example.com"));
        stage.receives(&[mail.delivered(), mail.clicked(id, after(-10 * MINUTE))]).await;
    }
    stage.faults.count_capacity(true);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let expected = counts(&[("Query", 10), ("PutItem", 20), ("UpdateItem", 10), ("PublishBatch", 1)]);
    assert_eq!(calls(&stage, &ids).await, expected);
    let spent = stage.faults.capacity();
    // The verdict, the decision, the mark; and half a unit to read an email's rows.
    assert_eq!((spent.write_units, spent.read_units), (30.0, 5.0));
    assert_eq!(stage.published().len(), 10);
    assert!(
        stage
            .rows()
            .await
            .iter()
            .filter(|row| row.contains_key("decided_at"))
            .all(|row| row.contains_key("published_at"))
    );
}

#[tokio::test]
async fn a_request_over_a_days_budget_does_not_block_the_next_one() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "k"), ("CLAUDE_DAILY_BUDGET_USD", "0.0015")]).await;
    let (long, short) = (StagedEmail::to("long", "ann@example.com"), StagedEmail::to("short", "bob@example.com"));
    let before =
        (0..40).map(|index| long.clicked(&format!("before-{index}"), after(-40 * MINUTE + index * MINUTE / 2)));
    stage.receives(&before.collect::<Vec<_>>()).await;
    stage.receives(&[long.delivered(), long.clicked("long", after(-10 * MINUTE))]).await;
    stage.receives(&[short.delivered(), short.clicked("short", after(-10 * MINUTE))]).await;
    for id in ["long", "short"] {
        assert_eq!(stage.delivers(&stage.deliveries(&[id], 1).await, NOW).await, BatchResponse::default());
    }
    let by: Vec<DecidedBy> = stage.receipts().await.into_values().map(|receipt| receipt.asked.by).collect();
    assert_eq!(by, [DecidedBy::Rules, DecidedBy::Claude]);
}
