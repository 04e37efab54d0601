//! A delayed email causes an alert when it has waited too long, or when its recipient is delayed again; once, and in no
//! other case.

use serde_json::{Value, json};

use super::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, mail};

fn created(hours_ago: i64) -> Value {
    json!({ "created_at": after(-hours_ago * HOUR).to_text(), "tags": { "campaign": "a" } })
}

#[tokio::test]
async fn an_email_delayed_for_a_day_is_alerted_once_without_events() {
    let stage = ProtectHarness::start().await;
    let sent = mail("m1", "email.sent", "e1", "ann@example.com", after(-2 * HOUR), created(3));
    let delayed = mail("m2", "email.delivery_delayed", "e1", "ann@example.com", after(-HOUR), created(3));
    stage.happens(&[sent, delayed]).await;
    stage.tick(NOW).await;
    stage.tick(after(22 * HOUR)).await;
    assert_eq!(stage.kinds().get("delay"), None, "a day since it was sent is not over");
    stage.tick(after(22 * HOUR + 1)).await;
    stage.tick(after(22 * HOUR + 5 * MINUTE)).await;
    let again = mail("m3", "email.delivery_delayed", "e1", "ann@example.com", after(-30 * MINUTE), created(3));
    stage.happens_at(&[again], after(23 * HOUR)).await;
    stage.tick(after(2 * DAY)).await;
    assert_eq!(stage.kinds()["delay"], 1);
    let alert = stage.alerts().into_iter().find(|alert| alert.kind.as_str() == "delay").unwrap();
    assert_eq!((alert.recipient.as_deref(), alert.email_id.as_deref()), (Some("ann@example.com"), Some("e1")));
    assert_eq!((alert.figures["hours"].as_i64(), alert.campaign.unwrap().as_str()), (Some(24), "a"));
    let left: Vec<_> =
        stage.scan("AGENDA_TABLE").await.into_iter().filter(|item| item["kind"].as_s().unwrap() == "delay").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_delay_that_resolves_is_silent_in_either_order() {
    for outcome_first in [false, true] {
        let stage = ProtectHarness::start().await;
        let delayed = mail("m1", "email.delivery_delayed", "e1", "ann@example.com", after(-2 * HOUR), created(3));
        let outcome = mail("m2", "email.delivered", "e1", "ann@example.com", after(-HOUR), created(3));
        if outcome_first {
            stage.happens(&[outcome]).await;
            stage.happens(&[delayed]).await;
        } else {
            stage.happens(&[delayed]).await;
            stage.happens(&[outcome]).await;
        }
        for hours in [0, 22, 30, 60] {
            stage.tick(after(hours * HOUR)).await;
        }
        assert_eq!(stage.kinds().get("delay"), None);
    }
}

#[tokio::test]
async fn a_delay_reported_a_day_late_is_alerted_immediately() {
    let stage = ProtectHarness::start().await;
    let delayed = mail("m1", "email.delivery_delayed", "e1", "ann@example.com", after(-20 * HOUR), created(26));
    stage.happens(std::slice::from_ref(&delayed)).await;
    assert_eq!(stage.kinds()["delay"], 1);
}

#[tokio::test]
async fn a_second_delay_within_seven_days_is_alerted_once() {
    let stage = ProtectHarness::start().await;
    let delay = |id: &str, email: &str, hours_ago: i64| {
        mail(id, "email.delivery_delayed", email, "ann@example.com", after(-hours_ago * HOUR), created(hours_ago + 1))
    };
    let delivered = |id: &str, email: &str, hours_ago: i64| {
        mail(id, "email.delivered", email, "ann@example.com", after(-hours_ago * HOUR), created(hours_ago + 1))
    };
    stage.happens(&[delay("m1", "e1", 8 * 24), delivered("m2", "e1", 8 * 24 - 1)]).await;
    stage.happens(&[delay("m3", "e2", 10), delivered("m4", "e2", 9)]).await;
    assert_eq!(stage.kinds().get("delay"), None, "eight days apart");
    stage.happens(&[delay("m5", "e3", 2), delay("m6", "e3", 1)]).await;
    assert_eq!(stage.kinds()["delay"], 1);
    let alert = &stage.alerts()[0];
    assert_eq!((alert.email_id.as_deref(), alert.figures["within_days"].as_i64()), (Some("e3"), Some(7)));
    // The same email waits a day too. It is the same occurrence.
    stage.tick(after(2 * DAY)).await;
    assert_eq!(stage.kinds()["delay"], 1);
}

#[tokio::test]
async fn a_scheduled_email_does_not_wait_since_its_creation() {
    let stage = ProtectHarness::start().await;
    let scheduled = mail("m1", "email.scheduled", "e1", "ann@example.com", after(-72 * HOUR), created(72));
    let delayed = mail("m2", "email.delivery_delayed", "e1", "ann@example.com", after(-HOUR), created(72));
    stage.happens(&[scheduled, delayed]).await;
    stage.tick(after(22 * HOUR)).await;
    assert_eq!(stage.kinds().get("delay"), None);
    stage.tick(after(24 * HOUR)).await;
    assert_eq!(stage.kinds()["delay"], 1);
}
