//! Rows of people who mean harm, or whose programs do odd things, through every command: nothing that is printed steers a terminal,
//! turns the reading direction or forges a line; JSON says exactly what is stored; and no cell of a CSV is a formula.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound_dev::stack::EmbeddedAws;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::connect::World;
use super::tail::Tail;
use super::{CommandOutput, command};
use crate::support::{ReceiveHarness, signed};

/// A window's title, a bell, colours in two spellings, a direction that turns, what nobody sees, and a line of its own.
const HOSTILE: &str = "say\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}32m\u{202e}\u{2066}\u{200b}\u{ad}\u{e0041}\u{feff}\u{7f}\r\nFORGED line\u{85}\u{2028}end";

/// The same as the name of something: names have no control characters.
const NAME: &str = "name\u{202e}\u{2066}\u{200b}\u{e0041}end";

/// Not by the code's own rule: what a terminal obeys, and what a reader does not see.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns the faults of a command's output, if there are any.
fn harm(what: &[&str], said: &CommandOutput) -> Option<String> {
    let text = [said.stdout.as_str(), said.stderr.as_str()].concat();
    let is_forged = text.lines().any(|line| line.starts_with("FORGED"));
    (is_forged || text.contains(is_harmful)).then(|| format!("{what:?}: {text:?}"))
}

fn is_harmless(what: &[&str], said: &CommandOutput) {
    assert_eq!(harm(what, said), None);
}

async fn put(aws: &EmbeddedAws, table: &str, item: Value) {
    let put = aws.clients().dynamodb().put_item().table_name(aws.variable(table).unwrap());
    put.set_item(Some(attributes(&item))).send().await.unwrap();
}

fn attributes(item: &Value) -> rebound::store::Item {
    item.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &Value) -> AttributeValue {
    match value {
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            AttributeValue::Ss(all.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        }
        Value::Array(all) => AttributeValue::L(all.iter().map(attribute).collect()),
        Value::Object(_) => AttributeValue::M(attributes(value)),
        _ => panic!("{value}"),
    }
}

/// A service in whose tables there is harm wherever there can be.
async fn harmed() -> ReceiveHarness {
    let service = ReceiveHarness::start().await;
    let aws = &service.aws;
    for recipient in ["ann@example.com", HOSTILE, "=1+1@example.com", "+bob@example.com", "-cho@example.com"] {
        let map = json!({ "at": 1_795_439_100_000_i64, "message_id": HOSTILE, "email_id": HOSTILE, "detail": HOSTILE });
        let item = json!({ "recipient": recipient, "reasons": ["complaint", NAME], "complaint": map, "version": 1 });
        put(aws, "SUPPRESSIONS_TABLE", item).await;
    }
    let mail = |more: Value| {
        let mut data = json!({ "email_id": "e1", "to": [format!("\"{HOSTILE}\" <ann@example.com>")], "subject": HOSTILE,
            "from": HOSTILE, "tags": { "campaign": NAME } });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    };
    let bounce = json!({ "type": HOSTILE, "subType": HOSTILE, "message": HOSTILE, "diagnosticCode": [HOSTILE] });
    for (event_type, data) in [
        ("email.sent", mail(json!({}))),
        ("email.bounced", mail(json!({ "bounce": bounce }))),
        ("email.clicked", mail(json!({ "click": { "link": HOSTILE, "userAgent": HOSTILE, "ipAddress": HOSTILE } }))),
        ("email.failed", mail(json!({ "failed": { "reason": HOSTILE } }))),
        ("domain.updated", json!({ "id": "e1", "name": HOSTILE, "status": HOSTILE })),
        ("suppression.added", json!({ "id": "e1", "email": "ann@example.com", "origin": HOSTILE })),
    ] {
        let body = json!({ "type": event_type, "created_at": "2026-11-20T09:00:00Z", "data": data });
        service.post(&signed(body.to_string())).await;
    }
    service.post(&signed(format!("no event {HOSTILE}"))).await;
    let row = |event: &str, kind: &str, more: Value| {
        let mut row = json!({ "email_id": "e1", "event": event, "kind": kind, "at": 1_795_439_100_000_i64 });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let note = json!({ "email_id": "audit#ann@example.com", "action": HOSTILE, "by": HOSTILE, "why": HOSTILE, "reasons": [NAME] });
    let alert = json!({ "kind": HOSTILE, "severity": HOSTILE, "title": HOSTILE }).to_string();
    let verdict = json!({ "verdict": "human", "score": 90, "reasons": [1], "not_decided": HOSTILE });
    let receipt = json!({ "id": HOSTILE, "at": HOSTILE, "email_id": HOSTILE, "event": HOSTILE, "message": HOSTILE, "event_at": HOSTILE,
        "recipients": [HOSTILE], "campaign": NAME, "verdict": "human", "score": 90, "reasons": [HOSTILE], "facts": { "subject": HOSTILE },
        "asked": { "by": "claude", "because": HOSTILE, "model": HOSTILE, "cost_usd": 0.1, "ms": 1, "tries": 1, "answer": HOSTILE,
            "refused": HOSTILE, "usage": null }, "choice": receipt_choice(), "guards": [],
        "done": { "what": "nothing", "why": HOSTILE }, "followup": null });
    for row in [
        row("audit#1", "audit", note),
        row("alert#1", "alert", json!({ "claimed_at": 1_795_439_100_000_i64, "payload": alert })),
        row("verdict#email.clicked#1", "verdict", verdict),
        row(
            "decision#email.clicked#1",
            "decision",
            json!({ "decided_at": 1_795_439_100_000_i64, "payload": receipt.to_string() }),
        ),
        row("poison#1", "poison", json!({ "problem": HOSTILE })),
        row("quarantine#1", "quarantine", json!({ "received_at": 1_795_439_100_000_i64, "problem": HOSTILE })),
    ] {
        put(aws, "EVENTS_TABLE", row).await;
    }
    let hour = rebound::time::UnixMillis::now().to_text().chars().take(13).collect::<String>();
    for campaign in [NAME, HOSTILE] {
        let figures = json!({ "campaign": campaign, "cohort": hour, "sent": 300, "delivered": 200, "complained": 3 });
        let state = json!({ "campaign": campaign, "cohort": "state", "status": "slowed", "volume": 0.5, "reason": HOSTILE,
            "warning": HOSTILE, "at": 1_795_439_100_000_i64, "version": 1 });
        put(aws, "CAMPAIGNS_TABLE", figures).await;
        put(aws, "CAMPAIGNS_TABLE", state).await;
    }
    service
}

fn receipt_choice() -> Value {
    let choice = rebound::policy::answer::Choice::DoNothing { reason: HOSTILE.to_owned() };
    serde_json::to_value(choice).unwrap()
}

/// The commands that a help text lists.
fn listed(help: &str) -> BTreeSet<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[tokio::test]
async fn no_command_prints_what_steers_a_terminal() {
    let service = harmed().await;
    let url = service.url();
    let listed_file =
        format!("email,name\nann@example.com,\"{NAME}\n=1+1@example.com,\"x\"\n\u{1b}[31m,{NAME}\n{NAME},x\n");
    let odd = "Ann\u{202e} <ann\u{1b}@example.com>";
    let reason = format!("asked {NAME}");
    let all: Vec<(Vec<&str>, &str)> = vec![
        (vec!["demo"], ""),
        (vec!["sample", HOSTILE], ""),
        (vec!["sample", "email.bounced", "--post", &url, "--id", NAME], ""),
        (vec!["sample", "email.bounced", "--post", HOSTILE], ""),
        (vec!["check", "ann@example.com", odd, HOSTILE, "--campaign", NAME], ""),
        (vec!["check", "ann@example.com", odd, HOSTILE, "--campaign", NAME, "--json"], ""),
        (vec!["check", "--file", "-", "--all"], &listed_file),
        (vec!["check", "--file", HOSTILE], ""),
        (vec!["suppressions", "list"], ""),
        (vec!["suppressions", "list", "--json"], ""),
        (vec!["suppressions", "list", "--reason", HOSTILE], ""),
        (vec!["suppressions", "show", "ann@example.com"], ""),
        (vec!["suppressions", "show", "ann@example.com", "--json"], ""),
        (vec!["suppressions", "add", odd, "--reason", "x"], ""),
        (vec!["suppressions", "add", "dan@example.com", "--reason", &reason, "--by", HOSTILE], ""),
        (vec!["suppressions", "remove", "dan@example.com", "--reason", &reason, "--by", HOSTILE, "--json"], ""),
        (vec!["suppressions", "import", "-"], &listed_file),
        (vec!["suppressions", "import", "-", "--json"], &listed_file),
        (vec!["suppressions", "export"], ""),
        (vec!["suppressions", "export", "--format", "jsonl"], ""),
        (vec!["suppressions", "restore", "--since", "2026-11-01", "--dry-run"], ""),
        (vec!["timeline", "e1", "--receipts"], ""),
        (vec!["timeline", "e1", "--json"], ""),
        (vec!["timeline", "--address", "ann@example.com", "--receipts"], ""),
        (vec!["timeline", odd], ""),
        (vec!["tail", "--type", HOSTILE], ""),
        (vec!["tail", "--address", HOSTILE], ""),
        (vec!["tail", "--campaign", HOSTILE], ""),
        (vec!["campaigns"], ""),
        (vec!["campaigns", "--json"], ""),
        (vec!["followups", "list", "--since", HOSTILE], ""),
        (vec!["followups", "show", HOSTILE], ""),
        (vec!["followups", "reject", HOSTILE, "--reason", &reason], ""),
        (vec!["followups", "stop", odd, "--reason", &reason], ""),
        (vec!["followups", "pause", "--campaign", HOSTILE, "--reason", &reason], ""),
        (vec!["followups", "list"], ""),
        (vec!["followups", "resume", "--campaign", HOSTILE], ""),
        (vec!["campaigns", NAME], ""),
        (vec!["campaigns", "name\u{202e}"], ""),
        (vec!["replay", "e1", "--dry-run"], ""),
        (vec!["replay", "e1", "--json"], ""),
        (vec!["forget", "dan@example.com", "--dry-run", "--reason", &reason], ""),
        (vec!["forget", odd, "--reason", "x"], ""),
        (vec!["unsubscribe-link", odd], ""),
        (vec!["unsubscribe-link", "ann@example.com", "--email-id", HOSTILE, "--json"], ""),
        (vec!["sample", "one_click", "--post", HOSTILE], ""),
        (vec!["sample", "visit", "--post", &url], ""),
        (vec!["simulate", HOSTILE], ""),
        (vec!["connect", HOSTILE], ""),
        (vec!["doctor", "--url", HOSTILE], ""),
        (vec!["dev", "--listen", HOSTILE], ""),
        (vec!["completions", HOSTILE], ""),
        (vec![HOSTILE], ""),
    ];
    let help = async |arguments: &[&str]| listed(&command(&BTreeMap::new(), arguments, "").await.stdout);
    let mut missing = help(&["--help"]).await;
    let groups: Vec<String> =
        missing.iter().filter(|name| *name == "suppressions" || *name == "followups").cloned().collect();
    for group in groups {
        missing.extend(help(&[&group, "--help"]).await.into_iter().map(|name| format!("{group} {name}")));
    }
    let mut harmful = Vec::new();
    for (arguments, input) in &all {
        let said = command(service.aws.variables(), arguments, input).await;
        harmful.extend(harm(arguments, &said));
        missing.remove(arguments[0]);
        missing.remove(&arguments.iter().take(2).copied().collect::<Vec<_>>().join(" "));
    }
    assert!(harmful.is_empty(), "{harmful:#?}");
    assert!(missing.is_empty(), "commands that were not driven: {missing:?}");
}

#[tokio::test]
async fn nothing_that_comes_in_live_steers_a_terminal() {
    let service = harmed().await;
    let mut rows = service.rows().await;
    let mut running = Vec::new();
    for arguments in [&[][..], &["--json"]] {
        running.push((arguments, Tail::start(service.aws.variables(), arguments).await));
    }
    // Each row once more, as new ones are: under another key, and webhooks under another message.
    let dynamodb = service.aws.clients().dynamodb();
    for row in &mut rows {
        row.insert("email_id".to_owned(), AttributeValue::S(HOSTILE.to_owned()));
        let put = dynamodb.put_item().table_name(service.aws.variable("EVENTS_TABLE").unwrap());
        put.set_item(Some(row.clone())).send().await.unwrap();
    }
    let last = json!({ "email_id": "last", "event": "poison#1", "kind": "poison", "at": 1_795_439_100_000_i64, "problem": "the last" });
    put(&service.aws, "EVENTS_TABLE", last).await;
    for (arguments, mut tail) in running {
        let mut stdout = String::new();
        while !stdout.contains("the last") {
            stdout += &(tail.next().await + "\n");
        }
        assert!(stdout.lines().count() >= 8 && stdout.contains("owned"), "{stdout:?}");
        is_harmless(arguments, &CommandOutput { code: 0, stdout, stderr: String::new() });
    }
}

#[tokio::test]
async fn json_and_jsonl_say_exactly_what_is_stored() {
    let service = harmed().await;
    let listed = command(service.aws.variables(), &["suppressions", "list", "--json"], "").await.lines();
    let odd = listed.iter().find(|line| line["recipient"] == HOSTILE).expect("as it is stored");
    assert_eq!(odd["reasons"][0]["detail"], HOSTILE);
    let shown =
        command(service.aws.variables(), &["suppressions", "show", "ann@example.com", "--json"], "").await.json();
    assert_eq!(shown["audit"][0]["why"], HOSTILE);
    let exported = command(service.aws.variables(), &["suppressions", "export", "--format", "jsonl"], "").await.lines();
    assert!(exported.iter().any(|line| line["recipient"] == "ann@example.com" && line["detail"] == HOSTILE));
}

#[tokio::test]
async fn an_exported_csv_has_no_formula_and_the_same_addresses() {
    let service = harmed().await;
    let exported = command(service.aws.variables(), &["suppressions", "export"], "").await.stdout;
    let mut reader = csv::ReaderBuilder::new().from_reader(exported.as_bytes());
    let formulas = ['=', '+', '-', '@', '\t', '\r'];
    for record in reader.records() {
        let record = record.unwrap();
        assert!(!record.iter().any(|cell| cell.starts_with(formulas)), "{record:?}");
    }
    let checked = command(service.aws.variables(), &["check", "--file", "-", "--json"], &exported).await;
    let answers = checked.lines();
    let of = |address: &str| {
        answers.iter().find(|line| line["recipient"] == address).unwrap()["reasons"][0]["reason"].clone()
    };
    let elsewhere = ReceiveHarness::start().await;
    let imported = command(elsewhere.aws.variables(), &["suppressions", "import", "-"], &exported).await;
    assert_eq!(imported.code, 1, "one address is none: {imported:?}");
    let there = elsewhere.suppressions().await;
    for address in ["ann@example.com", "=1+1@example.com", "+bob@example.com", "-cho@example.com"] {
        assert_eq!(of(address), "complaint", "{address}");
        assert!(there.contains_key(address), "{address}");
    }
    assert_eq!(answers.iter().filter(|line| line["recipient"].is_null()).count(), 1, "what is no address is named");
}

#[tokio::test]
async fn what_resend_answers_is_printed_harmlessly() {
    let world = World::start().await;
    let resend = rebound_cli::resend_api::Resend::new(Some(&world.resend.url()), super::connect::KEY).unwrap();
    resend.create_webhook(&format!("https://example.com/{HOSTILE}"), &["email.sent".to_owned()]).await.unwrap();
    world.resend.suppress(HOSTILE, HOSTILE, HOSTILE);
    world.resend.suppress("ann@example.com", HOSTILE, "2026-10-06 23:47:56.678+00");
    for arguments in [&["connect"][..], &["connect", "--json"], &["doctor"], &["doctor", "--json"]] {
        is_harmless(arguments, &world.rebound(arguments).await);
    }
    is_harmless(&["import"], &world.rebound(&["suppressions", "import", "--from-resend"]).await);
}

#[tokio::test]
async fn dev_says_a_line_of_an_alert_whatever_is_in_its_title() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dev.env");
    let mut dev = Command::new(env!("CARGO_BIN_EXE_rebound"));
    dev.args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--dynamodb",
        "127.0.0.1:0",
        "--consent",
        "127.0.0.1:0",
        "--window",
        "0.1",
        "--tick",
        "0.5",
    ]);
    dev.arg("--env-file").arg(&file).env_clear().stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut dev = dev.spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let mut is_sent = false;
    loop {
        let next = tokio::time::timeout(Duration::from_millis(200), lines.next_line()).await;
        if !is_sent && let Ok(text) = std::fs::read_to_string(&file) {
            let url = text.lines().find_map(|line| line.strip_prefix("REBOUND_FUNCTION_URL=")).unwrap();
            for (event_type, data) in [
                ("domain.updated", json!({ "id": "d1", "name": NAME, "status": "failed" })),
                (
                    "email.failed",
                    json!({ "email_id": "e1", "to": ["ann@example.com"], "failed": { "reason": HOSTILE } }),
                ),
            ] {
                let now = rebound::time::UnixMillis::now().to_text();
                let body = json!({ "type": event_type, "created_at": now, "data": data });
                let request = signed(body.to_string()).request(&rebound::web::client(), reqwest::Method::POST, url);
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
            is_sent = true;
        }
        if let Ok(line) = next {
            said.push_str(&line.unwrap().expect("it runs on"));
            said.push('\n');
        }
        if said.contains(" domain ") && said.contains(" failed ") {
            break;
        }
    }
    is_harmless(&["dev"], &CommandOutput { code: 0, stdout: said.clone(), stderr: String::new() });
    assert!(said.contains("nameend"), "{said}");
}
