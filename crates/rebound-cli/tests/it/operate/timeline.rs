//! `timeline`.

use serde_json::{Value, json};

use super::{command, rebound};
use crate::support::{ReceiveHarness, signed};

fn body(event_type: &str, at: &str, data: Value) -> String {
    json!({ "type": event_type, "created_at": at, "data": data }).to_string()
}

#[tokio::test]
async fn a_timeline_is_in_order_of_time_and_shows_nobody_else() {
    let service = ReceiveHarness::start().await;
    let mail =
        |to: &[&str]| json!({ "email_id": "e1", "to": to, "subject": "one\u{1b}[31mtwo", "tags": { "campaign": "a" } });
    let mut bounced = mail(&["ann@example.com", "bob@example.com"]);
    bounced["bounce"] =
        json!({ "type": "Permanent", "subType": "General", "diagnosticCode": ["550 <ann@example.com>"] });
    for (event_type, at, data) in [
        ("email.bounced", "2026-11-20T09:05:00Z", bounced),
        ("email.delivered", "2026-11-20T09:01:00Z", mail(&["bob@example.com"])),
        ("email.sent", "2026-11-20T09:00:00Z", mail(&["ann@example.com", "bob@example.com"])),
    ] {
        service.accepts(&signed(body(event_type, at, data)), "handled").await;
    }
    let contact = body(
        "contact.updated",
        "2026-11-20T10:00:00Z",
        json!({ "id": "c1", "email": "Ann@example.com", "unsubscribed": true }),
    );
    service.accepts(&signed(contact), "handled").await;
    rebound(&service.aws, &["suppressions", "add", "ann@example.com", "--reason", "on the phone"]).await;

    let what = |timeline: &Value| -> Vec<String> {
        timeline["entries"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap().to_owned()).collect()
    };
    let email = rebound(&service.aws, &["timeline", "e1", "--json"]).await;
    assert_eq!(
        (email.code, what(&email.json())),
        (0, vec!["email.sent".into(), "email.delivered".into(), "email.bounced".into()])
    );
    let bounce = &email.json()["entries"][2]["bounce"];
    assert_eq!((&bounce["sub_type"], &bounce["diagnosis"]), (&json!("General"), &json!(["550 <ann@example.com>"])));
    let text = email.json()["entries"][2]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("(Permanent / General); the server said: 550 <ann@example.com>"), "{text}");
    let shown = rebound(&service.aws, &["suppressions", "show", "ann@example.com"]).await.stdout;
    assert!(shown.contains("550 <ann@example.com> (Permanent: General)"), "{shown}");
    let follows = &email.json()["entries"][2]["follows"];
    assert_eq!(follows, &json!(["ann@example.com is suppressed as hard_bounce"]));
    let timeline = rebound(&service.aws, &["timeline", "e1"]).await.stdout;
    assert!(
        timeline.contains("one[31mtwo") && !timeline.contains('\u{1b}'),
        "what could steer the terminal is not printed"
    );

    let address = rebound(&service.aws, &["timeline", "--address", "ANN@example.com", "--json"]).await.json();
    assert_eq!(
        what(&address),
        ["email.sent", "email.bounced", "contact.updated", "audit"],
        "bob's delivery is not hers"
    );
    assert_eq!(address["suppression"]["reasons"].as_array().unwrap().len(), 3);
    let since = rebound(
        &service.aws,
        &["timeline", "e1", "--since", "2026-11-20T09:01:00Z", "--until", "2026-11-20T09:05:00Z", "--json"],
    );
    assert_eq!(what(&since.await.json()), ["email.delivered"]);
    assert_eq!(rebound(&service.aws, &["timeline", "unknown"]).await.code, 1);
    assert_eq!(command(service.aws.variables(), &["timeline"], "").await.code, 2);
}
