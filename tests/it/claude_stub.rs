//! The Claude stub.

use std::time::{Duration, Instant};

use aws_local::faults::{Call, Fault, FaultProxy, Faults, Service};
use futures_util::future::join_all;
use rebound_dev::claude::{ClaudeBehaviour, ClaudeStub, Tokens};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::any_port;

async fn stub() -> (ClaudeStub, Client) {
    (ClaudeStub::start(any_port()).await.unwrap(), rebound::web::client())
}

fn post(client: &Client, url: &str, body: impl ToString) -> RequestBuilder {
    let request = client.post(format!("{url}/v1/messages")).body(body.to_string());
    request.header("x-api-key", "sk-ant-1").header("anthropic-version", "2023-06-01")
}

fn tool(name: &str) -> Value {
    let schema = json!({
        "type": "object",
        "properties": { "reason": { "type": "string" } },
        "required": ["reason"],
        "additionalProperties": false,
    });
    json!({ "name": name, "description": "x", "strict": true, "input_schema": schema })
}

fn request(facts: &Value) -> Value {
    json!({
        "model": "claude-opus-5-5",
        "max_tokens": 1_000,
        "messages": [{ "role": "user", "content": facts.to_string() }],
        "tools": [tool("schedule_followup"), tool("log_engagement"), tool("do_nothing")],
        "tool_choice": { "type": "auto" },
    })
}

fn facts(event: &str, verdict: &str) -> Value {
    json!({
        "event": { "type": event, "recipients": ["r1", "r2"] },
        "verdict": { "verdict": verdict },
        "campaign": { "id": "spring" },
    })
}

async fn json_of(answer: Response) -> (u16, Value) {
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// Sets one field of the request.
fn with(pointer: &str, value: Value) -> Value {
    let mut request = request(&facts("email.opened", "human"));
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    request.pointer_mut(parent).unwrap()[field] = value;
    request
}

fn without(field: &str) -> Value {
    let mut request = request(&facts("email.opened", "human"));
    request.as_object_mut().unwrap().remove(field).unwrap();
    request
}

#[tokio::test]
async fn an_answer_has_the_shape_of_the_apis_and_says_what_it_cost() {
    let (stub, client) = stub().await;
    let body = request(&facts("email.clicked", "human")).to_string();
    let answer = post(&client, &stub.url(), &body).send().await.unwrap();
    assert!(answer.headers()["request-id"].to_str().unwrap().starts_with("req_"));
    let (status, answer) = json_of(answer).await;
    assert_eq!(status, 200);
    let usage = &answer["usage"];
    let expected = json!({
        "id": answer["id"],
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [{
            "type": "tool_use",
            "id": answer["content"][0]["id"],
            "name": "schedule_followup",
            "input": answer["content"][0]["input"],
        }],
        "stop_reason": "tool_use",
        "stop_sequence": null,
        "usage": {
            "input_tokens": body.len().div_ceil(4),
            "output_tokens": usage["output_tokens"],
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    });
    assert_eq!(answer, expected);
    for (id, prefix) in [(&answer["id"], "msg_"), (&answer["content"][0]["id"], "toolu_")] {
        assert!(id.as_str().unwrap().starts_with(prefix), "{id}");
    }
    let input = &answer["content"][0]["input"];
    assert_eq!(
        (&input["to"], &input["campaign_id"], &input["send_after_hours"]),
        (&json!("r1"), &json!("spring"), &json!(4))
    );
    for text in ["subject", "message", "reason"] {
        assert!(input[text].as_str().is_some_and(|text| !text.is_empty()), "{text}");
    }
    let output = usage["output_tokens"].as_u64().unwrap();
    assert!(output > 20);
    let input = u64::try_from(body.len().div_ceil(4)).unwrap();
    assert_eq!(stub.answered_tokens(), Tokens { answers: 1, input, output });
}

#[tokio::test]
async fn scripted_a_click_gets_a_follow_up_and_an_open_engagement() {
    let (stub, client) = stub().await;
    let decided = async |request: Value| {
        let (status, answer) = json_of(post(&client, &stub.url(), request).send().await.unwrap()).await;
        assert_eq!(status, 200, "{answer}");
        let block = &answer["content"][0];
        block["name"].as_str().unwrap_or_else(|| block["type"].as_str().unwrap()).to_owned()
    };
    for (event, verdict, expected) in [
        ("email.clicked", "human", "schedule_followup"),
        ("email.clicked", "unsure", "do_nothing"),
        ("email.clicked", "machine", "do_nothing"),
        ("email.opened", "human", "log_engagement"),
        ("email.opened", "unsure", "log_engagement"),
        ("email.bounced", "human", "do_nothing"),
    ] {
        assert_eq!(decided(request(&facts(event, verdict))).await, expected, "{event} {verdict}");
    }
    let text = facts("email.opened", "human").to_string();
    let blocks = json!([{ "type": "text", "text": "What is to be done?" }, { "type": "text", "text": text }]);
    assert_eq!(decided(with("/messages/0/content", blocks)).await, "log_engagement");
    assert_eq!(decided(with("/messages/0/content", json!("no facts"))).await, "do_nothing");
    assert_eq!(decided(with("/tools", json!([tool("do_nothing"), tool("other")]))).await, "do_nothing");
    assert_eq!(decided(with("/tools", json!([tool("first"), tool("second")]))).await, "first");
    assert_eq!(decided(with("/tool_choice/type", json!("none"))).await, "text");
}

#[tokio::test]
async fn what_the_api_refuses_is_refused_in_its_words() {
    let (stub, client) = stub().await;
    let refused = async |request: RequestBuilder| {
        let answer = request.send().await.unwrap();
        let id = answer.headers()["request-id"].to_str().unwrap().to_owned();
        let (status, answer) = json_of(answer).await;
        assert_eq!((&answer["type"], &answer["request_id"]), (&json!("error"), &json!(id)));
        assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        (status, answer["error"]["type"].as_str().unwrap().to_owned())
    };
    let good = request(&facts("email.opened", "human"));
    let messages = format!("{}/v1/messages", stub.url());
    let bare = || client.post(&messages).body(good.to_string());
    assert_eq!(refused(bare()).await, (401, "authentication_error".to_owned()));
    assert_eq!(refused(bare().header("x-api-key", "x")).await, (400, "invalid_request_error".to_owned()));
    assert_eq!(refused(client.get(&messages)).await, (405, "invalid_request_error".to_owned()));
    assert_eq!(refused(client.post(format!("{}/v1/complete", stub.url()))).await, (404, "not_found_error".to_owned()));
    let invalid = (400, "invalid_request_error".to_owned());
    assert_eq!(refused(post(&client, &stub.url(), "{")).await, invalid);
    let schema = |schema: Value| with("/tools/0/input_schema", schema);
    let strict = |property: Value| {
        schema(json!({ "type": "object", "properties": { "x": property }, "additionalProperties": false }))
    };
    for request in [
        json!([]),
        without("model"),
        without("max_tokens"),
        without("messages"),
        without("tools"),
        with("/max_tokens", json!(0)),
        with("/messages", json!([])),
        with("/messages/0/role", json!("assistant")),
        with("/messages/0/content", json!("")),
        with("/tools", json!("x")),
        with("/tools/0/name", json!("follow up")),
        with("/tools/0/name", json!("x".repeat(65))),
        schema(json!({ "type": "string" })),
        schema(json!({ "type": "object" })),
        schema(json!({ "type": "object", "additionalProperties": true })),
        strict(json!({ "type": "integer", "minimum": 1 })),
        strict(json!({ "type": "string", "maxLength": 10 })),
        strict(json!({ "type": "array", "items": { "type": "object" } })),
        strict(json!({ "anyOf": [{ "type": "null" }, { "type": "number", "maximum": 1 }] })),
        with("/tool_choice", json!({ "type": "some" })),
        with("/tool_choice", json!({ "type": "tool" })),
        with("/tool_choice", json!({ "type": "tool", "name": "nobody's" })),
    ] {
        assert_eq!(refused(post(&client, &stub.url(), &request)).await, invalid, "{request}");
    }
    assert_eq!(stub.answered_tokens(), Tokens::default());

    let lax = strict(
        json!({ "type": "object", "properties": { "minimum": { "type": "null" } }, "additionalProperties": false }),
    );
    let mut not_strict = strict(json!({ "type": "integer", "minimum": 1 }));
    not_strict["tools"][0]["strict"] = json!(false);
    for request in [lax, not_strict] {
        assert_eq!(post(&client, &stub.url(), &request).send().await.unwrap().status(), 200, "{request}");
    }
}

#[tokio::test]
async fn some_models_reject_a_forced_tool_or_disabled_thinking() {
    let (stub, client) = stub().await;
    let any = || json!({ "type": "any" });
    let one = || json!({ "type": "tool", "name": "do_nothing" });
    for (model, choice, thinking, expected) in [
        ("claude-opus-5-5", any(), None, 400),
        ("claude-sonnet-5-5", one(), None, 400),
        ("claude-fable-5", any(), None, 400),
        ("claude-opus-5-5", json!({ "type": "auto" }), Some("disabled"), 400),
        ("claude-opus-5-5", json!({ "type": "auto" }), Some("adaptive"), 200),
        ("claude-haiku-5-5", any(), None, 400),
        ("claude-haiku-5-5", one(), Some("adaptive"), 400),
        ("claude-haiku-5-5", one(), Some("disabled"), 200),
        ("claude-haiku-5-5", json!({ "type": "auto" }), None, 200),
        ("claude-haiku-4-5", any(), None, 200),
    ] {
        let mut request = with("/model", json!(model));
        request["tool_choice"] = choice;
        if let Some(thinking) = thinking {
            request["thinking"] = json!({ "type": thinking });
        }
        assert_eq!(post(&client, &stub.url(), &request).send().await.unwrap().status(), expected, "{request}");
    }
}

#[tokio::test]
async fn a_plan_says_what_becomes_of_each_request() {
    let (stub, client) = stub().await;
    let good = request(&facts("email.opened", "human"));
    let ask = async || post(&client, &stub.url(), &good).send().await;
    stub.plan(|asked| match asked.index {
        0 => ClaudeBehaviour::Tool("do_nothing".to_owned(), json!({ "reason": 1 })),
        1 => ClaudeBehaviour::Content(json!([{ "type": "text", "text": "I won't." }]), "refusal".to_owned()),
        2 => ClaudeBehaviour::Raw(502, "text/html".to_owned(), b"<html>".to_vec()),
        3 => ClaudeBehaviour::Reset,
        4 => ClaudeBehaviour::Status(429, Some(7)).after(Duration::from_millis(200)),
        _ => ClaudeBehaviour::Default,
    });
    let (_, answer) = json_of(ask().await.unwrap()).await;
    assert_eq!(
        (&answer["content"][0]["name"], &answer["content"][0]["input"]),
        (&json!("do_nothing"), &json!({ "reason": 1 }))
    );
    let (_, answer) = json_of(ask().await.unwrap()).await;
    assert_eq!((&answer["content"][0]["text"], &answer["stop_reason"]), (&json!("I won't."), &json!("refusal")));
    let answer = ask().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (502, "text/html"));
    assert_eq!(answer.text().await.unwrap(), "<html>");
    assert!(ask().await.is_err());
    let started = Instant::now();
    let answer = ask().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(ask().await.unwrap().status(), 200);

    let asked = stub.asked();
    assert_eq!(asked.len(), 6);
    for (index, asked) in asked.iter().enumerate() {
        assert_eq!((asked.index, &asked.body), (index, &good));
        assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
    }
    assert_eq!(stub.answered_tokens().answers, 3);
}

#[tokio::test]
async fn every_status_has_the_apis_own_name_for_it() {
    let (stub, client) = stub().await;
    for (status, name) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        stub.plan(move |_| ClaudeBehaviour::Status(status, None));
        let answer = post(&client, &stub.url(), "{}").send().await.unwrap();
        assert!(!answer.headers().contains_key("retry-after"));
        let (answered, answer) = json_of(answer).await;
        assert_eq!((answered, answer["error"]["type"].as_str().unwrap()), (status, name));
    }
}

#[tokio::test]
async fn the_maximum_of_concurrent_requests_is_counted() {
    let (stub, client) = stub().await;
    stub.plan(|_| ClaudeBehaviour::Default.after(Duration::from_secs(3)));
    let good = request(&facts("email.opened", "human"));
    let impatient = post(&client, &stub.url(), &good).timeout(Duration::from_secs(1));
    assert!(impatient.send().await.is_err());
    let asking = (0..5).map(|_| post(&client, &stub.url(), &good).send());
    assert!(join_all(asking).await.into_iter().all(|answer| answer.unwrap().status() == 200));
    assert!((5..=6).contains(&stub.max_in_flight()), "{}", stub.max_in_flight());
    assert_eq!((stub.asked().len(), stub.answered_tokens().answers), (6, 5));
    post(&client, &stub.url(), &good).send().await.unwrap();
    assert!(stub.max_in_flight() <= 6);
}

#[tokio::test]
async fn behind_a_proxy_it_fails_by_plan_and_else_is_unchanged() {
    let (stub, client) = stub().await;
    let proxy = FaultProxy::start(stub.url(), any_port(), Service::Http, Faults::default()).await.unwrap();
    let good = request(&facts("email.opened", "human"));
    let ask = async || post(&client, &proxy.url(), &good).send().await;
    for (fault, status, name, retry_after) in [
        (Fault::Throttle, 429, "rate_limit_error", Some("1")),
        (Fault::Conflict, 429, "rate_limit_error", Some("1")),
        (Fault::ServerError, 500, "api_error", None),
        (Fault::Invalid, 400, "invalid_request_error", None),
    ] {
        proxy.plan(move |_| Some(fault));
        let answer = ask().await.unwrap();
        let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), retry_after, "{fault:?}");
        let (answered, answer) = json_of(answer).await;
        assert_eq!((answered, answer["error"]["type"].as_str().unwrap()), (status, name), "{fault:?}");
    }
    assert!(stub.asked().is_empty());
    for (fault, asked) in [(Fault::RefuseBefore, 0), (Fault::LoseAnswer, 1)] {
        proxy.plan(move |_| Some(fault));
        assert!(ask().await.is_err());
        assert_eq!(stub.asked().len(), asked, "{fault:?}");
    }
    proxy.plan(|_| None);
    stub.plan(|_| ClaudeBehaviour::Status(529, Some(3)));
    let answer = ask().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (529, "3"));
    assert_eq!(stub.asked()[1].headers["x-api-key"], "sk-ant-1");
    assert_eq!(proxy.calls(), [Call { index: 0, service: Service::Http, operation: "messages".to_owned() }]);
}
