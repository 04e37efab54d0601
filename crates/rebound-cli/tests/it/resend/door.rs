//! The door: the Resend in memory refuses what the real one refuses, and the commands say which refusal it was.

use rebound::claude::Claude;
use rebound::claude::key::ApiKey;
use rebound_dev::resend::{LocalResend, ResendBehaviour, SENDING_KEY};
use serde_json::{Value, json};

use super::Scripted;
use crate::operate::command;
use crate::operate::connect::{KEY, World};

/// A request as somebody makes it who has no client of ours.
async fn asked(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    // An agent that is empty is as good as none.
    let request = rebound::web::builder().user_agent("").build().unwrap().request(method, url).body(body.to_owned());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), content_type, answer.text().await.unwrap())
}

#[tokio::test]
async fn what_resend_refuses_at_its_door_is_refused_here() {
    let resend = LocalResend::start(KEY).await.unwrap();
    let (list, emails) = (format!("{}/webhooks", resend.url()), format!("{}/emails", resend.url()));
    let bearer = |key: &str| format!("Bearer {key}");
    let agent = ("user-agent", "curl/8.5.0");
    let (status, content_type, page) = asked(&list, "GET", &[("authorization", &bearer(KEY))], "").await;
    assert_eq!((status, content_type.starts_with("text/html")), (403, true));
    assert!(page.contains("error code: 1010"), "{page}");
    let error = async |headers: &[(&str, &str)]| {
        let (status, content_type, body) = asked(&list, "GET", headers, "").await;
        assert!(content_type.starts_with("application/json"));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["statusCode"], status);
        (status, body["name"].as_str().unwrap().to_owned())
    };
    assert_eq!(error(&[agent]).await, (401, "missing_api_key".to_owned()));
    assert_eq!(error(&[agent, ("authorization", &bearer(SENDING_KEY))]).await, (401, "restricted_api_key".to_owned()));
    for (status, name) in [(401, "validation_error"), (400, "validation_error"), (403, "invalid_api_key")] {
        resend.refuse_unknown_keys_with(status, name);
        assert_eq!(error(&[agent, ("authorization", "Bearer re_unknown")]).await, (status, name.to_owned()));
    }
    let email = json!({ "from": "a@b.example", "to": "c@d.example", "subject": "Hello" }).to_string();
    let (status, ..) = asked(&emails, "POST", &[agent, ("authorization", &bearer(SENDING_KEY))], &email).await;
    assert_eq!((status, resend.emails().len()), (200, 1), "a key that may only send, sends");
    resend.limit(0);
    assert_eq!(error(&[agent, ("authorization", &bearer(KEY))]).await, (429, "rate_limit_exceeded".to_owned()));
}

#[tokio::test]
async fn the_commands_say_which_refusal_it_was() {
    let world = World::start().await;
    let said = async |key: &str| {
        let mut variables = world.variables();
        variables.insert("RESEND_API_KEY".to_owned(), key.to_owned());
        let connect = command(&variables, &["connect"], "").await;
        assert_eq!(connect.code, 2, "{connect:#?}");
        let import = command(&variables, &["suppressions", "import", "--from-resend"], "").await;
        assert_eq!(import.code, 2, "{import:#?}");
        let doctor = command(&variables, &["doctor", "--json"], "").await.json();
        let checks = doctor["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "Resend's key").unwrap();
        [connect.stderr, import.stderr, check["found"].as_str().unwrap().to_owned()]
    };
    for (status, name) in [(401, "validation_error"), (400, "validation_error"), (403, "invalid_api_key")] {
        world.resend.refuse_unknown_keys_with(status, name);
        for said in said("re_unknown").await {
            assert!(said.contains("refuses the key: API key is invalid"), "{status} {name}: {said}");
        }
    }
    assert!(said(SENDING_KEY).await.iter().all(|said| said.contains("can only send")));
    for (behaviour, words) in [
        (ResendBehaviour::Html(403), "firewall in front of Resend's API"),
        (ResendBehaviour::Html(404), "not from Resend's API"),
        (
            ResendBehaviour::Error {
                status: 429,
                name: "monthly_quota_exceeded".to_owned(),
                message: "Used up".to_owned(),
            },
            "quota at Resend is used up",
        ),
    ] {
        world.resend.plan(move |_, _| Some(behaviour.clone()));
        for said in said(KEY).await {
            assert!(said.contains(words) && !said.contains("refuses the key"), "{words}: {said}");
        }
    }
}

#[tokio::test]
async fn every_request_of_ours_says_who_asks() {
    let server = Scripted::start(|_| (500, String::new())).await;
    let post = rebound::web::client().post(server.url()).send().await;
    assert_eq!(post.unwrap().status().as_u16(), 500);
    let claude = Claude::new(&server.url(), 1).unwrap();
    let key = ApiKey::parse("sk-ant-test").unwrap();
    claude.ask(&key, b"{}".to_vec(), std::time::Duration::from_secs(5)).await.unwrap_err();
    let world = World::start().await;
    let mut variables = world.variables();
    for name in ["ANTHROPIC_BASE_URL", "RESEND_BASE_URL", "REBOUND_FUNCTION_URL"] {
        variables.insert(name.to_owned(), server.url());
    }
    variables.insert("ANTHROPIC_API_KEY".to_owned(), "sk-ant-test".to_owned());
    command(&variables, &["doctor"], "").await;
    let came = server.came();
    let agent = concat!("rebound/", env!("CARGO_PKG_VERSION"));
    assert!(came.iter().all(|came| came.header("user-agent") == agent), "{came:#?}");
    for path in ["/", "/v1/messages", "/v1/models", "/webhooks?limit=100"] {
        assert!(
            came.iter().any(|came| came.path == path || came.path.starts_with("/v1/models/") && path == "/v1/models"),
            "{path}: {came:#?}"
        );
    }
}
