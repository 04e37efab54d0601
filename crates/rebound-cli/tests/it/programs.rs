//! The command itself: the demo, samples, and `rebound dev`, as they are run.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::samples;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::support::{complaint, now, program, secret, signed};

/// The samples of an email that is delivered, opened and clicked.
fn story() -> Vec<SignedMessage> {
    ["delivered", "opened", "clicked"]
        .map(|what| {
            let body = samples::recent(&format!("email.{what}"), UnixMillis::now()).unwrap();
            SignedMessage::new(format!("msg_sample_{what}"), now(), body, &secret())
        })
        .to_vec()
}

fn rebound(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_rebound"));
    command.args(arguments);
    command
}

/// The text that one run of the demo prints, for all tests that read it.
async fn demo() -> &'static str {
    static PRINTED: OnceCell<String> = OnceCell::const_new();
    let run = async || {
        let output = rebound(&["demo"]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        text
    };
    PRINTED.get_or_init(run).await
}

/// The report of one run of the demo, for all tests that read it.
async fn demo_report() -> &'static Value {
    static REPORT: OnceCell<Value> = OnceCell::const_new();
    let run = async || {
        let output = rebound(&["demo", "--json"]).output().await.unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    REPORT.get_or_init(run).await
}

#[tokio::test]
async fn the_demo_finds_everything_as_the_contract_says() {
    let text = demo().await;
    assert!(text.contains("Everything matches the contract."), "{text}");
    assert!(!text.contains('\u{1b}'), "colour is for terminals");
    // A pipe has no width: it gets every column, at a width of its own.
    let in_tables = text.lines().filter(|line| line.starts_with(['│', '┌']));
    assert!(in_tables.clone().count() > 100 && in_tables.clone().all(|line| line.chars().count() <= 140), "{text}");
    assert!(!text.contains("Columns omitted"), "{text}");
    let narrow = rebound(&["demo"]).env("COLUMNS", "80").output().await.unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");

    let report = demo_report().await;
    assert_eq!((&report["ok"], report["requests"].as_array().unwrap().len()), (&json!(true), 47));
    assert_eq!(report["suppressions"]["bob@example.com"], json!(["hard_bounce"]));
}

/// Each line with single spaces, and without a table's borders.
fn bare(text: &str) -> Vec<String> {
    let words = |line: &str| line.replace(['│', '|'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn the_demo_prints_the_lines_that_readme_shows() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let shown = bare(readme.split("```text\n").nth(1).expect("a block of output").split("```").next().unwrap());
    let printed = bare(demo().await);
    assert!(shown.len() > 3, "{shown:?}");
    for line in shown {
        assert!(printed.contains(&line), "README shows a line that the demo does not print: {line}");
    }
}

#[tokio::test]
async fn the_demo_shows_decisions_of_the_rules_and_of_the_stub() {
    let report = demo_report().await;
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
async fn the_demo_shows_an_opt_out_and_a_reset_that_may_still_go() {
    let report = demo_report().await;
    let consent = &report["consent"];
    let requests = consent["requests"].as_array().unwrap();
    let seen: Vec<Value> = requests.iter().map(|it| json!([it["status"], it["reasons"]])).collect();
    let (none, out) = (json!([]), json!(["opted_out"]));
    assert_eq!(seen, [json!([200, none]), json!([200, out]), json!([200, out]), json!([200, out]), json!([404, out])]);
    let emails = consent["emails"].as_array().unwrap();
    let may: Vec<Value> = emails.iter().map(|it| json!([it["email"], it["may_send"]])).collect();
    assert_eq!(may, [json!(["a newsletter", false]), json!(["a password reset", true])]);
    assert_eq!((&consent["audit_rows"], &consent["pushes"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_demo_sends_two_follow_ups_and_none_after_a_no() {
    let report = demo_report().await;
    let followups = &report["followups"];
    let steps = followups["steps"].as_array().unwrap().iter();
    let last = |who: &str| {
        let of_person = steps.clone().filter(|step| step["recipient"] == format!("{who}@readers.example"));
        of_person.map(|step| step["status"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(last("kim"), ["due", "sent"]);
    assert_eq!(last("lou"), ["due", "dropped"]);
    assert_eq!(last("mia"), ["due", "sending", "dropped"]);
    assert_eq!(last("nik"), ["due", "due", "sent"]);
    assert_eq!(followups["accepted"], json!(["kim@readers.example", "nik@readers.example"]));
    let headers = &followups["request"]["headers"];
    assert_eq!(headers["In-Reply-To"], "<crocus-news-kim@email.amazonses.com>");
    assert_eq!((&headers["References"], &report["ok"]), (&headers["In-Reply-To"], &json!(true)));
}

#[tokio::test]
async fn the_demo_shows_what_protect_did_by_stream_and_by_tick() {
    let report = demo_report().await;
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
    assert_eq!(
        protect["complaint_alerts"][1],
        json!({"campaign": "spring-bulbs", "counted": 8, "one_by_one": 5, "in_digests": 3})
    );

    assert_eq!(each("soft_bounces", |it| it["reasons"].clone()), [json!([]), json!([]), json!(["soft_bounce"])]);
    assert_eq!((&protect["queue"]["sent_at_first"], &protect["queue"]["different"]), (&json!(18), &json!(18)));
    assert!(protect["queue"]["sent_in_the_end"].as_u64().unwrap() >= 3 * 18, "delivered again, so sent again");
    let again = each("redeliveries", |it| json!([it["changed"], it["published"], it["records"]]));
    let records = &protect["redeliveries"][0]["records"];
    assert!(records.as_u64().unwrap() > 310, "{records}");
    assert_eq!(again, [json!([0, 0, records]), json!([0, 0, records])]);
}

#[tokio::test]
async fn each_sample_is_newly_signed_and_an_unknown_type_gets_a_hint() {
    let list = rebound(&["sample"]).output().await.unwrap();
    assert_eq!(String::from_utf8(list.stdout).unwrap().lines().count(), 37);
    let late = rebound(&["sample", "email.bounced", "--id", "msg_1", "--late"]).output().await.unwrap();
    let event: Value = serde_json::from_slice(&late.stdout).unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["headers"]["svix-id"], "msg_1");
    assert_eq!(event["body"].as_str().unwrap().as_bytes(), samples::body("email.bounced").unwrap());
    // Whoever does not ask for an old one gets one of now, with that flag or, as before, with the other.
    for arguments in [&["sample", "email.bounced"][..], &["sample", "email.bounced", "--recent"]] {
        let sample = rebound(arguments).output().await.unwrap();
        let event: Value = serde_json::from_slice(&sample.stdout).unwrap();
        let body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
        let at = UnixMillis::parse(body["created_at"].as_str().unwrap()).unwrap();
        assert!((0..600_000).contains(&(UnixMillis::now().0 - at.0)), "{}", at.to_text());
    }
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
        let mut command =
            rebound(&["dev", "--listen", &listen, "--dynamodb", &dynamodb, "--consent", "127.0.0.1:0", "--data", data]);
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
async fn dev_copies_no_secret_of_the_shell_and_gives_stubs_none() {
    let mut command = rebound(&["dev", "--aws-only", "--dynamodb", "127.0.0.1:0"]);
    let mine =
        [("AWS_ACCESS_KEY_ID", "AKIAMINE"), ("AWS_SECRET_ACCESS_KEY", "my-key"), ("AWS_SESSION_TOKEN", "my-token")];
    command.envs(mine).env("CONSENT_KEY", "my-key-for-links-my-key-for-links");
    command.env("RESEND_WEBHOOK_SECRET", "whsec_bXktc2VjcmV0").stdout(Stdio::piped());
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
    for secret in ["AKIAMINE", "my-key", "my-token", "bXktc2VjcmV0", "my-key-for-links"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(
        printed.contains("AWS_SECRET_ACCESS_KEY=local") && printed.contains("EVENTS_TABLE=rebound-events"),
        "{printed}"
    );

    let named = |name: &str| mine.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), named).await.unwrap();
    assert_eq!(
        (aws.variable("AWS_SECRET_ACCESS_KEY").unwrap(), aws.variable("AWS_SESSION_TOKEN")),
        ("local".to_owned(), None)
    );
    let theirs = |name: &str| match name {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some("https://secrets.example".to_owned()),
        _ => named(name),
    };
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), theirs).await.unwrap();
    assert_eq!(aws.variable("AWS_SESSION_TOKEN").unwrap(), "my-token", "an endpoint of one's own gets one's own");
}

#[tokio::test]
async fn dev_uses_the_named_dynamodb_and_creates_local_tables() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let endpoint = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let named = |name: &str| match name {
        "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoint.clone()),
        "EVENTS_TABLE" => Some("elsewhere".to_owned()),
        _ => None,
    };
    let dev = EmbeddedAws::start(&LocalAwsOptions::in_memory(), named).await.unwrap();
    assert_eq!(dev.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap(), endpoint);
    let scanned = aws.clients().dynamodb().scan().table_name("elsewhere").send().await;
    assert_eq!(scanned.unwrap().count(), 0);
}

#[tokio::test]
async fn rebound_dev_decides_about_a_click_that_is_posted_to_it() {
    let mut dev = program(env!("CARGO_BIN_EXE_rebound"));
    dev.args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--dynamodb",
        "127.0.0.1:0",
        "--consent",
        "127.0.0.1:0",
        "--claude-stub",
    ]);
    dev.args(["--settle", "0.1", "--window", "0.1"]);
    let mut dev = dev.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let mut next = async || tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap();
    let url = loop {
        let line = next().await.unwrap();
        if let Some(url) = line.strip_prefix("function URL") {
            break url.trim().to_owned();
        }
    };
    for message in &story() {
        let request = message.request(&rebound::web::client(), reqwest::Method::POST, &url);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let mut decided = Vec::new();
    while decided.len() < 2 {
        let line = next().await.unwrap();
        decided.extend(line.starts_with("DECISION").then_some(line));
    }
    decided.sort();
    assert!(decided[0].contains("engagement") && decided[1].contains("followup"), "{decided:?}");
    assert!(decided[1].contains("maya.lindqvist@example.com, campaign autumn-bulbs"), "{decided:?}");
}
