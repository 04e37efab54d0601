//! One list of cases for every reader: the command's check, and the page's code in three languages.

use std::collections::BTreeMap;

use aws_local::faults::{FaultProxy, Faults, Service};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound::store::suppressions::{EmailKind, lookup_keys};
use rebound::store::{Item, recipient_key, string};
use rebound::time::UnixMillis;
use rebound_cli::operate::check::check;
use serde::Deserialize;
use serde_json::{Value, json};

use super::programs::Code;
use super::{ask_may, of_aws, programs, put};
use crate::operate::Dev;
use crate::support::any_port;

const CASES: &str = include_str!("../../../../../../tests/reader_cases.json");

/// A case: the table has these items and no others.
#[derive(Clone, Debug, Deserialize)]
struct Case {
    name: String,
    items: Vec<Value>,
    now: i64,
    address: String,
    transactional: bool,
    topic: Option<String>,
    may: bool,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(CASES).unwrap()
}

/// Reads a value of DynamoDB's JSON.
fn value(json: &Value) -> AttributeValue {
    let (name, value) = json.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match name.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "B" => AttributeValue::B(Blob::new(STANDARD.decode(text()).unwrap())),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "SS" => AttributeValue::Ss(serde_json::from_value(value.clone()).unwrap()),
        "M" => AttributeValue::M(item(value)),
        other => panic!("a value of the type {other}"),
    }
}

fn item(json: &Value) -> Item {
    json.as_object().unwrap().iter().map(|(name, inner)| (name.clone(), value(inner))).collect()
}

/// Cases that one table can hold: none of them has an item that another one looks for and must not find.
#[derive(Default)]
struct Batch {
    table: BTreeMap<String, Option<Item>>,
    cases: Vec<Case>,
}

impl Batch {
    /// Adds a case, if it fits.
    fn add(&mut self, case: &Case) -> bool {
        let items: Vec<Item> = case.items.iter().map(item).collect();
        let key = items.iter().find(|item| string(item, "recipient") == KEY_ITEM).and_then(ErasureKey::from_item);
        let looked_for = Recipient::parse(&case.address).map(|recipient| lookup_keys(&recipient, key.as_ref()));
        let looked_for = looked_for.into_iter().flatten().chain([KEY_ITEM.to_owned()]);
        let mut wanted: BTreeMap<String, Option<Item>> = looked_for.map(|name| (name, None)).collect();
        wanted.extend(items.into_iter().map(|item| (string(&item, "recipient").to_owned(), Some(item))));
        let fits = wanted.iter().all(|(name, item)| self.table.get(name).is_none_or(|known| known == item));
        if fits {
            self.table.extend(wanted);
            self.cases.push(case.clone());
        }
        fits
    }

    /// Makes the table hold the items of these cases, and no others.
    async fn store(&self, dev: &Dev) {
        let dynamodb = dev.place().await.aws().dynamodb();
        let scanned = dynamodb.scan().table_name("rebound-suppressions").send().await.unwrap();
        for old in scanned.items.unwrap_or_default() {
            let delete = dynamodb.delete_item().table_name("rebound-suppressions");
            delete.set_key(Some(recipient_key(string(&old, "recipient")))).send().await.unwrap();
        }
        for (name, item) in &self.table {
            if let Some(item) = item {
                put(dev, name, item.clone()).await;
            }
        }
    }

    fn questions(&self) -> Vec<Value> {
        let question = |case: &Case| json!({ "address": case.address, "transactional": case.transactional, "topic": case.topic, "now": case.now });
        self.cases.iter().map(question).collect()
    }
}

fn batches() -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for case in cases() {
        if !batches.iter_mut().any(|batch| batch.add(&case)) {
            let mut batch = Batch::default();
            assert!(batch.add(&case), "{}: it has two items of one name", case.name);
            batches.push(batch);
        }
    }
    batches
}

#[tokio::test]
async fn every_reader_answers_every_case_alike() {
    let dev = Dev::start().await;
    let calls = dev.place().await.calls(std::time::Duration::from_secs(600));
    let (short, whole) = (programs(Code::Page).await, programs(Code::PageWithFile).await);
    let mut answered = 0;
    for batch in batches() {
        batch.store(&dev).await;
        for case in &batch.cases {
            let email = EmailKind { transactional: case.transactional, topic: case.topic.as_deref() };
            let recipient = Recipient::parse(&case.address);
            let asked = [recipient.as_ref()];
            let answers = check(&calls, "rebound-suppressions", &asked, email, UnixMillis(case.now), |_| {}).await;
            assert_eq!(answers.unwrap()[0].may_send(), case.may, "the command: {}", case.name);
        }
        let addresses: Vec<&str> = batch.cases.iter().map(|case| case.address.as_str()).collect();
        for (language, program) in &short {
            // The short form refuses what only the whole rule reads.
            let keys = program.answers("spell", &of_aws(&dev), &json!(addresses).to_string()).await;
            let answers = ask_may(&dev, program, &batch.questions()).await;
            for ((case, key), may) in batch.cases.iter().zip(keys).zip(answers) {
                assert_eq!(may, case.may && key.is_string(), "{language}: {}", case.name);
            }
        }
        for (language, program) in &whole {
            let answers = ask_may(&dev, program, &batch.questions()).await;
            for (case, may) in batch.cases.iter().zip(answers) {
                assert_eq!(may, case.may, "{language} with the file: {}", case.name);
            }
        }
        answered += batch.cases.len();
    }
    assert_eq!(answered, cases().len());
    let languages: Vec<&str> = short.iter().chain(&whole).map(|(language, _)| *language).collect();
    println!("{answered} cases: the command, {}", languages.join(", "));
}

/// Does what `forget` does with somebody who complained: the key, the hash, and then the item goes.
async fn forget(dynamodb: &aws_sdk_dynamodb::Client, recipient: &Recipient) {
    let key = ErasureKey::new([7; 32]).unwrap();
    let put = |name: &str| {
        dynamodb.put_item().table_name("rebound-suppressions").item("recipient", AttributeValue::S(name.to_owned()))
    };
    put(KEY_ITEM).item("key", AttributeValue::B(Blob::new(key.bytes()))).send().await.unwrap();
    let reasons = AttributeValue::Ss(vec!["forgotten".to_owned()]);
    put(&key.name_of(recipient)).item("reasons", reasons).send().await.unwrap();
    let delete = dynamodb.delete_item().table_name("rebound-suppressions");
    delete.set_key(Some(recipient_key(recipient.as_str()))).send().await.unwrap();
}

#[tokio::test]
async fn a_reader_says_no_while_somebody_is_being_forgotten() {
    let zoe = Recipient::parse("zoe@example.com").unwrap();
    for (language, program) in programs(Code::Page).await {
        let dev = Dev::start().await;
        put(&dev, zoe.as_str(), item(&json!({ "reasons": { "SS": ["complaint"] } }))).await;
        let mut variables = of_aws(&dev);
        let endpoint = variables.iter_mut().find(|(name, _)| name == "AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let proxy =
            FaultProxy::start(endpoint.1.clone(), any_port(), Service::DynamoDb, Faults::default()).await.unwrap();
        endpoint.1 = proxy.url();
        let (dynamodb, who) = (dev.place().await.aws().dynamodb(), zoe.clone());
        // Before its second call is answered. Whoever reads the item of the address after that one misses both.
        proxy.before(1, async move { forget(&dynamodb, &who).await });
        let questions = json!([{ "address": zoe }]).to_string();
        assert_eq!(program.answers("may", &variables, &questions).await, [false], "{language}");
        assert!(proxy.calls().len() >= 2, "{language}: it read the key");
    }
}
