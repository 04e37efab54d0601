//! The program itself, as Lambda runs it, with the sample of what it is invoked with; and `rebound dev`, with all of it.

use std::process::Stdio;
use std::time::Duration;

use rebound::local::claude::ClaudeStub;
use rebound::local::runtime_api::RuntimeApi;
use rebound::local::samples::{self, SignedMessage};
use rebound::local::stack::{EmbeddedAws, Options};
use rebound::local::tls::{Certificate, Terminator};
use rebound::time::UnixMillis;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::binaries::program;
use crate::support::{any_port, hand_over, log_line, now, secret};

/// The samples that the batch is about, with the ids that it names them by.
fn story() -> Vec<SignedMessage> {
    ["delivered", "opened", "clicked"]
        .map(|what| {
            let body = samples::recent(&format!("email.{what}"), UnixMillis::now()).unwrap();
            SignedMessage::new(format!("msg_sample_{what}"), now(), body, &secret())
        })
        .to_vec()
}

#[tokio::test]
async fn the_engage_binary_works_as_lambda_runs_it_and_logs_nothing_personal() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    let receiver = aws.receiver().await.unwrap();
    for message in &story() {
        assert_eq!(hand_over(&receiver, message, Duration::from_secs(30)).await.0, 200);
    }
    // The key is in the secret, as in the stack.
    let secrets = aws.secrets_manager.as_ref().unwrap();
    secrets.put(&aws.variable("API_KEYS_ARN").unwrap(), &json!({ "ANTHROPIC_API_KEY": "sk-ant-secret" }).to_string());
    let claude = ClaudeStub::start(any_port()).await.unwrap();
    let api = RuntimeApi::start("engage").await.unwrap();
    let mut engage = program(env!("CARGO_BIN_EXE_engage"));
    engage.envs(aws.variables()).envs(api.variables()).env("ANTHROPIC_BASE_URL", claude.url());
    let mut engage = engage.stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(10), api.first_poll()).await.unwrap();

    for _ in 0..2 {
        let answer = api.invoke(samples::invocation("engage", "batch").unwrap()).await.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "batchItemFailures": [] }));
    }
    let error = api.invoke(r#"{"neither": "maya@example.com"}"#).await.unwrap().unwrap_err();
    assert!(String::from_utf8_lossy(&error).contains("no batch of a queue's messages"));
    let asked = claude.asked();
    assert_eq!(asked.len(), 2, "an open and a click, each once");
    assert_eq!(asked[0].headers["x-api-key"], "sk-ant-secret");
    let published = aws.sns.as_ref().unwrap().messages();
    let mut kinds: Vec<&str> = published.iter().map(|message| message.attributes["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["engagement", "followup"]);

    engage.start_kill().unwrap();
    let output = String::from_utf8(engage.wait_with_output().await.unwrap().stdout).unwrap();
    for line in output.lines() {
        log_line(line);
    }
    let output = output.to_lowercase();
    for personal in ["maya", "@", "example", "bulbs to plant", "sk-ant", "203.0.113", "mozilla", "any questions"] {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}

#[tokio::test]
async fn claude_is_asked_over_tls_and_nobody_whose_certificate_is_not_trusted_gets_the_key() {
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await.unwrap();
    let receiver = aws.receiver().await.unwrap();
    let story = story();
    assert_eq!(hand_over(&receiver, &story[0], Duration::from_secs(30)).await.0, 200);
    let claude = ClaudeStub::start(any_port()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let certificate = Certificate::new().unwrap();
    certificate.write(&authority).unwrap();
    let terminator = Terminator::start(&claude.url(), &certificate).await.unwrap();
    let batch = samples::invocation("engage", "batch").unwrap();
    for (message, trusted, failures) in [(&story[1], false, 1), (&story[2], true, 0)] {
        assert_eq!(hand_over(&receiver, message, Duration::from_secs(30)).await.0, 200);
        let api = RuntimeApi::start("engage").await.unwrap();
        let mut engage = program(env!("CARGO_BIN_EXE_engage"));
        engage.envs(aws.variables()).envs(api.variables()).env("ANTHROPIC_BASE_URL", terminator.url());
        engage.env("ANTHROPIC_API_KEY", "sk-ant-secret").stdout(Stdio::null());
        if trusted {
            engage.env("SSL_CERT_FILE", &authority);
        }
        let _engage = engage.spawn().unwrap();
        let answer: Value = serde_json::from_slice(&api.invoke(batch).await.unwrap().unwrap()).unwrap();
        assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), failures, "{answer}");
        assert_eq!(claude.asked().is_empty(), !trusted);
    }
}

#[tokio::test]
async fn rebound_dev_decides_about_a_click_that_is_posted_to_it() {
    let mut dev = program(env!("CARGO_BIN_EXE_rebound"));
    dev.args(["dev", "--listen", "127.0.0.1:0", "--dynamodb", "127.0.0.1:0", "--claude-stub"]);
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
