//! Stream records: the input is Lambda's event of the events table's stream, as JSON.
//!
//! Input without `Records` is the body of a stored webhook: its row arrives from the stream, as DynamoDB writes it.

use std::convert::Infallible;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rebound::aws::queue::Queue;
use rebound::aws::stream::{BatchResponse, Invocation, StreamRecord};
use rebound::aws::tables::TableNames;
use rebound::aws::topic::Topic;
use rebound::config::ProtectConfig;
use rebound::policy::limits::Policy;
use rebound::protect::Protector;
use rebound::resend::campaign::CampaignTags;
use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::store::Item;
use rebound::store::row::{Row, RowMeta, payload};
use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::NOW;
use super::aws::{Aws, AwsBehaviour, block_on};

/// Maximum number of records that are processed. More are only parsed: they would do the same.
const MAX_RECORDS: usize = 8;

/// The tables, with the names of their keys.
const TABLES: [(&str, &str, &str); 5] = [
    ("events", "email_id", "event"),
    ("suppressions", "recipient", "no sort key"),
    ("campaigns", "campaign", "cohort"),
    ("recipients", "recipient", "fact"),
    ("agenda", "kind", "due"),
];

struct Scene {
    aws: Aws,
    protector: Protector,
}

/// Every record of a batch is parsed, and, if AWS succeeds, is done: an unreadable one blocks no other. If AWS fails,
/// the records to deliver again are some of the batch, in its order.
pub fn run(bytes: &[u8]) {
    thread_local! {
        static SCENE: Scene = scene();
    }
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    let batch = json.filter(|json| json.get("Records").is_some_and(Value::is_array));
    let is_our_own = batch.is_none();
    if let Ok(other) = serde_json::from_slice::<Value>(bytes)
        && is_our_own
    {
        let is_tick = matches!(Invocation::read(other.clone()), Ok(Invocation::Tick));
        let source = other.get("source").and_then(Value::as_str);
        let says_so = other["tick"] == json!(true) || matches!(source, Some("aws.events" | "aws.scheduler"));
        assert_eq!(is_tick, says_so);
    }
    let batch = batch.unwrap_or_else(|| json!({ "Records": [streamed(&row(bytes), "7")] }));
    let numbers = sequence_numbers(&batch);
    let Ok(Invocation::Records(records)) = Invocation::read(batch) else { panic!("a batch is one") };
    let read: Vec<&str> = records.iter().map(|record| record.sequence_number.as_str()).collect();
    assert_eq!(read, numbers, "each record is there, and called what it is called");
    if is_our_own {
        assert_eq!(records[0].row, *row(bytes).item(), "what was stored is what comes");
        assert!(payload(&records[0].row).is_some());
    }
    if records.len() <= MAX_RECORDS {
        SCENE.with(|scene| is_answered(scene, &records, &numbers, AwsBehaviour::met_by(bytes)));
    }
}

fn is_answered(scene: &Scene, records: &[StreamRecord], numbers: &[String], mood: AwsBehaviour) {
    scene.aws.begin(mood);
    let deadline = Instant::now() + Duration::from_secs(55);
    let answer = block_on(scene.protector.records(records, UnixMillis(NOW), deadline));
    let mut left = numbers.iter();
    for failure in &answer.failures {
        assert!(left.any(|number| *number == failure.id), "{} is none of the batch's, or out of order", failure.id);
    }
    let reported: BatchResponse = serde_json::to_value(&answer).and_then(serde_json::from_value).expect("it is JSON");
    assert_eq!(reported, answer);
    assert!(mood != AwsBehaviour::Obliging || answer.failures.is_empty(), "nothing is in the way: {answer:?}");
    for (name, call) in scene.aws.calls() {
        keys_can_be_stored(&name, &call);
    }
}

/// DynamoDB accepts the lengths of the keys that a call writes to
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>).
fn keys_can_be_stored(name: &str, call: &Value) {
    let transacted = call["TransactItems"].as_array().into_iter().flatten();
    let parts = transacted.flat_map(|part| part.as_object().into_iter().flat_map(Map::values)).chain([call]);
    for part in parts {
        let Some((_, partition, sort)) = TABLES.iter().find(|(table, ..)| part["TableName"] == *table) else {
            continue;
        };
        for (attribute, most) in [(partition, 2048), (sort, 1024)] {
            for item in [&part["Key"], &part["Item"]] {
                let Some(key) = item[attribute]["S"].as_str() else { continue };
                assert!((1..=most).contains(&key.len()), "{name}: the key {attribute} of {} bytes", key.len());
            }
        }
    }
}

fn scene() -> Scene {
    let aws = Aws::new();
    let name = |variable: &str| variable.trim_end_matches("_TABLE").to_lowercase();
    let Ok(tables) = TableNames::read(|variable| Ok::<_, Infallible>(name(variable)));
    let config = ProtectConfig {
        tables,
        alerts_topic: "arn:aws:sns:eu-west-1:000000000000:alerts".to_owned(),
        engage_queue: "https://sqs.eu-west-1.amazonaws.com/000000000000/engage".to_owned(),
        campaign_tags: CampaignTags::new(None),
        policy: Policy::default(),
        stack: None,
    };
    let topic = Topic::new(aws.sns.clone(), &config.alerts_topic);
    let queue = Queue::new(aws.sqs.clone(), &config.engage_queue);
    let protector = Protector::new(aws.dynamodb.clone(), topic, queue, config);
    Scene { aws, protector }
}

/// The sequence number of each record, empty if it has none.
fn sequence_numbers(batch: &Value) -> Vec<String> {
    let number = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned();
    batch["Records"].as_array().expect("a batch").iter().map(number).collect()
}

/// The row of a webhook with this body.
fn row(body: &[u8]) -> Row {
    let message = MessageId::from_verified("msg_1");
    let stamp = RowMeta { received_at: UnixMillis(NOW - 1_000), retention_days: 90 };
    let event = Event::read(body).ok().and_then(|event| Row::event(&event, &message, body, stamp).ok());
    event.unwrap_or_else(|| Row::quarantine(&message, body, "a problem", stamp))
}

/// The stream record of a row that was added.
fn streamed(row: &Row, number: &str) -> Value {
    let json = |item: &Item| -> Value {
        let value = |value: &AttributeValue| match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            other => panic!("{other:?} is in no row"),
        };
        item.iter().map(|(name, is)| (name.clone(), value(is))).collect::<Map<_, _>>().into()
    };
    let mut keys = row.item().clone();
    keys.retain(|name, _| name == "email_id" || name == "event");
    json!({ "dynamodb": { "SequenceNumber": number, "Keys": json(&keys), "NewImage": json(row.item()) } })
}
