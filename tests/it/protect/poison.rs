//! Events that can never be processed are recorded, alerted, and skipped; transient errors are delivered again.

use aws_local::faults::{Fault, Service};
use rebound::aws::stream::BatchResponse;
use serde_json::{Value, json};

use super::{HOUR, MINUTE, NOW, ProtectHarness, after, again, mail, of};

/// Records that no version can process, between two valid ones.
async fn with_poison(stage: &ProtectHarness) -> Vec<Value> {
    for message in [
        mail("m1", "email.delivered", "e1", "ann@example.com", after(-MINUTE), of("a")),
        mail("m2", "email.delivered", "e2", "bob@example.com", after(-MINUTE), of("a")),
    ] {
        assert_eq!(stage.receive_at(&message, NOW).await, 200);
    }
    let mut records = stage.records().await;
    let good = records[0].clone();
    let spoiled = |sequence: &str, spoil: &dyn Fn(&mut Value)| {
        let mut record = good.clone();
        record["dynamodb"]["SequenceNumber"] = json!(sequence);
        record["dynamodb"]["Keys"] = json!({ "email_id": { "S": sequence }, "event": { "S": "email.delivered#bad" } });
        spoil(&mut record["dynamodb"]["NewImage"]);
        record
    };
    records.insert(1, spoiled("no-payload", &|row| row["payload"] = json!({ "L": [] })));
    records.insert(1, spoiled("not-zlib", &|row| row["payload"] = json!({ "B": "bm90IHpsaWI=" })));
    records.insert(1, spoiled("not-json", &|row| row["payload"] = json!({ "S": "{" })));
    records.insert(1, spoiled("no-time", &|row| row["received_at"] = Value::Null));
    records.insert(1, spoiled("no-kind", &|row| row["kind"] = json!({ "S": "something" })));
    records.insert(1, json!({ "dynamodb": { "SequenceNumber": "nothing" } }));
    records
}

#[tokio::test]
async fn a_poison_record_blocks_nothing_and_is_alerted() {
    let stage = ProtectHarness::with_policy(r#"{"alerts": {"one_by_one_in_an_hour": 100}}"#).await;
    let records = with_poison(&stage).await;
    for _ in 0..2 {
        assert_eq!(stage.deliver(&records, NOW).await, BatchResponse::default(), "all of it is passed");
    }
    assert_eq!(stage.counters().await["a/2026-11-23T12/delivered"], 2);
    let rows = stage.scan("EVENTS_TABLE").await;
    let poison: Vec<&str> = rows
        .iter()
        .filter(|row| row["kind"].as_s().unwrap() == "poison")
        .map(|row| {
            assert!(!row["problem"].as_s().unwrap().is_empty());
            row["email_id"].as_s().unwrap().as_str()
        })
        .collect();
    assert_eq!(poison.len(), 6, "{poison:?}");
    assert_eq!(stage.kinds(), [("quarantine", 6)].into(), "one alert for each, once");
    let alert = stage.alerts().into_iter().find(|alert| alert.text.contains("partition not-json")).unwrap();
    assert_eq!(alert.severity.as_str(), "critical");
    assert!(alert.text.contains("not a JSON object"), "{}", alert.text);
}

#[tokio::test]
async fn an_invalid_count_is_poison_and_the_others_are_counted() {
    let stage = ProtectHarness::start().await;
    let records = with_poison(&stage).await;
    let good: Vec<Value> = vec![records[0].clone(), records[7].clone()];
    // The transaction of both, and then that of the first one alone.
    let mut refused = 0;
    stage.faults.plan(move |call| {
        let refuse = call.operation == "TransactWriteItems" && refused < 2;
        refused += usize::from(refuse);
        refuse.then_some(Fault::Invalid)
    });
    assert_eq!(stage.deliver(&good, NOW).await, BatchResponse::default());
    stage.faults.plan(|_| None);
    assert_eq!(stage.counters().await["a/2026-11-23T12/delivered"], 1);
    assert_eq!(stage.kinds()["quarantine"], 1);
}

#[tokio::test]
async fn what_may_pass_is_delivered_again_and_only_that() {
    let stage = ProtectHarness::start().await;
    let messages = [
        mail("m1", "email.delivered", "e1", "ann@example.com", after(-MINUTE), of("a")),
        mail("m2", "email.opened", "e2", "bob@example.com", after(-MINUTE), of("a")),
        mail("m3", "email.complained", "e3", "cleo@example.com", after(-MINUTE), of("b")),
    ];
    for message in &messages {
        assert_eq!(stage.receive_at(message, NOW).await, 200);
    }
    let mut records = stage.records().await;
    records.sort_by_key(super::message_of);
    stage.faults.plan(|call| (call.service == Service::Sqs).then_some(Fault::ServerError));
    let answer = stage.deliver(&records, NOW).await;
    assert_eq!(again(&answer), ["e2/email.opened#m2"]);
    stage.faults.plan(|_| None);
    assert_eq!(stage.engagements().len(), 0);
    assert_eq!(stage.deliver(&records[1..], NOW).await, BatchResponse::default());
    assert_eq!(stage.engagements().len(), 1);
    let expected = [("a/2026-11-23T12/delivered", 1), ("a/2026-11-23T12/opened", 1), ("b/2026-11-23T12/complained", 1)];
    assert_eq!(stage.counters().await, expected.map(|(name, number)| (name.to_owned(), number)).into());
    assert_eq!(stage.kinds()["complaint"], 1);
}

#[tokio::test]
async fn without_sns_counting_continues_and_the_tick_publishes_later() {
    let stage = ProtectHarness::start().await;
    stage.faults.plan(|call| (call.service == Service::Sns).then_some(Fault::ServerError));
    let complaint = mail("m1", "email.complained", "e1", "ann@example.com", after(-HOUR), of("a"));
    stage.happens(&[complaint]).await;
    assert_eq!(stage.brake("a").await, ("slowed".to_owned(), 0.5));
    assert_eq!(stage.alerts(), []);
    stage.faults.plan(|_| None);
    stage.tick(after(5 * MINUTE)).await;
    stage.tick(after(10 * MINUTE)).await;
    assert_eq!(stage.kinds(), [("brake", 1), ("complaint", 1)].into());
}

#[tokio::test]
async fn what_sns_will_never_take_is_noted_and_holds_up_no_tick() {
    let stage = ProtectHarness::start().await;
    stage.faults.plan(|call| (call.service == Service::Sns).then_some(Fault::Invalid));
    stage.happens(&[mail("m1", "email.complained", "e1", "ann@example.com", after(-HOUR), of("a"))]).await;
    stage.tick(after(5 * MINUTE)).await;
    let rows = stage.scan("EVENTS_TABLE").await;
    let refused: Vec<_> = rows.iter().filter(|row| row.contains_key("refused")).collect();
    assert_eq!(refused.len(), 2, "the complaint's and the brake's");
    assert!(refused.iter().all(|row| row["refused"].as_s().unwrap().contains("InvalidParameter")), "{refused:?}");
    assert_eq!(stage.alerts(), []);
}
