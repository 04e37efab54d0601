//! The events table's stream, handed on as Lambda's mappings do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::local::feeder::{Chaos, FeedError, Feeder, Invoke, Options, over_http};
use rebound::local::server::Server;
use rebound::local::stack::{self, EmbeddedAws};
use rebound::local::template::{Mapping, mappings};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{any_port, eventually};

/// What a function was given: the mapping, when, and the records as `(email_id, event)`.
#[derive(Clone, Debug)]
struct Invocation {
    mapping: String,
    at: Instant,
    rows: Vec<(String, String)>,
    event: Value,
}

/// A function that writes down what it is given, and answers what it is told to.
#[derive(Clone)]
struct Recorder {
    seen: Arc<Mutex<Vec<Invocation>>>,
    answer: Arc<dyn Fn(&Invocation) -> Result<Value, String> + Send + Sync>,
}

fn text(record: &Value, pointer: &str) -> String {
    record.pointer(pointer).unwrap().as_str().unwrap().to_owned()
}

fn row_of(record: &Value) -> (String, String) {
    (text(record, "/dynamodb/Keys/email_id/S"), text(record, "/dynamodb/Keys/event/S"))
}

fn sequence_of(invocation: &Invocation, index: usize) -> String {
    text(&invocation.event["Records"][index], "/dynamodb/SequenceNumber")
}

impl Recorder {
    fn new(answer: impl Fn(&Invocation) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), answer: Arc::new(answer) }
    }

    fn content() -> Self {
        Self::new(|_| Ok(json!({ "batchItemFailures": [] })))
    }

    fn invoke(&self, mapping: &Mapping) -> Invoke {
        let (this, mapping) = (self.clone(), mapping.name.clone());
        Arc::new(move |event| {
            let rows = event["Records"].as_array().unwrap().iter().map(row_of).collect();
            let invocation = Invocation { mapping: mapping.clone(), at: Instant::now(), rows, event };
            let answer = (this.answer)(&invocation);
            this.seen.lock().unwrap().push(invocation);
            let answer: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async { answer });
            answer
        })
    }

    fn invocations(&self) -> Vec<Invocation> {
        self.seen.lock().unwrap().clone()
    }

    /// Every row that was delivered, in order, with repetitions.
    fn rows(&self) -> Vec<(String, String)> {
        self.invocations().into_iter().flat_map(|invocation| invocation.rows).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.invocations().iter().map(|invocation| invocation.rows.len()).collect()
    }
}

struct Stage {
    aws: EmbeddedAws,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&stack::Options::in_memory()).await
    }

    async fn with(options: &stack::Options) -> Self {
        let aws = EmbeddedAws::start(options, |_| None).await.unwrap();
        let dynamodb = aws.clients().unwrap().dynamodb();
        let table = aws.variable("EVENTS_TABLE").unwrap();
        Self { aws, dynamodb, table }
    }

    async fn put(&self, kind: &str, email_id: &str, event: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self.dynamodb.put_item().table_name(&self.table);
        let put = put.item("email_id", text(email_id)).item("event", text(event)).item("kind", text(kind));
        put.send().await.unwrap();
    }

    /// So many deliveries of one email.
    async fn deliveries(&self, email_id: &str, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.put("event", email_id, &format!("email.delivered#{number:05}")).await;
        }
    }

    async fn feed(&self, mappings: Vec<Mapping>, options: Options, recorder: &Recorder) -> Feeder {
        let endpoint = self.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        Feeder::start(&endpoint, &self.table, mappings, options, |mapping| recorder.invoke(mapping)).await.unwrap()
    }
}

/// The template's mapping for what is only counted, without its window.
fn bulk(batch_size: usize) -> Vec<Mapping> {
    let bulk = mappings().unwrap().into_iter().find(|mapping| mapping.name == "Bulk").unwrap();
    vec![Mapping { batch_size, window: Duration::ZERO, ..bulk }]
}

fn one_shard() -> Options {
    Options { shards: 1, ..Options::default() }
}

#[tokio::test]
async fn each_row_goes_to_the_mapping_that_the_template_says_and_protects_own_rows_to_none() {
    let stage = Stage::new().await;
    let urgent =
        ["email.complained#1", "email.bounced#1", "email.delivery_delayed#1", "email.failed#1", "domain.updated#1"];
    let counted = ["email.sent#1", "email.delivered#1", "email.opened#1", "email.clicked#1", "email.suppressed#1"];
    for event in urgent.iter().chain(&counted) {
        stage.put("event", "an-email", event).await;
        stage.put("alert", "an-alert", event).await;
        stage.put("poison", "poison", event).await;
    }
    stage.put("quarantine", "odd", "unreadable#1").await;
    stage.put("event", "a-contact", "contact.updated#1").await;
    stage.put("event", "an-email", "email.bounced#1").await; // changed, not inserted

    let recorder = Recorder::content();
    let options = Options { longest_window: Some(Duration::from_millis(20)), ..Options::default() };
    let feeder = stage.feed(mappings().unwrap(), options, &recorder).await;
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
    assert_eq!(delivered["Bulk"], rows("an-email", &counted));
    let figures = feeder.figures();
    assert_eq!((figures.matched, figures.redelivered, figures.dropped), (11, 0, 0), "{figures:?}");
    assert_eq!(figures.read, 33, "{figures:?}");
}

#[tokio::test]
async fn a_record_is_as_lambda_hands_it_over() {
    let stage = Stage::new().await;
    stage.put("event", "an-email", "email.sent#1").await;
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(10), Options::default(), &recorder).await;
    feeder.idle().await;
    let record = &recorder.invocations()[0].event["Records"][0];
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["eventSource"], "aws:dynamodb");
    assert!(record["eventSourceARN"].as_str().unwrap().contains(":table/rebound-events/stream/"), "{record}");
    assert_eq!(record["dynamodb"]["NewImage"]["kind"], json!({ "S": "event" }));
    assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_IMAGE");
}

#[tokio::test]
async fn what_has_one_key_stays_in_order_and_other_keys_go_side_by_side() {
    let stage = Stage::new().await;
    let emails: Vec<String> = (0..12).map(|number| format!("email-{number}")).collect();
    for number in 0..20 {
        for email in &emails {
            stage.deliveries(email, number..number + 1).await;
        }
    }
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(7), Options::default(), &recorder).await;
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
async fn from_the_lowest_failure_on_everything_is_delivered_again() {
    let stage = Stage::new().await;
    stage.deliveries("an-email", 0..10).await;
    let failed_once = Mutex::new(false);
    let recorder = Recorder::new(move |invocation| {
        let mut failed_once = failed_once.lock().unwrap();
        if invocation.rows.len() < 8 || std::mem::replace(&mut *failed_once, true) {
            return Ok(json!({ "batchItemFailures": [] }));
        }
        let failures = [7, 4].map(|index| json!({ "itemIdentifier": sequence_of(invocation, index) }));
        Ok(json!({ "batchItemFailures": failures }))
    });
    let feeder = stage.feed(bulk(10), one_shard(), &recorder).await;
    feeder.idle().await;
    let events: Vec<String> = recorder.rows().into_iter().map(|(_, event)| event).collect();
    let expected: Vec<String> = (0..10).chain(4..10).map(|number| format!("email.delivered#{number:05}")).collect();
    assert_eq!(events, expected);
    let figures = feeder.figures();
    assert_eq!((figures.invocations, figures.failures, figures.redelivered), (2, 1, 6));
}

#[tokio::test]
async fn a_failure_that_names_nothing_in_the_batch_is_one_of_the_whole_batch_and_tries_pause() {
    let stage = Stage::new().await;
    stage.deliveries("an-email", 0..3).await;
    let tries = Mutex::new(0);
    let recorder = Recorder::new(move |_| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        let failures = if *tries < 4 { json!([{ "itemIdentifier": "" }]) } else { json!([]) };
        Ok(json!({ "batchItemFailures": failures }))
    });
    let feeder = stage.feed(bulk(3), one_shard(), &recorder).await;
    feeder.idle().await;
    assert_eq!(recorder.sizes(), [3, 3, 3, 3]);
    let times: Vec<Instant> = recorder.invocations().iter().map(|invocation| invocation.at).collect();
    for (index, pause) in [50, 100, 200].into_iter().enumerate() {
        let passed = times[index + 1] - times[index];
        assert!(passed >= Duration::from_millis(pause), "pause {index}: {passed:?}");
    }
}

#[tokio::test]
async fn a_function_that_breaks_off_gets_halves_until_the_poison_is_alone() {
    let stage = Stage::new().await;
    stage.deliveries("an-email", 0..8).await;
    let cured = Arc::new(Mutex::new(false));
    let is_cured = Arc::clone(&cured);
    let recorder = Recorder::new(move |invocation| {
        let poisoned = invocation.rows.iter().any(|(_, event)| event.ends_with("00005"));
        if poisoned && !*is_cured.lock().unwrap() { Err("boom".to_owned()) } else { Ok(Value::Null) }
    });
    let feeder = stage.feed(bulk(8), one_shard(), &recorder).await;
    eventually("the poison is alone and tried again", async || recorder.sizes().len() > 7).await;
    assert_eq!(recorder.sizes()[..8], [8, 4, 4, 2, 1, 1, 1, 1]);
    let behind = recorder.rows().iter().filter(|(_, event)| event.ends_with("00006")).count();
    assert_eq!(behind, 2, "what is behind the poison waits");
    *cured.lock().unwrap() = true;
    feeder.idle().await;
    assert_eq!(recorder.rows().last().unwrap().1, "email.delivered#00007");
    assert!(feeder.figures().failures >= 4);
}

#[tokio::test]
async fn a_function_that_panics_has_broken_off() {
    let stage = Stage::new().await;
    stage.deliveries("an-email", 0..1).await;
    let calls = Arc::new(Mutex::new(0));
    let invoke = {
        let calls = Arc::clone(&calls);
        move |_: &Mapping| -> Invoke {
            let calls = Arc::clone(&calls);
            Arc::new(move |_| {
                let calls = Arc::clone(&calls);
                Box::pin(async move {
                    let call = {
                        let mut calls = calls.lock().unwrap();
                        *calls += 1;
                        *calls
                    };
                    assert!(call > 1, "on purpose");
                    Ok(Value::Null)
                })
            })
        }
    };
    let endpoint = stage.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let feeder = Feeder::start(&endpoint, &stage.table, bulk(10), one_shard(), invoke).await.unwrap();
    feeder.idle().await;
    assert_eq!(*calls.lock().unwrap(), 2);
    assert_eq!(feeder.figures().failures, 1);
}

#[tokio::test]
async fn a_batch_is_sent_when_it_is_full_or_its_window_is_over() {
    let stage = Stage::new().await;
    let recorder = Recorder::content();
    let window = Duration::from_millis(1_500);
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
    let options = Options { longest_window: Some(Duration::from_millis(10)), ..one_shard() };
    let begun = Instant::now();
    stage.feed(vec![mapping], options, &shorter).await.idle().await;
    assert_eq!(shorter.rows().len(), 7);
    assert!(begun.elapsed() < window, "windows can be shortened");
}

#[tokio::test]
async fn a_batch_is_no_larger_than_lambda_takes() {
    let stage = Stage::new().await;
    let large = "x".repeat(380_000);
    for number in 0..40 {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = stage.dynamodb.put_item().table_name(&stage.table).item("payload", text(&large));
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
async fn chaos_delivers_again_what_was_done_and_loses_nothing() {
    let stage = Stage::new().await;
    for email in ["a", "b", "c", "d", "e"] {
        stage.deliveries(email, 0..30).await;
    }
    let recorder = Recorder::content();
    let chaos = Some(Chaos { redeliver: 0.5, seed: 7 });
    let feeder = stage.feed(bulk(4), Options { chaos, ..Options::default() }, &recorder).await;
    feeder.idle().await;
    let rows = recorder.rows();
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), 150);
    assert!(rows.len() > 170, "{}", rows.len());
    assert_eq!(feeder.figures().redelivered, rows.len() as u64 - 150);
    assert_eq!(feeder.figures().failures, 0);
}

#[tokio::test]
async fn what_is_too_old_is_given_up_and_said_so() {
    let stage = Stage::new().await;
    stage.deliveries("an-email", 0..3).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await; // the engine notes whole seconds
    let recorder = Recorder::content();
    let mapping = Mapping { maximum_record_age: Some(Duration::from_secs(1)), ..bulk(10).remove(0) };
    let feeder = stage.feed(vec![mapping], one_shard(), &recorder).await;
    feeder.idle().await;
    assert_eq!(feeder.figures().dropped, 3);
    assert_eq!(recorder.rows(), []);
}

#[tokio::test]
async fn idle_waits_for_what_is_under_way() {
    let stage = Stage::new().await;
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
    let endpoint = stage.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let feeder = Feeder::start(&endpoint, &stage.table, bulk(2), one_shard(), invoke).await.unwrap();
    feeder.idle().await;
    for round in 1..=3 {
        stage.deliveries("an-email", (round - 1) * 3..round * 3).await;
        feeder.idle().await;
        assert_eq!(*done.lock().unwrap(), round * 3);
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_everything_before_was_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let stage =
        Stage::with(&stack::Options { data: Some(directory.path().join("db")), ..stack::Options::in_memory() }).await;
    let checkpoint = directory.path().join("checkpoint");
    let options = || Options { checkpoint: Some(checkpoint.clone()), ..one_shard() };
    stage.deliveries("an-email", 0..4).await;
    let first = Recorder::content();
    stage.feed(bulk(10), options(), &first).await.idle().await;
    assert_eq!(first.rows().len(), 4);

    // What was not done when it stopped is delivered again, though it was read, and what came after it.
    stage.deliveries("an-email", 4..6).await;
    let failing = Recorder::new(|_| Err("not now".to_owned()));
    let feeder = stage.feed(bulk(10), options(), &failing).await;
    eventually("a try", async || !failing.rows().is_empty()).await;
    drop(feeder);

    stage.deliveries("an-email", 6..7).await;
    let second = Recorder::content();
    stage.feed(bulk(10), options(), &second).await.idle().await;
    let events: Vec<String> = second.rows().into_iter().map(|(_, event)| event).collect();
    assert_eq!(events, ["email.delivered#00004", "email.delivered#00005", "email.delivered#00006"]);

    // A checkpoint of another stream says nothing about this one.
    let other = Stage::new().await;
    other.deliveries("an-email", 0..1).await;
    let third = Recorder::content();
    other.feed(bulk(10), options(), &third).await.idle().await;
    assert_eq!(third.rows().len(), 1);
}

#[tokio::test]
async fn while_dynamodb_is_away_it_keeps_trying() {
    let directory = tempfile::tempdir().unwrap();
    let port = tokio::net::TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap();
    let options = stack::Options { dynamodb: port, data: Some(directory.path().join("db")) };
    let mut stage = Stage::with(&options).await;
    let recorder = Recorder::content();
    let feeder = stage.feed(bulk(10), one_shard(), &recorder).await;
    stage.deliveries("an-email", 0..1).await;
    feeder.idle().await;
    stage.aws.stop_dynamodb().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let stage = Stage::with(&options).await;
    stage.deliveries("an-email", 1..2).await;
    feeder.idle().await;
    assert_eq!(recorder.rows().len(), 2);
}

#[tokio::test]
async fn a_table_without_a_stream_is_refused() {
    let stage = Stage::new().await;
    let endpoint = stage.aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let table = stage.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let recorder = Recorder::content();
    let refused = Feeder::start(&endpoint, &table, bulk(1), one_shard(), |mapping| recorder.invoke(mapping)).await;
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
    assert!(over_http("http://127.0.0.1:1", "protect")(json!({})).await.is_err());
}
