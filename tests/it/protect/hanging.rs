//! A service that does not respond costs one timeout, and nothing is lost. Work without that service is done, the rest
//! is done when it responds.
//!
//! The duration is given by the number of calls that time out one after another, 2.5 s each (`ATTEMPT_TIMEOUT`): a busy
//! machine does not change it.

use std::collections::BTreeMap;

use aws_local::faults::{Fault, Service};
use rebound::resend::signed::SignedMessage;

use super::{DAY, MINUTE, NOW, ProtectHarness, after, again, mail, of, soon};

fn complaint(campaign: &str) -> SignedMessage {
    let to = format!("{campaign}@example.com");
    mail(&format!("m-{campaign}"), "email.complained", campaign, &to, after(-MINUTE), of(campaign))
}

fn hang(stage: &ProtectHarness, service: Service) {
    stage.faults.plan(move |call| (call.service == service).then_some(Fault::Hang));
}

/// Number of calls to a service since it stopped responding.
fn asked(stage: &ProtectHarness, service: Service) -> usize {
    stage.faults.calls().iter().filter(|call| call.service == service).count()
}

/// Number of publications of each alert, by its id.
fn published(stage: &ProtectHarness) -> BTreeMap<String, usize> {
    let mut published = BTreeMap::new();
    for alert in stage.alerts() {
        *published.entry(alert.id).or_default() += 1;
    }
    published
}

async fn entries(stage: &ProtectHarness, kind: &str) -> usize {
    stage.scan("AGENDA_TABLE").await.iter().filter(|item| item["kind"].as_s().unwrap() == kind).count()
}

#[tokio::test]
async fn while_sns_hangs_brakes_reopen_and_alerts_follow_once() {
    let stage = ProtectHarness::start().await;
    let campaigns: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let complaints: Vec<SignedMessage> = campaigns.iter().map(|campaign| complaint(campaign)).collect();
    hang(&stage, Service::Sns);
    stage.happens(&complaints).await;
    assert_eq!(entries(&stage, "publish").await, 24, "a complaint and a brake of each");
    for campaign in &campaigns {
        assert_eq!(stage.brake(campaign).await.0, "slowed");
    }
    for later in [DAY + MINUTE, DAY + 6 * MINUTE] {
        hang(&stage, Service::Sns);
        let report = stage.protector.tick(after(later), soon()).await;
        assert_eq!(asked(&stage, Service::Sns), 1);
        assert!(report.errors.len() <= 2, "the failure, and how many alerts are left: {:?}", report.errors);
    }
    for campaign in &campaigns {
        assert_eq!(stage.brake(campaign).await.0, "open");
    }
    assert_eq!((stage.alerts().len(), entries(&stage, "brake").await), (0, 0));
    stage.faults.plan(|_| None);
    for later in [10, 15] {
        stage.tick(after(DAY + later * MINUTE)).await;
    }
    let published = published(&stage);
    assert_eq!(published.len(), 36, "and that each is open again");
    assert!(published.values().all(|times| *times == 1), "{published:?}");
    assert_eq!(entries(&stage, "publish").await, 0);
    let alerts = stage.alerts();
    let complaints: Vec<&str> =
        alerts.iter().map(|alert| alert.id.as_str()).filter(|id| id.starts_with("com")).collect();
    assert!(!complaints.is_sorted(), "in the order of the agenda, one that always fails would keep the others back");
}

#[tokio::test]
async fn a_batch_waits_for_sns_once_and_leaves_the_rest_to_a_tick() {
    let stage = ProtectHarness::start().await;
    for campaign in ["a", "b"] {
        assert_eq!(stage.receive_at(&complaint(campaign), NOW).await, 200);
    }
    let records = stage.records().await;
    hang(&stage, Service::Sns);
    assert_eq!(again(&stage.deliver(&records, NOW).await), [""; 0]);
    assert!(asked(&stage, Service::Sns) <= 2, "both campaigns at the same time, then nobody");
    assert_eq!(entries(&stage, "publish").await, 4);
    stage.faults.plan(|_| None);
    stage.tick(after(5 * MINUTE)).await;
    assert_eq!((published(&stage).len(), stage.alerts().len()), (4, 4));
}

#[tokio::test]
async fn while_sqs_hangs_a_batch_waits_once_and_counts_all_the_same() {
    let stage = ProtectHarness::start().await;
    let opened = (0..170).map(|n| {
        let email = format!("e{n}");
        mail(&format!("m{n}"), "email.opened", &email, "ann@example.com", after(-MINUTE), of("a"))
    });
    for message in opened {
        assert_eq!(stage.receive_at(&message, NOW).await, 200);
    }
    let records = stage.records().await;
    hang(&stage, Service::Sqs);
    assert_eq!(stage.deliver(&records, NOW).await.failures.len(), 170, "to be delivered again");
    // Of 17 calls the first 8, at the same time, each tried twice by the SDK in its 4 s.
    assert!(asked(&stage, Service::Sqs) <= 16, "{} calls", asked(&stage, Service::Sqs));
    assert_eq!(stage.counters().await["a/2026-11-23T12/opened"], 170);
    stage.faults.plan(|_| None);
    assert_eq!(again(&stage.deliver(&records, after(MINUTE)).await), [""; 0]);
    assert_eq!((stage.engagements().len(), stage.counters().await["a/2026-11-23T12/opened"]), (170, 170));
}
