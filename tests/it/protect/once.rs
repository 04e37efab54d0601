//! Any one write for domains and lifts may lose its response, or be the function's last call.

use std::collections::BTreeSet;

use aws_local::faults::Fault;
use rebound::aws::stream::BatchResponse;
use serde_json::Value;

use super::domains::updated;
use super::{HOUR, MINUTE, NOW, ProtectHarness, after, contact, message_of, soon};

/// A domain that is pending after it was verified, and two recipients whose suppressions webhooks lifted, with an alert
/// limit of one.
async fn stored() -> (ProtectHarness, Vec<Value>) {
    let stage = ProtectHarness::with_policy(r#"{"alerts": {"lifted_in_an_hour": 1}}"#).await;
    for message in [
        contact("ann", -HOUR, true),
        contact("bob", -HOUR, true),
        contact("ann", -MINUTE, false),
        contact("bob", -MINUTE, false),
        updated("d1", -2 * HOUR, "verified"),
        updated("d2", -MINUTE, "pending"),
    ] {
        assert_eq!(stage.receive_at(&message, NOW).await, 200);
    }
    let mut records = stage.records().await;
    records.sort_by_key(message_of);
    stage.faults.plan(|_| None);
    (stage, records)
}

/// Delivers and ticks until all is done, whatever crashes in between.
async fn handle(stage: &ProtectHarness, records: &[Value]) {
    for _ in 0..3 {
        let answer = tokio::select! {
            answer = stage.deliver(records, NOW) => Some(answer),
            () = stage.faults.killed() => None,
        };
        match answer {
            Some(answer) if answer == BatchResponse::default() => break,
            Some(_) => {}
            None => stage.faults.plan(|_| None),
        }
    }
    for minutes in [30, 35, 40] {
        tokio::select! {
            _ = stage.protector.tick(after(minutes * MINUTE), soon()) => {}
            () = stage.faults.killed() => stage.faults.plan(|_| None),
        }
    }
}

/// The alerts without repetitions, and the remaining agenda.
async fn end(stage: &ProtectHarness) -> (BTreeSet<String>, BTreeSet<String>) {
    let agenda = stage.scan("AGENDA_TABLE").await;
    let left = agenda.iter().map(|item| item["kind"].as_s().unwrap().clone() + item["due"].as_s().unwrap());
    let left = left.filter(|entry| !entry.starts_with("told#")).collect();
    (stage.alerts().into_iter().map(|alert| alert.id).collect(), left)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_write_may_lose_its_answer_or_be_the_last() {
    let (stage, records) = stored().await;
    handle(&stage, &records).await;
    let expected = end(&stage).await;
    assert_eq!((stage.kinds(), expected.1.len()), ([("domain", 1), ("lifted", 1)].into(), 2));
    let writes =
        stage.faults.calls().into_iter().filter(|call| !["Query", "GetItem"].contains(&call.operation.as_str()));
    for call in writes {
        for fault in [Fault::LoseAnswer, Fault::KillAfter] {
            let (stage, records) = stored().await;
            stage.faults.plan(move |other| (other.index == call.index).then_some(fault));
            handle(&stage, &records).await;
            assert_eq!(end(&stage).await, expected, "{fault:?} at {call:?}");
        }
    }
}
