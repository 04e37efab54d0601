//! The pause that Claude requests, and the time that an invocation spends waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::faults::{Fault, Service};
use rebound::aws::queue::QueueMessage;
use rebound::aws::stream::BatchResponse;
use rebound::claude::key::ApiKey;
use rebound::claude::{Charge, Claude, ClaudeError};
use rebound::engage::Engager;
use rebound::message::decision::DecidedBy;
use rebound::metrics::Metrics;
use rebound_dev::claude::ClaudeBehaviour;
use tokio::time::Instant;

use super::super::harm::open_reservations;
use super::super::{MINUTE, NOW, Stage, StagedEmail, after};
use crate::support::logged;

/// Three clicks on three emails, with this number of deliveries.
async fn three(stage: &Stage, deliveries: u32) -> Vec<QueueMessage> {
    for number in 1..=3 {
        let mail = StagedEmail::to(&format!("e{number}"), &format!("ann{number}@example.com"));
        stage.receives(&[mail.delivered(), mail.clicked(&format!("c{number}"), after(-10 * MINUTE))]).await;
    }
    stage.deliveries(&["c1", "c2", "c3"], deliveries).await
}

#[tokio::test]
async fn after_a_retry_after_of_an_hour_all_wait_in_the_queue() {
    let stage = Stage::start().await;
    let deliveries = three(&stage, 1).await;
    stage.claude.plan(|_| ClaudeBehaviour::Status(429, Some(3_600)));
    let mut answer = BatchResponse::default();
    let log = logged(async { answer = stage.delivers(&deliveries, NOW).await }).await;
    assert_eq!((answer.failures.len(), stage.claude.asked().len()), (3, 1));
    // A quarter of an hour, then the rest, if Claude still requests it.
    assert_eq!(log.matches("\"seconds\":900").count(), 3, "{log}");
    assert_eq!(stage.receipts().await.len(), 0, "nothing is decided meanwhile");

    stage.claude.plan(|_| ClaudeBehaviour::Default);
    let again: Vec<_> = deliveries.into_iter().map(|delivery| QueueMessage { deliveries: 2, ..delivery }).collect();
    assert_eq!(stage.delivers(&again, after(15 * MINUTE)).await, BatchResponse::default());
    assert!(stage.receipts().await.values().all(|receipt| receipt.asked.by == DecidedBy::Claude));
}

#[tokio::test]
async fn after_a_retry_after_of_a_second_the_invocation_asks_again() {
    let stage = Stage::start().await;
    let deliveries = three(&stage, 1).await;
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&asked);
    stage.claude.plan(move |asked| {
        noted.lock().unwrap().push(Instant::now());
        if asked.index < 2 { ClaudeBehaviour::Status(429, Some(1)) } else { ClaudeBehaviour::Default }
    });
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 5);
    for pair in asked[..3].windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1), "not before it has said");
    }
    let receipts = stage.receipts().await;
    let mut tries: Vec<u32> = receipts.values().map(|receipt| receipt.asked.tries).collect();
    tries.sort_unstable();
    assert_eq!(tries, [1, 1, 3]);
}

#[tokio::test]
async fn a_request_without_time_is_not_sent_and_waits_in_the_queue() {
    let stage = Stage::start().await;
    let deliveries = three(&stage, 1).await;
    let answer = stage.engager.batch(&deliveries, NOW, Instant::now() + Duration::from_secs(45)).await;
    assert_eq!((answer.failures.len(), stage.claude.asked().len()), (3, 0));
}

/// A busy machine may need more than a second until the request, so the time increases until it suffices.
#[tokio::test]
async fn in_the_last_delivery_claude_gets_all_time_then_the_rules() {
    for seconds in [1, 3, 9, 27] {
        let stage = Stage::start().await;
        let deliveries = three(&stage, 6).await;
        stage.claude.plan(|_| ClaudeBehaviour::Default.after(Duration::from_secs(600)));
        // In addition to the time reserved for storing and publishing.
        let deadline = Instant::now() + Duration::from_secs(10 + seconds);
        let answer = stage.engager.batch(&deliveries, NOW, deadline).await;
        if stage.claude.asked().is_empty() {
            continue;
        }
        assert_eq!(answer, BatchResponse::default());
        let receipts = stage.receipts().await;
        let because: Vec<String> = receipts.values().filter_map(|receipt| receipt.asked.because.clone()).collect();
        assert_eq!(because.len(), 3);
        let reported = "Claude gave no answer in 6 deliveries; the last: Claude did not respond in time";
        assert!(because.iter().all(|because| because == reported), "{because:?}");
        assert_eq!(stage.claude.asked().len(), 1, "who has waited in vain does not ask once more, nor for the others");
        assert_eq!(stage.published().len(), 3);
        assert_eq!(open_reservations(&stage).await, 0);
        return;
    }
    panic!("Claude was never asked, however much time was left");
}

#[tokio::test]
async fn a_request_waiting_for_a_permit_is_bounded_and_costs_nothing() {
    let stage = Stage::start().await;
    stage.claude.plan(|_| ClaudeBehaviour::Default.after(Duration::from_secs(600)));
    let (claude, key) = (Claude::new(&stage.claude.url(), 1).unwrap(), ApiKey::parse("sk-ant-test").unwrap());
    let (slow, soon) = (Duration::from_secs(2), Duration::from_millis(300));
    let (first, second) = tokio::join!(claude.ask(&key, b"{}".to_vec(), slow), claude.ask(&key, b"{}".to_vec(), soon));
    assert_eq!(first, Err(ClaudeError::TimedOut));
    assert!(matches!(second, Err(ClaudeError::Transient { charge: Charge::Nothing, .. })), "{second:?}");
    assert_eq!(stage.claude.asked().len(), 1);
}

#[tokio::test]
async fn no_connection_costs_nothing_and_a_lost_answer_is_paid() {
    let stage = Stage::start().await;
    let deliveries = three(&stage, 6).await;
    let variable = |name: &str| match name {
        // No server listens there.
        "ANTHROPIC_BASE_URL" => Some("http://127.0.0.1:1".to_owned()),
        "ANTHROPIC_API_KEY" => Some("sk-ant-test".to_owned()),
        _ => stage.aws.variable(name),
    };
    let nowhere = Engager::from_environment(variable).unwrap();
    let soon = || Instant::now() + Duration::from_secs(110);
    assert_eq!(nowhere.batch(&deliveries[..1], NOW, soon()).await, BatchResponse::default());
    let asked = stage.receipt().await.asked;
    assert!(asked.because.unwrap().ends_with("no connection to Claude"));
    assert_eq!((asked.by, asked.tries, asked.cost_usd), (DecidedBy::Rules, 3, 0.0));

    let mut lost = 0;
    stage.faults.plan(move |call| {
        lost += u32::from(call.service == Service::Http);
        (call.service == Service::Http && lost == 1).then_some(Fault::LoseAnswer)
    });
    assert_eq!(stage.delivers(&deliveries[1..], NOW).await, BatchResponse::default());
    let receipts = stage.receipts().await;
    let of = |tries| receipts.values().find(|receipt| receipt.asked.tries == tries).unwrap().asked.clone();
    let (again, once) = (of(2), of(1));
    assert_eq!((again.by, once.by), (DecidedBy::Claude, DecidedBy::Claude));
    assert!(again.cost_usd > 2.0 * once.cost_usd, "{} and {}", again.cost_usd, once.cost_usd);
    assert_eq!(open_reservations(&stage).await, 0);
}

/// An error with status 200.
fn error_inside(kind: &str) -> ClaudeBehaviour {
    let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"x"}},"request_id":"req_1"}}"#);
    ClaudeBehaviour::Raw(200, "application/json".to_owned(), body.into_bytes())
}

#[tokio::test]
async fn an_error_inside_an_answer_is_retried_and_costs_nothing() {
    let stage = Stage::start().await;
    let deliveries = three(&stage, 1).await;
    stage.claude.plan(|asked| match asked.index {
        0 => error_inside("overloaded_error"),
        1 => error_inside("api_error"),
        _ => ClaudeBehaviour::Default,
    });
    assert_eq!(stage.delivers(&deliveries[..1], NOW).await, BatchResponse::default());
    let asked = stage.receipt().await.asked;
    assert_eq!((asked.by, asked.tries, asked.refused), (DecidedBy::Claude, 3, None));
    assert_eq!(stage.claude.answered_tokens().answers, 1);
    let price = rebound::claude::price::Price::for_model("claude-haiku-5-5", &Default::default());
    assert!((asked.cost_usd - price.cost(&asked.usage.unwrap()).usd()).abs() < 1e-12, "one answer is paid for");
    assert_eq!(open_reservations(&stage).await, 0);
}

#[tokio::test]
async fn a_model_that_is_not_there_is_counted_for_the_alarm() {
    for (number, behaviour) in
        [ClaudeBehaviour::Status(404, None), error_inside("not_found_error"), ClaudeBehaviour::Status(401, None)]
            .into_iter()
            .enumerate()
    {
        let mut stage = Stage::start().await;
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&lines);
        let metrics = Metrics::new("rebound", move |line| noted.lock().unwrap().push(line.to_owned()));
        stage.engager = Arc::new(stage.engager.as_ref().clone().with_metrics(metrics));
        let deliveries = three(&stage, 1).await;
        stage.claude.plan(move |_| behaviour.clone());
        assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
        let receipts = stage.receipts().await;
        assert!(receipts.values().all(|receipt| receipt.asked.by == DecidedBy::Rules && receipt.asked.cost_usd == 0.0));
        let reported = lines.lock().unwrap().concat();
        assert!(reported.contains(r#""ClaudeRefusals":3"#), "{number}: {reported}");
    }
}
