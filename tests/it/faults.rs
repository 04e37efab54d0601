//! DynamoDB with faults: never a wrong 200, and after the retry one row and the right suppressions.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use aws_local::faults::Fault;
use rebound::receive::Receiver;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;

use crate::support::{ReceiveHarness, active_reasons, complaint, event, hand_over, signed};

const ONCE: [Fault; 6] = [
    Fault::RefuseBefore,
    Fault::LoseAnswer,
    Fault::Conflict,
    Fault::Throttle,
    Fault::ServerError,
    Fault::Slow(Duration::from_millis(300)),
];

/// The three forms of a write, with the number of calls and the expected result of each.
struct WriteForm {
    name: &'static str,
    /// The webhook received before.
    before: Option<Vec<u8>>,
    body: Vec<u8>,
    calls: usize,
    expected: &'static [(&'static str, &'static [&'static str])],
}

fn ways() -> [WriteForm; 6] {
    let bounce = || {
        event(
            "email.bounced",
            json!({ "email_id": "e2", "to": ["ann@example.com"], "bounce": { "type": "Permanent" } }),
        )
    };
    let older = json!({ "type": "email.complained", "created_at": "2026-11-01T00:00:00Z", "data": { "to": ["ann@example.com"] } });
    let topic = |subscription: &str| {
        let topics = json!([{ "id": "t1", "subscription": subscription }]);
        event("contact.topics.updated", json!({ "email": "ann@example.com", "topics": topics }))
    };
    [
        WriteForm {
            name: "row alone",
            before: None,
            body: event("email.sent", json!({ "email_id": "e1" })),
            calls: 1,
            expected: &[],
        },
        WriteForm {
            name: "row and suppression",
            before: None,
            body: complaint("ann@example.com", "e1"),
            calls: 1,
            expected: &[("ann@example.com", &["complaint"])],
        },
        WriteForm {
            name: "merge",
            before: Some(complaint("ann@example.com", "e1")),
            body: bounce(),
            calls: 2,
            expected: &[("ann@example.com", &["complaint", "hard_bounce"])],
        },
        WriteForm {
            name: "merge that says nothing new",
            before: Some(complaint("ann@example.com", "e1")),
            body: older.to_string().into_bytes(),
            calls: 2,
            expected: &[("ann@example.com", &["complaint"])],
        },
        WriteForm {
            name: "row and topic",
            before: None,
            body: topic("opt_out"),
            calls: 1,
            expected: &[("ann@example.com", &[])],
        },
        WriteForm {
            name: "topic merged into reasons",
            before: Some(complaint("ann@example.com", "e1")),
            body: topic("opt_out"),
            calls: 2,
            expected: &[("ann@example.com", &["complaint"])],
        },
    ]
}

impl ReceiveHarness {
    async fn holds(&self, way: &WriteForm, context: &str) {
        let rows = 1 + usize::from(way.before.is_some());
        assert_eq!(self.rows().await.len(), rows, "{context}");
        assert_eq!(self.reasons().await, active_reasons(way.expected), "{context}");
        if way.name.contains("topic") {
            let item = &self.suppressions().await["ann@example.com"];
            let topic = &item["topics"].as_m().unwrap()["t1"];
            assert!(topic.as_m().unwrap().contains_key("out_at"), "{context}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_handled_although_any_one_call_fails() {
    let mut points = 0;
    for fault in ONCE {
        for way in ways() {
            for failing in 0..way.calls {
                let context = format!("{}: {fault:?} at call {failing}", way.name);
                let service = ReceiveHarness::start().await;
                if let Some(before) = &way.before {
                    service.accepts(&signed(before.clone()), "handled").await;
                }
                service.proxy.plan(move |call| (call.index == failing).then_some(fault));
                let message = signed(way.body.clone());
                assert_eq!(
                    service.post(&message).await,
                    (200, json!({ "status": "handled", "id": message.id })),
                    "{context}"
                );
                assert!(service.proxy.calls().len() > failing, "{context}: the call was never made");
                service.holds(&way, &context).await;
                service.proxy.plan(|_| None);
                service.accepts(&message, "duplicate").await;
                service.holds(&way, &context).await;
                points += 1;
            }
        }
    }
    println!("{points} points of failure tried");
    assert_eq!(points, 54);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_every_call_fails_the_status_is_503_and_a_retry_stores() {
    for fault in [Fault::RefuseBefore, Fault::LoseAnswer, Fault::Conflict, Fault::Throttle, Fault::ServerError] {
        for way in ways() {
            let context = format!("{}: {fault:?} at every call", way.name);
            let service = ReceiveHarness::start().await;
            if let Some(before) = &way.before {
                service.accepts(&signed(before.clone()), "handled").await;
            }
            service.proxy.plan(move |_| Some(fault));
            let message = signed(way.body.clone());
            let (status, answer) = hand_over(&service.receiver, &message, Duration::from_millis(500)).await;
            assert_eq!(status, 503, "{context}: {answer}");
            assert!(answer["error"].is_string(), "{context}: {answer}");
            if matches!(fault, Fault::Conflict | Fault::Throttle) {
                assert!(service.proxy.calls().len() > 3, "{context}: tried again until the deadline");
            }
            service.proxy.plan(|_| None);
            let (status, answer) = service.post(&message).await;
            // After a lost response the row may be there already; only DynamoDB knows.
            let applied = fault == Fault::LoseAnswer && way.before.is_none();
            let expected = if applied { "duplicate" } else { "handled" };
            assert_eq!((status, answer["status"].as_str().unwrap()), (200, expected), "{context}");
            service.holds(&way, &context).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_after_the_deadline_is_503_then_a_duplicate() {
    let service = ReceiveHarness::start().await;
    service.proxy.plan(|_| Some(Fault::Slow(Duration::from_secs(3))));
    let message = signed(complaint("ann@example.com", "e1"));
    assert_eq!(hand_over(&service.receiver, &message, Duration::from_millis(200)).await.0, 503);
    service.proxy.plan(|_| None);
    crate::support::eventually("the slow write is applied", async || !service.rows().await.is_empty()).await;
    service.accepts(&message, "duplicate").await;
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint"])]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_is_given_up_and_made_again() {
    let service = ReceiveHarness::start().await;
    service.proxy.plan(|call| (call.index == 0).then_some(Fault::Slow(Duration::from_secs(30))));
    let message = signed(complaint("ann@example.com", "e1"));
    // The first call was applied; the second finds the row, and recognizes it as its own.
    service.accepts(&message, "handled").await;
    assert_eq!(service.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_write_is_quarantined_and_not_retried() {
    let service = ReceiveHarness::start().await;
    service.proxy.plan(|call| (call.index == 0).then_some(Fault::Invalid));
    let message = signed(complaint("ann@example.com", "e1"));
    service.accepts(&message, "quarantined").await;
    let rows = service.rows().await;
    assert_eq!(rows[0]["kind"].as_s().unwrap(), "quarantine");
    assert_eq!(rebound::store::row::payload(&rows[0]).unwrap().as_ref(), message.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_access_quarantines_nothing_and_is_a_503() {
    let service = ReceiveHarness::start().await;
    service.proxy.plan(|_| Some(Fault::Invalid));
    assert_eq!(service.post(&signed(complaint("ann@example.com", "e1"))).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_503() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let elsewhere = |name: &str| if name == "EVENTS_TABLE" { Some("nowhere".to_owned()) } else { aws.variable(name) };
    let receiver = Receiver::from_environment(elsewhere).await.unwrap();
    let message = signed(complaint("ann@example.com", "e1"));
    let (status, answer) = hand_over(&receiver, &message, Duration::from_secs(8)).await;
    assert_eq!(status, 503);
    assert!(!answer.to_string().contains("nowhere"), "internal errors are logged, not sent to the caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dynamodb_the_status_is_503_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = LocalAwsOptions {
        dynamodb: SocketAddr::from(([127, 0, 0, 1], port)),
        data: Some(folder.path().join("rebound.db")),
        ..LocalAwsOptions::in_memory()
    };
    let mut service = ReceiveHarness::start_with(&options).await;
    let earlier = signed(complaint("ann@example.com", "e1"));
    service.accepts(&earlier, "handled").await;

    service.aws.stop_dynamodb().await;
    let message =
        signed(event("email.bounced", json!({ "to": ["ann@example.com"], "bounce": { "type": "Permanent" } })));
    // It may take eight seconds, of the fifteen that Resend waits. A test is no measure of speed, so this one allows for a busy machine.
    let status = tokio::time::timeout(Duration::from_secs(14), service.post(&message)).await.expect("an answer").0;
    assert_eq!(status, 503);

    service.aws = EmbeddedAws::start(&options, |_| None).await.unwrap();
    service.accepts(&message, "handled").await;
    service.accepts(&earlier, "duplicate").await;
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint", "hard_bounce"])]));
    assert_eq!(service.rows().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_functions_calls_pass_the_fault_proxy() {
    let mut aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let faults = aws_local::faults::Faults::default();
    let (direct, proxy) =
        (aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap(), aws.insert_fault_proxy(faults.clone()).await.unwrap());
    assert_ne!(proxy, direct);
    assert_eq!(aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap(), direct, "what other commands get");
    let scan = aws.clients().dynamodb().scan().table_name(aws.variable("EVENTS_TABLE").unwrap());
    scan.send().await.unwrap();
    assert!(faults.calls().is_empty());
    aws.protector()
        .unwrap()
        .tick(rebound::time::UnixMillis::now(), tokio::time::Instant::now() + Duration::from_secs(5))
        .await;
    assert!(!faults.calls().is_empty(), "a tick reads the tables");
}
