//! Deliveries, and their concurrency.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use aws_local::poller::{Poller, PollerOptions};
use aws_local::sqs::{QueueDepth, TimeScale};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Function, NEVER, PollerQueue, QUEUE, SOON, idle, numbered, reporting};
use crate::sqs::client;
use crate::support::{any_port, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_lambdas_form_and_is_deleted_when_done() {
    let stage = PollerQueue::start(NEVER).await;
    let function = Function::failing(|_| false);
    let before = Timestamp::now().as_millisecond();
    stage.send(["hello ä".to_owned()]).await;
    let poller = stage.poll(reporting(), &function).await;
    idle(&poller).await;
    assert_eq!(stage.sqs.counts(QUEUE), QueueDepth::default());

    let mut record = function.batches()[0][0].clone();
    for time in ["SentTimestamp", "ApproximateFirstReceiveTimestamp"] {
        let time: i64 = record["attributes"][time].as_str().unwrap().parse().unwrap();
        assert!((before..=Timestamp::now().as_millisecond()).contains(&time));
    }
    record["attributes"]["SentTimestamp"] = json!("then");
    record["attributes"]["ApproximateFirstReceiveTimestamp"] = json!("soon after");
    for id in ["messageId", "receiptHandle"] {
        assert!(record[id].as_str().is_some_and(|id| !id.is_empty()), "{id}");
    }
    let expected = json!({
        "messageId": record["messageId"],
        "receiptHandle": record["receiptHandle"],
        "body": "hello ä",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "then",
            "SenderId": "AIDALOCALLOCALLOCALLO",
            "ApproximateFirstReceiveTimestamp": "soon after",
        },
        "messageAttributes": {},
        "md5OfBody": "11ec4d0e2664ddfdce95a1ad6247b481", // `printf 'hello ä' | md5sum`
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:work",
        "awsRegion": "eu-west-1",
    });
    assert_eq!(record, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_no_larger_than_it_may_be_and_a_window_fills_it() {
    let sizes = async |options: PollerOptions, messages| {
        let stage = PollerQueue::start(NEVER).await;
        stage.send(numbered(messages)).await;
        let function = Function::failing(|_| false);
        let poller = stage.poll(PollerOptions { concurrency: 1, ..options }, &function).await;
        idle(&poller).await;
        assert_eq!(poller.stats().messages, messages as u64);
        assert_eq!(function.deliveries().len(), messages);
        function.batches().iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(sizes(reporting(), 25).await, [10, 10, 5]);
    assert_eq!(sizes(PollerOptions { batch_size: 3, ..reporting() }, 7).await, [3, 3, 1]);
    let window = Duration::from_millis(800);
    assert_eq!(sizes(PollerOptions { batch_size: 25, window, ..reporting() }, 30).await, [25, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_limited_and_every_message_is_delivered() {
    let stage = PollerQueue::start(NEVER).await;
    stage.send(numbered(500)).await;
    let function = Function::new(Duration::from_millis(60), |_| Ok(Value::Null));
    let poller = stage.poll(PollerOptions { concurrency: 4, ..reporting() }, &function).await;
    idle(&poller).await;
    assert_eq!(function.most.load(Ordering::SeqCst), 4);
    assert_eq!(poller.stats().max_concurrent, 4);
    assert_eq!(function.deliveries().into_keys().collect::<BTreeSet<_>>(), numbered(500).collect());
    assert_eq!((poller.stats().messages, poller.stats().invocations), (500, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_with_delayed_messages_or_invocations_is_not_idle() {
    let stage = PollerQueue::start(NEVER).await;
    let function = Function::new(Duration::from_millis(300), |_| Ok(Value::Null));
    let poller = stage.poll(reporting(), &function).await;
    idle(&poller).await;
    let delayed = stage.client.send_message().queue_url(&stage.url).message_body("late").delay_seconds(1);
    stage.sqs.set_time_scale(TimeScale::default());
    delayed.send().await.unwrap();
    let sent = Instant::now();
    idle(&poller).await;
    assert!(sent.elapsed() >= Duration::from_millis(1_300), "{:?}", sent.elapsed());
    assert_eq!(poller.stats().invocations, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_that_is_dropped_stops_and_another_goes_on() {
    let stage = PollerQueue::start(SOON).await;
    stage.send(numbered(10)).await;
    let stuck = Function::new(NEVER, |_| Ok(Value::Null));
    let poller = stage.poll(reporting(), &stuck).await;
    eventually("it is invoked", async || !stuck.batches().is_empty()).await;
    drop(poller);
    let function = Function::failing(|_| false);
    let poller = stage.poll(reporting(), &function).await;
    idle(&poller).await;
    assert_eq!(function.deliveries().len(), 10);
    assert!(function.deliveries().values().flatten().all(|(_, count)| *count > 1));
    assert_eq!(stuck.batches().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_queue_is_asked_about_once_a_second() {
    let stage = PollerQueue::start(NEVER).await;
    let proxy = FaultProxy::start(stage.sqs.url(), any_port(), Service::Sqs, Faults::default()).await.unwrap();
    let function = Function::failing(|_| false);
    let _poller = Poller::start(client(proxy.url()), &stage.url, reporting(), function.invoke()).await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    // The first one at the start, and one that may be under way.
    let (calls, seconds) = (proxy.calls().len(), usize::try_from(began.elapsed().as_secs()).unwrap());
    assert!((2..=seconds + 2).contains(&calls), "{calls} in {seconds} s");
}
