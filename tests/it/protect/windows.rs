//! Stored facts stay as long as the longest window that uses them.

use rebound::resend::signed::SignedMessage;
use serde_json::{Value, json};

use super::{DAY, HOUR, MINUTE, ProtectHarness, after, mail, of};

fn soft(email: &str, at: i64) -> SignedMessage {
    let bounce = json!({ "bounce": { "type": "Transient", "subType": "MailboxFull" } });
    mail(&format!("b-{email}"), "email.bounced", email, "ann@example.com", after(at), bounce)
}

fn delay(email: &str, at: i64) -> SignedMessage {
    let created = json!({ "created_at": after(at - HOUR).to_text() });
    mail(&format!("l-{email}"), "email.delivery_delayed", email, "ann@example.com", after(at), created)
}

/// Receives a webhook when it happens, after all expired items are deleted.
async fn comes(stage: &ProtectHarness, message: &SignedMessage, at: i64) {
    stage.expire(after(at)).await;
    stage.comes(message, after(at)).await;
}

#[tokio::test]
async fn soft_bounces_are_remembered_as_long_as_their_window() {
    let stage = ProtectHarness::with_policy(r#"{"soft_bounces": {"within_days": 180}}"#).await;
    for (email, day) in [("e1", 0), ("e2", 80), ("e3", 160)] {
        assert_eq!(stage.reasons().await, [].into(), "before day {day}");
        comes(&stage, &soft(email, day * DAY), day * DAY).await;
    }
    assert_eq!(stage.reasons().await["ann@example.com"], ["soft_bounce"]);
}

#[tokio::test]
async fn delays_are_kept_for_their_window_and_alerted_once() {
    let stage = ProtectHarness::with_policy(r#"{"delay": {"repeated_within_days": 180}}"#).await;
    let reported = |stage: &ProtectHarness| -> Vec<Option<String>> {
        let delays = stage.alerts().into_iter().filter(|alert| alert.figures.contains_key("emails"));
        delays.map(|alert| alert.email_id).collect()
    };
    comes(&stage, &delay("e1", 0), 0).await;
    comes(&stage, &delay("e2", 120 * DAY), 120 * DAY).await;
    assert_eq!(reported(&stage), [Some("e2".to_owned())]);
    // By then the events have expired, and with them, once, the record of the alert.
    comes(&stage, &delay("e3", 212 * DAY), 212 * DAY).await;
    assert_eq!(reported(&stage), [Some("e2".to_owned()), Some("e3".to_owned())]);
}

/// One complaint a day for months, so the campaign is never open in between.
#[tokio::test]
async fn a_brake_that_lasts_for_months_ends_all_the_same() {
    let stage = ProtectHarness::start().await;
    let mut last = 0;
    for number in 0..100 {
        last = number * 23 * HOUR;
        let (email, to) = (format!("e{number}"), format!("r{number}@example.com"));
        let message = mail(&format!("m{number}"), "email.complained", &email, &to, after(last), of("spring"));
        stage.comes(&message, after(last)).await;
    }
    stage.expire(after(last + HOUR)).await;
    stage.tick(after(last + HOUR)).await;
    assert_eq!(stage.brake("spring").await.0, "slowed");
    stage.tick(after(last + 25 * HOUR)).await;
    assert_eq!(stage.brake("spring").await.0, "open");
}

/// A neighbour: a scheduled task stays until it is done, however long no tick runs.
#[tokio::test]
async fn what_waits_for_a_tick_never_expires() {
    let stage = ProtectHarness::with_policy(r#"{"alerts": {"one_by_one_in_an_hour": 1}}"#).await;
    let complaint = |number: usize| {
        let (email, to) = (format!("e{number}"), format!("r{number}@example.com"));
        mail(&format!("m{number}"), "email.complained", &email, &to, after(-MINUTE), of("spring"))
    };
    stage.happens(&[complaint(1), complaint(2), delay("e9", -HOUR)]).await;
    let waits = |item: &Value| ["brake", "digest", "delay", "publish"].contains(&item["kind"].as_str().unwrap());
    let agenda = stage.scan("AGENDA_TABLE").await;
    let kinds: Vec<(String, bool)> = agenda
        .iter()
        .map(|item| (item["kind"].as_s().unwrap().clone(), item.contains_key("expires_at")))
        .filter(|(kind, _)| waits(&json!({ "kind": kind })))
        .collect();
    assert!(kinds.len() == 3 && kinds.iter().all(|(_, expires)| !expires), "{kinds:?}");
}
