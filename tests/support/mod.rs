//! The service under test: the function behind its URL, on the embedded DynamoDB, with the fault proxy in between.

pub(crate) mod act;
pub(crate) mod engage;
pub(crate) mod protect;
pub(crate) mod recorder;
pub(crate) mod schemas;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aws_local::faults::{self, FaultProxy, Faults};
use aws_local::function_url;
use aws_local::server::Server;
use rebound::aws::edge::Envelope;
use rebound::receive::Receiver;
use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::store::Item;
use rebound::store::suppressions::SuppressionItem;
use rebound::time::UnixMillis;
use rebound_dev::LOCAL_SECRET;
use rebound_dev::runner::{Clock, receive_invoker};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

pub(crate) struct ReceiveHarness {
    pub(crate) aws: EmbeddedAws,
    pub(crate) proxy: FaultProxy,
    pub(crate) receiver: Arc<Receiver>,
    server: Server,
    client: reqwest::Client,
}

/// Held by tests that use the whole machine, so that they do not slow each other down.
pub(crate) static WHOLE_MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn secret() -> SigningSecret {
    LOCAL_SECRET.parse().unwrap()
}

pub(crate) fn now() -> i64 {
    UnixMillis::now().seconds()
}

/// A webhook with a new id, signed now.
pub(crate) fn signed(body: impl Into<Vec<u8>>) -> SignedMessage {
    SignedMessage::new(new_message_id(), now(), body, &secret())
}

/// The body of an event.
pub(crate) fn event(event_type: &str, data: Value) -> Vec<u8> {
    json!({ "type": event_type, "created_at": "2026-11-20T09:00:00.000Z", "data": data }).to_string().into_bytes()
}

/// A complaint of one recipient, about one email.
pub(crate) fn complaint(recipient: &str, email_id: &str) -> Vec<u8> {
    event("email.complained", json!({ "email_id": email_id, "to": [recipient] }))
}

impl ReceiveHarness {
    pub(crate) async fn start() -> Self {
        Self::start_with(&LocalAwsOptions::in_memory()).await
    }

    pub(crate) async fn start_with(options: &LocalAwsOptions) -> Self {
        let aws = EmbeddedAws::start(options, |_| None).await.unwrap();
        let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let proxy =
            FaultProxy::start(upstream, any_port(), faults::Service::DynamoDb, Faults::default()).await.unwrap();
        let through_proxy = |name: &str| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(proxy.url()),
            _ => aws.variable(name),
        };
        let receiver = Arc::new(Receiver::from_environment(through_proxy).await.unwrap());
        proxy.plan(|_| None); // the warm-up call is not counted
        let server = function_url::serve(
            any_port(),
            receive_invoker(Arc::clone(&receiver), Clock::new(1.0), Duration::from_secs(10)),
        )
        .await
        .unwrap();
        Self { aws, proxy, receiver, server, client: rebound::web::client_for("http:") }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Posts a webhook over HTTP, as Svix does. Returns the status and the body.
    pub(crate) async fn post(&self, message: &SignedMessage) -> (u16, Value) {
        let (status, answer, _) = self.request("POST", "/", message).await;
        (status, answer)
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        message: &SignedMessage,
    ) -> (u16, Value, reqwest::header::HeaderMap) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = message.request(&self.client, method, &format!("{}{path}", self.url()));
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(), headers)
    }

    /// Passes a webhook to the function in this task, without HTTP, and with as much time as a busy machine needs.
    /// Returns the status and the body.
    pub(crate) async fn invoke(&self, message: &SignedMessage) -> (u16, Value) {
        hand_over(&self.receiver, message, Duration::from_secs(60)).await
    }

    /// Posts a webhook and requires that it is accepted with this status.
    pub(crate) async fn accepts(&self, message: &SignedMessage, status: &str) {
        assert_eq!(self.post(message).await, (200, json!({ "status": status, "id": message.id })));
    }

    async fn scan(&self, table: &str) -> Vec<Item> {
        let dynamodb = self.aws.clients().dynamodb();
        let table = self.aws.variable(table).unwrap();
        dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Every row of the events table.
    pub(crate) async fn rows(&self) -> Vec<Item> {
        self.scan("EVENTS_TABLE").await
    }

    /// Every item of the suppressions table, by recipient.
    pub(crate) async fn suppressions(&self) -> BTreeMap<String, Item> {
        let items = self.scan("SUPPRESSIONS_TABLE").await;
        items.into_iter().map(|item| (item["recipient"].as_s().unwrap().clone(), item)).collect()
    }

    /// The active reasons, by recipient.
    pub(crate) async fn reasons(&self) -> BTreeMap<String, Vec<&'static str>> {
        let reasons =
            |item| SuppressionItem::from_item(item).suppression.reasons().map(|reason| reason.as_str()).collect();
        self.suppressions().await.into_iter().map(|(recipient, item)| (recipient, reasons(item))).collect()
    }
}

/// Passes a webhook to a function, as Lambda's event, with this time budget for storing. Returns the status and the
/// body.
pub(crate) async fn hand_over(receiver: &Receiver, message: &SignedMessage, budget: Duration) -> (u16, Value) {
    let event = function_url::event("POST", "/", &message.headers, &message.body).to_string();
    let request = serde_json::from_str::<Envelope>(&event).unwrap().into_request();
    let response = receiver.receive(&request, UnixMillis::now(), Instant::now() + budget).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

/// The result of `reasons` if exactly these are active.
pub(crate) fn active_reasons(expected: &[(&str, &[&'static str])]) -> BTreeMap<String, Vec<&'static str>> {
    expected.iter().map(|(recipient, reasons)| ((*recipient).to_owned(), reasons.to_vec())).collect()
}

/// Waits until `condition` holds, for at most ten seconds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..1_200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within a minute");
}

/// A line of a function's log, in the form that Lambda needs to find its level
/// (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>).
pub(crate) fn log_line(line: &str) -> Value {
    /// The names of an object's fields.
    struct Names(Vec<String>);

    impl<'de> serde::Deserialize<'de> for Names {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visitor;

            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Names;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                    let mut names = Vec::new();
                    while let Some((name, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                        names.push(name);
                    }
                    Ok(Names(names))
                }
            }

            from.deserialize_map(Visitor)
        }
    }

    let Names(names) = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a field is repeated: {line}");
    let read: Value = serde_json::from_str(line).unwrap();
    let at = read["timestamp"].as_str().unwrap_or_else(|| panic!("no timestamp: {line}"));
    assert!(at.len() == "2026-11-23T13:30:00.000Z".len() && at.ends_with('Z'), "{line}");
    assert!(UnixMillis::parse(at).is_some(), "{line}");
    assert!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&read["level"].as_str().unwrap()), "{line}");
    read
}

/// The log of a function while a future runs, each line in Lambda's form.
pub(crate) async fn logged<T>(future: impl Future<Output = T>) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    // With one dispatcher alone, tracing asks the thread that comes to a line first, which may be another test's, if
    // anybody wants the line.
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
    LazyLock::force(&SECOND);

    let lines = Lines::default();
    let writer = lines.clone();
    let variable = |name: &str| (name == "AWS_LAMBDA_LOG_FORMAT").then(|| "JSON".to_owned());
    future.with_subscriber(rebound::logging::dispatch(variable, move || writer.clone())).await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    log.lines().for_each(|line| _ = log_line(line));
    log
}

/// A command without this shell's environment variables.
pub(crate) fn program(path: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(path);
    command.env_clear().kill_on_drop(true).stdin(std::process::Stdio::null());
    command
}
