//! The SQS stub, called by the real SDK.

use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_local::sqs::{LocalSqs, QueueDepth};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::operation::send_message_batch::builders::SendMessageBatchFluentBuilder;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use jiff::Timestamp;
use serde_json::json;

use crate::support::{any_port, eventually};

const MIB: usize = 1024 * 1024;

pub(crate) fn client(url: String) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::from_keys("local", "local", None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

/// An SQS stub with a queue.
struct Queue {
    sqs: LocalSqs,
    client: Client,
    url: String,
}

impl Queue {
    async fn start() -> Self {
        Self::with_delay(Duration::ZERO).await
    }

    async fn with_delay(delay: Duration) -> Self {
        let sqs = LocalSqs::start(any_port(), delay).await.unwrap();
        let (client, url) = (client(sqs.url()), sqs.queue_url("work"));
        Self { sqs, client, url }
    }

    async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    fn batch(&self, entries: impl IntoIterator<Item = SendMessageBatchRequestEntry>) -> SendMessageBatchFluentBuilder {
        self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries.into_iter().collect()))
    }

    async fn receive(&self, visibility_timeout: i32) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(&self.url).visibility_timeout(visibility_timeout);
        let receive =
            receive.max_number_of_messages(10).message_system_attribute_names(MessageSystemAttributeName::All);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    async fn delete(&self, receipt_handle: &str) {
        self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle).send().await.unwrap();
    }

    fn counts(&self) -> (usize, usize, usize) {
        let QueueDepth { visible, not_visible, delayed } = self.sqs.counts("work");
        (visible, not_visible, delayed)
    }
}

fn entry(id: impl Into<String>, body: impl Into<String>) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn receives(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

#[tokio::test]
async fn what_is_sent_is_received_once_and_after_its_deletion_is_gone() {
    let queue = Queue::start().await;
    let before = Timestamp::now();
    let sent = queue.client.send_message().queue_url(&queue.url).message_body("hello ä").send().await.unwrap();
    let received = queue.receive(30).await;
    assert_eq!(bodies(&received), ["hello ä"]);
    assert_eq!(received[0].message_id(), sent.message_id());
    // `printf 'hello ä' | md5sum`
    for md5 in [sent.md5_of_message_body(), received[0].md5_of_body()] {
        assert_eq!(md5, Some("11ec4d0e2664ddfdce95a1ad6247b481"));
    }
    assert_eq!(receives(&received[0]), "1");
    let sent_at = &received[0].attributes().unwrap()[&MessageSystemAttributeName::SentTimestamp];
    assert!((before.as_millisecond()..=Timestamp::now().as_millisecond()).contains(&sent_at.parse().unwrap()));

    assert_eq!(queue.counts(), (0, 1, 0));
    assert!(queue.receive(30).await.is_empty(), "it is in flight");
    queue.delete(received[0].receipt_handle().unwrap()).await;
    assert_eq!(queue.counts(), (0, 0, 0));
    queue.delete(received[0].receipt_handle().unwrap()).await; // again, which does no harm
    assert_eq!(queue.sqs.messages("work"), ["hello ä"]);
}

#[tokio::test]
async fn an_old_receipt_handle_deletes_nothing() {
    let queue = Queue::start().await;
    queue.send("a").await;
    let first = queue.receive(2).await;
    assert!(queue.receive(2).await.is_empty());
    eventually("the message is back", async || queue.counts() == (1, 0, 0)).await;
    let second = queue.receive(30).await;
    assert_eq!((bodies(&second), receives(&second[0])), (vec!["a"], "2"));
    assert_ne!(first[0].receipt_handle(), second[0].receipt_handle());
    queue.delete(first[0].receipt_handle().unwrap()).await;
    assert_eq!(queue.counts(), (0, 1, 0));
    queue.delete(second[0].receipt_handle().unwrap()).await;
    assert_eq!(queue.counts(), (0, 0, 0));
}

#[tokio::test]
async fn only_the_visibility_of_messages_in_flight_can_be_changed() {
    let queue = Queue::start().await;
    queue.send("a").await;
    let received = queue.receive(30).await;
    let handle = received[0].receipt_handle().unwrap();
    let change = |handle: &str, timeout| {
        queue
            .client
            .change_message_visibility()
            .queue_url(&queue.url)
            .receipt_handle(handle)
            .visibility_timeout(timeout)
    };
    change(handle, 600).send().await.unwrap();
    assert_eq!(queue.counts(), (0, 1, 0));
    change(handle, 0).send().await.unwrap();
    assert_eq!(queue.counts(), (1, 0, 0));
    let code = async |handle, timeout| change(handle, timeout).send().await.unwrap_err().code().unwrap().to_owned();
    assert_eq!(code(handle, 30).await, "AWS.SimpleQueueService.MessageNotInflight");
    assert_eq!(code(handle, 43_201).await, "InvalidParameterValue");
    assert_eq!(code("nonsense", 30).await, "ReceiptHandleIsInvalid");
    queue.delete(handle).await;
    assert_eq!(code(handle, 30).await, "InvalidParameterValue");
}

#[tokio::test]
async fn a_message_is_delayed_by_its_own_delay_or_else_the_queues() {
    let queue = Queue::with_delay(Duration::from_secs(2)).await;
    queue.send("the queue's").await;
    let none = SendMessageBatchRequestEntry::builder().id("none").message_body("none").delay_seconds(0);
    let long = SendMessageBatchRequestEntry::builder().id("long").message_body("long").delay_seconds(900);
    queue.batch([none.build().unwrap(), long.build().unwrap()]).send().await.unwrap();
    assert_eq!(queue.counts(), (1, 0, 2));
    assert_eq!(bodies(&queue.receive(30).await), ["none"]);
    eventually("the queue's delay is over", async || queue.counts() == (1, 1, 1)).await;
    assert_eq!(bodies(&queue.receive(30).await), ["the queue's"]);
    assert_eq!(queue.sqs.messages("work"), ["the queue's", "none", "long"]);
}

#[tokio::test]
async fn a_waiting_receive_returns_on_a_message_or_its_timeout() {
    let queue = Queue::start().await;
    let receive = |wait| queue.client.receive_message().queue_url(&queue.url).wait_time_seconds(wait).send();
    let started = Instant::now();
    assert_eq!(receive(1).await.unwrap().messages, None);
    assert!(started.elapsed() >= Duration::from_secs(1));
    let started = Instant::now();
    let send_later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        queue.send("late").await;
    };
    let (received, ()) = tokio::join!(receive(20), send_later);
    let received = received.unwrap();
    assert_eq!(bodies(received.messages()), ["late"]);
    assert_eq!(received.messages()[0].attributes(), None, "none was asked for");
    assert!(started.elapsed() < Duration::from_secs(20), "it waited for its timeout");
}

#[tokio::test]
async fn every_entry_of_a_batch_succeeds_or_fails_for_itself() {
    let queue = Queue::start().await;
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("x").delay_seconds(901).build().unwrap();
    let entries = [entry("a", "1"), late, entry("odd", "bell\u{7}"), entry("b", "2")];
    let answer = queue.batch(entries).send().await.unwrap();
    let successful: Vec<_> =
        answer.successful().iter().map(|entry| (entry.id(), entry.md5_of_message_body())).collect();
    // `printf 1 | md5sum`, `printf 2 | md5sum`
    let expected = [("a", "c4ca4238a0b923820dcc509a6f75849b"), ("b", "c81e728d9d4c2f636f067f89cc14862c")];
    assert_eq!(successful, expected);
    let failed: Vec<_> = answer.failed().iter().map(|entry| (entry.id(), entry.code(), entry.sender_fault())).collect();
    assert_eq!(failed, [("late", "InvalidParameterValue", true), ("odd", "InvalidMessageContents", true)]);

    let received = queue.receive(30).await;
    assert_eq!(bodies(&received), ["1", "2"]);
    let deletion =
        |id, handle| DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap();
    let deletions = [deletion("x", received[0].receipt_handle().unwrap()), deletion("y", "nonsense")];
    let delete = queue.client.delete_message_batch().queue_url(&queue.url).set_entries(Some(deletions.to_vec()));
    let answer = delete.send().await.unwrap();
    assert_eq!((answer.successful().len(), answer.successful()[0].id()), (1, "x"));
    assert_eq!((answer.failed().len(), answer.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
    assert_eq!(queue.counts(), (0, 1, 0));
}

#[tokio::test]
async fn a_batch_that_sqs_refuses_is_refused_as_a_whole() {
    let queue = Queue::start().await;
    let eleven = (0..11).map(|id| entry(id.to_string(), "x")).collect();
    for (entries, code) in [
        (vec![], "EmptyBatchRequest"),
        (eleven, "TooManyEntriesInBatchRequest"),
        (vec![entry("a", "x"), entry("a", "y")], "BatchEntryIdsNotDistinct"),
        (vec![entry("a b", "x")], "InvalidBatchEntryId"),
        (vec![entry("a", "x".repeat(MIB)), entry("b", "y")], "BatchRequestTooLong"),
    ] {
        let error = queue.batch(entries).send().await.unwrap_err();
        assert_eq!(error.code(), Some(format!("AWS.SimpleQueueService.{code}").as_str()));
        assert!(error.message().is_some_and(|message| !message.is_empty()), "{code}");
    }
    assert!(queue.sqs.messages("work").is_empty());
    let largest = (0..10).map(|id| entry(id.to_string(), "x".repeat(MIB / 10)));
    assert!(queue.batch(largest).send().await.unwrap().failed().is_empty());
}

#[tokio::test]
async fn a_message_that_sqs_refuses_is_refused() {
    let queue = Queue::start().await;
    let send = |body: String| queue.client.send_message().queue_url(&queue.url).message_body(body);
    send("x".repeat(MIB)).send().await.unwrap();
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
    for (send, code) in [
        (send("x".repeat(MIB + 1)), "InvalidParameterValue"),
        (send(String::new()), "MissingParameter"),
        (send("\u{0}".to_owned()), "InvalidMessageContents"),
        (send("x".to_owned()).delay_seconds(901), "InvalidParameterValue"),
        (send("x".to_owned()).delay_seconds(-1), "InvalidParameterValue"),
        (send("x".to_owned()).queue_url("http://localhost/no name"), "AWS.SimpleQueueService.NonExistentQueue"),
        (send("x".to_owned()).message_attributes("a", attribute), "AWS.SimpleQueueService.UnsupportedOperation"),
    ] {
        assert_eq!(send.send().await.unwrap_err().code(), Some(code));
    }
    let receive = || queue.client.receive_message().queue_url(&queue.url);
    for receive in [receive().max_number_of_messages(11), receive().wait_time_seconds(21)] {
        assert_eq!(receive.send().await.unwrap_err().code(), Some("InvalidParameterValue"));
    }
    let purge = queue.client.purge_queue().queue_url(&queue.url).send().await.unwrap_err();
    assert_eq!(purge.code(), Some("AWS.SimpleQueueService.UnsupportedOperation"));
    assert_eq!(queue.sqs.messages("work").len(), 1);
}

#[tokio::test]
async fn a_message_received_too_often_becomes_a_dead_letter() {
    let queue = Queue::start().await;
    queue.sqs.set_redrive("work", "dead", 2);
    queue.send("poison").await;
    for _ in 0..2 {
        assert_eq!(bodies(&queue.receive(0).await), ["poison"]);
    }
    assert!(queue.receive(0).await.is_empty());
    assert_eq!(queue.counts(), (0, 0, 0));
    assert_eq!(queue.sqs.messages("dead"), ["poison"]);
    let dead = queue.client.receive_message().queue_url(queue.sqs.queue_url("dead")).send().await.unwrap();
    assert_eq!(bodies(dead.messages()), ["poison"]);
}

#[tokio::test]
async fn a_queue_is_found_by_its_name_and_says_what_it_holds() {
    let queue = Queue::start().await;
    let found = queue.client.get_queue_url().queue_name("work").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(queue.url.as_str()));
    for body in ["a", "b", "c"] {
        queue.send(body).await;
    }
    let delayed = queue.client.send_message().queue_url(&queue.url).message_body("d").delay_seconds(60);
    delayed.send().await.unwrap();
    queue.client.receive_message().queue_url(&queue.url).send().await.unwrap();
    queue.sqs.set_redrive("work", "dead", 3);
    let get = |name| queue.client.get_queue_attributes().queue_url(&queue.url).attribute_names(name).send();
    let all = get(QueueAttributeName::All).await.unwrap().attributes.unwrap();
    for (name, value) in [
        (QueueAttributeName::ApproximateNumberOfMessages, "2"),
        (QueueAttributeName::ApproximateNumberOfMessagesNotVisible, "1"),
        (QueueAttributeName::ApproximateNumberOfMessagesDelayed, "1"),
        (QueueAttributeName::QueueArn, "arn:aws:sqs:eu-west-1:000000000000:work"),
    ] {
        assert_eq!(all[&name], value, "{name}");
        assert_eq!(get(name.clone()).await.unwrap().attributes.unwrap().len(), 1, "{name}");
    }
    let redrive = json!({ "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:dead", "maxReceiveCount": 3 });
    assert_eq!(all[&QueueAttributeName::RedrivePolicy], redrive.to_string());
    let error = get(QueueAttributeName::from("Nonsense")).await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAttributeName"));
}
