//! A queue's messages, delivered to a function with the template's settings.

#[path = "../../crates/aws-local/tests/it/poller/function.rs"]
mod function;

use std::time::Duration;

use aws_local::poller::{Poller, PollerOptions};
use aws_local::sam::QueueMapping;
use aws_local::sqs::{QueueDepth, TimeScale};
use rebound_dev::runner::poll;
use rebound_dev::stack::{self, ENGAGE_DEAD_LETTERS, ENGAGE_QUEUE, EmbeddedAws};
use rebound_dev::template::template;
use serde_json::json;
use tokio::time::Instant;

use self::function::{Function, body, idle, numbered, receives, records, reporting, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_message_becomes_a_dead_letter_by_the_template() {
    let options = stack::LocalAwsOptions { settle: Duration::ZERO, ..stack::LocalAwsOptions::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await.unwrap();
    let sqs = aws.sqs.as_ref().unwrap();
    let pace = TimeScale::between(Duration::from_secs(90), Duration::ZERO);
    sqs.set_time_scale(pace.with_min_visibility(Duration::from_millis(150)));
    let queues = template().unwrap().queues();
    let engage = queues.iter().find(|queue| queue.variable == "ENGAGE_QUEUE_URL").unwrap();
    let tries = engage.max_receive_count.unwrap();
    let mapping = QueueMapping {
        name: "Opens".to_owned(),
        function: "engage".to_owned(),
        queue: "ENGAGE_QUEUE_URL".to_owned(),
        batch_size: 10,
        window: Duration::ZERO,
        concurrency: Some(2),
        concurrency_parameter: None,
        partial_failures: true,
    };

    let (client, url) = (aws.clients().sqs(), aws.variable("ENGAGE_QUEUE_URL").unwrap());
    let function = Function::failing(|record| body(record) == "message 1");
    let pollers = poll(&aws, std::slice::from_ref(&mapping), |_| function.invoke()).await.unwrap();
    send(&client, &url, numbered(3)).await;
    idle(&pollers[0]).await;
    let deliveries = function.deliveries();
    assert_eq!(deliveries["message 1"].iter().map(|(_, count)| *count).collect::<Vec<_>>(), Vec::from_iter(1..=tries));
    assert_eq!((deliveries["message 0"].len(), deliveries["message 2"].len()), (1, 1));
    assert_eq!(sqs.messages(ENGAGE_DEAD_LETTERS), ["message 1"]);
    assert_eq!(sqs.counts(ENGAGE_QUEUE), QueueDepth::default());

    let nowhere = QueueMapping { queue: "NO_QUEUE_URL".to_owned(), ..mapping };
    assert!(poll(&aws, &[nowhere], |_| function.invoke()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_messages_return_faster_by_the_time_scale() {
    let settle = Duration::from_millis(250);
    let options = stack::LocalAwsOptions { settle, ..stack::LocalAwsOptions::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await.unwrap();
    let (client, url) = (aws.clients().sqs(), aws.variable("ENGAGE_QUEUE_URL").unwrap());
    let options = PollerOptions { visibility: Duration::from_secs(360), ..reporting() };
    let function = Function::new(Duration::ZERO, |event| match receives(&records(event)[0]) {
        1 => Err("out of memory".to_owned()),
        _ => Ok(json!({ "batchItemFailures": [] })),
    });
    let poller = Poller::start(client.clone(), &url, options, function.invoke()).await.unwrap();
    let sent = Instant::now();
    send(&client, &url, numbered(1)).await;
    idle(&poller).await;
    let [first, second] = function.deliveries()["message 0"][..] else { panic!("{:?}", function.deliveries()) };
    assert!(first.0 - sent >= settle);
    let (back, expected) = (second.0 - first.0, settle * 4);
    assert!(back >= expected - Duration::from_millis(50) && back < Duration::from_secs(60), "{back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_returns_while_its_function_still_runs() {
    let options = stack::LocalAwsOptions { settle: Duration::ZERO, ..stack::LocalAwsOptions::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await.unwrap();
    let (client, url) = (aws.clients().sqs(), aws.variable("ENGAGE_QUEUE_URL").unwrap());
    let function = Function::new(Duration::from_millis(1_500), |_| Ok(json!({ "batchItemFailures": [] })));
    let options = PollerOptions { visibility: Duration::from_secs(720), ..reporting() };
    let poller = Poller::start(client.clone(), &url, options, function.invoke()).await.unwrap();
    send(&client, &url, numbered(1)).await;
    idle(&poller).await;
    assert_eq!(function.deliveries()["message 0"].len(), 1, "its time is the function's own, which is not shortened");
}
