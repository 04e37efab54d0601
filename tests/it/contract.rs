//! The HTTP contract, over HTTP.

use std::collections::BTreeMap;

use rebound::resend::signed::SignedMessage;
use rebound::store::row;
use rebound::store::row::MAX_BODY_BYTES;
use rebound_dev::samples;
use serde_json::{Value, json};

use crate::support::{ReceiveHarness, active_reasons, complaint, event, now, secret, signed};

fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap()
}

#[tokio::test]
async fn every_sample_is_handled_and_stored_byte_for_byte() {
    let service = ReceiveHarness::start().await;
    for event_type in samples::types() {
        let message = signed(samples::body(event_type).unwrap());
        service.accepts(&message, "handled").await;
        let rows = service.rows().await;
        let row =
            rows.iter().find(|row| row["event"].as_s().unwrap() == &format!("{event_type}#{}", message.id)).unwrap();
        assert_eq!(row::payload(row).unwrap().as_ref(), message.body, "{event_type}");
        assert_eq!(row["kind"].as_s().unwrap(), "event");
    }
    assert_eq!(service.rows().await.len(), 37);
}

#[tokio::test]
async fn the_same_webhook_is_a_duplicate_whatever_has_changed() {
    let service = ReceiveHarness::start().await;
    let first = signed(complaint("ann@example.com", "e1"));
    service.accepts(&first, "handled").await;
    service.accepts(&first, "duplicate").await;
    // Every attempt is signed afresh, with a new timestamp.
    let retried = SignedMessage::new(first.id.clone(), now() + 7, first.body.clone(), &secret());
    service.accepts(&retried, "duplicate").await;
    assert_eq!(service.rows().await.len(), 1);
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint"])]));
}

#[tokio::test]
async fn a_type_that_is_not_known_is_stored_and_ignored() {
    let service = ReceiveHarness::start().await;
    for body in [event("email.teleported", json!({ "email_id": "e1" })), event("", json!({})), event("x", json!({}))] {
        let message = signed(body);
        service.accepts(&message, "ignored").await;
        service.accepts(&message, "duplicate").await;
    }
    assert_eq!(service.rows().await.len(), 3);
}

#[tokio::test]
async fn what_is_signed_but_no_event_is_quarantined_as_it_came() {
    let service = ReceiveHarness::start().await;
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"not json".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        br#"{"hello":"world"}"#.to_vec(),
        br#"{"type":7,"data":{}}"#.to_vec(),
        br#"{"type":"email.sent","data":[]}"#.to_vec(),
        event(&"t".repeat(2_000), json!({})),
        vec![b'['; 100_000],
    ];
    for body in &bodies {
        let message = signed(body.clone());
        service.accepts(&message, "quarantined").await;
        service.accepts(&message, "duplicate").await;
        let rows = service.rows().await;
        let row =
            rows.iter().find(|row| row["email_id"].as_s().unwrap() == &format!("message#{}", message.id)).unwrap();
        assert_eq!(row["kind"].as_s().unwrap(), "quarantine");
        assert!(!row["problem"].as_s().unwrap().is_empty());
        assert_eq!(row::payload(row).unwrap().as_ref(), body);
    }
    assert_eq!(service.rows().await.len(), bodies.len());
}

#[tokio::test]
async fn an_event_too_large_is_quarantined_and_still_suppresses() {
    let service = ReceiveHarness::start().await;
    let noise: String = std::iter::repeat_with(fastrand::alphanumeric).take(900_000).collect();
    let message =
        signed(event("email.complained", json!({ "email_id": "e1", "to": ["ann@example.com"], "subject": noise })));
    service.accepts(&message, "quarantined").await;
    assert_eq!(service.rows().await[0]["payload_bytes"].as_n().unwrap(), &message.body.len().to_string());
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint"])]));
}

#[tokio::test]
async fn an_event_as_large_as_svix_sends_them_is_handled() {
    let service = ReceiveHarness::start().await;
    let subject = "Bulbs to plant before the frost. ".repeat(11_000);
    let message = signed(event("email.sent", json!({ "email_id": "e1", "subject": subject })));
    assert!(message.body.len() > 350_000);
    service.accepts(&message, "handled").await;
    assert_eq!(row::payload(&service.rows().await[0]).unwrap().as_ref(), message.body);
}

#[tokio::test]
async fn what_is_wrong_with_a_signature_is_said_and_nothing_is_stored() {
    let service = ReceiveHarness::start().await;
    let right = signed(complaint("ann@example.com", "e1"));
    let without = |name: &str| {
        let mut message = right.clone();
        message.headers.remove(name);
        message
    };
    let with = |name: &str, value: &str| {
        let mut message = right.clone();
        message.headers.insert(name.to_owned(), value.to_owned());
        message
    };
    let stale = SignedMessage::new("msg_old", now() - 600, right.body.clone(), &secret());
    let early = SignedMessage::new("msg_new", now() + 600, right.body.clone(), &secret());
    let forged = SignedMessage { body: complaint("bob@example.com", "e1"), ..right.clone() };
    for (message, said) in [
        (without("svix-id"), "missing"),
        (without("svix-timestamp"), "missing"),
        (without("svix-signature"), "missing"),
        (with("svix-timestamp", "soon"), "malformed"),
        (with("svix-signature", "v2,AAAA"), "malformed"),
        (with("svix-signature", "v1,AAAA"), "wrong signature"),
        (with("svix-id", "msg_other"), "wrong signature"),
        (forged, "wrong signature"),
        (stale, "stale"),
        (early, "stale"),
    ] {
        let (status, answer) = service.post(&message).await;
        assert_eq!(status, 401, "{answer}");
        assert!(error(&answer).starts_with(said), "{answer} does not begin with {said}");
        assert!(!answer.to_string().contains(right.headers["svix-signature"].trim_start_matches("v1,")));
    }
    assert!(service.rows().await.is_empty() && service.suppressions().await.is_empty());
    assert!(service.proxy.calls().is_empty(), "what is not verified costs no call");
    service.accepts(&right, "handled").await;
}

#[tokio::test]
async fn a_refused_message_does_not_claim_its_id() {
    let service = ReceiveHarness::start().await;
    let message = signed(complaint("ann@example.com", "e1"));
    let forged = SignedMessage { body: b"{}".to_vec(), ..message.clone() };
    assert_eq!(service.post(&forged).await.0, 401);
    service.accepts(&message, "handled").await;
}

#[tokio::test]
async fn only_a_post_is_taken() {
    let service = ReceiveHarness::start().await;
    let message = signed(complaint("ann@example.com", "e1"));
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let (status, answer, headers) = service.request(method, "/", &message).await;
        assert_eq!((status, headers["allow"].to_str().unwrap()), (405, "POST"), "{method}");
        assert!(error(&answer).contains("POST"));
    }
    assert!(service.rows().await.is_empty());
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_rejected() {
    let service = ReceiveHarness::start().await;
    let (status, answer) = service.post(&signed(vec![b' '; MAX_BODY_BYTES + 1])).await;
    assert_eq!((status, error(&answer).contains("1048576")), (413, true));
    service.accepts(&signed(vec![b' '; MAX_BODY_BYTES]), "quarantined").await;
}

#[tokio::test]
async fn any_path_is_taken() {
    let service = ReceiveHarness::start().await;
    for path in ["/", "/webhooks/resend", "/a/b%20c?d=e&f", "//", "/%22%5E%60"] {
        let message = signed(event("email.sent", json!({ "email_id": "e1" })));
        let (status, answer, _) = service.request("POST", path, &message).await;
        assert_eq!((status, &answer["status"]), (200, &json!("handled")), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_lambda_encodes_is_verified_decoded() {
    let service = ReceiveHarness::start().await;
    for content_type in ["application/octet-stream", "", "application/x-www-form-urlencoded"] {
        let mut message = signed(samples::body("contact.deleted").unwrap());
        message.headers.insert("content-type".to_owned(), content_type.to_owned());
        service.accepts(&message, "handled").await;
    }
}

#[tokio::test]
async fn standard_webhooks_headers_are_taken_too() {
    let service = ReceiveHarness::start().await;
    let mut message = signed(complaint("ann@example.com", "e1"));
    message.headers =
        message.headers.into_iter().map(|(name, value)| (name.replace("svix-", "webhook-"), value)).collect();
    service.accepts(&message, "handled").await;
}

#[tokio::test]
async fn odd_headers_are_refused_and_break_nothing() {
    let service = ReceiveHarness::start().await;
    let long = "v1,AAAA ".repeat(1_250);
    for value in ["\u{e9}\u{e8}", "\t", long.as_str(), ",,,,", "v1,====", "\u{1f600}"] {
        for name in ["svix-id", "svix-timestamp", "svix-signature"] {
            let mut message = signed(complaint("ann@example.com", "e1"));
            message.headers.insert(name.to_owned(), value.to_owned());
            assert_eq!(service.post(&message).await.0, 401, "{name}: {value:.20}");
        }
    }
    let nothing = SignedMessage { headers: BTreeMap::new(), ..signed("") };
    assert_eq!(service.post(&nothing).await.0, 401);
}

#[tokio::test]
async fn a_header_that_comes_twice_is_refused() {
    let service = ReceiveHarness::start().await;
    for name in ["svix-id", "svix-timestamp", "svix-signature"] {
        let message = signed(complaint("ann@example.com", "e1"));
        let request = message.request(&rebound::web::client(), reqwest::Method::POST, &service.url());
        let answer = request.header(name, &message.headers[name]).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{name}");
    }
}
