//! Changes between the guards and the write that stores a decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_local::faults::Fault;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::DecisionResult;
use rebound::policy::followup::{Guard, Ruling};

use super::{EngageHarness, MINUTE, NOW, StagedEmail, after};

#[tokio::test]
async fn a_recipient_suppressed_after_the_guards_gets_no_follow_up() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.receives(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    let deliveries = stage.deliveries(&["c1"], 1).await;
    let (reached, suppressed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_reached, is_suppressed) = (Arc::clone(&reached), Arc::clone(&suppressed));
    // The guards have accepted it, and the decision waits until the recipient is suppressed.
    stage.faults.plan(move |call| {
        let waits = call.operation == "TransactWriteItems" && !is_suppressed.load(Ordering::SeqCst);
        is_reached.fetch_or(waits, Ordering::SeqCst);
        waits.then_some(Fault::Throttle)
    });
    let suppresses = async {
        while !reached.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let put = stage.aws.clients().dynamodb().put_item();
        let put = put.table_name(stage.aws.variable("SUPPRESSIONS_TABLE").unwrap());
        let put = put.item("recipient", AttributeValue::S("ann@example.com".to_owned()));
        put.item("reasons", AttributeValue::Ss(vec!["manual".to_owned()])).send().await.unwrap();
        suppressed.store(true, Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(stage.delivers(&deliveries, NOW), suppresses);
    assert_eq!(answer, BatchResponse::default());
    let receipt = stage.receipt().await;
    assert!(matches!(&receipt.done, DecisionResult::Nothing(why) if why.contains("manual")), "{receipt:#?}");
    assert_eq!((stage.published().len(), stage.claude.asked().len()), (0, 1), "and nobody is asked again");
    assert_eq!(stage.scan("RECIPIENTS_TABLE").await.len(), 0, "no place was taken");
}

#[tokio::test]
async fn the_first_who_is_forgotten_gets_no_follow_up_either() {
    let stage = EngageHarness::start().await;
    let (ann, bob) = (StagedEmail::to("e1", "ann@example.com"), StagedEmail::to("e2", "bob@example.com"));
    stage.receives(&[bob.delivered(), bob.clicked("c2", after(-10 * MINUTE))]).await;
    stage.receives(&[ann.delivered(), ann.clicked("c1", after(-10 * MINUTE))]).await;
    // From here on it is cached, for a minute, that no recipient was ever forgotten.
    let deliveries = stage.deliveries(&["c2"], 1).await;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    assert_eq!(stage.published().len(), 1);

    let key = rebound::store::forgotten::ErasureKey::new([7; 32]).unwrap();
    let name = key.name_of(&rebound::resend::recipient::Recipient::parse("ann@example.com").unwrap());
    let put = |name: &str| {
        let put = stage.dynamodb.put_item().table_name(stage.aws.variable("SUPPRESSIONS_TABLE").unwrap());
        put.item("recipient", AttributeValue::S(name.to_owned()))
    };
    let bytes = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(key.bytes()));
    put("#forgotten-key").item("key", bytes).send().await.unwrap();
    put(&name).item("reasons", AttributeValue::Ss(vec!["opted_out".to_owned()])).send().await.unwrap();
    let deliveries = stage.deliveries(&["c1"], 1).await;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    assert_eq!(stage.published().len(), 1, "none to Ann");
    assert_eq!(stage.scan("RECIPIENTS_TABLE").await.len(), 1, "no place was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_decisions_make_one_follow_up() {
    let stage = EngageHarness::start().await;
    for round in 0..20 {
        let to = format!("ann{round}@example.com");
        let mails = [StagedEmail::to(&format!("a{round}"), &to), StagedEmail::to(&format!("b{round}"), &to)];
        for mail in &mails {
            let click = mail.clicked(&format!("c-{}", mail.email_id), after(-10 * MINUTE));
            stage.receives(&[mail.delivered(), click]).await;
        }
        let one = stage.deliveries(&[&format!("c-a{round}")], 1).await;
        let other = stage.deliveries(&[&format!("c-b{round}")], 1).await;
        let (one, other) = tokio::join!(stage.delivers(&one, NOW), stage.delivers(&other, NOW));
        assert_eq!((one, other), (BatchResponse::default(), BatchResponse::default()));
    }
    let receipts = stage.receipts().await;
    let proposed = receipts.values().filter(|receipt| receipt.done == DecisionResult::FollowupProposed).count();
    assert_eq!((receipts.len(), proposed, stage.published().len()), (40, 20, 20));
    let is_by_the_gap = |receipt: &&rebound::message::decision::Receipt| {
        receipt.guards.iter().any(|answer| (answer.guard, answer.ruling) == (Guard::Gap, Ruling::Refused))
    };
    assert_eq!(receipts.values().filter(is_by_the_gap).count(), 20, "the receipt of the other says why");
}
