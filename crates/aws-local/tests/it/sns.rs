//! The SNS stub, called by the real SDK.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_local::sns::LocalSns;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::{BehaviorVersion, Region};
use aws_sdk_sns::error::ProvideErrorMetadata;
use aws_sdk_sns::operation::publish::builders::PublishFluentBuilder;
use aws_sdk_sns::types::MessageAttributeValue;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::any_port;

const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:alerts";

pub(crate) fn client(url: String) -> Client {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::from_keys("local", "local", None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

async fn start() -> (LocalSns, Client) {
    let sns = LocalSns::start(any_port()).await.unwrap();
    let client = client(sns.url());
    (sns, client)
}

fn attribute(data_type: &str, value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(data_type).string_value(value).build().unwrap()
}

async fn code(publish: PublishFluentBuilder) -> String {
    let error = publish.send().await.unwrap_err();
    assert!(error.message().is_some_and(|message| !message.is_empty()), "{error:?}");
    error.code().unwrap().to_owned()
}

fn by_protocol() -> String {
    let default = json!({ "kind": "paused", "tenant": "ä & <b>" }).to_string();
    json!({ "default": default, "email": "Sending is paused.\n\n\"ä\" & <b> + 100%", "sms": 5 }).to_string()
}

#[tokio::test]
async fn published_messages_are_stored_unchanged_and_broadcast() {
    let (sns, client) = start().await;
    let mut reported = sns.subscribe();
    let before = Timestamp::now();
    let answer = client
        .publish()
        .topic_arn(TOPIC)
        .subject("Sending is paused: 5 % & more")
        .message_structure("json")
        .message(by_protocol())
        .message_attributes("kind", attribute("String", "paused"))
        .message_attributes("severity", attribute("Number", "3"))
        .send()
        .await
        .unwrap();

    let messages = sns.messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(answer.message_id(), Some(message.message_id.as_str()));
    assert_eq!(message.topic_arn, TOPIC);
    assert_eq!(message.subject.as_deref(), Some("Sending is paused: 5 % & more"));
    assert_eq!((message.message.as_str(), message.structure.as_deref()), (by_protocol().as_str(), Some("json")));
    assert_eq!(message.attributes.len(), 2);
    assert_eq!((message.attributes["kind"].as_str(), message.attributes["severity"].as_str()), ("paused", "3"));
    assert!(before.as_millisecond() <= message.at.as_millisecond() && message.at <= Timestamp::now());
    let received = tokio::time::timeout(Duration::from_secs(60), reported.recv()).await.unwrap().unwrap();
    assert_eq!(received, *message);
}

#[tokio::test]
async fn every_protocol_gets_its_own_text_or_else_the_default() {
    let (sns, client) = start().await;
    client.publish().topic_arn(TOPIC).message(by_protocol()).message_structure("json").send().await.unwrap();
    client.publish().topic_arn(TOPIC).message("for all").send().await.unwrap();
    let messages = sns.messages();
    assert_eq!(messages[0].for_protocol("email"), "Sending is paused.\n\n\"ä\" & <b> + 100%");
    for protocol in ["default", "lambda", "sqs", "sms"] {
        let text: Value = serde_json::from_str(&messages[0].for_protocol(protocol)).unwrap();
        assert_eq!(text, json!({ "kind": "paused", "tenant": "ä & <b>" }), "{protocol}");
    }
    assert_eq!(messages[1].for_protocol("email"), "for all");
}

#[tokio::test]
async fn a_get_returns_the_published_messages() {
    let (sns, client) = start().await;
    let publish = client.publish().topic_arn(TOPIC).subject("Paused").message(by_protocol()).message_structure("json");
    publish.message_attributes("kind", attribute("String", "paused")).send().await.unwrap();
    client.publish().topic_arn(TOPIC).message("for all").send().await.unwrap();
    let answer = reqwest::get(format!("{}/messages", sns.url())).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let mut listed: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    for (message, published) in listed.as_array_mut().unwrap().iter_mut().zip(sns.messages()) {
        let message = message.as_object_mut().unwrap();
        assert_eq!(message.remove("message_id").unwrap(), published.message_id);
        let at = message.remove("at").unwrap();
        assert_eq!(at.as_str().unwrap().parse().ok(), Some(published.at), "{at}");
    }
    let default = json!({ "kind": "paused", "tenant": "ä & <b>" });
    let email = "Sending is paused.\n\n\"ä\" & <b> + 100%";
    assert_eq!(
        listed,
        json!([
            {
                "topic_arn": TOPIC,
                "subject": "Paused",
                "attributes": { "kind": "paused" },
                "message": default,
                "texts": { "email": email },
            },
            { "topic_arn": TOPIC, "subject": null, "attributes": {}, "message": "for all", "texts": {} },
        ])
    );
}

#[tokio::test]
async fn invalid_messages_get_the_codes_of_sns_and_are_not_stored() {
    let (sns, client) = start().await;
    let publish = || client.publish().topic_arn(TOPIC).message("x");
    for subject in ["", &"x".repeat(101), "two\nlines", "tab\tin it", "bell\u{7}", "grün"] {
        assert_eq!(code(publish().subject(subject)).await, "InvalidParameter", "{subject:?}");
    }
    for message in ["", "{", "[]", "\"default\"", "{}", r#"{ "default": 5 }"#, r#"{ "email": "x" }"#] {
        let refused = code(publish().message(message).message_structure("json")).await;
        assert_eq!(refused, "InvalidParameter", "{message:?}");
    }
    assert_eq!(code(publish().message_structure("xml")).await, "InvalidParameter");
    assert_eq!(code(client.publish().topic_arn(TOPIC)).await, "InvalidParameter");
    assert_eq!(code(client.publish().message("x")).await, "InvalidParameter");
    for topic in ["", "alerts", "arn:aws:sqs:eu-west-1:000000000000:alerts"] {
        assert_eq!(code(publish().topic_arn(topic)).await, "NotFound", "{topic:?}");
    }
    for attribute in [attribute("String", ""), attribute("Text", "x")] {
        assert_eq!(code(publish().message_attributes("kind", attribute)).await, "ParameterValueInvalid");
    }
    assert!(sns.messages().is_empty());
}

#[tokio::test]
async fn the_largest_message_and_subject_pass_and_one_byte_more_fails() {
    let (sns, client) = start().await;
    let attribute = || attribute("String", "paused");
    // The attribute's name, type and value count too.
    let largest = "x".repeat(262_144 - "kind".len() - "String".len() - "paused".len());
    let with_subject = |length| client.publish().topic_arn(TOPIC).subject("x".repeat(length));
    let publish = || with_subject(99).message_attributes("kind", attribute());
    publish().message(largest.clone()).send().await.unwrap();
    assert_eq!(code(with_subject(100).message("x")).await, "InvalidParameter", "fewer than 100");
    assert_eq!(code(publish().message(largest + "x")).await, "InvalidParameter");
    let umlauts = client.publish().topic_arn(TOPIC).message("ä".repeat(131_073));
    assert_eq!(code(umlauts).await, "InvalidParameter");
    assert_eq!(sns.messages().len(), 1);
}

#[tokio::test]
async fn another_action_is_invalid() {
    let (_sns, client) = start().await;
    let error = client.create_topic().name("alerts").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAction"));
}
