//! A stage for `protect`, on the embedded AWS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use aws_local::function_url;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rebound::aws::edge::Envelope;
use rebound::aws::stream::{BatchResponse, Invocation};
use rebound::message::alert::Alert;
use rebound::protect::{Protector, TickReport};
use rebound::receive::Receiver;
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::suppressions::SuppressionItem;
use rebound::time::UnixMillis;
use rebound_dev::stack::{ENGAGE_QUEUE, EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{any_port, schemas, secret};

/// The current time of the tests: 2026-11-23T13:30:00Z.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_440_600_000);

pub(crate) const MINUTE: i64 = 60 * 1000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The time this many milliseconds after [`NOW`].
pub(crate) fn after(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// An event of an email that was created an hour ago, with the webhook's id.
pub(crate) fn mail(id: &str, event_type: &str, email_id: &str, to: &str, at: UnixMillis, more: Value) -> SignedMessage {
    let mut data = json!({ "email_id": email_id, "created_at": after(-HOUR).to_text(), "to": [to] });
    for (name, value) in more.as_object().unwrap() {
        data[name] = value.clone();
    }
    let body = json!({ "type": event_type, "created_at": at.to_text(), "data": data }).to_string();
    SignedMessage::new(id, NOW.seconds(), body, &secret())
}

/// Tags with a campaign.
pub(crate) fn of(campaign: &str) -> Value {
    json!({ "tags": { "campaign": campaign } })
}

pub(crate) struct ProtectHarness {
    pub(crate) aws: EmbeddedAws,
    /// One fault plan for DynamoDB, SNS and SQS.
    pub(crate) faults: Faults,
    _proxies: [FaultProxy; 3],
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) protector: Arc<Protector>,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl ProtectHarness {
    pub(crate) async fn start() -> Self {
        Self::with_policy("").await
    }

    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::with(&[("POLICY", policy)]).await
    }

    /// The same, with these variables.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let faults = Faults::default();
        let before = async |variable: &str, service| {
            FaultProxy::start(aws.variable(variable).unwrap(), any_port(), service, faults.clone()).await.unwrap()
        };
        let proxies = [
            before("AWS_ENDPOINT_URL_DYNAMODB", Service::DynamoDb).await,
            before("AWS_ENDPOINT_URL_SNS", Service::Sns).await,
            before("AWS_ENDPOINT_URL_SQS", Service::Sqs).await,
        ];
        let variable = |name: &str| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(proxies[0].url()),
            "AWS_ENDPOINT_URL_SNS" => Some(proxies[1].url()),
            "AWS_ENDPOINT_URL_SQS" => Some(proxies[2].url()),
            _ => match variables.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => Some((*value).to_owned()),
                None => aws.variable(name),
            },
        };
        let receiver = Arc::new(Receiver::from_environment(variable).await.unwrap());
        let protector = Arc::new(Protector::from_environment(variable).unwrap());
        faults.plan(|_| None);
        let dynamodb = aws.clients().dynamodb();
        Self { aws, faults, _proxies: proxies, receiver, protector, dynamodb }
    }

    /// Passes a webhook to `receive` at this time. Returns the status.
    pub(crate) async fn receive_at(&self, message: &SignedMessage, now: UnixMillis) -> u16 {
        receive(&self.receiver, message, now).await
    }

    /// Receives all of these, and delivers them in one batch.
    pub(crate) async fn happens(&self, messages: &[SignedMessage]) {
        self.happens_at(messages, NOW).await;
    }

    pub(crate) async fn happens_at(&self, messages: &[SignedMessage], now: UnixMillis) {
        let before = self.records().await;
        for message in messages {
            assert_eq!(self.receive_at(message, NOW).await, 200);
        }
        let new: Vec<Value> = self.records().await.into_iter().filter(|record| !before.contains(record)).collect();
        assert_eq!(self.deliver(&new, now).await, BatchResponse::default());
    }

    /// Receives a webhook at this time.
    pub(crate) async fn stores(&self, message: &SignedMessage, at: UnixMillis) {
        let signed = SignedMessage::new(message.id.clone(), at.seconds(), message.body.clone(), &secret());
        assert_eq!(self.receive_at(&signed, at).await, 200);
    }

    /// Receives a webhook at the time at which it happened, and delivers it then.
    pub(crate) async fn comes(&self, message: &SignedMessage, at: UnixMillis) {
        let before = self.records().await;
        self.stores(message, at).await;
        let new: Vec<Value> = self.records().await.into_iter().filter(|record| !before.contains(record)).collect();
        assert_eq!(self.deliver(&new, at).await, BatchResponse::default());
    }

    /// Deletes the items that DynamoDB's TTL would have deleted by then.
    pub(crate) async fn expire(&self, now: UnixMillis) {
        for table in rebound::store::tables::TABLES {
            for item in self.scan(table.variable).await {
                let expires_at = item.get("expires_at").map(|value| value.as_n().unwrap().parse::<i64>().unwrap());
                if expires_at.is_some_and(|seconds| seconds < now.seconds()) {
                    let key = table.keys().map(|name| (name.to_owned(), item[name].clone())).collect();
                    let delete = self.dynamodb.delete_item().table_name(self.aws.variable(table.variable).unwrap());
                    delete.set_key(Some(key)).send().await.unwrap();
                }
            }
        }
    }

    /// The records of all stored events, in any order.
    pub(crate) async fn records(&self) -> Vec<Value> {
        let rows = self.scan("EVENTS_TABLE").await;
        let is_event = |row: &&Item| ["event", "quarantine"].contains(&row["kind"].as_s().unwrap().as_str());
        rows.iter().filter(is_event).map(record).collect()
    }

    pub(crate) async fn deliver(&self, records: &[Value], now: UnixMillis) -> BatchResponse {
        deliver(&self.protector, records, now).await
    }

    pub(crate) async fn tick(&self, now: UnixMillis) -> TickReport {
        let report = self.protector.tick(now, soon()).await;
        assert_eq!(report.errors, [], "at {}", now.to_text());
        report
    }

    pub(crate) async fn scan(&self, table: &str) -> Vec<Item> {
        let table = self.aws.variable(table).unwrap();
        self.dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// Every published alert as programs get it, in order, with repetitions.
    pub(crate) fn published(&self) -> Vec<Value> {
        let messages = self.aws.sns.as_ref().unwrap().messages();
        messages.iter().map(|message| schemas::published(&schemas::ALERT, message)).collect()
    }

    /// Every published alert, in order, with repetitions.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.published().into_iter().map(|alert| serde_json::from_value(alert).unwrap()).collect()
    }

    /// Number of published alerts by kind.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for alert in self.alerts() {
            *kinds.entry(alert.kind.as_str()).or_default() += 1;
        }
        kinds
    }

    /// The events sent to `engage`.
    pub(crate) fn engagements(&self) -> Vec<String> {
        self.aws.sqs.as_ref().unwrap().messages(ENGAGE_QUEUE)
    }

    /// The counters of each cohort, and its late sums, as `campaign/cohort/counter`.
    pub(crate) async fn counters(&self) -> BTreeMap<String, i64> {
        let mut counters = BTreeMap::new();
        for item in self.scan("CAMPAIGNS_TABLE").await {
            let (campaign, cohort) = (item["campaign"].as_s().unwrap(), item["cohort"].as_s().unwrap());
            if !cohort.starts_with("20") && !cohort.starts_with("late#") {
                continue;
            }
            for (name, value) in &item {
                if let (AttributeValue::N(number), false) = (value, name == "expires_at") {
                    let number: i64 = number.parse().unwrap();
                    counters.extend((number != 0).then(|| (format!("{campaign}/{cohort}/{name}"), number)));
                }
            }
        }
        counters
    }

    /// Each campaign's brake: status, volume, reason, until, warning.
    pub(crate) async fn brakes(&self) -> BTreeMap<String, Vec<String>> {
        let items = self.scan("CAMPAIGNS_TABLE").await;
        let states = items.iter().filter(|item| item["cohort"].as_s().unwrap() == "state");
        let shown = |item: &Item, name: &str| match item.get(name) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
            _ => "-".to_owned(),
        };
        let brake =
            |item: &Item| ["status", "volume", "reason", "until", "warning"].map(|name| shown(item, name)).to_vec();
        states.map(|item| (item["campaign"].as_s().unwrap().clone(), brake(item))).collect()
    }

    /// The status of a campaign, with its volume.
    pub(crate) async fn brake(&self, campaign: &str) -> (String, f64) {
        let brakes = self.brakes().await;
        (brakes[campaign][0].clone(), brakes[campaign][1].parse().unwrap())
    }

    /// The suppression item of each recipient.
    pub(crate) async fn suppressions(&self) -> BTreeMap<String, Item> {
        let mut suppressions = BTreeMap::new();
        for mut item in self.scan("SUPPRESSIONS_TABLE").await {
            item.remove("version");
            suppressions.insert(item["recipient"].as_s().unwrap().clone(), item);
        }
        suppressions
    }

    pub(crate) async fn reasons(&self) -> BTreeMap<String, Vec<&'static str>> {
        let reasons =
            |item| SuppressionItem::from_item(item).suppression.reasons().map(|reason| reason.as_str()).collect();
        self.suppressions().await.into_iter().map(|(recipient, item)| (recipient, reasons(item))).collect()
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) async fn receive(receiver: &Receiver, message: &SignedMessage, now: UnixMillis) -> u16 {
    let event = function_url::event("POST", "/", &message.headers, &message.body).to_string();
    let request = serde_json::from_str::<Envelope>(&event).unwrap().into_request();
    receiver.receive(&request, now, soon()).await.status().as_u16()
}

pub(crate) async fn deliver(protector: &Protector, records: &[Value], now: UnixMillis) -> BatchResponse {
    let Ok(Invocation::Records(records)) = Invocation::read(json!({ "Records": records })) else { panic!("a batch") };
    protector.records(&records, now, soon()).await
}

/// A row as a stream record in Lambda's format.
pub(crate) fn record(row: &Item) -> Value {
    let attribute = |value: &AttributeValue| match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes.as_ref()) }),
        other => panic!("{other:?} in an event's row"),
    };
    let image: BTreeMap<&String, Value> = row.iter().map(|(name, value)| (name, attribute(value))).collect();
    let keys = json!({ "email_id": image[&"email_id".to_owned()], "event": image[&"event".to_owned()] });
    let sequence = format!("{}/{}", row["email_id"].as_s().unwrap(), row["event"].as_s().unwrap());
    json!({ "eventName": "INSERT", "dynamodb": { "Keys": keys, "NewImage": image, "SequenceNumber": sequence } })
}

/// The webhook id of a record.
pub(crate) fn message_of(record: &Value) -> String {
    record["dynamodb"]["Keys"]["event"]["S"].as_str().unwrap().rsplit('#').next().unwrap().to_owned()
}

/// The sequence numbers in the response.
pub(crate) fn again(answer: &BatchResponse) -> Vec<&str> {
    answer.failures.iter().map(|failure| failure.id.as_str()).collect()
}

/// A contact in its state this many milliseconds after [`NOW`].
pub(crate) fn contact(who: &str, at: i64, unsubscribed: bool) -> SignedMessage {
    let data = json!({ "id": format!("c-{who}"), "email": format!("{who}@example.com"), "unsubscribed": unsubscribed });
    signed(&format!("m-{who}{at}"), "contact.updated", at, &data)
}

pub(crate) fn listed(who: &str, at: i64, event_type: &str) -> SignedMessage {
    let data = json!({ "id": format!("s-{who}"), "email": format!("{who}@example.com"), "origin": "bounce" });
    signed(&format!("m-{who}{at}"), event_type, at, &data)
}

/// A webhook whose event happened this many milliseconds after [`NOW`].
pub(crate) fn signed(id: &str, event_type: &str, at: i64, data: &Value) -> SignedMessage {
    let body = json!({ "type": event_type, "created_at": after(at).to_text(), "data": data });
    SignedMessage::new(id, NOW.seconds(), body.to_string(), &secret())
}
