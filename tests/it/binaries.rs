//! The programs themselves, as they are run.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rebound::local::function_url;
use rebound::local::runtime_api::RuntimeApi;
use rebound::local::samples::{self, SignedMessage};
use rebound::local::stack::{EmbeddedAws, Options};
use rebound::local::tls::{Certificate, Terminator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{complaint, log_line, now, secret, signed};

/// A program with nothing of this shell's environment.
pub(crate) fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command
}

fn rebound(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_rebound"));
    command.args(arguments);
    command
}

#[tokio::test]
async fn the_demo_finds_everything_as_the_contract_says() {
    let plain = rebound(&["demo"]).output().await.unwrap();
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(plain.status.success() && text.contains("Everything is as the contract says."), "{text}");
    assert!(!text.contains('\u{1b}'), "colour is for terminals");

    let json = rebound(&["demo", "--json"]).output().await.unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report["ok"], report["requests"].as_array().unwrap().len()), (&json!(true), 47));
    assert_eq!(report["suppressions"]["bob@example.com"], json!(["hard_bounce"]));
}

#[tokio::test]
async fn the_demo_shows_what_engage_decided_by_the_rules_and_by_the_stand_in() {
    let json = rebound(&["demo", "--json"]).output().await.unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    let [rules, stand_in] = &report["engage"].as_array().unwrap()[..] else { panic!("{report:#}") };
    let proposed = |report: &Value| {
        let decisions = report["decisions"].as_array().unwrap();
        decisions.iter().filter(|it| it["done"]["what"] == "followup_proposed").count()
    };
    assert_eq!((proposed(rules), proposed(stand_in)), (0, 3), "the rules write to nobody");
    assert_eq!(stand_in["judged"].as_array().unwrap().len(), 14);
    assert_eq!(stand_in["receipt"]["asked"]["by"], "claude");
    for report in [rules, stand_in] {
        assert_eq!((&report["changed_by_repetition"], &report["published_by_repetition"]), (&json!(0), &json!(0)));
    }

    let only = rebound(&["demo", "--json", "--claude-stub"]).output().await.unwrap();
    let report: Value = serde_json::from_slice(&only.stdout).unwrap();
    assert_eq!((report["engage"].as_array().unwrap().len(), &report["ok"]), (1, &json!(true)));
}

#[tokio::test]
async fn the_demo_shows_what_protect_did_by_the_stream_and_by_the_clock() {
    let json = rebound(&["demo", "--json"]).output().await.unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["faults"], json!([]));
    let protect = &report["protect"];
    let each = |list: &str, read: fn(&Value) -> Value| -> Vec<Value> {
        protect[list].as_array().unwrap().iter().map(read).collect()
    };

    let brake = each("brake", |it| json!([it["status"], it["volume"], it["complained"], it["delivered"]]));
    let expected = [
        json!(["open", 1.0, 0, 240]),
        json!(["slowed", 0.5, 1, 240]),
        json!(["slowed", 0.25, 2, 240]),
        json!(["slowed", 0.125, 3, 240]),
        json!(["slowed", 0.0625, 4, 240]),
        json!(["paused", 0.0, 5, 240]),
        json!(["paused", 0.0, 6, 240]),
        json!(["paused", 0.0, 7, 240]),
        json!(["paused", 0.0, 8, 240]),
        json!(["paused", 0.0, 8, 240]),
    ];
    assert_eq!(brake, expected);
    let ticks = each("ticks", |it| json!([it["large"]["status"], it["small"]["status"], it["small"]["volume"]]));
    let expected = [
        json!(["paused", "slowed", 0.25]),
        json!(["paused", "slowed", 0.5]),
        json!(["paused", "slowed", 0.5]),
        json!(["paused", "slowed", 0.5]),
        json!(["paused", "open", 1.0]),
        json!(["open", "open", 1.0]),
    ];
    assert_eq!(ticks, expected);

    let alerts = protect["alerts"].as_array().unwrap();
    let number =
        |kind: &str, whom: &Value| alerts.iter().filter(|it| it["kind"] == kind && it["recipient"] == *whom).count();
    for (kind, expected) in
        [("digest", 1), ("ambiguous_bounce", 1), ("failed", 1), ("domain", 2), ("quarantine", 1), ("complaint", 0)]
    {
        // Just at the hour, a second alert of the same failure would be right.
        let seen = number(kind, &Value::Null);
        assert!(seen == expected || (kind == "failed" && seen == 2), "{seen} of {kind}");
    }
    assert_eq!(number("delay", &json!("never@slowmail.example")), 1);
    assert_eq!(number("delay", &json!("late@slowmail.example")), 0);
    assert_eq!(protect["told"][1], json!({"campaign": "spring-bulbs", "counted": 8, "one_by_one": 5, "in_digests": 3}));

    assert_eq!(each("soft_bounces", |it| it["reasons"].clone()), [json!([]), json!([]), json!(["soft_bounce"])]);
    assert_eq!((&protect["queue"]["sent_at_first"], &protect["queue"]["different"]), (&json!(18), &json!(18)));
    assert!(protect["queue"]["sent_in_the_end"].as_u64().unwrap() >= 3 * 18, "delivered again, so sent again");
    let again = each("redeliveries", |it| json!([it["changed"], it["published"], it["records"]]));
    let records = &protect["redeliveries"][0]["records"];
    assert!(records.as_u64().unwrap() > 310, "{records}");
    assert_eq!(again, [json!([0, 0, records]), json!([0, 0, records])]);
}

#[tokio::test]
async fn a_sample_is_signed_anew_each_time_and_an_unknown_one_is_an_error_that_helps() {
    let list = rebound(&["sample"]).output().await.unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 37);
    let sample = rebound(&["sample", "email.bounced", "--id", "msg_1"]).output().await.unwrap();
    let event: Value = serde_json::from_slice(&sample.stdout).unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["headers"]["svix-id"], "msg_1");
    assert_eq!(event["body"].as_str().unwrap().as_bytes(), samples::body("email.bounced").unwrap());
    let unknown = rebound(&["sample", "email.bounce"]).output().await.unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("lists the types"));
}

/// `rebound dev`, running.
struct Dev {
    child: Child,
    url: String,
}

impl Dev {
    async fn start(listen: SocketAddr, dynamodb: SocketAddr, data: &Path) -> Self {
        let (listen, dynamodb) = (listen.to_string(), dynamodb.to_string());
        let data = data.to_str().unwrap();
        let mut command = rebound(&["dev", "--listen", &listen, "--dynamodb", &dynamodb, "--data", data]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let url = format!("http://{listen}/");
        crate::support::eventually("it listens", async || reqwest::get(&url).await.is_ok()).await;
        Self { child, url }
    }

    async fn post(&self, message: &SignedMessage) -> Value {
        let request = message.request(&rebound::web::client(), reqwest::Method::POST, &self.url);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn what_dev_has_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rebound.db");
    let (listen, dynamodb) = (free_address(), free_address());
    let message = signed(complaint("ann@example.com", "e1"));

    let mut dev = Dev::start(listen, dynamodb, &file).await;
    assert_eq!(dev.post(&message).await["status"], "handled");
    dev.child.kill().await.unwrap();

    let dev = Dev::start(listen, dynamodb, &file).await;
    assert_eq!(dev.post(&message).await["status"], "duplicate");
}

#[tokio::test]
async fn dev_copies_no_secret_of_the_shells_and_gives_the_stand_ins_no_real_credentials() {
    let mut command = rebound(&["dev", "--aws-only", "--dynamodb", "127.0.0.1:0"]);
    let mine =
        [("AWS_ACCESS_KEY_ID", "AKIAMINE"), ("AWS_SECRET_ACCESS_KEY", "my-key"), ("AWS_SESSION_TOKEN", "my-token")];
    command.envs(mine).env("RESEND_WEBHOOK_SECRET", "whsec_bXktc2VjcmV0").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line == "REBOUND_LOCAL=ready" {
            break;
        }
        printed.push(line);
    }
    let printed = printed.join("\n");
    for secret in ["AKIAMINE", "my-key", "my-token", "bXktc2VjcmV0"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(
        printed.contains("AWS_SECRET_ACCESS_KEY=local") && printed.contains("EVENTS_TABLE=rebound-events"),
        "{printed}"
    );

    let named = |name: &str| mine.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let aws = EmbeddedAws::start(&Options::in_memory(), named).await.unwrap();
    assert_eq!(
        (aws.variable("AWS_SECRET_ACCESS_KEY").unwrap(), aws.variable("AWS_SESSION_TOKEN")),
        ("local".to_owned(), None)
    );
    let theirs = |name: &str| match name {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some("https://secrets.example".to_owned()),
        _ => named(name),
    };
    let aws = EmbeddedAws::start(&Options::in_memory(), theirs).await.unwrap();
    assert_eq!(aws.variable("AWS_SESSION_TOKEN").unwrap(), "my-token", "an endpoint of one's own gets one's own");
}

#[tokio::test]
async fn dev_uses_the_dynamodb_that_the_environment_names_and_makes_its_tables_if_it_is_local() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    let endpoint = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let named = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoint.clone()),
        "EVENTS_TABLE" => Some("elsewhere".to_owned()),
        _ => None,
    };
    let dev = EmbeddedAws::start(&Options::in_memory(), named).await.unwrap();
    assert_eq!(dev.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap(), endpoint);
    let scanned = aws.clients().unwrap().dynamodb().scan().table_name("elsewhere").send().await;
    assert_eq!(scanned.unwrap().count(), 0);
}

#[tokio::test]
async fn the_receive_binary_handles_events_from_lambdas_runtime_api() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    let api = RuntimeApi::start("receive").await.unwrap();
    let mut receive = program(env!("CARGO_BIN_EXE_receive"));
    let mut receive = receive.envs(aws.variables()).envs(api.variables()).stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(10), api.first_poll()).await.unwrap();

    // Not a random id: one could hold by chance what must not be logged.
    let message = SignedMessage::new("msg_0001", now(), complaint("ann@example.com", "email-0001"), &secret());
    let event = function_url::event("POST", "/", &message.headers, &message.body).to_string();
    for status in ["handled", "duplicate"] {
        let answer: Value = serde_json::from_slice(&api.invoke(event.clone()).await.unwrap().unwrap()).unwrap();
        assert_eq!(answer["statusCode"], 200);
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({ "status": status, "id": message.id }));
    }

    receive.start_kill().unwrap();
    let output = String::from_utf8(receive.wait_with_output().await.unwrap().stdout).unwrap();
    let lines = output.lines().map(log_line);
    let (metrics, lines): (Vec<Value>, Vec<Value>) = lines.partition(|line: &Value| line.get("_aws").is_some());
    let measured = |name: &str| metrics.iter().filter_map(|line| line[name].as_f64()).sum::<f64>();
    let measured = ["Accepted", "Duplicates", "EventsComplained", "SuppressedComplaint"].map(measured);
    assert_eq!((metrics.len(), measured), (2, [2.0, 1.0, 1.0, 1.0]), "the first ones at once");
    let told: Vec<_> =
        lines.iter().map(|line| (line["outcome"].as_str().unwrap(), line["cold"].as_bool().unwrap())).collect();
    assert_eq!(told, [("handled", true), ("duplicate", false)], "one line for the cold start, one for the duplicate");
    assert_eq!((&lines[0]["message_id"], &lines[0]["event_type"]), (&json!(message.id), &json!("email.complained")));
    for personal in ["ann@", "example.com", "email-0001", "svix", "whsec", "v1,"] {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}

#[tokio::test]
async fn the_receive_binary_opens_its_tls_connection_in_init_and_keeps_it() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let certificate = Certificate::new().unwrap();
    certificate.write(&authority).unwrap();
    let terminator = Terminator::start(&upstream, &certificate).await.unwrap();

    let start = async |trusted: bool| {
        let api = RuntimeApi::start("receive").await.unwrap();
        let mut receive = program(env!("CARGO_BIN_EXE_receive"));
        receive.envs(aws.variables()).envs(api.variables()).stdout(Stdio::null());
        receive.env("AWS_ENDPOINT_URL_DYNAMODB", terminator.url());
        if trusted {
            receive.env("SSL_CERT_FILE", &authority);
        }
        let child = receive.spawn().unwrap();
        tokio::time::timeout(Duration::from_secs(10), api.first_poll()).await.unwrap();
        (api, child)
    };
    let post = async |api: &RuntimeApi| {
        let message = signed(complaint("ann@example.com", "e1"));
        let event = function_url::event("POST", "/", &message.headers, &message.body).to_string();
        let answer: Value = serde_json::from_slice(&api.invoke(event).await.unwrap().unwrap()).unwrap();
        answer["statusCode"].as_u64().unwrap()
    };

    let (api, _receive) = start(true).await;
    assert_eq!(terminator.handshakes(), 1, "done in init");
    for _ in 0..3 {
        assert_eq!(post(&api).await, 200);
    }
    assert_eq!(terminator.handshakes(), 1, "and kept");

    let (api, _receive) = start(false).await;
    assert_eq!(post(&api).await, 503, "a certificate of nobody's is not trusted");
    assert_eq!(terminator.handshakes(), 1);
}

#[tokio::test]
async fn a_function_that_is_not_configured_says_what_to_do_and_ends() {
    for (function, says) in [
        (env!("CARGO_BIN_EXE_receive"), "set RESEND_WEBHOOK_SECRET to"),
        (env!("CARGO_BIN_EXE_protect"), "not set"),
        (env!("CARGO_BIN_EXE_engage"), "not set"),
    ] {
        let mut program = program(function);
        let output = program.env("EVENTS_TABLE", "e").env("AWS_LAMBDA_LOG_FORMAT", "JSON").output().await.unwrap();
        assert!(!output.status.success());
        let line = log_line(String::from_utf8(output.stdout).unwrap().lines().next().unwrap());
        assert!(line["error"].as_str().unwrap().contains(says), "{line}");
        assert_eq!(line["level"], "ERROR", "Lambda takes a line without a time for INFO");
    }
}
