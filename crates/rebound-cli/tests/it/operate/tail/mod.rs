//! `tail`: what comes in and what is done about it, on the service as `rebound dev` runs it.

mod shards;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::time::UnixMillis;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

use super::{Dev, at_once, command};
use crate::support::recorder::Recorder;
use crate::support::{now, secret};

/// The longest that a line may take to come: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// `rebound tail`, running.
pub(super) struct Tail {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
    began: String,
}

impl Tail {
    /// Starts it, and waits until it says that it has begun.
    pub(super) async fn start(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rebound"));
        command.arg("tail").args(arguments).env_clear().envs(variables).kill_on_drop(true);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut began = String::new();
        timeout(PATIENCE, stderr.read_line(&mut began)).await.unwrap().unwrap();
        Self { child, stdout, stderr, began }
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> String {
        timeout(PATIENCE, self.stdout.next_line()).await.expect("a line").unwrap().expect("it ended")
    }

    /// Reads lines of JSON until enough of them are there.
    pub(super) async fn until(&mut self, is_enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let mut lines = Vec::new();
        while !is_enough(&lines) {
            let Ok(line) = timeout(PATIENCE, self.stdout.next_line()).await else {
                panic!("no more lines: {lines:#?}")
            };
            lines.push(serde_json::from_str(&line.unwrap().expect("it ended")).unwrap());
        }
        lines
    }

    /// Ends the command as Ctrl-C does. Returns the exit code, the rest of standard output, and standard error.
    async fn interrupt(self) -> (Option<i32>, String, String) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        self.end().await
    }

    async fn end(mut self) -> (Option<i32>, String, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        let (mut rest, mut stderr) = (String::new(), String::new());
        while let Some(line) = self.stdout.next_line().await.unwrap() {
            rest += &(line + "\n");
        }
        self.stderr.read_to_string(&mut stderr).await.unwrap();
        (status.code(), rest, stderr)
    }
}

/// A webhook of an email that was created now.
fn webhook(event_type: &str, email: &str, to: &str, campaign: &str, more: &Value) -> SignedMessage {
    let at = UnixMillis::now().to_text();
    let mut data = json!({ "email_id": email, "created_at": at, "to": [to], "subject": "hello", "tags": { "campaign": campaign } });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = json!({ "type": event_type, "created_at": at, "data": data }).to_string();
    SignedMessage::new(new_message_id(), now(), body, &secret())
}

fn hard() -> Value {
    json!({ "bounce": { "type": "Permanent", "subType": "General", "message": "no such user" } })
}

async fn post(variables: &BTreeMap<String, String>, message: &SignedMessage) {
    let client = rebound::web::client_for("http:");
    let answer =
        message.request(&client, reqwest::Method::POST, &variables["REBOUND_FUNCTION_URL"]).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

fn whats(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["what"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_webhook_and_each_effect_is_a_line_until_ctrl_c() {
    let dev = Dev::start().await;
    let variables = dev.variables();
    post(&variables, &webhook("email.sent", "before", "early@example.com", "launch", &json!({}))).await;
    let mut tail = Tail::start(&variables, &["--json"]).await;
    assert!(tail.began.contains("from now on") && tail.began.contains("Ctrl-C"), "{}", tail.began);

    let agent =
        json!({ "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)", "ipAddress": "192.0.2.1" });
    let sent = [
        webhook("email.sent", "e1", "ann@example.com", "launch", &json!({})),
        webhook("email.delivered", "e1", "ann@example.com", "launch", &json!({})),
        webhook("email.opened", "e1", "ann@example.com", "launch", &json!({ "open": agent })),
        webhook("email.bounced", "e2", "bob@example.com", "launch", &hard()),
        webhook("email.complained", "e3", "eve@example.com", "launch", &json!({})),
    ];
    for message in &sent {
        post(&variables, message).await;
    }
    let wanted = ["counted", "brake", "alert", "verdict"];
    let lines = tail
        .until(|lines| {
            let has = |what: &str| whats(lines).contains(&what);
            let counted =
                lines.iter().any(|line| line["totals"]["complained"] == 1 && line["totals"]["bounced_hard"] == 1);
            counted
                && wanted.iter().all(|what| has(what))
                && lines.iter().filter(|line| !line["message_id"].is_null()).count() >= sent.len()
        })
        .await;
    for message in &sent {
        let lines_of_it = lines.iter().filter(|line| line["message_id"] == message.id).count();
        assert_eq!(lines_of_it, 1, "each once, however often the stream is delivered: {}", message.id);
    }
    assert!(!lines.iter().any(|line| line["about"] == "before"), "what was before is not shown");
    let of = |what: &str| lines.iter().find(|line| line["what"] == what).unwrap();
    assert_eq!(of("email.bounced")["follows"], json!(["bob@example.com is suppressed as hard_bounce"]));
    assert_eq!(of("email.complained")["follows"], json!(["eve@example.com is suppressed as complaint"]));
    assert_eq!((&of("brake")["status"], &of("brake")["about"]), (&json!("slowed"), &json!("launch")));
    assert_eq!((&of("verdict")["campaign"], &of("verdict")["about"]), (&json!("launch"), &json!("e1")));
    let about_eve = |line: &&Value| line["what"] == "alert" && line["about"] == "e3";
    assert_eq!(lines.iter().find(about_eve).unwrap()["campaign"], "launch");

    let (code, _, stderr) = tail.interrupt().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Ended: 5 webhooks came in, "), "{stderr}");
}

#[tokio::test]
async fn only_what_is_asked_for_is_shown() {
    let dev = Dev::start().await;
    let variables = dev.variables();
    let mut by_type = Tail::start(&variables, &["--json", "--type", "email.bounced,alert"]).await;
    let mut by_campaign = Tail::start(&variables, &["--json", "--campaign", "autumn"]).await;
    let mut by_address = Tail::start(&variables, &["--json", "--address", "Eve <EVE@example.com>"]).await;
    for (event_type, email, to, campaign, more) in [
        ("email.sent", "e1", "ann@example.com", "autumn", json!({})),
        ("email.bounced", "e2", "bob@example.com", "spring", hard()),
        ("email.complained", "e3", "eve@example.com", "autumn", json!({})),
        ("email.sent", "e4", "eve@example.com", "spring", json!({})),
        ("email.sent", "last", "ann@example.com", "autumn", json!({})),
        ("email.bounced", "last", "ann@example.com", "autumn", hard()),
        ("email.sent", "last", "eve@example.com", "spring", json!({})),
    ] {
        post(&variables, &webhook(event_type, email, to, campaign, &more)).await;
    }
    let is_last =
        |lines: &[Value], what: &str| lines.iter().any(|line| line["about"] == "last" && line["what"] == what);
    let has_alert = |lines: &[Value]| lines.iter().any(|line| line["what"] == "alert" && line["about"] == "e3");

    let lines = by_type.until(|lines| is_last(lines, "email.bounced") && has_alert(lines)).await;
    assert!(whats(&lines).iter().all(|what| ["email.bounced", "alert"].contains(what)), "{lines:#?}");

    let lines = by_campaign
        .until(|lines| is_last(lines, "email.bounced") && has_alert(lines) && whats(lines).contains(&"counted"))
        .await;
    assert!(lines.iter().all(|line| line["campaign"] == "autumn"), "{lines:#?}");

    let lines = by_address.until(|lines| is_last(lines, "email.sent") && has_alert(lines)).await;
    assert!(lines.iter().all(|line| line.to_string().contains("eve@example.com")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line["about"] == "e1" || line["about"] == "e2"), "{lines:#?}");
}

#[tokio::test]
async fn it_needs_the_permissions_that_its_help_names_and_no_others() {
    let dev = Dev::start().await;
    let recorder = Recorder::start(&dev.variables()).await;
    let mut tail = Tail::start(recorder.variables(), &["--json", "--address", "eve@example.com"]).await;
    let mut other = Tail::start(recorder.variables(), &["--json"]).await;
    for (event_type, email, more) in [("email.bounced", "e1", hard()), ("email.complained", "e2", json!({}))] {
        post(recorder.variables(), &webhook(event_type, email, "eve@example.com", "launch", &more)).await;
    }
    tail.until(|lines| whats(lines).contains(&"alert")).await;
    other.until(|lines| whats(lines).contains(&"brake")).await;
    let action = |(name, of): &(&str, &str)| (format!("dynamodb:{name}"), (*of).to_owned());
    // What is asked of the stream names no table.
    let needed = [
        ("DescribeTable", "rebound-events"),
        ("DescribeStream", ""),
        ("GetShardIterator", ""),
        ("GetRecords", ""),
        ("Query", "rebound-events"),
        ("GetItem", "rebound-suppressions"),
        ("Query", "rebound-campaigns"),
        ("GetItem", "rebound-campaigns"),
    ];
    assert_eq!(recorder.take(), needed.iter().map(action).collect());
    assert_eq!(recorder.eventual(), Vec::<Value>::new(), "what was just written is seen");
    let help = command(&BTreeMap::new(), &["tail", "--help"], "").await.stdout;
    for (name, _) in needed {
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[tokio::test]
async fn whom_protect_suppresses_for_soft_bounces_is_a_line_too() {
    let dev = Dev::start().await;
    let variables = dev.variables();
    let mut tail = Tail::start(&variables, &["--json", "--type", "suppressed"]).await;
    let soft = json!({ "bounce": { "type": "Transient", "subType": "MailboxFull", "message": "the mailbox is full" } });
    for email in ["e1", "e2", "e3"] {
        post(&variables, &webhook("email.bounced", email, "full@example.com", "launch", &soft)).await;
    }
    let lines = tail.until(|lines| !lines.is_empty()).await;
    assert_eq!((&lines[0]["reason"], &lines[0]["recipients"]), (&json!("soft_bounce"), &json!(["full@example.com"])));
    assert!(lines[0]["until"].as_str().unwrap() > UnixMillis::now().to_text().as_str(), "{lines:#?}");
}

#[tokio::test]
async fn a_line_is_wrapped_between_words_and_controls_no_terminal() {
    let dev = Dev::start().await;
    let mut variables = dev.variables();
    variables.insert("COLUMNS".to_owned(), "80".to_owned());
    let mut tail = Tail::start(&variables, &["--type", "email.sent"]).await;
    let subject = format!("\u{1b}[31mred\u{1b}]0;title\u{7}\n{}", "word ".repeat(40));
    post(&variables, &webhook("email.sent", "e1", "ann@example.com", "launch", &json!({ "subject": subject }))).await;
    let mut text = String::new();
    while !text.contains("[e1, campaign launch]") {
        text += &(tail.next().await + "\n");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.lines().skip(1).all(|line| line.starts_with("        ")), "they begin below the first: {text}");
    assert!(
        !text.contains(['\u{1b}', '\u{7}']) && text.contains("red") && text.matches("word").count() == 40,
        "{text}"
    );
}

#[tokio::test]
async fn a_rebound_that_is_gone_is_said_to_be_gone() {
    let dev = Dev::start().await;
    let variables = dev.variables();
    let tail = Tail::start(&variables, &["--json"]).await;
    drop(dev);
    let (code, _, stderr) = tail.end().await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("trying again for 2 s") && stderr.contains("`rebound dev` does not respond"), "{stderr}");

    let said = at_once(&variables, &["tail"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:#?}");
    assert!(said.stderr.contains("check that `rebound dev` is running"), "{said:#?}");
}

#[tokio::test]
async fn a_type_that_there_is_not_is_refused_with_the_nearest() {
    let said = command(&BTreeMap::new(), &["tail", "--type", "email.bounce"], "").await;
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("email.bounced"), "{}", said.stderr);
    for (arguments, what) in [
        (["--address", "nobody"], "this is not an address"),
        (["--campaign", " "], "this is not a valid campaign name"),
    ] {
        let said = command(&BTreeMap::new(), &[&["tail"][..], &arguments].concat(), "").await;
        assert!(said.code == 2 && said.stderr.contains(what), "{said:#?}");
    }
}
