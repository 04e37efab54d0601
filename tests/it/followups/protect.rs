//! Webhooks of a follow-up that was sent, and the alerts that the tick publishes.

use std::sync::{Arc, Mutex};

use rebound::metrics::Metrics;
use rebound::policy::followup::sending::{AnswerMeaning, DropReason, FollowupStatus, Settlement};
use rebound::protect::Protector;
use rebound::receive::Receiver;
use rebound::store::followups::{Switch, SwitchOf};
use rebound::time::{UnixMillis, hours, minutes};
use serde_json::{Value, json};

use super::{ANN, EMAIL, FollowupHarness, NOW, answer};
use crate::support::protect::{deliver, receive, record, signed, soon};
use crate::support::schemas;

impl FollowupHarness {
    fn protector(&self) -> Protector {
        Protector::from_environment(|name| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(self.proxy.url()),
            _ => self.aws.variable(name),
        })
        .unwrap()
        .with_metrics(self.metrics.clone())
    }

    /// A webhook about an email is received, and its record is delivered twice.
    async fn reports(&self, event_type: &str, resend_id: &str, tags: Value) {
        let receiver = Arc::new(Receiver::from_environment(|name| self.aws.variable(name)).await.unwrap());
        let data = json!({ "email_id": resend_id, "to": [ANN], "created_at": NOW.to_text(), "tags": tags });
        let message = signed(&format!("{resend_id}-{event_type}"), event_type, 0, &data);
        assert_eq!(receive(&receiver, &message, UnixMillis(1_795_440_600_000)).await, 200);
        let rows = self.scan("EVENTS_TABLE").await;
        let row = rows.iter().find(|row| row["event"].as_s().unwrap().contains(&message.id)).unwrap();
        for _ in 0..2 {
            deliver(&self.protector(), &[record(row)], NOW).await;
        }
    }

    async fn tick(&self, at: UnixMillis) -> Vec<Value> {
        let report = self.protector().tick(at, soon()).await;
        assert_eq!(report.errors, []);
        let messages = self.aws.sns.as_ref().unwrap().messages();
        messages.iter().map(|message| schemas::published(&schemas::ALERT, message)).collect()
    }
}

/// The alerts of all kinds about follow-ups, as they are published.
pub(crate) async fn published_alerts() -> Vec<Value> {
    alerts_with(Metrics::off()).await
}

/// The same, with this destination of the metrics.
pub(crate) async fn alerts_with(metrics: Metrics) -> Vec<Value> {
    let mut stage = FollowupHarness::with_a_due_one().await;
    stage.metrics = metrics;
    stage.tick(NOW.plus(minutes(5))).await;
    let store = stage.store();
    let (row, begun) = stage.begin(NOW).await;
    let key = answer(AnswerMeaning::Key, 401, "invalid_api_key");
    store.record_answer(&row, begun, &key, 1, NOW).await.unwrap();
    let at = NOW.plus(minutes(15));
    let (row, begun) = stage.begin(at).await;
    let other = answer(AnswerMeaning::Otherwise { name: "http_403".to_owned() }, 403, "http_403");
    store.record_answer(&row, begun, &other, 0, at).await.unwrap();
    let at = NOW.plus(minutes(30));
    let (row, _) = stage.begin(at).await;
    store.settle(&row, Settlement::OpenTooLong, at.plus(hours(23))).await.unwrap();
    store.record_accepted(EMAIL, &row.id, "r1", "act", at).await.unwrap();
    store.record_accepted(EMAIL, &row.id, "r2", "act", at).await.unwrap();
    stage.tick(at.plus(hours(24))).await
}

#[tokio::test]
async fn the_tick_publishes_the_alerts_of_the_transactions() {
    let published = published_alerts().await;
    let mut kinds: Vec<String> =
        published.iter().map(|alert| format!("{} {}", alert["kind"], alert["severity"]).replace('"', "")).collect();
    kinds.sort();
    assert_eq!(kinds, ["resend_key critical", "send_failed warning", "send_unknown critical", "send_unknown warning"]);
    let two = published.iter().find(|alert| alert["severity"] == "critical" && alert["kind"] == "send_unknown");
    assert!(two.unwrap()["text"].as_str().unwrap().contains("r1 and r2"), "{two:?}");
}

#[tokio::test]
async fn more_alerts_than_the_limit_are_grouped() {
    let stage = FollowupHarness::start().await;
    for number in 0..8 {
        let email = format!("e{number}");
        let id = stage.decide(&email, &format!("p{number}@example.com"), NOW).await;
        let row = stage.store().find(&email, &id).await.unwrap().unwrap();
        stage.store().settle(&row, Settlement::OpenTooLong, NOW.plus(hours(23))).await.unwrap();
    }
    let published = stage.tick(NOW.plus(hours(23))).await;
    assert_eq!(published.iter().filter(|alert| alert["kind"] == "send_unknown").count(), 5);
    let later = stage.tick(NOW.plus(hours(25))).await;
    let digest = later.iter().find(|alert| alert["kind"] == "digest").unwrap();
    assert_eq!((&digest["figures"]["of"], &digest["figures"]["folded"]), (&json!("send_unknown"), &json!(3)));
}

#[tokio::test]
async fn a_webhook_with_our_tags_records_that_it_was_sent_from_any_status() {
    for status in ["due", "sending", "dropped", "unclear", "unknown", "sent"] {
        let stage = FollowupHarness::with_a_due_one().await;
        let store = stage.store();
        let mut row = stage.row().await;
        if ["sending", "unclear", "unknown", "sent"].contains(&status) {
            row = stage.begin(NOW).await.0;
        }
        match status {
            "dropped" | "unclear" => {
                drop(store.drop_followup(&row, DropReason::Rejected, "eva", "", Vec::new(), NOW).await.unwrap());
            }
            "unknown" => drop(store.settle(&row, Settlement::OpenTooLong, NOW.plus(hours(23))).await.unwrap()),
            "sent" => drop(store.record_accepted(EMAIL, &row.id, "r1", "act", NOW).await.unwrap()),
            _ => {}
        }
        let tags = json!({ "followup_of": EMAIL, "followup": row.id });
        stage.reports("email.sent", "r1", tags.clone()).await;
        let calls = stage.faults.calls().len();
        stage.reports("email.delivered", "r1", tags).await;
        let all = stage.faults.calls();
        let written = all.iter().skip(calls).filter(|call| call.operation == "TransactWriteItems");
        assert_eq!(written.count(), 0, "{status}: it is known, so nothing is written");
        let sent = stage.row().await;
        assert_eq!(
            (sent.state.status, sent.state.resend_id.as_deref()),
            (FollowupStatus::Sent, Some("r1")),
            "{status}"
        );
        assert_eq!(stage.entries().await, ["followup_done sent"], "{status}");
        let by: Vec<&str> = sent.state.history.iter().map(|line| line.by.as_str()).collect();
        assert_eq!(by.iter().filter(|by| **by == "protect").count(), usize::from(status != "sent"), "{status}");
    }
}

#[tokio::test]
async fn two_different_ids_for_one_follow_up_are_a_critical_alert() {
    let stage = FollowupHarness::with_a_due_one().await;
    let (row, _) = stage.begin(NOW).await;
    let tags = json!({ "followup_of": EMAIL, "followup": row.id });
    stage.reports("email.sent", "r1", tags.clone()).await;
    stage.reports("email.sent", "r2", tags).await;
    let sent = stage.row().await.state;
    assert_eq!(
        (sent.resend_id.as_deref(), sent.also.into_iter().collect::<Vec<_>>()),
        (Some("r1"), vec!["r2".to_owned()])
    );
    assert_eq!(stage.waiting_alerts().await, ["send_unknown"]);
}

#[tokio::test]
async fn tags_of_nothing_that_is_there_write_nothing() {
    let stage = FollowupHarness::with_a_due_one().await;
    let before = stage.row().await;
    for tags in [
        json!({ "followup_of": EMAIL }),
        json!({ "followup_of": EMAIL, "followup": "followup-other" }),
        json!({ "followup_of": "", "followup": "" }),
        json!({ "followup_of": "e9", "followup": before.id }),
    ] {
        stage.reports("email.sent", &format!("r{}", fastrand::u32(..)), tags).await;
    }
    assert_eq!(stage.rows().await, [before]);
}

#[tokio::test]
async fn the_tick_measures_the_oldest_overdue_follow_up_unless_sending_is_paused() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let mut stage = FollowupHarness::with_a_due_one().await;
    stage.metrics = Metrics::new("rebound", move |line| sink.lock().unwrap().push(line.to_owned()));
    stage.tick(NOW.minus(minutes(1))).await;
    stage.tick(NOW.plus(minutes(90))).await;
    let switch = Switch { of: SwitchOf::All, at: NOW, by: "eva".to_owned(), reason: String::new() };
    stage.store().pause(&switch).await.unwrap();
    stage.tick(NOW.plus(minutes(95))).await;
    let lines = lines.lock().unwrap();
    let overdue: Vec<&String> = lines.iter().filter(|line| line.contains("\"FollowupsOverdue\":")).collect();
    assert_eq!(overdue.len(), 1, "{lines:?}");
    assert!(overdue[0].contains("\"FollowupsOverdue\":90"), "{overdue:?}");
}
