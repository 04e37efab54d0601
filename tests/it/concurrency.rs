//! Concurrent webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;

use rebound::resend::signed::SignedMessage;
use serde_json::json;

use crate::support::{ReceiveHarness, WHOLE_MACHINE, active_reasons, signed};

/// Number of times that a webhook is sent. On a busy machine, 200 writers of one item do not all succeed in the time of
/// an invocation: those get a 503, and Resend sends them again.
const MAX_ATTEMPTS: usize = 5;

/// Sends all webhooks at the same time, and those again that got a 503. Returns the number of 200s by status, and of
/// repetitions.
async fn at_once(service: &Arc<ReceiveHarness>, messages: Vec<SignedMessage>) -> (BTreeMap<String, usize>, usize) {
    let (mut statuses, mut left, mut repeated) = (BTreeMap::new(), messages, 0);
    for _ in 0..MAX_ATTEMPTS {
        let posts: Vec<_> = std::mem::take(&mut left)
            .into_iter()
            .map(|message| {
                let service = Arc::clone(service);
                tokio::spawn(async move { (service.invoke(&message).await, message) })
            })
            .collect();
        for post in posts {
            match post.await.unwrap() {
                ((200, answer), _) => {
                    *statuses.entry(answer["status"].as_str().unwrap().to_owned()).or_default() += 1;
                }
                ((503, _), message) => {
                    repeated += 1;
                    left.push(message);
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(left.len(), 0, "after {MAX_ATTEMPTS} attempts");
    (statuses, repeated)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_concurrent_copies_of_a_webhook_one_is_handled() {
    let _alone = WHOLE_MACHINE.lock().await;
    let service = Arc::new(ReceiveHarness::start().await);
    let message = signed(crate::support::complaint("ann@example.com", "e1"));
    let (statuses, _) = at_once(&service, vec![message; 200]).await;
    assert_eq!(statuses, BTreeMap::from([("handled".to_owned(), 1), ("duplicate".to_owned(), 199)]));
    assert_eq!(service.rows().await.len(), 1);
    assert_eq!(service.suppressions().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_concurrent_events_of_a_recipient_none_is_lost() {
    let _alone = WHOLE_MACHINE.lock().await;
    let service = Arc::new(ReceiveHarness::start().await);
    let body = |index: usize| {
        let at = format!("2026-11-20T09:{:02}:{:02}.000Z", index / 60, index % 60);
        let event_type = if index.is_multiple_of(2) { "email.bounced" } else { "email.complained" };
        let data =
            json!({ "email_id": format!("e{index}"), "to": ["ann@example.com"], "bounce": { "type": "Permanent" } });
        json!({ "type": event_type, "created_at": at, "data": data }).to_string()
    };
    let (statuses, repeated) = at_once(&service, (0..200).map(|index| signed(body(index))).collect()).await;
    // Only the repetition of a webhook that was stored in spite of its 503 is a duplicate.
    let number = |status: &str| statuses.get(status).copied().unwrap_or_default();
    assert_eq!(number("handled") + number("duplicate"), 200, "{statuses:?}");
    assert!(number("duplicate") <= repeated, "{statuses:?}, {repeated} sent again");
    println!("{} calls to DynamoDB", service.proxy.calls().len());
    assert_eq!(service.rows().await.len(), 200);
    assert_eq!(service.reasons().await, active_reasons(&[("ann@example.com", &["complaint", "hard_bounce"])]));
    // The newest event of each reason is kept: no concurrent one has overwritten it.
    let ann = &service.suppressions().await["ann@example.com"];
    let email = |reason: &str| ann[reason].as_m().unwrap()["email_id"].as_s().unwrap().clone();
    assert_eq!((email("hard_bounce"), email("complaint")), ("e198".to_owned(), "e199".to_owned()));
}
