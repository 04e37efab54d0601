//! A domain that loses its verification causes an alert; one that is verified again, or set up, does not.

use rebound::resend::signed::SignedMessage;
use serde_json::json;

use super::{HOUR, MINUTE, NOW, ProtectHarness, after, mail, of};
use crate::support::secret;

const SECOND: i64 = 1_000;

/// An event of a domain, this many milliseconds after [`NOW`].
fn domain(id: &str, event_type: &str, millis: i64, domain: &str, status: &str) -> SignedMessage {
    let data = json!({ "id": domain, "name": format!("{domain}.example"), "status": status });
    let body = json!({ "type": event_type, "created_at": after(millis).to_text(), "data": data });
    SignedMessage::new(id, NOW.seconds(), body.to_string(), &secret())
}

pub(crate) fn updated(id: &str, millis: i64, status: &str) -> SignedMessage {
    domain(id, "domain.updated", millis, "d", status)
}

fn titles(stage: &ProtectHarness) -> Vec<String> {
    stage.alerts().into_iter().map(|alert| alert.title).collect()
}

async fn entries(stage: &ProtectHarness) -> usize {
    stage.scan("AGENDA_TABLE").await.iter().filter(|item| item["kind"].as_s().unwrap() == "domain").count()
}

/// Ticks for an hour.
async fn an_hour_passes(stage: &ProtectHarness) {
    for minutes in (0..=60).step_by(10) {
        stage.tick(after(minutes * MINUTE)).await;
    }
}

#[tokio::test]
async fn a_lost_domain_is_alerted_immediately_and_a_new_one_never() {
    let stage = ProtectHarness::start().await;
    stage.happens(&[domain("d1", "domain.updated", -9 * MINUTE, "new", "pending")]).await;
    stage.happens(&[domain("d4", "domain.updated", -6 * MINUTE, "old", "temporary_failure")]).await;
    stage.happens(&[domain("d5", "domain.updated", -5 * MINUTE, "old", "temporary_failure")]).await;
    stage.happens(&[domain("d6", "domain.deleted", -4 * MINUTE, "gone", "verified")]).await;
    let expected = [
        "Domain old.example is no longer verified: temporary_failure",
        "Domain gone.example is no longer verified: deleted",
    ];
    assert_eq!(titles(&stage), expected);
    an_hour_passes(&stage).await;
    assert_eq!(titles(&stage), expected);
    assert_eq!(entries(&stage).await, 0);
}

#[tokio::test]
async fn pending_for_three_seconds_is_no_alert_in_any_order() {
    let events = [
        updated("d1", -2 * HOUR, "verified"),
        updated("d2", -MINUTE, "pending"),
        updated("d3", -MINUTE + 3 * SECOND, "partially_verified"),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let stage = ProtectHarness::start().await;
        for index in order {
            stage.happens(std::slice::from_ref(&events[index])).await;
        }
        an_hour_passes(&stage).await;
        stage.deliver(&stage.records().await, after(2 * HOUR)).await;
        stage.tick(after(3 * HOUR)).await;
        assert_eq!((titles(&stage).len(), entries(&stage).await), (0, 0), "{order:?}");
    }
}

#[tokio::test]
async fn pending_for_half_an_hour_is_one_alert_in_any_order() {
    let events = [
        updated("d1", -2 * HOUR, "verified"),
        updated("d2", -MINUTE, "pending"),
        updated("d3", -30 * SECOND, "not_started"),
    ];
    for order in [[0, 1, 2], [1, 2, 0], [2, 1, 0]] {
        let stage = ProtectHarness::start().await;
        for index in order {
            stage.happens(std::slice::from_ref(&events[index])).await;
        }
        stage.tick(after(28 * MINUTE)).await;
        assert_eq!(titles(&stage), [""; 0], "{order:?}");
        an_hour_passes(&stage).await;
        // Delivered again, it is checked again, and is the same alert.
        stage.deliver(&stage.records().await, after(HOUR)).await;
        stage.tick(after(2 * HOUR)).await;
        assert_eq!(titles(&stage), ["Domain d.example is no longer verified: not_started"], "{order:?}");
        assert_eq!(entries(&stage).await, 0, "{order:?}");
    }
}

#[tokio::test]
async fn a_verification_that_comes_last_completes_an_old_pending() {
    let stage = ProtectHarness::start().await;
    stage.happens(&[updated("d2", -2 * HOUR, "not_started")]).await;
    stage.tick(NOW).await;
    assert_eq!((titles(&stage).len(), entries(&stage).await), (0, 0), "as far as is known, it is being set up");
    stage.happens(&[updated("d1", -3 * HOUR, "verified")]).await;
    stage.tick(after(MINUTE)).await;
    assert_eq!(titles(&stage), ["Domain d.example is no longer verified: not_started"]);
}

#[tokio::test]
async fn a_failure_that_was_mended_before_it_came_is_no_alert() {
    let stage = ProtectHarness::start().await;
    stage.happens(&[updated("d2", -MINUTE, "verified")]).await;
    stage.happens(&[updated("d1", -HOUR, "failed")]).await;
    assert_eq!(titles(&stage), [""; 0]);
    stage.happens(&[updated("d3", -SECOND, "partially_failed")]).await;
    assert_eq!(titles(&stage), ["Domain d.example is no longer verified: partially_failed"]);
}

#[tokio::test]
async fn how_long_a_domain_may_be_pending_is_configured() {
    let stage = ProtectHarness::with_policy(r#"{"domain": {"pending_minutes": 90}}"#).await;
    let other = mail("m1", "email.delivered", "e1", "ann@example.com", after(-MINUTE), of("a"));
    stage.happens(&[updated("d1", -2 * HOUR, "verified"), updated("d2", -MINUTE, "pending"), other]).await;
    an_hour_passes(&stage).await;
    assert_eq!(titles(&stage), [""; 0]);
    stage.tick(after(90 * MINUTE)).await;
    assert_eq!(titles(&stage).len(), 1);
}
