//! Failed messages are delivered again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_local::faults::{Fault, FaultProxy, Faults, Service};
use aws_local::feeder::Invoke;
use aws_local::poller::{PollError, Poller, PollerOptions};
use serde_json::{Value, json};

use super::{Function, NEVER, PollerQueue, SOON, body, idle, numbered, receives, records, reporting};
use crate::sqs::client;
use crate::support::any_port;

#[tokio::test(flavor = "multi_thread")]
async fn only_failed_messages_return_after_the_visibility_timeout() {
    let stage = PollerQueue::start(SOON).await;
    stage.send(numbered(10)).await;
    let function = Function::failing(|record| body(record) == "message 4" && receives(record) < 3);
    let poller = stage.poll(reporting(), &function).await;
    idle(&poller).await;
    for (body, deliveries) in function.deliveries() {
        let counts: Vec<usize> = deliveries.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, if body == "message 4" { vec![1, 2, 3] } else { vec![1] }, "{body}");
        assert!(deliveries.is_sorted_by(|one, next| next.0 - one.0 >= SOON - Duration::from_millis(5)));
    }
    let figures = poller.stats();
    assert_eq!((figures.invocations, figures.messages, figures.failures), (3, 12, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_function_that_breaks_off_the_whole_batch_comes_back() {
    for (broken, answer) in [
        ("broke off", Err("out of memory".to_owned())),
        ("names nobody", Ok(json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }))),
        ("is not in its shape", Ok(json!({ "batchItemFailures": "message 4" }))),
    ] {
        let stage = PollerQueue::start(SOON).await;
        stage.send(numbered(10)).await;
        let first = |event: &Value| records(event).iter().any(|record| receives(record) == 1);
        let function = Function::new(Duration::ZERO, move |event| {
            if first(event) { answer.clone() } else { Ok(json!({ "batchItemFailures": [] })) }
        });
        let poller = stage.poll(reporting(), &function).await;
        idle(&poller).await;
        let counts: BTreeSet<Vec<usize>> = function
            .deliveries()
            .into_values()
            .map(|deliveries| deliveries.iter().map(|(_, count)| *count).collect())
            .collect();
        assert_eq!(counts, BTreeSet::from([vec![1, 2]]), "{broken}");
        assert_eq!(poller.stats().failures, 1, "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_partial_failures_a_batch_is_done_or_failed() {
    let stage = PollerQueue::start(SOON).await;
    stage.send(numbered(3)).await;
    let function = Function::failing(|_| true);
    let poller = stage.poll(PollerOptions::default(), &function).await;
    idle(&poller).await;
    assert_eq!((poller.stats().messages, poller.stats().failures), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visibility_that_the_function_changed_is_left_as_it_is() {
    let stage = PollerQueue::start(NEVER).await;
    stage.send(["later".to_owned()]).await;
    let (client, url) = (stage.client.clone(), stage.url.clone());
    let function = Function::failing(|record| receives(record) == 1);
    let failing = function.invoke();
    let invoke: Invoke = Arc::new(move |event| {
        let (client, url, failing) = (client.clone(), url.clone(), Arc::clone(&failing));
        Box::pin(async move {
            let handle = event["Records"][0]["receiptHandle"].as_str().unwrap();
            let change = client.change_message_visibility().queue_url(url).receipt_handle(handle);
            change.visibility_timeout(30).send().await.unwrap();
            failing(event).await
        })
    });
    let poller = Poller::start(stage.client.clone(), &stage.url, reporting(), invoke).await.unwrap();
    idle(&poller).await;
    assert_eq!(function.deliveries()["later"].len(), 2, "back at once, and not in ten minutes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_queue_is_an_error_at_start_and_retried_later() {
    let nowhere = client("http://127.0.0.1:9".to_owned());
    let nothing: Invoke = Arc::new(|_| Box::pin(async { Ok(Value::Null) }));
    let started = Poller::start(nowhere, "http://127.0.0.1:9/0/work", reporting(), nothing).await;
    assert!(matches!(started, Err(PollError::Queue(..))));

    let stage = PollerQueue::start(SOON).await;
    let proxy = FaultProxy::start(stage.sqs.url(), any_port(), Service::Sqs, Faults::default()).await.unwrap();
    let function = Function::failing(|_| false);
    let poller = Poller::start(client(proxy.url()), &stage.url, reporting(), function.invoke()).await.unwrap();
    proxy.plan(|call| (call.operation != "SendMessageBatch").then_some(Fault::ServerError));
    stage.send(numbered(1)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(proxy.calls().len() < 20, "it does not spin: {}", proxy.calls().len());
    // A message that is done but cannot be deleted is delivered again.
    let mut refused = false;
    proxy.plan(move |call| {
        let first = call.operation == "DeleteMessageBatch" && !std::mem::replace(&mut refused, true);
        first.then_some(Fault::Throttle)
    });
    idle(&poller).await;
    assert_eq!(function.deliveries()["message 0"].len(), 2);
}
