use serde_json::{Value, json};

use super::super::suppression::suppression_effect;
use super::*;

fn counted(event_type: &str, data: &Value) -> Vec<Increment> {
    let body = json!({ "type": event_type, "created_at": "2026-11-21T10:00:00Z", "data": data }).to_string();
    let event = Event::read(body.as_bytes()).unwrap();
    let received = EventMeta {
        message: MessageId::from_verified("msg_1"),
        partition: "e1".to_owned(),
        at: UnixMillis::parse("2026-11-22T12:00:00.900Z").unwrap(),
        expires_at: UnixMillis(9),
    };
    increments(&event, &received, &suppression_effect(&event, &received.message, received.at), &CampaignTags::new(None))
}

#[test]
fn an_event_counts_in_the_hour_in_which_its_email_was_created() {
    let count = &counted(
        "email.delivered",
        &json!({ "created_at": "2026-11-20T09:59:59Z", "tags": { "campaign": "a" }, "to": ["a@b.c", "d@e.f"] }),
    )[0];
    assert_eq!((count.cohort.to_string().as_str(), count.counter), ("2026-11-20T09", Counter::Delivered));
    assert!(matches!(count.dedup_key, DedupKey::Webhook { second: 1_795_348_800, .. }), "{count:?}");
}

#[test]
fn an_event_with_a_future_time_counts_at_its_receipt() {
    let count =
        &counted("email.sent", &json!({ "created_at": "2030-01-01T00:00:00Z", "tags": { "campaign": "a" } }))[0];
    assert_eq!(count.cohort.to_string(), "2026-11-22T12");
}

#[test]
fn a_bounce_counts_once_for_each_recipient_that_it_names() {
    let bounce =
        |bounce: Value| json!({ "to": ["a@b.c", "d@e.f", "g@h.i"], "tags": { "campaign": "a" }, "bounce": bounce });
    let keys = |bounce_of: Value| -> Vec<String> {
        counted("email.bounced", &bounce(bounce_of))
            .into_iter()
            .map(|count| match count.dedup_key {
                DedupKey::Occurrence { key, .. } => key,
                DedupKey::Webhook { .. } => panic!("a bounce counts per occurrence"),
            })
            .collect()
    };
    let both = json!(["550 <a@b.c> unknown", "550 <d@e.f> unknown"]);
    assert_eq!(
        keys(json!({ "type": "permanent", "diagnosticCode": both })),
        ["bounced_hard#e1#a@b.c", "bounced_hard#e1#d@e.f"]
    );
    assert_eq!(keys(json!({ "type": "Permanent" })), ["bounced_hard#e1#"]);
    assert_eq!(keys(json!({ "type": "Transient", "diagnosticCode": both })).len(), 2);
    assert_eq!(keys(json!({ "type": "Permanent", "subType": "MessageRejected" })), ["bounced_soft#e1#"]);
}

#[test]
fn a_bounce_of_what_was_never_tried_counts_as_suppressed() {
    for sub_type in ["OnAccountSuppressionList", "Suppressed", " suppressed "] {
        for bounce_type in ["Permanent", "Transient"] {
            let bounce = json!({ "type": bounce_type, "subType": sub_type });
            let data = json!({ "to": ["a@b.c"], "tags": { "campaign": "a" }, "bounce": bounce });
            let counts = counted("email.bounced", &data);
            assert_eq!(counts.len(), 1, "{sub_type}");
            assert_eq!(counts[0].counter, Counter::Suppressed, "{bounce_type} {sub_type}");
            assert!(
                matches!(counts[0].dedup_key, DedupKey::Occurrence { .. }),
                "once, however many webhooks report it"
            );
        }
    }
    let skipped = json!({ "to": ["a@b.c"], "tags": { "campaign": "a" } });
    assert!(matches!(counted("email.suppressed", &skipped)[0].dedup_key, DedupKey::Webhook { .. }));
}

#[test]
fn nothing_counts_without_a_campaign_or_a_counter() {
    assert_eq!(counted("email.sent", &json!({ "to": ["a@b.c"] })), []);
    assert_eq!(counted("email.scheduled", &json!({ "tags": { "campaign": "a" } })), []);
    assert_eq!(counted("contact.created", &json!({ "tags": { "campaign": "a" } })), []);
}
