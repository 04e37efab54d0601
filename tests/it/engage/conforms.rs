//! The requests to Claude, and the responses of its stub, checked against the types of Anthropic's Python package, by
//! `scripts/check_claude_request.py`, if a Python with the package is installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rebound_dev::claude::{ClaudeBehaviour, ClaudeStub};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{EngageHarness, MINUTE, PHONE, StagedEmail, after};
use crate::support::any_port;

/// If this is set, a missing Python is a failure.
const REQUIRED: &str = "REQUIRE_ANTHROPIC";

/// A change that makes a request invalid.
type Corruption = fn(&mut Value);

/// A Python with the package. Returns `None` if there is none, and prints that.
async fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/python3");
    for python in [own, PathBuf::from("python3")] {
        let import = Command::new(&python).args(["-c", "import anthropic"]).stderr(Stdio::null()).status().await;
        if import.is_ok_and(|status| status.success()) {
            return Some(python);
        }
    }
    assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and no Python has the package anthropic");
    eprintln!("skipped: no Python has the package anthropic; `make lint` installs it");
    None
}

/// The script's output for each of these, and its success.
async fn checked(python: &Path, arguments: &[&str], bodies: &[Value]) -> (bool, Vec<String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check_claude_request.py");
    let mut command = Command::new(python);
    let command = command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut running = command.spawn().unwrap();
    let lines: String = bodies.iter().map(|body| format!("{body}\n")).collect();
    let mut input = running.stdin.take().unwrap();
    let write = async move { input.write_all(lines.as_bytes()).await };
    let (written, output) = tokio::join!(write, running.wait_with_output());
    let (_, output) = (written.unwrap(), output.unwrap());
    let said: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(said.len(), bodies.len(), "a line for each: {said:#?}");
    (output.status.success(), said)
}

/// The requests to Claude with these variables set: about a click by one and by several people, and about an open.
async fn asked(variables: &[(&str, &str)]) -> Vec<Value> {
    let stage = EngageHarness::with(&[&[("ANTHROPIC_API_KEY", "sk-ant-test")], variables].concat()).await;
    let to: Vec<String> = ["ann", "bob", "eve"].iter().map(|name| format!("{name}@example.com")).collect();
    let (one, several) = (StagedEmail::to("e1", "zoe@example.com"), StagedEmail { to, ..StagedEmail::to("e2", "") });
    let at = after(-10 * MINUTE);
    let happened = [
        one.delivered(),
        one.opened_by("o1", after(-20 * MINUTE), PHONE),
        one.clicked("c1", at),
        several.delivered(),
        several.clicked("c2", at),
    ];
    stage.happens(&happened).await;
    let bodies: Vec<Value> = stage.claude.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!((bodies.len(), stage.claude.answered_tokens().answers), (3, 3));
    bodies
}

/// The requests to Claude in every variation.
async fn all_asked() -> Vec<Value> {
    let guide =
        "We sell bulbs, and write as a gardener would: \u{201c}short\u{201d}, warm, nothing pushy.\n".repeat(200);
    let mut bodies = Vec::new();
    for variables in [
        &[][..],
        &[("DECISION_GUIDE", guide.as_str())],
        &[("ANTHROPIC_MODEL", "claude-opus-5-5")],
        &[("ANTHROPIC_MODEL", "claude-haiku-4-5")],
    ] {
        bodies.extend(asked(variables).await);
    }
    bodies
}

#[tokio::test]
async fn every_question_is_one_that_the_official_package_would_ask() {
    let Some(python) = python().await else { return };
    let bodies = all_asked().await;
    let forced = |body: &&Value| body["tool_choice"]["type"] == "any";
    assert_eq!((bodies.len(), bodies.iter().filter(forced).count()), (12, 9));
    let offered = |body: &Value| body["tools"][0]["input_schema"]["properties"]["to"]["enum"].as_array().unwrap().len();
    assert!(bodies.iter().any(|body| offered(body) == 1) && bodies.iter().any(|body| offered(body) == 3));
    let (is_well, said) = checked(&python, &[], &bodies).await;
    assert!(is_well && said.iter().all(|said| said == "ok"), "{said:#?}");
}

#[tokio::test]
async fn an_invalid_request_is_reported() {
    let Some(python) = python().await else { return };
    let right = asked(&[]).await.remove(0);
    let wrong: [(&str, Corruption); 14] = [
        ("request.tool_choise is not known", |body| body["tool_choise"] = body["tool_choice"].take()),
        ("request.tools.0.strict: 'yes' is no bool", |body| body["tools"][0]["strict"] = json!("yes")),
        ("request.tools.0.input_schema is missing", |body| {
            body["tools"][0].as_object_mut().unwrap().remove("input_schema");
        }),
        ("request.urgency is not known", |body| body["urgency"] = json!("high")),
        ("request.tools.0.input_schema.type", |body| body["tools"][0]["input_schema"]["type"] = json!("array")),
        ("request.tools.0.input_schema.required", |body| body["tools"][0]["input_schema"]["required"] = json!("to")),
        ("request.tool_choice.type", |body| body["tool_choice"]["type"] = json!("some")),
        ("request.tool_choice.parallel", |body| body["tool_choice"]["parallel"] = json!(false)),
        ("request.thinking", |body| body["thinking"]["budget_tokens"] = json!(1_024)),
        ("request.system", |body| body["system"][0]["cache_control"]["type"] = json!("forever")),
        ("request.messages.0.role", |body| body["messages"][0]["role"] = json!("human")),
        ("request.max_tokens: '1024' is no int", |body| body["max_tokens"] = json!("1024")),
        ("request.output_config.effort", |body| body["output_config"] = json!({ "effort": "lowest" })),
        ("request.model is missing", |body| {
            body.as_object_mut().unwrap().remove("model");
        }),
    ];
    let bodies: Vec<Value> = wrong
        .iter()
        .map(|(_, change)| {
            let mut body = right.clone();
            change(&mut body);
            body
        })
        .collect();
    let (is_well, said) = checked(&python, &[], &bodies).await;
    assert!(!is_well);
    for ((expected, _), said) in wrong.iter().zip(said) {
        assert!(said.starts_with("refused: ") && said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn the_official_package_reads_every_answer_of_the_stub() {
    let Some(python) = python().await else { return };
    let claude = ClaudeStub::start(any_port()).await.unwrap();
    let bodies = all_asked().await;
    let text = json!([{ "type": "text", "text": "I would rather not." }]);
    let mut answers = Vec::new();
    for behaviour in [ClaudeBehaviour::Default, ClaudeBehaviour::Content(text, "end_turn".to_owned())] {
        claude.plan(move |_| behaviour.clone());
        for body in &bodies {
            let post = rebound::web::client().post(format!("{}/v1/messages", claude.url())).body(body.to_string());
            let post = post.header("content-type", "application/json").header("anthropic-version", "2023-06-01");
            let answer = post.header("x-api-key", "k").send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
            answers.push(serde_json::from_str(&answer.text().await.unwrap()).unwrap());
        }
    }
    let (is_well, said) = checked(&python, &["--answers"], &answers).await;
    assert!(is_well && said.iter().all(|said| said == "ok"), "{said:#?}");

    let mut wrong: Vec<Value> = vec![answers[0].clone(); 3];
    wrong[0]["usage"]["input_tokens"] = json!("12");
    wrong[1]["content"][0]["inputs"] = json!({});
    wrong[2]["stop_reason"] = json!("tired");
    let (is_well, said) = checked(&python, &["--answers"], &wrong).await;
    assert!(!is_well && said.iter().all(|said| said.starts_with("refused: ")), "{said:#?}");
}
