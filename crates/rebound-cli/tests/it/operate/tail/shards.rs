//! Streams of several shards that end, iterators that expire, and readers that are slowed down: AWS has these, the embedded engine has one
//! shard that never ends. So the answers are written down here, as AWS documents them
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html>), and the tables are the
//! embedded engine's.

use std::sync::{Arc, Mutex};

use aws_local::server::{Server, json_response};
use hyper::StatusCode;
use rebound_cli::operate::tail::{Filter, Tail, TailError};
use rebound_cli::operate::target::{Target, TargetArguments};
use rebound_dev::stack::EmbeddedAws;
use serde_json::{Value, json};

const JSON: &str = "application/x-amz-json-1.0";
const ARN: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/rebound-events/stream/2026-11-23T00:00:00.000";

/// The responses of the stream, and the requests to it.
#[derive(Default)]
struct Stream {
    /// Shards, each with the one that it follows.
    shards: Vec<(&'static str, Option<&'static str>)>,
    /// Responses to `GetRecords`, by iterator.
    reads: Vec<(&'static str, StatusCode, Value)>,
    asked: Vec<String>,
}

impl Stream {
    fn answer(&mut self, operation: &str, request: &Value) -> (StatusCode, Value) {
        let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
        match operation {
            "DescribeTable" => (StatusCode::OK, json!({ "Table": { "LatestStreamArn": ARN } })),
            "DescribeStream" => {
                let shards = self.shards.iter().map(|(id, parent)| {
                    let range = json!({ "StartingSequenceNumber": "1" });
                    json!({ "ShardId": id, "ParentShardId": parent, "SequenceNumberRange": range })
                });
                (
                    StatusCode::OK,
                    json!({ "StreamDescription": { "StreamArn": ARN, "Shards": shards.collect::<Vec<_>>() } }),
                )
            }
            "GetShardIterator" => {
                let asked = format!("{} {}{}", text("ShardId"), text("ShardIteratorType"), text("SequenceNumber"));
                self.asked.push(asked.clone());
                (StatusCode::OK, json!({ "ShardIterator": asked }))
            }
            "GetRecords" => {
                let iterator = text("ShardIterator");
                let known = self.reads.iter().position(|(known, ..)| *known == iterator);
                match known {
                    Some(index) => {
                        let (_, status, answer) = self.reads.remove(index);
                        (status, answer)
                    }
                    None => (StatusCode::OK, json!({ "Records": [], "NextShardIterator": iterator })),
                }
            }
            other => panic!("{other}"),
        }
    }
}

/// A record of a row that says of somebody that they were forgotten: it needs no other table.
fn record(number: u32) -> Value {
    let key = json!({ "email_id": { "S": format!("e{number}") }, "event": { "S": format!("email.sent#{number}") } });
    let mut image = key.clone();
    image["kind"] = json!({ "S": "forgotten" });
    image["received_at"] = json!({ "N": "1795440600000" });
    image["odd"] =
        json!({ "M": { "list": { "L": [{ "BOOL": true }, { "NULL": true }, { "SS": ["a"] }, { "NS": ["1"] }] } } });
    json!({ "eventName": "MODIFY", "dynamodb": {
        "ApproximateCreationDateTime": 1_795_440_600, "SequenceNumber": number.to_string(), "Keys": key, "NewImage": image,
    } })
}

fn deleted(number: u32) -> Value {
    let mut record = record(number);
    record["eventName"] = json!("REMOVE");
    record["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    record
}

fn error(name: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{name}"), "message": "said so" })
}

/// A place whose stream is this one.
async fn place(stream: &Arc<Mutex<Stream>>) -> (Server, EmbeddedAws, Target) {
    let stream = Arc::clone(stream);
    let server = Server::start(([127, 0, 0, 1], 0).into(), move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        let operation = target.rsplit('.').next().unwrap();
        let body = serde_json::from_slice(request.body()).unwrap();
        let (status, answer) = stream.lock().unwrap().answer(operation, &body);
        async move { Ok(json_response(status, JSON, answer.to_string())) }
    });
    let server = server.await.unwrap();
    let aws = EmbeddedAws::start(&rebound_dev::stack::LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let mut variables = aws.variables().clone();
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), server.url());
    let place = Target::find(&TargetArguments::default(), variables).await.unwrap();
    (server, aws, place)
}

/// Reads until the given number of lines was seen. Returns the subjects of the lines.
async fn abouts(tail: &mut Tail<'_>, number: usize) -> Vec<String> {
    let mut abouts = Vec::new();
    for _ in 0..20 {
        abouts.extend(tail.look().await.unwrap().lines.into_iter().map(|line| line.entry.about));
        if abouts.len() >= number {
            break;
        }
    }
    abouts
}

#[tokio::test]
async fn after_a_shard_ends_the_next_is_read_from_its_beginning() {
    let read = |records: Vec<Value>, next: Value| json!({ "Records": records, "NextShardIterator": next });
    let stream = Arc::new(Mutex::new(Stream {
        shards: vec![("old", None), ("one", Some("old")), ("two", Some("long gone"))],
        reads: vec![
            ("one LATEST", StatusCode::OK, read(vec![record(1), deleted(9)], json!("one next"))),
            // The same row again, as a later change leaves it.
            ("one next", StatusCode::OK, read(vec![record(1), record(2)], Value::Null)),
            ("two LATEST", StatusCode::BAD_REQUEST, error("ExpiredIteratorException")),
            ("child TRIM_HORIZON", StatusCode::OK, read(vec![record(3)], json!("child next"))),
            ("child next", StatusCode::BAD_REQUEST, error("ExpiredIteratorException")),
            ("child AFTER_SEQUENCE_NUMBER3", StatusCode::OK, read(vec![record(4)], json!("child end"))),
            ("child end", StatusCode::BAD_REQUEST, error("TrimmedDataAccessException")),
        ],
        asked: Vec::new(),
    }));
    let (_server, _aws, place) = place(&stream).await;
    let mut tail = Tail::start(&place, Filter::default()).await.unwrap();
    assert_eq!(tail.shards(), 2, "the one that has ended is not read");
    assert_eq!(stream.lock().unwrap().asked, ["one LATEST", "two LATEST"], "before it says that it has begun");
    stream.lock().unwrap().shards.push(("child", Some("one")));
    assert_eq!(abouts(&mut tail, 4).await, ["e1", "e2", "e3", "e4"]);
    assert_eq!(tail.shards(), 2);
    let _ = tail.look().await.unwrap();
    let _ = tail.look().await.unwrap();
    let asked = stream.lock().unwrap().asked.clone();
    let again = ["two LATEST", "child TRIM_HORIZON", "child AFTER_SEQUENCE_NUMBER3", "child TRIM_HORIZON"];
    let mut later = asked[2..].to_vec();
    later.sort();
    let mut expected = again.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(later, expected, "a lost place is found again, and no record is passed over");
}

#[tokio::test]
async fn a_reader_that_is_slowed_down_says_so_and_loses_nothing() {
    let slow = |_| ("one LATEST", StatusCode::BAD_REQUEST, error("LimitExceededException"));
    let mut reads: Vec<_> = (0..3).map(slow).collect();
    reads.push(("one LATEST", StatusCode::OK, json!({ "Records": [record(1)], "NextShardIterator": "one next" })));
    let stream = Arc::new(Mutex::new(Stream { shards: vec![("one", None)], reads, asked: Vec::new() }));
    let (_server, _aws, place) = place(&stream).await;
    let mut tail = Tail::start(&place, Filter::default()).await.unwrap();
    let mut slowed = 0;
    let about = loop {
        let seen = tail.look().await.unwrap();
        slowed += usize::from(seen.slowed.is_some_and(|why| why.contains("LimitExceeded")));
        if let Some(line) = seen.lines.into_iter().next() {
            break line.entry.about;
        }
    };
    assert_eq!(about, "e1");
    assert!(slowed > 0, "it is said, so that whoever looks waits");
}

#[tokio::test]
async fn a_failed_read_names_the_permission_that_it_needs() {
    let denied = ("one LATEST", StatusCode::BAD_REQUEST, error("AccessDeniedException"));
    let stream = Arc::new(Mutex::new(Stream { shards: vec![("one", None)], reads: vec![denied], asked: Vec::new() }));
    let (_server, aws, place) = place(&stream).await;
    let mut tail = Tail::start(&place, Filter::default()).await.unwrap();
    let said = tail.look().await.unwrap_err().to_string();
    assert!(said.contains("AccessDenied") && said.contains("dynamodb:GetRecords"), "{said}");

    let other = [("EVENTS_TABLE".to_owned(), "rebound-agenda".to_owned())];
    let variables = aws.variables().clone().into_iter().chain(other);
    let without = Target::find(&TargetArguments::default(), variables).await.unwrap();
    let error = Tail::start(&without, Filter::default()).await.unwrap_err();
    assert!(matches!(error, TailError::NoStream(_)) && error.to_string().contains("deploy"), "{error}");
}
