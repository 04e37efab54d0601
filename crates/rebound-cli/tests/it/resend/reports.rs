//! The events that the stub of Resend reports about accepted emails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::server::{Server, json_response};
use hyper::StatusCode;
use rebound_dev::LOCAL_SECRET;
use rebound_dev::resend::LocalResend;
use serde_json::{Value, json};

use crate::support::{any_port, eventually};

#[tokio::test]
async fn a_report_is_posted_again_until_it_is_accepted() {
    let posted: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let (known, count) = (Arc::clone(&posted), Arc::new(AtomicUsize::new(0)));
    let endpoint = Server::start(any_port(), move |request: hyper::Request<hyper::body::Bytes>| {
        let (known, count) = (Arc::clone(&known), Arc::clone(&count));
        async move {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let id = request.headers()["svix-id"].to_str().unwrap().to_owned();
            known.lock().unwrap().push((body["type"].as_str().unwrap().to_owned(), id));
            let fails = count.fetch_add(1, Ordering::SeqCst) < 2;
            let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            Ok(json_response(status, "application/json", "{}"))
        }
    })
    .await
    .unwrap();
    let resend = LocalResend::start("key").await.unwrap();
    resend.report_to(&endpoint.url(), LOCAL_SECRET);
    let email = json!({ "from": "a@b.example", "to": "c@d.example", "subject": "s", "text": "t" });
    let sent = rebound::web::client().post(format!("{}/emails", resend.url())).bearer_auth("key");
    let sent = sent.header("user-agent", "test").header("content-type", "application/json").body(email.to_string());
    assert_eq!(sent.send().await.unwrap().status(), 200);
    let number = async |of: usize| posted.lock().unwrap().len() == of;
    eventually("both fail", async || number(2).await).await;
    assert!(resend.webhooks().is_empty(), "the API does not list this webhook");
    resend.advance_clock(Duration::from_secs(4));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(number(2).await, "not before 5 seconds");
    resend.advance_clock(Duration::from_secs(2));
    eventually("both come again", async || number(4).await).await;
    let mut all = posted.lock().unwrap().clone();
    all.sort();
    assert_eq!((&all[0], &all[2]), (&all[1], &all[3]), "the same webhook, with the same id");
    assert_eq!((all[0].0.as_str(), all[2].0.as_str()), ("email.delivered", "email.sent"));
}
