//! Another DynamoDB than the embedded one: as whom it is asked, and the demo's story on an engine that others wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_local::feeder;
use aws_local::server::{CloseConnection, Server, json_response};
use rebound::time::UnixMillis;
use rebound_cli::operate::target::Target;
use rebound_dev::runner::{feed, poll, queue_mappings};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::operate::command;
use crate::support::{any_port, complaint, hand_over, signed};

/// If this is set, the test fails where moto is not here. If it is not set, the test is skipped: the story takes moto half a minute.
const REQUIRED: &str = "REQUIRE_MOTO";

/// An engine that notes as whom it is asked: the scope of each signature, `KEY/us-east-2/dynamodb`.
struct Engine {
    server: Server,
    scopes: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>,
    _behind: EmbeddedAws,
}

impl Engine {
    async fn start() -> Self {
        let behind = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
        let upstream = behind.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
        let scopes: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>> = Arc::default();
        let (noting, client) = (Arc::clone(&scopes), rebound::web::client());
        let server = Server::start(any_port(), move |request| {
            let (client, upstream, noting) = (client.clone(), upstream.clone(), Arc::clone(&noting));
            async move {
                let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
                let (operation, authorization) = (header("x-amz-target"), header("authorization"));
                let scope = authorization.split(['=', ',']).nth(1).unwrap();
                let [key, _, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
                    panic!("{authorization}")
                };
                let operation = operation.split('.').nth(1).unwrap().to_owned();
                noting.lock().unwrap().entry(operation).or_default().insert(format!("{key}/{region}/{service}"));
                let forwarded = ["x-amz-target", "authorization", "x-amz-date", "content-type"]
                    .iter()
                    .fold(client.post(&upstream), |forwarded, name| forwarded.header(*name, header(name)));
                let answer = forwarded.body(request.body().clone()).send().await.map_err(|_| CloseConnection)?;
                let (status, body) = (answer.status(), answer.bytes().await.map_err(|_| CloseConnection)?);
                Ok(json_response(status, "application/x-amz-json-1.0", body))
            }
        });
        Self { server: server.await.unwrap(), scopes, _behind: behind }
    }

    /// As whom each operation was asked for.
    fn scopes(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.scopes.lock().unwrap().clone()
    }
}

/// Runs the service of `rebound dev` on another engine, with these variables in the shell. Returns the identity of each request.
async fn scopes_with(shell: &[(&str, &str)]) -> BTreeMap<String, BTreeSet<String>> {
    let engine = Engine::start().await;
    let url = engine.server.url();
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(url.clone()),
        _ => shell.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), variable).await.unwrap();
    let receiver = aws.receiver().await.unwrap();
    let (status, _) = hand_over(&receiver, &signed(complaint("ann@example.com", "e1")), Duration::from_secs(60)).await;
    assert_eq!(status, 200);
    let invoke: feeder::Invoke = Arc::new(|_| Box::pin(async { Ok(json!({ "batchItemFailures": [] })) }));
    let feeder = feed(&aws, feeder::FeederOptions::default(), |_| Arc::clone(&invoke)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), feeder.idle()).await.unwrap();
    let _pollers = poll(&aws, &queue_mappings(&aws).unwrap(), |_| Arc::clone(&invoke)).await.unwrap();
    let report = aws.protector().unwrap().tick(UnixMillis::now(), Instant::now() + Duration::from_secs(60)).await;
    assert!(report.errors.is_empty(), "{report:?}");
    aws.engager().unwrap();
    // And the commands, by the variables that `rebound dev` writes down for them.
    let place = Target::find(&Default::default(), aws.variables().clone()).await.unwrap();
    place.aws().dynamodb().describe_table().table_name(place.table("EVENTS_TABLE")).send().await.unwrap();
    engine.scopes()
}

#[tokio::test]
async fn every_client_asks_one_region_with_one_set_of_credentials() {
    let keys =
        [("AWS_ACCESS_KEY_ID", "AKIDOTHER"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "token")];
    for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let scopes = scopes_with(&[&[(region, "us-east-2")][..], &keys].concat()).await;
        let expected = BTreeSet::from(["AKIDOTHER/us-east-2/dynamodb".to_owned()]);
        assert!(scopes.values().all(|scope| *scope == expected), "{region}: {scopes:#?}");
        for operation in
            ["CreateTable", "TransactWriteItems", "GetRecords", "GetShardIterator", "Query", "DescribeTable"]
        {
            assert!(scopes.contains_key(operation), "{operation}: {scopes:#?}");
        }
    }
    let scopes = scopes_with(&[]).await;
    assert!(scopes.values().flatten().all(|scope| scope == "local/eu-west-1/dynamodb"), "{scopes:#?}");
}

/// A Python that has moto's server. `None`: there is none, or it is not asked for, and that is said.
async fn python() -> Option<PathBuf> {
    if std::env::var_os(REQUIRED).is_none() {
        eprintln!("skipped: the demo on moto, which takes it half a minute; `make lint` runs it");
        return None;
    }
    let own = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(".tools/venv/bin/python3");
    for python in [own, PathBuf::from("python3")] {
        let import = Command::new(&python).args(["-c", "import moto.server"]).stderr(Stdio::null()).status().await;
        if import.is_ok_and(|status| status.success()) {
            return Some(python);
        }
    }
    panic!("{REQUIRED} is set, and no Python has the package moto with its server");
}

/// Starts moto. Returns its process, which ends when it is dropped, and its URL.
async fn moto(python: &Path, folder: &Path) -> (Child, String) {
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("scripts/second_dynamodb.py");
    let log = folder.join("moto.log");
    let mut command = Command::new(python);
    command.arg(script).stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    for _ in 0..1_200 {
        let said = std::fs::read_to_string(&log).unwrap();
        if let Some((_, url)) = said.split_once("Running on ") {
            return (child, url.split_whitespace().next().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("moto did not start within a minute: {}", std::fs::read_to_string(&log).unwrap());
}

/// All of the story: tables made, webhooks stored with the suppressions' transactions, duplicates, the stream fed to protect, counters,
/// brakes and alerts, ticks, a second delivery of everything, verdicts and decisions. Queue, topics and secrets are the local ones.
#[tokio::test]
async fn the_demos_story_is_the_same_on_an_engine_of_others() {
    let Some(python) = python().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_moto, url) = moto(&python, folder.path()).await;
    let shell = [
        ("AWS_REGION", "us-east-2"),
        ("AWS_ACCESS_KEY_ID", "AKIDOTHER"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        // Nobody's proxy stands between.
        ("NO_PROXY", "*"),
    ];
    let shell = shell.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let said = command(&BTreeMap::from(shell), &["demo", "--json", "--claude-stub", "--dynamodb", &url], "").await;
    assert_eq!((said.code, &said.json()["faults"]), (0, &json!([])), "{}", said.stderr);
}
