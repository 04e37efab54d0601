//! An occurrence that several messages report, or one message several times, has one decision, whatever crashes or is
//! slow in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_local::faults::{Fault, Service};
use rebound::aws::queue::QueueMessage;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::DecisionResult;
use rebound::time::UnixMillis;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::json;

use super::{MINUTE, NOW, Stage, StagedEmail, after, suppress};

/// Time after which another message takes over a claim.
const LEASE: i64 = 3 * MINUTE;

/// Two clicks of one email, stored, with a queue message for each.
async fn two_clicks(stage: &Stage, mail: &StagedEmail) -> [Vec<QueueMessage>; 2] {
    let (one, other) = (format!("{}-1", mail.email_id), format!("{}-2", mail.email_id));
    let clicks = [mail.clicked(&one, after(-10 * MINUTE)), mail.clicked(&other, after(-5 * MINUTE))];
    stage.receives(&[&[mail.delivered()], &clicks[..]].concat()).await;
    [stage.deliveries(&[&one], 1).await, stage.deliveries(&[&other], 1).await]
}

/// Delivers two batches at the same time, as to two functions. Requires that both are done.
async fn side_by_side(stage: &Arc<Stage>, batches: [Vec<QueueMessage>; 2], now: UnixMillis) {
    let deliver = |batch: Vec<QueueMessage>| {
        let stage = Arc::clone(stage);
        tokio::spawn(async move { stage.delivers(&batch, now).await })
    };
    let both = batches.map(deliver);
    for answer in both {
        assert_eq!(answer.await.unwrap(), BatchResponse::default());
    }
}

/// Delivers a batch to a function that crashes at the `nth` call of this kind, counted from 0.
async fn dies_at(stage: &Stage, batch: &[QueueMessage], now: UnixMillis, last: (Service, &'static str, usize)) {
    let mut before = 0;
    stage.faults.plan(move |call| {
        let is_such = (call.service, call.operation.as_str()) == (last.0, last.1);
        before += usize::from(is_such);
        (is_such && before == last.2 + 1).then_some(Fault::KillAfter)
    });
    tokio::select! {
        answer = stage.delivers(batch, now) => panic!("it lived, and said {answer:?}"),
        () = stage.faults.killed() => {}
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    stage.faults.plan(|_| None);
}

/// Number of requests, decisions and publications so far.
async fn so_far(stage: &Stage) -> [usize; 3] {
    [stage.claude.asked().len(), stage.receipts().await.len(), stage.published().len()]
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_messages_of_an_occurrence_make_one_decision() {
    let stage = Arc::new(Stage::start().await);
    for round in 1..=50 {
        let mail = StagedEmail::to(&format!("e{round}"), &format!("reader-{round}@example.com"));
        let batches = two_clicks(&stage, &mail).await;
        side_by_side(&stage, batches, NOW).await;
        assert_eq!(so_far(&stage).await, [round; 3]);
    }
    assert_eq!(stage.scan("RECIPIENTS_TABLE").await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_delivered_twice_concurrently_makes_one_proposal() {
    let stage = Arc::new(Stage::start().await);
    for round in 1..=30 {
        let mail = StagedEmail::to(&format!("e{round}"), &format!("reader-{round}@example.com"));
        let [batch, _] = two_clicks(&stage, &mail).await;
        side_by_side(&stage, [batch.clone(), batch], NOW).await;
        assert_eq!(stage.receipts().await.len(), round);
    }
    // The other one may publish the decision that it finds: with the same id and the same text.
    let published: BTreeSet<String> = stage.published().iter().map(ToString::to_string).collect();
    assert_eq!(published.len(), 30, "{published:#?}");
    for item in stage.scan("RECIPIENTS_TABLE").await {
        assert_eq!(item["taken"].as_ss().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_claim_is_taken_over_only_after_its_lease() {
    let stage = Stage::start().await;
    let [first, second] = two_clicks(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    dies_at(&stage, &first, NOW, (Service::DynamoDb, "UpdateItem", 0)).await;

    assert_eq!(stage.delivers(&second, after(LEASE - 1)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [0; 3]);
    assert_eq!(stage.delivers(&second, after(LEASE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1; 3]);
    // The first one returns, soon and late.
    for later in [LEASE + 1, 12 * MINUTE] {
        assert_eq!(stage.delivers(&first, after(later)).await, BatchResponse::default());
        assert_eq!(so_far(&stage).await, [1; 3]);
    }
}

#[tokio::test]
async fn a_claim_is_taken_over_though_the_answer_to_that_is_lost() {
    let stage = Stage::start().await;
    let [first, second] = two_clicks(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    dies_at(&stage, &first, NOW, (Service::DynamoDb, "UpdateItem", 0)).await;
    let mut updates = 0;
    stage.faults.plan(move |call| {
        updates += usize::from(call.operation == "UpdateItem");
        (call.operation == "UpdateItem" && updates == 1).then_some(Fault::LoseAnswer)
    });
    assert_eq!(stage.delivers(&second, after(LEASE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1; 3], "the message is done, so it must be decided");
}

#[tokio::test]
async fn a_slow_owner_finds_the_decision_of_the_new_owner() {
    let stage = Stage::start().await;
    let [first, second] = two_clicks(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    let slow = ClaudeBehaviour::Default.after(Duration::from_millis(800));
    stage.claude.plan(move |asked| if asked.index == 0 { slow.clone() } else { ClaudeBehaviour::Default });
    let taken_over = async {
        while stage.claude.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.delivers(&second, after(LEASE)).await
    };
    let (slowly, at_once) = tokio::join!(stage.delivers(&first, NOW), taken_over);
    assert_eq!((slowly, at_once), (BatchResponse::default(), BatchResponse::default()));
    assert_eq!(so_far(&stage).await, [2, 1, 1]);
    assert_eq!(stage.receipt().await.message, "e1-2");
    assert_eq!(stage.scan("RECIPIENTS_TABLE").await[0]["taken"].as_ss().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_claim_is_not_taken_over() {
    let stage = Arc::new(Stage::start().await);
    stage.claude.plan(|_| ClaudeBehaviour::Status(529, Some(3_600)));
    let mut batches = Vec::new();
    for round in 1..=20 {
        let mail = StagedEmail::to(&format!("e{round}"), &format!("reader-{round}@example.com"));
        let both = two_clicks(&stage, &mail).await;
        assert_eq!(stage.delivers(&both[0], NOW).await.failures.len(), 1, "Claude is overloaded");
        batches.push(both);
    }
    stage.claude.plan(|_| ClaudeBehaviour::Default);
    for (round, batches) in (1..).zip(batches) {
        side_by_side(&stage, batches, after(15 * MINUTE)).await;
        assert_eq!(so_far(&stage).await, [20 + round, round, round]);
    }
}

#[tokio::test]
async fn an_unpublished_decision_is_published_unchanged() {
    let stage = Stage::start().await;
    let [first, second] = two_clicks(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    dies_at(&stage, &first, NOW, (Service::DynamoDb, "TransactWriteItems", 0)).await;
    assert_eq!(so_far(&stage).await, [1, 1, 0]);
    let decided = stage.receipt().await;
    assert_eq!(decided.done, DecisionResult::FollowupProposed);

    suppress(&stage, "ann@example.com").await;
    stage.claude.plan(|_| ClaudeBehaviour::Tool("do_nothing".to_owned(), json!({ "reason": "No." })));
    assert_eq!(stage.delivers(&second, after(MINUTE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1, 1, 0], "its carrier may still be at it");
    assert_eq!(stage.delivers(&first, after(12 * MINUTE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1; 3]);
    assert_eq!(stage.receipt().await, decided);
    let published = &stage.published()[0];
    assert_eq!(published["followup"], serde_json::to_value(&decided.followup).unwrap());
    assert_eq!((&published["at"], &published["kind"]), (&json!(NOW.to_text()), &json!("followup")));
    assert_eq!(stage.delivers(&first, after(24 * MINUTE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1; 3]);
}

#[tokio::test]
async fn two_messages_in_a_batch_publish_once_after_a_crash() {
    let stage = Stage::start().await;
    let [first, second] = two_clicks(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    let both = [first, second].concat();
    dies_at(&stage, &both, NOW, (Service::DynamoDb, "TransactWriteItems", 0)).await;
    assert_eq!(stage.delivers(&both, after(12 * MINUTE)).await, BatchResponse::default());
    assert_eq!(so_far(&stage).await, [1; 3]);
}
