//! The fault proxies in front of all three services, called by the real SDKs.

use std::time::Duration;

use aws_local::faults::{Call, Capacity, Fault, FaultProxy, Faults, Half, HalfResponse, Service};
use aws_local::sns::LocalSns;
use aws_local::sqs::LocalSqs;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};

use crate::support::{Engine, SUPPRESSIONS, any_port, dynamodb};
use crate::{sns, sqs};

const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:alerts";

/// All three services, each behind its proxy, with one plan.
struct Aws {
    faults: Faults,
    engine: Engine,
    sns: LocalSns,
    sqs: LocalSqs,
    dynamodb_client: aws_sdk_dynamodb::Client,
    sns_client: aws_sdk_sns::Client,
    sqs_client: aws_sdk_sqs::Client,
    _proxies: [FaultProxy; 3],
}

impl Aws {
    async fn start() -> Self {
        let faults = Faults::default();
        let proxy =
            async |url: String, service| FaultProxy::start(url, any_port(), service, faults.clone()).await.unwrap();
        let engine = Engine::start().await;
        let sns = LocalSns::start(any_port()).await.unwrap();
        let sqs = LocalSqs::start(any_port(), Duration::ZERO).await.unwrap();
        let proxies = [
            proxy(engine.engine.url(), Service::DynamoDb).await,
            proxy(sns.url(), Service::Sns).await,
            proxy(sqs.url(), Service::Sqs).await,
        ];
        let dynamodb_client = dynamodb(proxies[0].url());
        let (sns_client, sqs_client) = (sns::client(proxies[1].url()), sqs::client(proxies[2].url()));
        Self { faults, engine, sns, sqs, dynamodb_client, sns_client, sqs_client, _proxies: proxies }
    }

    /// A put of an item of about this many bytes.
    fn put(&self, recipient: &str, bytes: usize) -> Put {
        let put = Put::builder().table_name(self.table()).item("filler", AttributeValue::S("x".repeat(bytes)));
        put.item("recipient", AttributeValue::S(recipient.to_owned())).build().unwrap()
    }

    fn table(&self) -> String {
        SUPPRESSIONS.to_owned()
    }

    /// Makes a call to each service, in this order. Returns the error code of each failure, empty if there was no
    /// response.
    async fn call_each(&self) -> [Result<(), String>; 3] {
        fn outcome<T, E: ProvideErrorMetadata>(result: Result<T, E>) -> Result<(), String> {
            result.map(drop).map_err(|error| error.code().unwrap_or_default().to_owned())
        }
        let put = self.dynamodb_client.put_item().set_table_name(Some(self.table()));
        let put = put.set_item(Some(self.put("ann@example.com", 1).item)).send().await;
        let publish = self.sns_client.publish().topic_arn(TOPIC).message("x").send().await;
        let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id("a").message_body("x");
        let batch = self.sqs_client.send_message_batch().queue_url(self.sqs.queue_url("work"));
        let batch = batch.entries(entry.build().unwrap()).send().await;
        [outcome(put), outcome(publish), outcome(batch)]
    }

    async fn applied(&self) -> [usize; 3] {
        let scan = self.engine.client.scan().table_name(self.table());
        let items = scan.send().await.unwrap().items().len();
        [items, self.sns.messages().len(), self.sqs.messages("work").len()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plan_and_one_count_go_for_all_three_services() {
    let aws = Aws::start().await;
    let call = |index, service, operation: &str| Call { index, service, operation: operation.to_owned() };
    let calls = [
        call(0, Service::DynamoDb, "PutItem"),
        call(1, Service::Sns, "Publish"),
        call(2, Service::Sqs, "SendMessageBatch"),
    ];
    for failing in 0..3 {
        aws.faults.plan(move |call| (call.index == failing).then_some(Fault::Invalid));
        let outcomes = aws.call_each().await;
        assert_eq!(outcomes.iter().map(Result::is_err).collect::<Vec<_>>(), [0, 1, 2].map(|index| index == failing));
        assert_eq!(aws.faults.calls(), calls);
    }
}

#[tokio::test]
async fn work_before_a_call_may_call_through_the_same_proxies() {
    let aws = Aws::start().await;
    aws.faults.plan(|_| None);
    let put = aws.dynamodb_client.put_item().set_table_name(Some(aws.table()));
    let put = put.set_item(Some(aws.put("bob@example.com", 1).item));
    aws.faults.before(1, async move { drop(put.send().await.unwrap()) });
    assert_eq!(aws.call_each().await, [Ok(()), Ok(()), Ok(())]);
    let operations: Vec<String> = aws.faults.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["PutItem", "Publish", "PutItem", "SendMessageBatch"]);
    assert_eq!(aws.applied().await, [2, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_fails_in_its_own_words() {
    for (fault, codes, applied) in [
        (Fault::Throttle, ["ProvisionedThroughputExceededException", "Throttled", "RequestThrottled"], 0),
        (Fault::Conflict, ["TransactionConflictException", "Throttled", "RequestThrottled"], 0),
        (Fault::ServerError, ["InternalServerError", "InternalFailure", "InternalFailure"], 0),
        (Fault::Invalid, ["ValidationException", "InvalidParameter", "InvalidParameterValue"], 0),
        (Fault::RefuseBefore, [""; 3], 0),
        (Fault::LoseAnswer, [""; 3], 1),
    ] {
        let aws = Aws::start().await;
        aws.faults.plan(move |_| Some(fault));
        assert_eq!(aws.call_each().await, codes.map(|code| Err(code.to_owned())), "{fault:?}");
        assert_eq!(aws.applied().await, [applied; 3], "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_after_applies_the_call_and_signals_the_kill() {
    for killing in 0..3 {
        let aws = std::sync::Arc::new(Aws::start().await);
        aws.faults.plan(move |call| (call.index == killing).then_some(Fault::KillAfter));
        let task = tokio::spawn({
            let aws = std::sync::Arc::clone(&aws);
            async move { aws.call_each().await }
        });
        // Twice: for a task that waited before, and for one that comes later.
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(60), aws.faults.killed()).await.unwrap();
        }
        assert!(!task.is_finished());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(aws.applied().await, [0, 1, 2].map(|index| usize::from(index <= killing)));
        assert_eq!(aws.faults.calls().len(), killing + 1);

        aws.faults.plan(|_| None);
        let killed = tokio::time::timeout(Duration::from_millis(100), aws.faults.killed()).await;
        assert!(killed.is_err(), "a new plan begins with nobody killed");
        assert_eq!(aws.call_each().await, [const { Ok(()) }; 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_shown_half_and_then_whole() {
    let aws = Aws::start().await;
    let (client, table) = (&aws.dynamodb_client, aws.table());
    let key =
        |who: &str| std::collections::HashMap::from([("recipient".to_owned(), AttributeValue::S(who.to_owned()))]);
    let transact = async || {
        let puts = ["ann", "ben", "cid"].map(|who| TransactWriteItem::builder().put(aws.put(who, 7)).build());
        client.transact_write_items().set_transact_items(Some(puts.to_vec())).send().await
    };
    client.put_item().table_name(&table).set_item(Some(aws.put("ben", 1).item)).send().await.unwrap();
    // The visible version by each way of reading: the length of each filler.
    let seen = async || {
        let length = |item: &std::collections::HashMap<String, AttributeValue>| item["filler"].as_s().unwrap().len();
        let mut by_key = Vec::new();
        for who in ["ann", "ben", "cid"] {
            let get = client.get_item().table_name(&table).set_key(Some(key(who))).consistent_read(true);
            by_key.extend(get.send().await.unwrap().item.as_ref().map(length));
        }
        let keys = ["ann", "ben", "cid"].map(key).to_vec();
        let keys = aws_sdk_dynamodb::types::KeysAndAttributes::builder().set_keys(Some(keys)).build().unwrap();
        let batch = client.batch_get_item().request_items(&table, keys).send().await.unwrap();
        let scanned = client.scan().table_name(&table).send().await.unwrap();
        let mut others = [batch.responses.unwrap().remove(&table).unwrap(), scanned.items.unwrap()]
            .map(|items| items.iter().map(length).collect::<Vec<_>>());
        others.iter_mut().for_each(|lengths| lengths.sort());
        let mut sorted = by_key.clone();
        sorted.sort();
        assert_eq!(others, [sorted.clone(), sorted]);
        by_key
    };
    for (late, expected) in [(0, vec![7, 7]), (1, vec![7, 1, 7]), (9, vec![7, 7])] {
        for who in ["ann", "cid"] {
            client.delete_item().table_name(&table).set_key(Some(key(who))).send().await.unwrap();
        }
        client.put_item().table_name(&table).set_item(Some(aws.put("ben", 1).item)).send().await.unwrap();
        show_half(&aws, late, Duration::from_secs(600));
        assert!(transact().await.is_err(), "its answer is lost");
        assert_eq!(seen().await, expected, "item {late} is late");
        let again = aws.put(["ann", "ben", "cid"][late.min(2)], 5).item;
        let put = client.put_item().table_name(&table).set_item(Some(again)).send().await;
        assert_eq!(put.unwrap_err().code(), Some("TransactionConflictException"));
        assert!(transact().await.is_err(), "nor does a transaction get past one that is under way");
        aws.faults.plan(|_| None);
        assert_eq!(seen().await, [7, 7, 7], "another plan ends it");
    }
    client.put_item().table_name(&table).set_item(Some(aws.put("ben", 1).item)).send().await.unwrap();
    show_half(&aws, 1, Duration::from_millis(20));
    assert!(transact().await.is_err(), "its answer is lost");
    tokio::time::sleep(Duration::from_millis(25)).await;
    assert_eq!(seen().await, [7, 7, 7], "so does its time");
}

/// Makes the next transaction half visible, and loses its response.
fn show_half(aws: &Aws, late: usize, span: Duration) {
    let half = Half { late, span, response: HalfResponse::None };
    aws.faults
        .plan(move |call| (call.operation == "TransactWriteItems" && call.index == 0).then_some(Fault::ShowHalf(half)));
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_counted_on_demand_and_twice_for_transactions() {
    let aws = Aws::start().await;
    let spent = async |transaction: Vec<TransactWriteItem>| {
        aws.faults.count_capacity(true);
        let request = aws.dynamodb_client.transact_write_items().set_transact_items(Some(transaction));
        request.send().await.unwrap();
        aws.faults.capacity()
    };
    let units = |read_units: f64, write_units: f64| Capacity { read_units, write_units, ..Capacity::default() };
    let put = |put| TransactWriteItem::builder().put(put).build();

    aws.faults.count_capacity(true);
    assert_eq!(aws.call_each().await, [const { Ok(()) }; 3]);
    assert_eq!(aws.faults.capacity(), units(0.0, 1.0), "an item below 1 KB");
    let item = || aws.put("ben@example.com", 1_500).item;
    let call = aws.dynamodb_client.put_item().table_name(aws.table()).set_item(Some(item()));
    call.send().await.unwrap();
    assert_eq!(aws.faults.capacity(), units(0.0, 3.0), "and one below 2 KB");
    let get = || aws.dynamodb_client.get_item().table_name(aws.table());
    let key = || AttributeValue::S("ben@example.com".to_owned());
    get().key("recipient", key()).send().await.unwrap();
    get().key("recipient", key()).consistent_read(true).send().await.unwrap();
    aws.dynamodb_client.scan().table_name(aws.table()).send().await.unwrap();
    assert_eq!(aws.faults.capacity(), units(2.0, 3.0), "a half, one, and a half");
    aws.faults.count_capacity(false);
    get().key("recipient", key()).send().await.unwrap();
    assert_eq!(aws.faults.capacity(), units(2.0, 3.0));

    assert_eq!(spent(vec![put(aws.put("cid@example.com", 1))]).await, units(0.0, 2.0));
    let two = vec![put(aws.put("dan@example.com", 1)), put(aws.put("eve@example.com", 1_500))];
    assert_eq!(spent(two).await, units(0.0, 6.0));
    let delete = Delete::builder().table_name(aws.table()).key("recipient", key()).build().unwrap();
    assert_eq!(spent(vec![TransactWriteItem::builder().delete(delete).build()]).await, units(0.0, 4.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_counts_its_faults_without_a_list_of_calls() {
    let aws = Aws::start().await;
    aws.faults.disable_call_log();
    aws.faults.plan(|call| (call.service == Service::DynamoDb).then_some(Fault::Throttle));
    for _ in 0..3 {
        let [dynamodb, sns, sqs] = aws.call_each().await;
        assert!(dynamodb.is_err() && sns.is_ok() && sqs.is_ok());
    }
    assert!(aws.faults.calls().is_empty());
    assert_eq!(aws.faults.counted(), (9, [("throttled", 3)].into()));
    let reported = reqwest::get(aws._proxies[0].url()).await.unwrap().text().await.unwrap();
    let reported: serde_json::Value = serde_json::from_str(&reported).unwrap();
    assert_eq!(reported, serde_json::json!({ "calls": 9, "injected": { "throttled": 3 } }));
}
