//! A stage for `engage`, on the embedded AWS, with a Claude stub.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use rebound::aws::queue::{EngageMessage, QueueMessage};
use rebound::aws::stream::BatchResponse;
use rebound::engage::Engager;
use rebound::message::decision::Receipt;
use rebound::receive::Receiver;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::row::payload_text;
use rebound::time::UnixMillis;
use rebound_dev::claude::ClaudeStub;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::protect::{HOUR, NOW, after, receive};
use super::{any_port, schemas, secret};

/// A user agent of people.
pub(crate) const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                                Version/18.5 Mobile/15E148 Safari/604.1";

/// The only link in the tests' emails.
pub(crate) const LINK: &str = "https://shop.example/tulips?utm_source=mail&to=ann@example.com";

/// An email to one recipient, of campaign `spring`, created two hours ago and delivered a second later.
#[derive(Clone)]
pub(crate) struct StagedEmail {
    pub(crate) email_id: String,
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) tags: Value,
    pub(crate) created_at: UnixMillis,
}

impl StagedEmail {
    pub(crate) fn to(email_id: &str, to: &str) -> Self {
        Self {
            email_id: email_id.to_owned(),
            to: vec![to.to_owned()],
            subject: "Bulbs to plant before the frost".to_owned(),
            tags: json!({ "campaign": "spring" }),
            created_at: after(-2 * HOUR),
        }
    }

    pub(crate) fn event(&self, message: &str, event_type: &str, at: UnixMillis, more: &Value) -> SignedMessage {
        let mut data = json!({
            "email_id": self.email_id,
            "created_at": self.created_at.to_text(),
            "from": "Northwind Garden <news@shop.example>",
            "to": self.to,
            "subject": self.subject,
            "tags": self.tags,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        let body = json!({ "type": event_type, "created_at": at.to_text(), "data": data }).to_string();
        SignedMessage::new(message, NOW.seconds(), body, &secret())
    }

    pub(crate) fn delivered(&self) -> SignedMessage {
        let at = self.created_at.plus(Duration::from_secs(1));
        self.event(&format!("{}-delivered", self.email_id), "email.delivered", at, &Value::Null)
    }

    pub(crate) fn clicked(&self, message: &str, at: UnixMillis) -> SignedMessage {
        self.clicked_by(message, at, PHONE, LINK)
    }

    pub(crate) fn clicked_by(&self, message: &str, at: UnixMillis, agent: &str, link: &str) -> SignedMessage {
        let click = json!({ "ipAddress": "203.0.113.24", "link": link, "timestamp": at.to_text(), "userAgent": agent });
        self.event(message, "email.clicked", at, &json!({ "click": click }))
    }

    pub(crate) fn opened_by(&self, message: &str, at: UnixMillis, agent: &str) -> SignedMessage {
        let open = json!({ "ipAddress": "203.0.113.24", "timestamp": at.to_text(), "userAgent": agent });
        self.event(message, "email.opened", at, &json!({ "open": open }))
    }
}

pub(crate) struct EngageHarness {
    pub(crate) aws: EmbeddedAws,
    pub(crate) claude: ClaudeStub,
    /// One fault plan for DynamoDB, SNS, SQS and Claude.
    pub(crate) faults: Faults,
    _proxies: [FaultProxy; 4],
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) engager: Arc<Engager>,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
}

impl EngageHarness {
    /// Starts with an API key for Claude.
    pub(crate) async fn start() -> Self {
        Self::with(&[("ANTHROPIC_API_KEY", "sk-ant-test")]).await
    }

    /// Starts with these variables, and those of the embedded AWS.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let options = LocalAwsOptions { settle: Duration::ZERO, ..LocalAwsOptions::in_memory() };
        let aws = EmbeddedAws::start(&options, |_| None).await.unwrap();
        let claude = ClaudeStub::start(any_port()).await.unwrap();
        let faults = Faults::default();
        let before =
            async |url: String, service| FaultProxy::start(url, any_port(), service, faults.clone()).await.unwrap();
        let at = |variable: &str| aws.variable(variable).unwrap();
        let proxies = [
            before(at("AWS_ENDPOINT_URL_DYNAMODB"), Service::DynamoDb).await,
            before(at("AWS_ENDPOINT_URL_SNS"), Service::Sns).await,
            before(at("AWS_ENDPOINT_URL_SQS"), Service::Sqs).await,
            before(claude.url(), Service::Http).await,
        ];
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(proxies[0].url()),
            "AWS_ENDPOINT_URL_SNS" => Some(proxies[1].url()),
            "AWS_ENDPOINT_URL_SQS" => Some(proxies[2].url()),
            "ANTHROPIC_BASE_URL" => Some(proxies[3].url()),
            _ => {
                let set = variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
                set.or_else(|| aws.variable(name))
            }
        };
        let receiver = Arc::new(Receiver::from_environment(variable).await.unwrap());
        let engager = Arc::new(Engager::from_environment(variable).unwrap());
        faults.plan(|_| None);
        let dynamodb = aws.clients().dynamodb();
        Self { aws, claude, faults, _proxies: proxies, receiver, engager, dynamodb }
    }

    /// Stores these events, as `receive` does.
    pub(crate) async fn receives(&self, messages: &[SignedMessage]) {
        for message in messages {
            assert_eq!(receive(&self.receiver, message, NOW).await, 200, "{}", message.id);
        }
    }

    /// Stores these events, delivers the opens and clicks in one batch, and requires that all of them are done.
    pub(crate) async fn happens(&self, messages: &[SignedMessage]) {
        self.receives(messages).await;
        let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        let answer = self.delivers(&self.deliveries(&ids, 1).await, NOW).await;
        assert_eq!(answer, BatchResponse::default());
    }

    /// The queue messages of these events that are opens or clicks.
    pub(crate) async fn deliveries(&self, ids: &[&str], deliveries: u32) -> Vec<QueueMessage> {
        let rows = self.rows().await;
        let delivery = |id: &&str| {
            let row = rows.iter().find(|row| {
                let event = row["event"].as_s().unwrap();
                ["email.opened#", "email.clicked#"].iter().any(|kind| *event == format!("{kind}{id}"))
            })?;
            let (email_id, event) = (row["email_id"].as_s().unwrap().clone(), row["event"].as_s().unwrap().clone());
            Some(QueueMessage {
                message_id: format!("sqs-{id}"),
                receipt_handle: format!("handle-{id}"),
                body: serde_json::to_string(&EngageMessage { email_id, event }).unwrap(),
                deliveries,
            })
        };
        ids.iter().filter_map(delivery).collect()
    }

    pub(crate) async fn delivers(&self, deliveries: &[QueueMessage], now: UnixMillis) -> BatchResponse {
        self.engager.batch(deliveries, now, Instant::now() + Duration::from_secs(110)).await
    }

    pub(crate) async fn scan(&self, table: &str) -> Vec<Item> {
        let table = self.aws.variable(table).unwrap();
        self.dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Every row of the events table.
    pub(crate) async fn rows(&self) -> Vec<Item> {
        self.scan("EVENTS_TABLE").await
    }

    /// Every stored decision, by its sort key and email.
    pub(crate) async fn receipts(&self) -> BTreeMap<String, Receipt> {
        let rows = self.rows().await;
        let decided = rows.iter().filter(|row| row.contains_key("decided_at"));
        let read = |row: &Item| {
            let key = format!("{} {}", row["email_id"].as_s().unwrap(), row["event"].as_s().unwrap());
            (key, serde_json::from_str(&payload_text(row)).unwrap())
        };
        decided.map(read).collect()
    }

    /// The only decision.
    pub(crate) async fn receipt(&self) -> Receipt {
        let receipts = self.receipts().await;
        assert_eq!(receipts.len(), 1, "{receipts:#?}");
        receipts.into_values().next().unwrap()
    }

    /// The verdict on an event, and the reason why no decision is made.
    pub(crate) async fn verdict(&self, message: &str) -> Option<(String, Option<String>)> {
        let rows = self.rows().await;
        let row = rows.iter().find(|row| {
            let event = row["event"].as_s().unwrap();
            event.starts_with("verdict#") && event.ends_with(&format!("#{message}"))
        })?;
        let why = row.get("not_decided").map(|why| why.as_s().unwrap().clone());
        Some((row["verdict"].as_s().unwrap().clone(), why))
    }

    /// All published decisions as JSON, with repetitions.
    pub(crate) fn published(&self) -> Vec<Value> {
        let messages = self.aws.sns.as_ref().unwrap().messages();
        messages.iter().map(|message| schemas::published(&schemas::DECISION, message)).collect()
    }
}

/// Stores a suppression of the recipient.
pub(crate) async fn suppress(stage: &EngageHarness, recipient: &str) {
    let mail = StagedEmail::to("another-mail", recipient);
    let complaint = mail.event(&format!("complaint-{recipient}"), "email.complained", after(-HOUR), &Value::Null);
    stage.receives(&[complaint]).await;
}
