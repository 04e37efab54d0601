//! The binary itself, as Lambda runs it, with the sample invocation event; and `rebound dev`, with the whole service.

use std::process::Stdio;
use std::time::Duration;

use aws_local::tls::{Certificate, Terminator};
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::claude::ClaudeStub;
use rebound_dev::runner::runtime_api;
use rebound_dev::samples;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};

use crate::support::{any_port, hand_over, log_line, now, program, secret};

/// The samples that the batch refers to, with their ids.
fn story() -> Vec<SignedMessage> {
    ["delivered", "opened", "clicked"]
        .map(|what| {
            let body = samples::recent(&format!("email.{what}"), UnixMillis::now()).unwrap();
            SignedMessage::new(format!("msg_sample_{what}"), now(), body, &secret())
        })
        .to_vec()
}

#[tokio::test]
async fn the_engage_binary_works_and_logs_nothing_personal() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let receiver = aws.receiver().await.unwrap();
    for message in &story() {
        assert_eq!(hand_over(&receiver, message, Duration::from_secs(30)).await.0, 200);
    }
    // The key is in the secret, as in the stack.
    let secrets = aws.secrets_manager.as_ref().unwrap();
    secrets.put(&aws.variable("API_KEYS_ARN").unwrap(), &json!({ "ANTHROPIC_API_KEY": "sk-ant-secret" }).to_string());
    let claude = ClaudeStub::start(any_port()).await.unwrap();
    let api = runtime_api("engage").await.unwrap();
    let mut engage = program(env!("CARGO_BIN_EXE_engage"));
    engage.envs(aws.variables()).envs(api.variables()).env("ANTHROPIC_BASE_URL", claude.url());
    let mut engage = engage.stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();

    for _ in 0..2 {
        let answer = api.invoke(samples::invocation("engage", "batch").unwrap()).await.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "batchItemFailures": [] }));
    }
    let error = api.invoke(r#"{"neither": "maya@example.com"}"#).await.unwrap().unwrap_err();
    assert!(String::from_utf8_lossy(&error).contains("not a batch of queue messages"));
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
async fn claude_needs_tls_with_a_trusted_certificate() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let receiver = aws.receiver().await.unwrap();
    let story = story();
    assert_eq!(hand_over(&receiver, &story[0], Duration::from_secs(30)).await.0, 200);
    let claude = ClaudeStub::start(any_port()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let certificate = Certificate::new().unwrap();
    certificate.write_after(rebound::aws::AMAZON_ROOTS, &authority).unwrap();
    let terminator = Terminator::start(&claude.url(), &certificate).await.unwrap();
    let batch = samples::invocation("engage", "batch").unwrap();
    for (message, trusted, failures) in [(&story[1], false, 1), (&story[2], true, 0)] {
        assert_eq!(hand_over(&receiver, message, Duration::from_secs(30)).await.0, 200);
        let api = runtime_api("engage").await.unwrap();
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
