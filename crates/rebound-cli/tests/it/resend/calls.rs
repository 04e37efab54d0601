//! Every call of the client: what it sends, every answer that is known (<https://resend.com/docs/api-reference/errors>, and what others
//! have seen), and what the client makes of each.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rebound_cli::resend_api::{Resend, ResendError};
use serde_json::{Value, json};

use super::{Came, Scripted, ScriptedResponse};

const KEY: &str = "re_123";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Numbers of requests that the client makes.
const ONCE: usize = 1;
const SIX_TIMES: usize = 6;

/// A call of the client, and the answer that it is made for.
struct Call {
    make: fn(&Resend) -> BoxFuture<'_, Result<String, ResendError>>,
    method: &'static str,
    path: &'static str,
    body: Value,
    /// The answer of success, and what is made of it.
    success: (u16, Value, &'static str),
    /// An answer of success that lacks what is needed. Null: nothing is needed.
    lacking: Value,
}

fn events() -> Vec<String> {
    vec!["email.bounced".to_owned()]
}

/// A result, in a line.
fn line<T: std::fmt::Debug>(result: Result<T, ResendError>) -> Result<String, ResendError> {
    result.map(|value| format!("{value:?}"))
}

fn calls() -> Vec<Call> {
    let webhook = json!({ "object": "webhook", "id": "w1", "created_at": "2026-11-20T10:00:00.000Z", "status": "enabled",
        "endpoint": "https://a.example/", "events": ["email.bounced"], "signing_secret": SECRET });
    let seen = r#"Webhook { id: "w1", endpoint: "https://a.example/", status: "enabled", events: Some(["email.bounced"]), signing_secret: Some(SecretText(…)) }"#;
    let listed = json!({ "id": "w1", "endpoint": "https://a.example/", "status": "disabled", "events": null,
        "created_at": "2026-11-20T10:00:00.000Z" });
    let made = json!({ "object": "webhook", "id": "w1", "signing_secret": SECRET });
    let list = |data: Value| json!({ "object": "list", "has_more": false, "data": data });
    let entry = json!({ "id": "s1", "email": "Ann@Example.com", "origin": "bounce", "source_id": null,
        "created_at": "2026-10-06 23:47:56.678+00" });
    let event = json!({ "id": "msg_1", "type": "email.bounced", "created_at": "2026-11-20T10:00:00.000Z", "status": "pending" });
    vec![
        Call {
            make: |resend| async { line(resend.webhooks().await) }.boxed(),
            method: "GET",
            path: "/webhooks?limit=100",
            body: Value::Null,
            success: (
                200,
                list(json!([listed, { "id": "w2" }])),
                r#"([Webhook { id: "w1", endpoint: "https://a.example/", status: "disabled", events: None, signing_secret: None }], [Unread { place: 2, id: Some("w2"), why: "a webhook without an endpoint" }])"#,
            ),
            lacking: json!({ "object": "list" }),
        },
        Call {
            make: |resend| async { line(resend.webhook("w1").await) }.boxed(),
            method: "GET",
            path: "/webhooks/w1",
            body: Value::Null,
            success: (200, webhook, seen),
            lacking: json!({ "object": "webhook", "id": "w1" }),
        },
        Call {
            make: |resend| async { line(resend.create_webhook("https://a.example/", &events()).await) }.boxed(),
            method: "POST",
            path: "/webhooks",
            body: json!({ "endpoint": "https://a.example/", "events": ["email.bounced"] }),
            success: (201, made.clone(), r#"("w1", Some(SecretText(…)))"#),
            lacking: json!({ "object": "webhook" }),
        },
        Call {
            make: |resend| async { line(resend.update_webhook("w1", Some(&events())).await) }.boxed(),
            method: "PATCH",
            path: "/webhooks/w1",
            body: json!({ "events": ["email.bounced"], "status": "enabled" }),
            success: (200, json!({ "object": "webhook", "id": "w1" }), "()"),
            lacking: Value::Null,
        },
        Call {
            make: |resend| async { line(resend.update_webhook("w1", None).await) }.boxed(),
            method: "PATCH",
            path: "/webhooks/w1",
            body: json!({ "status": "enabled" }),
            success: (200, json!({ "object": "webhook", "id": "w1" }), "()"),
            lacking: Value::Null,
        },
        Call {
            make: |resend| async { line(resend.rotate("w1").await) }.boxed(),
            method: "POST",
            path: "/webhooks/w1/signing-secret/rotate",
            body: Value::Null,
            success: (200, made, "Some(SecretText(…))"),
            lacking: json!([]),
        },
        Call {
            make: |resend| async { line(resend.events("w1").await) }.boxed(),
            method: "GET",
            path: "/webhooks/w1/events",
            body: Value::Null,
            success: (
                200,
                list(json!([event])),
                r#"[DeliveryAttempt { id: "msg_1", event_type: "email.bounced", created_at: "2026-11-20T10:00:00.000Z", status: "pending" }]"#,
            ),
            lacking: json!({ "data": "none" }),
        },
        Call {
            make: |resend| async { line(resend.suppressions().await) }.boxed(),
            method: "GET",
            path: "/suppressions?limit=100",
            body: Value::Null,
            success: (
                200,
                list(json!([entry, { "id": "s2", "email": "nobody" }])),
                r#"Listed { entries: [ResendSuppression { id: Some("s1"), recipient: Recipient("ann@example.com"), origin: Some("bounce"), source_id: None, created_at: Some("2026-10-06 23:47:56.678+00") }], unread: [Unread { place: 2, id: Some("s2"), why: "no address in it" }], cut_short: None }"#,
            ),
            lacking: json!({}),
        },
    ]
}

/// The client's reading of an answer without a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedError {
    Key,
    SendingOnly,
    Blocked,
    NotResend,
    NotFound,
    Refused,
    Quota,
    Busy,
}

fn made(error: &ResendError) -> Option<ExpectedError> {
    Some(match error {
        ResendError::Key(_) => ExpectedError::Key,
        ResendError::SendingOnly => ExpectedError::SendingOnly,
        ResendError::Blocked(_) => ExpectedError::Blocked,
        ResendError::NotResend(_) => ExpectedError::NotResend,
        ResendError::NotFound(_) => ExpectedError::NotFound,
        ResendError::Refused { .. } => ExpectedError::Refused,
        ResendError::Quota(_) => ExpectedError::Quota,
        ResendError::Busy(_) => ExpectedError::Busy,
        _ => return None,
    })
}

/// Repetition of a POST after an answer: only where it was surely not done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Post {
    Repeats,
    Once,
}

/// Every known error response: its status, name and message, the expected error, and the expected result of a POST.
fn refusals() -> Vec<(u16, &'static str, &'static str, ExpectedError, Post)> {
    use Post::{Once, Repeats};
    let unknown = "API key is invalid";
    vec![
        (400, "invalid_idempotency_key", "", ExpectedError::Refused, Once),
        (400, "validation_error", "", ExpectedError::Refused, Once),
        (400, "validation_error", unknown, ExpectedError::Key, Once),
        (401, "missing_api_key", "Missing API Key", ExpectedError::Key, Once),
        (401, "restricted_api_key", "This API key is restricted to only send emails", ExpectedError::SendingOnly, Once),
        (401, "validation_error", unknown, ExpectedError::Key, Once),
        (401, "", "", ExpectedError::Key, Once),
        (403, "invalid_api_key", unknown, ExpectedError::Key, Once),
        (403, "restricted_api_key", "", ExpectedError::Key, Once),
        (403, "suspended_api_key", "", ExpectedError::Key, Once),
        (403, "invalid_permission", "", ExpectedError::Key, Once),
        (403, "validation_error", unknown, ExpectedError::Key, Once),
        (403, "validation_error", "The a.example domain is not verified", ExpectedError::Refused, Once),
        (403, "email_above_quota", "", ExpectedError::Quota, Once),
        (404, "not_found", "Webhook not found", ExpectedError::NotFound, Once),
        (405, "method_not_allowed", "", ExpectedError::Refused, Once),
        (409, "concurrent_idempotent_requests", "", ExpectedError::Busy, Repeats),
        (409, "invalid_idempotent_request", "", ExpectedError::Refused, Once),
        (409, "resource_locked", "", ExpectedError::Busy, Repeats),
        (422, "invalid_access", "", ExpectedError::Refused, Once),
        (422, "invalid_attachment", "", ExpectedError::Refused, Once),
        (422, "invalid_from_address", "", ExpectedError::Refused, Once),
        (422, "invalid_parameter", "", ExpectedError::Refused, Once),
        (422, "invalid_region", "", ExpectedError::Refused, Once),
        (422, "missing_required_field", "Missing `endpoint` field.", ExpectedError::Refused, Once),
        (422, "missing_required_parameter", "", ExpectedError::Refused, Once),
        (422, "validation_error", "", ExpectedError::Refused, Once),
        (429, "daily_quota_exceeded", "", ExpectedError::Quota, Once),
        (429, "monthly_quota_exceeded", "", ExpectedError::Quota, Once),
        (429, "rate_limit_exceeded", "Too many requests", ExpectedError::Busy, Repeats),
        (451, "security_error", "", ExpectedError::Refused, Once),
        (500, "application_error", "", ExpectedError::Busy, Once),
        (500, "internal_server_error", "", ExpectedError::Busy, Once),
        (503, "service_unavailable", "", ExpectedError::Busy, Once),
        (418, "a_name_of_next_year", "", ExpectedError::Refused, Once),
    ]
}

/// Pages of whatever stands between, which may come with any status: the page, and what is made of it.
fn pages() -> Vec<(u16, &'static str, ExpectedError, Post)> {
    vec![
        (403, "<html><h1>Access denied</h1><p>error code: 1010</p></html>", ExpectedError::Blocked, Post::Once),
        (403, "", ExpectedError::Blocked, Post::Once),
        (404, "<html>404 Not Found</html>", ExpectedError::NotResend, Post::Once),
        (301, "", ExpectedError::NotResend, Post::Once),
        (408, "", ExpectedError::Busy, Post::Once),
        (413, "<html>Request Entity Too Large</html>", ExpectedError::NotResend, Post::Once),
        (502, "<html>Bad Gateway</html>", ExpectedError::Busy, Post::Once),
        (524, "<html>A timeout occurred</html>", ExpectedError::Busy, Post::Once),
    ]
}

/// A server that answers what is put here, and a client for it.
async fn client() -> (Scripted, Resend, Arc<Mutex<ScriptedResponse>>) {
    let next: Arc<Mutex<ScriptedResponse>> = Arc::default();
    let said = Arc::clone(&next);
    let server = Scripted::start(move |_| said.lock().unwrap().clone()).await;
    let resend = Resend::new(Some(&server.url()), KEY).unwrap();
    (server, resend, next)
}

fn is_as_the_facts_have_it(came: &Came, call: &Call) {
    assert_eq!((came.method.as_str(), came.path.as_str(), &came.body), (call.method, call.path, &call.body));
    assert_eq!(came.header("authorization"), format!("Bearer {KEY}"), "{}", call.path);
    assert_eq!(came.header("user-agent"), concat!("rebound/", env!("CARGO_PKG_VERSION")), "{}", call.path);
    let content_type = if call.body.is_null() { "" } else { "application/json" };
    assert_eq!(came.header("content-type"), content_type, "{} {}", call.method, call.path);
    assert_eq!(came.header("idempotency-key"), "", "it is for emails alone");
}

#[tokio::test]
async fn every_call_sends_and_reads_what_the_facts_say() {
    let (server, resend, next) = client().await;
    for call in calls() {
        let (status, body, expected) = &call.success;
        *next.lock().unwrap() = (*status, body.to_string());
        assert_eq!((call.make)(&resend).await.unwrap(), *expected, "{} {}", call.method, call.path);
        let came = server.came();
        assert_eq!(came.len(), ONCE);
        is_as_the_facts_have_it(&came[0], &call);
        for lacking in ["<html>Welcome</html>".to_owned(), call.lacking.to_string()] {
            if lacking != "null" {
                *next.lock().unwrap() = (*status, lacking);
                let error = (call.make)(&resend).await.unwrap_err();
                assert!(matches!(error, ResendError::Unreadable(_)), "{} {}: {error:?}", call.method, call.path);
                assert_eq!(server.came().len(), ONCE, "what was done is not done again");
            }
        }
    }
}

#[tokio::test]
async fn every_known_refusal_of_every_call_means_what_it_says() {
    let (server, resend, next) = client().await;
    let of_the_api = refusals().into_iter().map(|(status, name, message, made, post)| {
        (status, json!({ "statusCode": status, "name": name, "message": message }).to_string(), made, post)
    });
    let of_others = pages().into_iter().map(|(status, page, made, post)| (status, page.to_owned(), made, post));
    for (status, body, expected, post) in of_the_api.chain(of_others) {
        *next.lock().unwrap() = (status, body.clone());
        for call in calls() {
            let error = (call.make)(&resend).await.unwrap_err();
            assert_eq!(made(&error), Some(expected), "{status} {body}: {error:?}");
            let tries = match (expected, call.method) {
                (ExpectedError::Busy, "POST") if post == Post::Once => ONCE,
                (ExpectedError::Busy, _) => SIX_TIMES,
                _ => ONCE,
            };
            assert_eq!(server.came().len(), tries, "{} after {status} {body}", call.method);
            let said = error.to_string();
            assert!(!said.contains(KEY) && !said.contains('<'), "{said}");
        }
    }
}

#[tokio::test]
async fn an_error_says_what_it_was_and_what_to_do() {
    let (_server, resend, next) = client().await;
    let said = async |status: u16, body: &str| {
        *next.lock().unwrap() = (status, body.to_owned());
        resend.webhooks().await.unwrap_err().to_string()
    };
    let gate = said(403, "<html>error code: 1010</html>").await;
    assert!(
        gate.contains("firewall in front of Resend")
            && gate.contains("1010")
            && gate.contains("before the key was checked")
    );
    assert!(said(404, "<html>").await.contains("check RESEND_BASE_URL"));
    let key = said(400, r#"{"name":"validation_error","message":"API key is invalid"}"#).await;
    assert!(key.contains("refuses the key: API key is invalid") && key.contains("API Keys"), "{key}");
    let quota = said(429, r#"{"name":"monthly_quota_exceeded","message":"You have reached your quota"}"#).await;
    assert!(quota.contains("quota") && !quota.contains("in a minute"), "{quota}");
}

#[tokio::test]
async fn an_id_of_outsiders_makes_no_other_path() {
    let (server, resend, _) = client().await;
    for id in ["../domains", "w1/events", "w1?limit=1", "", "w 1", "wä"] {
        assert!(matches!(resend.webhook(id).await, Err(ResendError::Unreadable(_))), "{id}");
        assert!(resend.rotate(id).await.is_err() && resend.events(id).await.is_err(), "{id}");
    }
    assert!(server.came().is_empty());
}
