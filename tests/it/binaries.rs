//! The functions' binaries, as Lambda runs them.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use aws_local::function_url;
use aws_local::runtime_api::RuntimeApi;
use aws_local::tls::{Certificate, Terminator};
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::runner::runtime_api;
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};

use crate::consent;
use crate::support::act::{self, ActHarness};
use crate::support::{complaint, log_line, now, program, secret, signed};

#[tokio::test]
async fn the_receive_binary_handles_events_from_lambdas_runtime_api() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let api = runtime_api("receive").await.unwrap();
    let mut receive = program(env!("CARGO_BIN_EXE_receive"));
    let mut receive = receive.envs(aws.variables()).envs(api.variables()).stdout(Stdio::piped()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();

    // Not a random id: it could contain by chance a text that must not be logged.
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
    let reported: Vec<_> =
        lines.iter().map(|line| (line["outcome"].as_str().unwrap(), line["cold"].as_bool().unwrap())).collect();
    assert_eq!(
        reported,
        [("handled", true), ("duplicate", false)],
        "one line for the cold start, one for the duplicate"
    );
    assert_eq!((&lines[0]["message_id"], &lines[0]["event_type"]), (&json!(message.id), &json!("email.complained")));
    for personal in ["ann@", "example.com", "email-0001", "svix", "whsec", "v1,"] {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}

#[tokio::test]
async fn the_consent_binary_opts_out_and_logs_nobody() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let api = runtime_api("consent").await.unwrap();
    let mut function = program(env!("CARGO_BIN_EXE_consent"));
    function.envs(aws.variables()).envs(api.variables()).env("CONSENT_KEY", consent::KEY).stdout(Stdio::piped());
    let mut function = function.spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();

    let token = consent::token(consent::KEY, "u", "ann@example.com", consent::EMAIL_ID);
    for (method, path, status) in [
        ("GET", format!("/u/{token}"), 200),
        ("POST", format!("/u/{token}"), 200),
        ("POST", format!("/u/{token}x"), 404),
    ] {
        let event = function_url::event(method, &path, &BTreeMap::new(), b"").to_string();
        let answer: Value = serde_json::from_slice(&api.invoke(event).await.unwrap().unwrap()).unwrap();
        assert_eq!(answer["statusCode"], status, "{method}");
        assert_eq!(answer["headers"]["cache-control"], "no-store");
    }

    function.start_kill().unwrap();
    let output = String::from_utf8(function.wait_with_output().await.unwrap().stdout).unwrap();
    let (metrics, lines): (Vec<Value>, Vec<Value>) =
        output.lines().map(log_line).partition(|line: &Value| line.get("_aws").is_some());
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["opted out", "refused"]);
    let measured = |name: &str| metrics.iter().filter_map(|line| line[name].as_f64()).sum::<f64>();
    assert_eq!(["OptOuts", "WrongLinks"].map(measured), [1.0, 1.0]);
    let parts = token.split('.');
    for personal in parts.chain(["ann@", "example.com", consent::KEY, consent::EMAIL_ID, "/u/"]) {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}

#[tokio::test]
async fn the_act_binary_sends_a_follow_up_and_logs_nobody() {
    let stage = ActHarness::start().await;
    stage.set_clock(UnixMillis::now());
    stage.decide(consent::EMAIL_ID, "ann@example.com").await;
    let api = runtime_api("act").await.unwrap();
    let mut function = program(env!("CARGO_BIN_EXE_act"));
    function.envs(stage.aws.variables()).envs(api.variables()).stdout(Stdio::piped());
    function.env("FOLLOWUPS", "send").env("POLICY", r#"{"followups": {"quiet_from": 0, "quiet_until": 0}}"#);
    function.env("CONSENT_URL", "https://mail.example.com").env("CONSENT_KEY", consent::KEY);
    function.env("RESEND_BASE_URL", stage.resend.url()).env("RESEND_API_KEY", act::KEY);
    let mut function = function.spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();

    for sent in [1, 0] {
        let answer = api.invoke(include_str!("../../events/act/tick.json").to_owned()).await.unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({ "sent": sent }));
    }
    assert_eq!(stage.resend.accepted().len(), 1);

    function.start_kill().unwrap();
    let output = String::from_utf8(function.wait_with_output().await.unwrap().stdout).unwrap();
    let (metrics, lines): (Vec<Value>, Vec<Value>) =
        output.lines().map(log_line).partition(|line: &Value| line.get("_aws").is_some());
    let measured = |name: &str| metrics.iter().filter_map(|line| line[name].as_f64()).sum::<f64>();
    assert_eq!((lines.len(), ["FollowupsDue", "FollowupsSent"].map(measured)), (1, [1.0, 1.0]), "{lines:?}");
    for personal in ["ann@", "example.com", consent::KEY, act::KEY, "Bulbs", "Hello"] {
        assert!(!output.contains(personal), "{personal} in {output}");
    }
}

#[tokio::test]
async fn the_receive_binary_opens_tls_in_init_and_keeps_it() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    let upstream = aws.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap();
    let certificate = Certificate::new().unwrap();
    certificate.write_after(rebound::aws::AMAZON_ROOTS, &authority).unwrap();
    let terminator = Terminator::start(&upstream, &certificate).await.unwrap();

    let start = async |trusted: bool| {
        let api = runtime_api("receive").await.unwrap();
        let mut receive = program(env!("CARGO_BIN_EXE_receive"));
        receive.envs(aws.variables()).envs(api.variables()).stdout(Stdio::null());
        receive.env("AWS_ENDPOINT_URL_DYNAMODB", terminator.url());
        if trusted {
            receive.env("SSL_CERT_FILE", &authority);
        }
        let child = receive.spawn().unwrap();
        tokio::time::timeout(Duration::from_secs(60), api.first_poll()).await.unwrap();
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
        (env!("CARGO_BIN_EXE_consent"), "not set"),
        (env!("CARGO_BIN_EXE_act"), "set RESEND_API_KEY to"),
    ] {
        let mut program = program(function);
        let output = program.env("EVENTS_TABLE", "e").env("AWS_LAMBDA_LOG_FORMAT", "JSON").output().await.unwrap();
        assert!(!output.status.success());
        let line = log_line(String::from_utf8(output.stdout).unwrap().lines().next().unwrap());
        assert!(line["error"].as_str().unwrap().contains(says), "{line}");
        assert_eq!(line["level"], "ERROR", "Lambda takes a line without a time for INFO");
    }
}
