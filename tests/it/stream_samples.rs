//! The sample invocation events of `protect`: they are built from the sample webhooks, and `protect` handles them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use rebound::aws::stream::{BatchResponse, Invocation};
use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::store::row::{Row, RowMeta};
use rebound::time::UnixMillis;
use rebound_dev::runner::runtime_api;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use rebound_dev::{samples, stream_records};
use serde_json::{Value, json};

use crate::protect::{NOW, ProtectHarness};
use crate::support::{any_port, program};

/// The row of a sample, changed by `edit`.
fn row(event_type: &str, number: u64, at: &str, edit: impl Fn(&mut Value)) -> Row {
    let mut body: Value = serde_json::from_slice(samples::body(event_type).unwrap()).unwrap();
    edit(&mut body["data"]);
    let body = body.to_string();
    Row::event(&Event::read(body.as_bytes()).unwrap(), &message(number), body.as_bytes(), stamp(at)).unwrap()
}

fn message(number: u64) -> MessageId {
    MessageId::from_verified(format!("msg_stream{number:017}"))
}

fn stamp(at: &str) -> RowMeta {
    RowMeta { received_at: UnixMillis::parse(at).unwrap(), retention_days: 90 }
}

/// Gives an email an id of its own.
fn email(number: u64) -> impl Fn(&mut Value) {
    move |data| data["email_id"] = format!("0b6f3d52-9c1e-4a77-8f0d-{number:012}").into()
}

fn urgent() -> Value {
    let soft = |data: &mut Value| {
        email(2)(data);
        data["bounce"] = json!({
            "message": "The recipient's mailbox is full.",
            "type": "Transient",
            "subType": "MailboxFull",
            "diagnosticCode": ["smtp; 452 4.2.2 <old.address@example.net>: mailbox full"],
        });
    };
    let rows = [
        row("email.complained", 1, "2026-11-21T18:22:10.020Z", email(1)),
        row("email.bounced", 2, "2026-11-20T09:00:08.130Z", soft),
        row("email.failed", 4, "2026-11-20T09:00:03.410Z", email(4)),
        Row::quarantine(&message(5), b"[]", "the body is not a JSON object", stamp("2026-11-20T09:20:00.000Z")),
    ];
    stream_records::batch(&rows, 1)
}

fn bulk() -> Value {
    let rows = [
        row("email.delivery_delayed", 3, "2026-11-20T09:15:41.870Z", email(3)),
        row("email.sent", 6, "2026-11-20T09:00:03.600Z", email(6)),
        row("email.delivered", 7, "2026-11-20T09:00:06.340Z", email(6)),
        row("email.opened", 8, "2026-11-20T10:41:17.690Z", email(6)),
        row("email.clicked", 9, "2026-11-20T10:42:04.520Z", email(6)),
    ];
    stream_records::batch(&rows, 6)
}

#[test]
fn the_samples_for_protect_are_made_of_the_samples_of_events() {
    for (name, expected) in [("urgent", urgent()), ("bulk", bulk()), ("tick", json!({ "tick": true }))] {
        if std::env::var_os("WRITE_SAMPLES").is_some() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/protect/{name}.json"));
            std::fs::write(file, format!("{expected:#}\n")).unwrap();
            continue;
        }
        let file = samples::invocation("protect", name).unwrap();
        let why =
            format!("events/protect/{name}.json: `WRITE_SAMPLES=1 cargo test samples_for_protect` writes it anew");
        assert!(serde_json::from_slice::<Value>(file).unwrap() == expected, "{why}");
    }
    assert!(samples::types().iter().all(|name| name.contains('.')), "they are samples of no event");
}

fn records(name: &str) -> Vec<Value> {
    let sample: Value = serde_json::from_slice(samples::invocation("protect", name).unwrap()).unwrap();
    sample["Records"].as_array().unwrap().clone()
}

/// Stores the rows of the samples' records, because a delayed email's timeline is read.
async fn store(aws: &EmbeddedAws) {
    let dynamodb = aws.clients().dynamodb();
    for name in ["urgent", "bulk"] {
        let batch = Invocation::read(json!({ "Records": records(name) }));
        let Ok(Invocation::Records(records)) = batch else { panic!("a batch") };
        for record in records {
            let put = dynamodb.put_item().table_name(aws.variable("EVENTS_TABLE").unwrap());
            put.set_item(Some(record.row)).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn protect_does_what_the_samples_ask_for() {
    let stage = ProtectHarness::start().await;
    store(&stage.aws).await;
    for _ in 0..2 {
        assert_eq!(stage.deliver(&records("urgent"), NOW).await, BatchResponse::default());
        assert_eq!(stage.deliver(&records("bulk"), NOW).await, BatchResponse::default());
        let counters = stage.counters().await;
        let counted: Vec<(&str, i64)> = counters.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let cohort = "autumn-bulbs/2026-11-20T09";
        let expected = ["bounced_soft", "clicked", "complained", "delayed", "delivered", "failed", "opened", "sent"];
        assert_eq!(
            counted,
            expected.map(|name| (format!("{cohort}/{name}"), 1)).each_ref().map(|(name, one)| (name.as_str(), *one))
        );
        let kinds: Vec<(&str, usize)> = stage.kinds().into_iter().collect();
        assert_eq!(kinds, [("complaint", 1), ("delay", 1), ("failed", 1), ("quarantine", 1)]);
    }
    assert_eq!(stage.engagements().len(), 4, "an open and a click, and once more");
    let tick = serde_json::from_slice(samples::invocation("protect", "tick").unwrap()).unwrap();
    assert!(matches!(Invocation::read(tick), Ok(Invocation::Tick)));
}

#[tokio::test]
async fn the_protect_binary_works_and_logs_nothing_personal() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    store(&aws).await;
    let api = runtime_api("protect").await.unwrap();
    let mut protect = program(env!("CARGO_BIN_EXE_protect"));
    let (upstream, faults) = (aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap(), Faults::default());
    let proxy = FaultProxy::start(upstream, any_port(), Service::DynamoDb, faults.clone()).await.unwrap();
    protect.envs(aws.variables()).envs(api.variables()).env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url());
    let mut protect = protect.stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();
    let in_init: Vec<String> = faults.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(in_init, ["GetItem"], "the connection is open before the first event comes");

    let invoke = async |name: &str| {
        let answer = api.invoke(samples::invocation("protect", name).unwrap()).await.unwrap().unwrap();
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    for name in ["urgent", "bulk", "urgent", "bulk"] {
        assert_eq!(invoke(name).await, json!({ "batchItemFailures": [] }), "{name}");
    }
    assert!(invoke("tick").await["looked_at"].is_number());
    let error = api.invoke(r#"{"neither": "priya.nair@example.org"}"#).await.unwrap().unwrap_err();
    assert!(String::from_utf8_lossy(&error).contains("neither a batch of stream records nor"));

    let alerts = aws.sns.as_ref().unwrap().messages();
    let mut kinds: Vec<&str> = alerts.iter().map(|alert| alert.attributes["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["complaint", "delay", "failed", "quarantine"], "each of them once");

    protect.start_kill().unwrap();
    let output = String::from_utf8(protect.wait_with_output().await.unwrap().stdout).unwrap();
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let batches: Vec<&Value> = lines.iter().filter(|line| line["message"] == "batch").collect();
    let figures: Vec<_> = batches.iter().map(|line| (line["records"].as_u64(), line["again"].as_u64())).collect();
    let (urgent, bulk) = ((Some(4), Some(0)), (Some(5), Some(0)));
    assert_eq!(figures, [urgent, bulk, urgent, bulk]);
    let output = output.to_lowercase();
    for personal in
        ["priya", "tomas", "maya", "jonas", "@", "example", "bulbs to plant", "whsec", "203.0.113", "mozilla"]
    {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}
