//! One DynamoDB call for each webhook without conflicts, and the additional calls for each conflict.

use rebound_dev::samples;
use serde_json::json;

use crate::support::{ReceiveHarness, active_reasons, complaint, event, signed};

impl ReceiveHarness {
    /// The DynamoDB operations while this event was handled.
    async fn calls_for(&self, body: impl Into<Vec<u8>>, status: &str) -> Vec<String> {
        self.proxy.plan(|_| None);
        self.accepts(&signed(body), status).await;
        self.proxy.calls().into_iter().map(|call| call.operation).collect()
    }
}

#[tokio::test]
async fn a_webhook_of_any_type_is_one_call() {
    let service = ReceiveHarness::start().await;
    for event_type in samples::types() {
        let suppression = matches!(
            event_type,
            "email.bounced"
                | "email.complained"
                | "email.suppressed"
                | "contact.created"
                | "contact.updated"
                | "contact.topics.updated"
                | "suppression.added"
                | "suppression.removed"
        );
        let operation = if suppression { "TransactWriteItems" } else { "PutItem" };
        // Several samples are about one person, who would have an item already.
        let fresh = if suppression { Some(ReceiveHarness::start().await) } else { None };
        let service = fresh.as_ref().unwrap_or(&service);
        assert_eq!(service.calls_for(samples::body(event_type).unwrap(), "handled").await, [operation], "{event_type}");
    }
    assert_eq!(service.calls_for(event("email.teleported", json!({})), "ignored").await, ["PutItem"]);
    assert_eq!(service.calls_for("not json", "quarantined").await, ["PutItem"]);
}

#[tokio::test]
async fn several_recipients_are_one_call_too() {
    let service = ReceiveHarness::start().await;
    let to = ["ann@example.com", "bob@example.com", "carol@example.com"];
    let bounce = json!({ "type": "Permanent", "diagnosticCode": ["550 ann@example.com", "550 carol@example.com"] });
    let body = event("email.bounced", json!({ "email_id": "e1", "to": to, "bounce": bounce }));
    assert_eq!(service.calls_for(body, "handled").await, ["TransactWriteItems"]);
    let expected = active_reasons(&[("ann@example.com", &["hard_bounce"]), ("carol@example.com", &["hard_bounce"])]);
    assert_eq!(service.reasons().await, expected);
}

#[tokio::test]
async fn a_duplicate_is_one_call() {
    let service = ReceiveHarness::start().await;
    let message = signed(complaint("ann@example.com", "e1"));
    service.accepts(&message, "handled").await;
    service.proxy.plan(|_| None);
    service.accepts(&message, "duplicate").await;
    assert_eq!(service.proxy.calls().len(), 1);
}

#[tokio::test]
async fn a_recipient_with_an_item_already_costs_one_call_more() {
    let service = ReceiveHarness::start().await;
    service.calls_for(complaint("ann@example.com", "e1"), "handled").await;
    let bounce = event("email.bounced", json!({ "to": ["ann@example.com"], "bounce": { "type": "Permanent" } }));
    assert_eq!(service.calls_for(bounce, "handled").await, ["TransactWriteItems", "TransactWriteItems"]);
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint", "hard_bounce"])]));
}

#[tokio::test]
async fn an_event_that_says_nothing_new_leaves_the_item_as_it_is() {
    let service = ReceiveHarness::start().await;
    service.calls_for(complaint("ann@example.com", "e1"), "handled").await;
    let before = service.suppressions().await;
    let older = json!({ "type": "email.complained", "created_at": "2026-11-01T00:00:00Z", "data": { "to": ["ann@example.com"] } });
    assert_eq!(service.calls_for(older.to_string(), "handled").await, ["TransactWriteItems", "TransactWriteItems"]);
    assert_eq!(service.suppressions().await, before);
    assert_eq!(service.rows().await.len(), 2);
}
