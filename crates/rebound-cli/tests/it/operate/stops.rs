//! Commands with a loop: they stop at the first failure that explains itself, and say what stays when they are ended early.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_local::function_url;
use aws_local::server::Server;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::connect::World;
use super::{Dev, LOOP_TIMEOUT, at_once, command};
use crate::support::{ReceiveHarness, any_port, complaint, signed};

/// Starts a server that gives this response to every request. Returns it and the number of requests so far.
async fn always(status: u16, body: &'static str) -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let invoke: aws_local::feeder::Invoke = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(
            async move { Ok(json!({ "statusCode": status, "headers": {}, "body": body, "isBase64Encoded": false })) },
        )
    });
    (function_url::serve(any_port(), invoke).await.unwrap(), requests)
}

fn local(dev: &Dev) -> String {
    format!("--local={}", dev.folder.path().join("dev.env").display())
}

/// A command on a `rebound dev`, running.
fn spawn(arguments: &[&str]) -> tokio::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rebound"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn simulate_stops_at_the_first_answer_that_explains_itself() {
    let none = BTreeMap::new();
    for (status, body, says) in [
        (404, "not here", "is not Rebound: it answers 404"),
        (200, "<h1>It works!</h1>", "is not Rebound: it answers 200"),
        (401, r#"{"error":"stale: correctly signed, but 4000 s ago"}"#, "the clock of this machine"),
        (503, r#"{"error":"the signing secret is not set yet; put it there"}"#, "run `rebound connect`"),
    ] {
        let (server, requests) = always(status, body).await;
        let url = format!("{}/", server.url());
        let said = at_once(&none, &["simulate", &url, "--emails", "500", "--no-verify"]).await;
        assert!(said.code == 2 && said.stderr.contains(says) && said.stderr.contains("Nothing was taken"), "{said:?}");
        // Of thousands; some were under way beside the first one.
        let requests = requests.load(Ordering::SeqCst);
        assert!(requests < 100, "{status}: {requests} requests");
    }
}

#[tokio::test]
async fn simulate_says_immediately_that_nothing_listens() {
    let variables = BTreeMap::from([("RESEND_WEBHOOK_SECRET".to_owned(), rebound_dev::LOCAL_SECRET.to_owned())]);
    for (url, hint) in [("http://127.0.0.1:9/", "`rebound dev`"), ("https://nowhere.invalid/", "WebhookUrl")] {
        let said = at_once(&variables, &["simulate", url]).await;
        assert!(said.code == 2 && said.stderr.contains(&format!("nobody answers at {url}")), "{said:?}");
        assert!(said.stderr.contains(hint), "{said:?}");
    }
}

#[tokio::test]
async fn simulate_says_that_the_shells_secret_is_wrong() {
    let dev = Dev::start().await;
    let url = dev.variables()["REBOUND_FUNCTION_URL"].clone();
    let variables = BTreeMap::from([("RESEND_WEBHOOK_SECRET".to_owned(), "whsec_YW5vdGhlciBvbmU".to_owned())]);
    let said = at_once(&variables, &["simulate", &url, &local(&dev)]).await;
    assert!(said.code == 2 && said.stderr.contains("the function's signing secret"), "{said:?}");
    assert!(said.stderr.contains("RESEND_WEBHOOK_SECRET in this shell is not the function's: unset it"), "{said:?}");
    // The port beside it.
    let dynamodb = dev.variables()["AWS_ENDPOINT_URL_DYNAMODB"].clone();
    let said = at_once(&BTreeMap::new(), &["simulate", &dynamodb, &local(&dev)]).await;
    assert!(said.code == 2 && said.stderr.contains("is not Rebound"), "{said:?}");
}

#[tokio::test]
async fn simulate_stops_when_dev_crashes_and_says_what_stays() {
    let dev = Dev::start().await;
    let url = dev.variables()["REBOUND_FUNCTION_URL"].clone();
    let running =
        spawn(&["simulate", &url, &local(&dev), "--rate", "100", "--emails", "2000", "--campaign", "cut-short"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let _folder = dev.kill().await;
    let output = tokio::time::timeout(LOOP_TIMEOUT, running.wait_with_output()).await.expect("it ends").unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("nobody answers at"), "{stderr}");
    assert!(
        stderr.contains("start `rebound dev` again") && stderr.contains("under the campaign cut-short"),
        "{stderr}"
    );
    assert!(!stderr.contains("Nothing was taken"), "{stderr}");
}

#[tokio::test]
async fn a_used_campaign_or_seed_is_refused_before_anything_is_sent() {
    let dev = Dev::start().await;
    let (url, local) = (dev.variables()["REBOUND_FUNCTION_URL"].clone(), local(&dev));
    let first = ["simulate", &url, &local, "--emails", "20", "--seed", "7", "--campaign", "spring"];
    let said = command(&BTreeMap::new(), &first, "").await;
    assert_eq!(said.code, 0, "{said:?}");
    for (again, says) in [
        (&["--campaign", "spring"][..], "a campaign spring exists already"),
        (&["--campaign", "spring", "--no-verify"], "a campaign spring exists already"),
        (&["--seed", "7"], "the seed 7 was used before"),
    ] {
        let said =
            at_once(&BTreeMap::new(), &[&["simulate", &url, &local, "--emails", "20"][..], again].concat()).await;
        assert!(said.code == 2 && said.stderr.contains(says) && said.stdout.is_empty(), "{said:?}");
    }
}

#[tokio::test]
async fn tables_of_another_rebound_are_said_to_be_and_not_waited_for() {
    let (one, other) = (Dev::start().await, Dev::start().await);
    let url = one.variables()["REBOUND_FUNCTION_URL"].clone();
    let said = at_once(&BTreeMap::new(), &["simulate", &url, &local(&other), "--emails", "30"]).await;
    assert!(said.code == 2 && said.stdout.contains("none of the accepted webhooks is in the table"), "{said:?}");
}

#[tokio::test]
async fn piped_long_work_says_where_it_is_and_ctrl_c_says_what_stays() {
    let dev = Dev::start().await;
    let url = dev.variables()["REBOUND_FUNCTION_URL"].clone();
    let running = spawn(&["simulate", &url, &local(&dev), "--rate", "40", "--emails", "2000", "--campaign", "halted"]);
    let id = running.id().unwrap().to_string();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let output = running.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let line = stderr.lines().find(|line| line.starts_with("requests: ")).unwrap_or_else(|| panic!("{stderr}"));
    assert!(line.contains(" of ") && line.contains("s left"), "{line}");
    assert!(stderr.contains("Stopped.") && stderr.contains("requests were sent"), "{stderr}");
    assert!(stderr.contains("under the campaign halted"), "{stderr}");
}

#[tokio::test]
async fn connect_changes_nothing_at_resend_where_no_rebound_answers() {
    let world = World::start().await;
    let (other, _) = always(404, "not here").await;
    for (url, says) in [
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/ is not a Rebound function URL: the connection failed"),
        (other.url().as_str(), "a GET returned HTTP 404"),
    ] {
        let said = at_once(&world.variables(), &["connect", url]).await;
        assert!(said.code == 1 && said.stderr.contains(says), "{said:?}");
        assert!(said.stderr.contains("Nothing was changed at Resend"), "{said:?}");
    }
    assert!(world.resend.calls().is_empty(), "nothing was asked there");

    // Resend itself could not reach this machine.
    let mut variables = world.variables();
    variables.remove("RESEND_BASE_URL");
    let said = at_once(&variables, &["connect", &world.url]).await;
    assert!(said.code == 2 && said.stderr.contains("where Resend can't reach it"), "{said:?}");
    assert!(said.stderr.contains("add --local"), "{said:?}");
    // And where nobody is at Resend's address, that is said soon.
    variables.insert("RESEND_BASE_URL".to_owned(), "http://127.0.0.1:9".to_owned());
    let said = at_once(&variables, &["connect", &world.url]).await;
    assert!(said.code == 2 && said.stderr.contains("Connection refused"), "{said:?}");
}

#[tokio::test]
async fn doctor_says_once_that_aws_is_out_of_reach() {
    let variables = BTreeMap::from(
        [
            ("AWS_ACCESS_KEY_ID", "AKIAMINE"),
            ("AWS_SECRET_ACCESS_KEY", "mine"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", "http://aws.invalid"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let said = at_once(&variables, &["doctor", "--json"]).await;
    let checks = said.json()["checks"].as_array().unwrap().clone();
    assert_eq!((said.code, checks.len(), &checks[1]["name"]), (2, 2, &json!("AWS")), "{said:?}");
    assert!(checks[1]["to_do"].as_str().unwrap().contains("--region"), "{checks:?}");
}

#[tokio::test]
async fn replay_stops_at_a_batch_that_fails_completely_and_says_why() {
    let service = ReceiveHarness::start().await;
    for n in 0..250 {
        let id = format!("e{n}");
        assert_eq!(service.post(&signed(complaint(&format!("ann{n}@example.com"), &id))).await.0, 200);
    }
    let dynamodb = service.aws.clients().dynamodb();
    dynamodb.delete_table().table_name("rebound-campaigns").send().await.unwrap();
    dynamodb.delete_table().table_name("rebound-agenda").send().await.unwrap();
    let mut variables = service.aws.variables().clone();
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), service.proxy.url());
    let replayed = async |what: &str| {
        service.proxy.plan(|_| None);
        let said = command(&variables, &["replay", what, "--json"], "").await;
        (said, service.proxy.calls().len())
    };
    let (_, of_one) = replayed("e0").await;
    let (said, of_all) = replayed("--all").await;
    let report = said.json();
    assert_eq!((said.code, &report["handled"]), (1, &json!(0)), "{said:?}");
    assert_eq!(report["left_over"].as_array().unwrap().len(), 250, "every one of them is named");
    assert!(said.stderr.contains("ResourceNotFound"), "{said:?}");
    // A batch has 100 events, and each of these calls what the one event called.
    assert!(of_all <= of_one * 125, "{of_all} calls, and {of_one} for one event");
}

#[tokio::test]
async fn ctrl_c_stops_an_import_that_waits_and_says_what_stays() {
    let dev = Dev::start().await;
    let mut running = Command::new(env!("CARGO_BIN_EXE_rebound"));
    running.args(["suppressions", "import", "-", &local(&dev)]).env_clear().env("USER", "tester");
    running.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut running = running.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    // More than it looks at to see how the list is written, and fewer than it merges together.
    let list: String = (0..4_500).map(|n| format!("listed-{n}@example.com\n")).collect();
    stdin.write_all(list.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(Command::new("kill").args(["-INT", &running.id().unwrap().to_string()]).status().await.unwrap().success());
    let output = running.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("Stopped. Nothing was imported yet"), "{stderr}");
    drop(stdin);
}

#[tokio::test]
async fn a_demo_on_a_dynamodb_that_is_not_there_says_so() {
    let said = at_once(&BTreeMap::new(), &["demo", "--dynamodb", "http://127.0.0.1:9"]).await;
    assert!(
        said.code == 2 && said.stderr.contains("http://127.0.0.1:9") && said.stderr.contains("start it"),
        "{said:?}"
    );
}
