//! Records, their mappings and their batches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder::{FeedError, Feeder, FeederOptions, Invoke, over_http};
use aws_local::sam::Mapping;
use aws_local::server::Server;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{FeederEngine, Recorder, bulk, one_shard};
use crate::support::{EVENTS, SUPPRESSIONS, any_port, eventually, mappings};

#[tokio::test]
async fn each_row_goes_to_the_templates_mapping_and_own_rows_to_none() {
    let stage = FeederEngine::new().await;
    let urgent = ["email.complained#1", "email.bounced#1", "email.failed#1", "domain.updated#1"];
    let counted = [
        "email.sent#1",
        "email.delivered#1",
        "email.delivery_delayed#1",
        "email.opened#1",
        "email.clicked#1",
        "email.suppressed#1",
    ];
    for event in urgent.iter().chain(&counted) {
        stage.put("event", "an-email", event).await;
        stage.put("alert", "an-alert", event).await;
        stage.put("poison", "poison", event).await;
    }
    stage.put("quarantine", "odd", "unreadable#1").await;
    stage.put("event", "a-contact", "contact.updated#1").await;
    stage.put("event", "a-topic", "topic.updated#1").await;
    stage.put("event", "an-email", "email.bounced#1").await; // changed, not inserted

    let recorder = Recorder::content();
    let options = FeederOptions { longest_window: Some(Duration::from_millis(20)), ..FeederOptions::default() };
    let feeder = stage.feed(mappings(), options, &recorder).await;
    feeder.idle().await;

    let mut delivered: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for invocation in recorder.invocations() {
        delivered.entry(invocation.mapping).or_default().extend(invocation.rows);
    }
    let rows = |email_id: &str, events: &[&str]| -> BTreeSet<(String, String)> {
        events.iter().map(|event| (email_id.to_owned(), (*event).to_owned())).collect()
    };
    let mut expected = rows("an-email", &urgent);
    expected.extend(rows("odd", &["unreadable#1"]));
    assert_eq!(delivered["Urgent"], expected);
    let mut expected = rows("an-email", &counted);
    expected.extend(rows("a-contact", &["contact.updated#1"]));
    assert_eq!(delivered["Bulk"], expected);
    let figures = feeder.stats();
    assert_eq!((figures.matched, figures.redelivered, figures.dropped), (12, 0, 0), "{figures:?}");
    assert_eq!(figures.read, 34, "{figures:?}");
}

#[tokio::test]
async fn a_record_is_as_lambda_hands_it_over() {
    let stage = FeederEngine::new().await;
    stage.put("event", "an-email", "email.sent#1").await;
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(10), FeederOptions::default(), &recorder).await;
    feeder.idle().await;
    let record = &recorder.invocations()[0].event["Records"][0];
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert!(record["eventSourceARN"].as_str().unwrap().contains(":table/app-events/stream/"), "{record}");
    assert_eq!(record["dynamodb"]["NewImage"]["kind"], json!({ "S": "event" }));
    assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_IMAGE");
}

#[tokio::test]
async fn one_key_stays_in_order_and_other_keys_are_concurrent() {
    let stage = FeederEngine::new().await;
    let emails: Vec<String> = (0..12).map(|number| format!("email-{number}")).collect();
    for number in 0..20 {
        for email in &emails {
            stage.deliveries(email, number..number + 1).await;
        }
    }
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(7), FeederOptions::default(), &recorder).await;
    feeder.idle().await;

    let mut by_email: HashMap<String, Vec<String>> = HashMap::new();
    for (email, event) in recorder.rows() {
        by_email.entry(email).or_default().push(event);
    }
    assert_eq!(by_email.len(), emails.len());
    for (email, events) in by_email {
        assert_eq!(events.len(), 20, "{email}");
        assert!(events.is_sorted(), "{email}: {events:?}");
    }
    assert!(recorder.sizes().iter().all(|size| (1..=7).contains(size)));
    let first_of_shards: BTreeSet<String> = recorder
        .invocations()
        .iter()
        .filter(|invocation| invocation.rows.iter().any(|(_, event)| event.ends_with("00000")))
        .map(|invocation| invocation.rows[0].0.clone())
        .collect();
    assert!(first_of_shards.len() >= 3, "several shards: {first_of_shards:?}");
}

#[tokio::test]
async fn a_batch_is_sent_when_it_is_full_or_its_window_is_over() {
    let stage = FeederEngine::new().await;
    let recorder = Recorder::content();
    let window = Duration::from_secs(4);
    let mapping = Mapping { window, ..bulk(5).remove(0) };
    stage.deliveries("an-email", 0..7).await;
    let begun = Instant::now();
    let feeder = stage.feed(vec![mapping.clone()], one_shard(), &recorder).await;
    eventually("the full batch", async || !recorder.sizes().is_empty()).await;
    let full = recorder.invocations()[0].clone();
    assert_eq!(full.rows.len(), 5);
    assert!(full.at - begun < window, "a full batch waits for nothing");
    feeder.idle().await;
    assert_eq!(recorder.sizes(), [5, 2]);
    assert!(recorder.invocations()[1].at - begun >= window, "the rest waits for its window");
    drop(feeder);

    let shorter = Recorder::content();
    let options = FeederOptions { longest_window: Some(Duration::from_millis(10)), ..one_shard() };
    let (window, mapping) = (Duration::from_secs(60), Mapping { window: Duration::from_secs(60), ..mapping });
    let begun = Instant::now();
    stage.feed(vec![mapping], options, &shorter).await.idle().await;
    assert_eq!(shorter.rows().len(), 7);
    assert!(begun.elapsed() < window, "windows can be shortened");
}

#[tokio::test]
async fn a_batch_is_no_larger_than_lambda_takes() {
    let stage = FeederEngine::new().await;
    let large = "x".repeat(380_000);
    for number in 0..40 {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = stage.0.client.put_item().table_name(EVENTS).item("payload", text(&large));
        let put = put.item("email_id", text("an-email")).item("event", text(&format!("email.sent#{number:02}")));
        put.item("kind", text("event")).send().await.unwrap();
    }
    let recorder = Recorder::content();
    stage.feed(bulk(1000), one_shard(), &recorder).await.idle().await;
    assert_eq!(recorder.rows().len(), 40);
    for invocation in recorder.invocations() {
        assert!(invocation.event.to_string().len() <= 6 * 1024 * 1024);
    }
    assert!(recorder.sizes().len() >= 3, "{:?}", recorder.sizes());
}

#[tokio::test]
async fn idle_waits_for_what_is_under_way() {
    let stage = FeederEngine::new().await;
    let done = Arc::new(Mutex::new(0));
    let count = Arc::clone(&done);
    let invoke = move |_: &Mapping| -> Invoke {
        let done = Arc::clone(&count);
        Arc::new(move |event: Value| {
            let done = Arc::clone(&done);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                *done.lock().unwrap() += event["Records"].as_array().unwrap().len();
                Ok(Value::Null)
            })
        })
    };
    let feeder = Feeder::start(&stage.0.access, EVENTS, bulk(2), one_shard(), invoke).await.unwrap();
    feeder.idle().await;
    for round in 1..=3 {
        stage.deliveries("an-email", (round - 1) * 3..round * 3).await;
        feeder.idle().await;
        assert_eq!(*done.lock().unwrap(), round * 3);
    }
}

#[tokio::test]
async fn a_table_without_a_stream_is_refused() {
    let stage = FeederEngine::new().await;
    let recorder = Recorder::content();
    let refused =
        Feeder::start(&stage.0.access, SUPPRESSIONS, bulk(1), one_shard(), |mapping| recorder.invoke(mapping)).await;
    assert!(matches!(refused, Err(FeedError::NoStream(_))));
}

#[tokio::test]
async fn over_http_a_function_is_invoked_as_cargo_lambda_watch_has_it() {
    let server = Server::start(any_port(), |request| async move {
        let path = request.uri().path().to_owned();
        let event: Value = serde_json::from_slice(request.body()).unwrap();
        let (status, body) = match event["ask"].as_str() {
            Some("fail") => (500, json!({ "errorType": "E", "errorMessage": "m" })),
            Some("fail kindly") => (200, json!({ "errorType": "E", "errorMessage": "m" })),
            _ => (200, json!({ "path": path, "event": event })),
        };
        let body = http_body_util::Full::from(body.to_string());
        Ok(hyper::Response::builder().status(status).body(body).unwrap())
    })
    .await
    .unwrap();
    let invoke = over_http(&server.url(), "protect");
    let answer = invoke(json!({ "Records": [] })).await.unwrap();
    assert_eq!(answer, json!({ "path": "/2015-03-31/functions/protect/invocations", "event": { "Records": [] } }));
    assert!(invoke(json!({ "ask": "fail" })).await.is_err());
    assert!(invoke(json!({ "ask": "fail kindly" })).await.is_err());
    drop(server);
    let waiting = over_http("http://127.0.0.1:1", "protect")(json!({}));
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err(), "nobody is there, yet");
}
