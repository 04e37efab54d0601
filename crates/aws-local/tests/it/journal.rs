//! The journal of queues and topics: accepted messages survive the process, however it ends.

use std::path::Path;
use std::time::Duration;

use aws_local::journal::Journal;
use aws_local::sns::LocalSns;
use aws_local::sqs::{LocalSqs, QueueDepth};
use aws_sdk_sqs::types::Message;
use serde_json::Value;

use crate::support::any_port;
use crate::{sns, sqs};

const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:alerts";

/// One process with the queue. The next one begins while this one still has the file open, as if this one had been
/// killed: nothing is cleaned up.
struct Life {
    sqs: LocalSqs,
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Life {
    async fn begin(file: &Path) -> Self {
        let sqs = LocalSqs::start_with(any_port(), Duration::ZERO, Journal::in_file(file).unwrap()).await.unwrap();
        let (client, url) = (sqs::client(sqs.url()), sqs.queue_url("work"));
        Self { sqs, client, url }
    }

    async fn send(&self, body: &str, delay: i32) {
        self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(delay).send().await.unwrap();
    }

    async fn receive(&self, at_most: i32) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(&self.url).max_number_of_messages(at_most);
        receive.visibility_timeout(600).send().await.unwrap().messages.unwrap_or_default()
    }

    async fn delete(&self, message: &Message) {
        let delete = self.client.delete_message().queue_url(&self.url);
        delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

#[tokio::test]
async fn messages_survive_the_process_and_deleted_ones_stay_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queues");
    let first = Life::begin(&file).await;
    for body in ["deleted", "in flight", "waiting"] {
        first.send(body, 0).await;
    }
    first.send("delayed", 600).await;
    let received = first.receive(2).await;
    assert_eq!(bodies(&received), ["deleted", "in flight"]);
    first.delete(&received[0]).await;

    let second = Life::begin(&file).await;
    assert_eq!(second.sqs.counts("work"), QueueDepth { visible: 2, not_visible: 0, delayed: 1 });
    let again = second.receive(10).await;
    assert_eq!(bodies(&again), ["in flight", "waiting"]);
    second.delete(&received[1]).await;
    assert_eq!(second.sqs.counts("work").not_visible, 2, "the receipt of a receive before deletes nothing");
    for message in &again {
        second.delete(message).await;
    }
    let third = Life::begin(&file).await;
    assert_eq!(third.sqs.counts("work"), QueueDepth { visible: 0, not_visible: 0, delayed: 1 });
    assert_eq!(third.sqs.messages("work"), ["delayed"], "in a file only what it still holds is remembered");
}

#[tokio::test]
async fn receives_of_several_processes_count_for_dead_letters() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queues");
    let begin = async || {
        let life = Life::begin(&file).await;
        life.sqs.set_redrive("work", "dead", 2);
        life
    };
    begin().await.send("poison", 0).await;
    for _ in 0..2 {
        assert_eq!(bodies(&begin().await.receive(10).await), ["poison"]);
    }
    assert!(begin().await.receive(10).await.is_empty());
    assert_eq!(begin().await.sqs.messages("dead"), ["poison"]);
}

#[tokio::test]
async fn published_messages_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queues");
    let begin = async || LocalSns::start_with(any_port(), Journal::in_file(&file).unwrap()).await.unwrap();
    let first = begin().await;
    let client = sns::client(first.url());
    for number in 0..5 {
        client.publish().topic_arn(TOPIC).message(number.to_string()).send().await.unwrap();
    }
    let second = begin().await;
    assert_eq!(second.messages(), first.messages());
    for (query, expected) in
        [("", 0..5), ("?after=0&most=2", 0..2), ("?after=2&most=2", 2..4), ("?after=4", 4..5), ("?after=9", 0..0)]
    {
        let answer = reqwest::get(format!("{}/{query}", second.url())).await.unwrap().text().await.unwrap();
        let listed: Vec<Value> = serde_json::from_str(&answer).unwrap();
        let listed: Vec<i64> = listed.iter().map(|message| message["message"].as_i64().unwrap()).collect();
        assert_eq!(listed, expected.collect::<Vec<i64>>(), "{query}");
    }
}
