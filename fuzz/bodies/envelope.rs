//! The function URL's events: the input is Lambda's event, as JSON.
//!
//! Other input is split into the lines of a request: the method, a header's name, its value, and the body. These are
//! put into an event and signed, so that some inputs are accepted, because no fuzzer could guess a signature. The
//! header `x-repeat` repeats the body.

use std::time::Duration;

use rebound::aws::edge::{Envelope, Reply};
use rebound::aws::secret::Secret;
use rebound::receive::Receiver;
use rebound::resend::signature::SigningSecret;
use rebound::store::row::MAX_BODY_BYTES;
use rebound::store::write::Writer;
use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::aws::{Aws, AwsBehaviour, block_on};
use super::{NOW, SECRET, lines, text};

struct Scene {
    aws: Aws,
    receiver: Receiver,
}

/// Every event gets a response with a status of the contract. A signed POST is stored byte for byte, or the response
/// says that it is not.
pub fn run(bytes: &[u8]) {
    thread_local! {
        static SCENE: Scene = scene();
    }
    let mood = AwsBehaviour::met_by(bytes);
    SCENE.with(|scene| match serde_json::from_slice::<Value>(bytes) {
        Ok(event) => any_json(scene, &event, bytes, mood),
        Err(_) => signed(scene, bytes, mood),
    });
}

fn scene() -> Scene {
    let aws = Aws::new();
    let secrets = Secret::fixed(Some(SECRET.parse().expect("the secret is good")));
    let receiver = Receiver::new(secrets, Writer::new(aws.dynamodb.clone(), "events", "suppressions"), 90);
    Scene { aws, receiver }
}

/// Any JSON is a request and gets a response, or is not a request. Events of Lambda always are.
fn any_json(scene: &Scene, event: &Value, bytes: &[u8], mood: AwsBehaviour) {
    if is_wellformed(event) {
        serde_json::from_value::<Envelope>(event.clone()).expect("Lambda may send this");
    }
    // A field may be repeated, which Lambda never does, and the value read above does not have.
    let Ok(envelope) = serde_json::from_slice::<Envelope>(bytes) else { return };
    let is_post = *envelope.clone().into_request().method() == "POST";
    let response = respond(scene, envelope, mood);
    assert_eq!(response.status_code == 405, !is_post);
    // Only the sender can sign, and a valid signature would be outdated.
    assert!(matches!(response.status_code, 400 | 401 | 405 | 413), "{}", response.status_code);
    assert_eq!(scene.aws.calls(), [], "an unsigned request makes no AWS call");
}

/// Returns true if the fields that are read have the types that Lambda gives them.
fn is_wellformed(event: &Value) -> bool {
    let is = |field: &str, fits: fn(&Value) -> bool| event.get(field).is_none_or(fits);
    let texts = |headers: &Value| headers.as_object().is_some_and(|headers| headers.values().all(Value::is_string));
    event.is_object()
        && is("requestContext", |context| context.pointer("/http/method").is_some_and(Value::is_string))
        && is("headers", texts)
        && is("body", |body| body.is_string() || body.is_null())
        && is("isBase64Encoded", Value::is_boolean)
}

/// A signed POST is stored byte for byte.
fn signed(scene: &Scene, bytes: &[u8], mood: AwsBehaviour) {
    let [method, name, value, body] = lines(bytes);
    let (method, name, value) = (text(method), text(name), text(value));
    let body = match (name.as_str(), value.parse::<u16>()) {
        ("x-repeat", Ok(times)) => {
            body.iter().copied().cycle().take((body.len() * usize::from(times)).min(MAX_BODY_BYTES + 1)).collect()
        }
        _ => body.to_vec(),
    };
    let signature = SECRET.parse::<SigningSecret>().expect("the secret is good").sign("msg_1", NOW / 1000, &body);
    let mut headers = Map::from_iter([
        ("svix-id".to_owned(), json!("msg_1")),
        ("svix-timestamp".to_owned(), json!((NOW / 1000).to_string())),
        ("svix-signature".to_owned(), json!(signature)),
    ]);
    let is_another = !["svix-id", "svix-timestamp", "svix-signature"].contains(&name.to_ascii_lowercase().as_str());
    headers.insert(if is_another { name } else { "x-other".to_owned() }, json!(value));
    // As Lambda does: base64, unless the body is text; text may be base64 too.
    let plain = std::str::from_utf8(&body).ok().filter(|text| text.len() % 2 == 0);
    let event = json!({
        "version": "2.0",
        "rawPath": value,
        "requestContext": { "http": { "method": method, "path": value } },
        "headers": headers,
        "body": plain.map_or_else(|| base64(&body), str::to_owned),
        "isBase64Encoded": plain.is_none(),
    });
    let envelope = serde_json::from_value(event).expect("it is as Lambda sends it");
    let response = respond(scene, envelope, mood);
    let expected = match (method.as_str(), mood) {
        ("POST", _) if body.len() > MAX_BODY_BYTES => 413,
        ("POST", AwsBehaviour::Obliging) => 200,
        ("POST", _) => 503,
        _ => 405,
    };
    assert_eq!(response.status_code, expected, "{}", response.body);
    if expected == 200 {
        is_stored(&scene.aws.calls(), &response, &body);
    }
}

/// A 200 means that one write has put one row with the body, and the response has its status.
fn is_stored(calls: &[(String, Value)], response: &UrlResponse, body: &[u8]) {
    let answer: Value = serde_json::from_str(&response.body).expect("the answer is JSON");
    assert_eq!(answer["id"], "msg_1");
    assert!(["handled", "ignored", "quarantined"].contains(&answer["status"].as_str().unwrap_or_default()), "{answer}");
    let [(name, call)] = calls else { panic!("{} calls, not one", calls.len()) };
    let row = match name.as_str() {
        "PutItem" => &call["Item"],
        "TransactWriteItems" => &call["TransactItems"][0]["Put"]["Item"],
        other => panic!("{other} is no write of a row"),
    };
    assert_eq!(row["kind"]["S"] == "quarantine", answer["status"] == "quarantined");
    if let Some(kept) = row["payload"]["S"].as_str() {
        let is_whole = row.get("payload_bytes").is_none();
        assert!(kept.as_bytes() == body || !is_whole && body.starts_with(kept.as_bytes()), "to the byte");
    } else {
        assert!(row["payload"]["B"].is_string(), "there is a payload");
    }
}

/// The sender's response.
struct UrlResponse {
    status_code: u16,
    allows: bool,
    body: String,
}

/// The response, which is one of the contract.
fn respond(scene: &Scene, envelope: Envelope, mood: AwsBehaviour) -> UrlResponse {
    scene.aws.begin(mood);
    let deadline = Instant::now() + Duration::from_secs(8);
    let response = block_on(scene.receiver.receive(&envelope.into_request(), UnixMillis(NOW), deadline));
    let (status_code, body) = (response.status().as_u16(), response.body().as_ref().to_vec());
    let allows = response.headers().contains_key("allow");
    let reply = Reply::from(response);
    serde_json::to_string(&reply).expect("Lambda gets JSON");
    let response = UrlResponse { status_code, allows, body: String::from_utf8(body).expect("an answer is text") };
    assert!([200, 400, 401, 405, 413, 503].contains(&response.status_code), "{}", response.status_code);
    let body: Value = serde_json::from_str(&response.body).expect("an answer is JSON");
    assert_eq!(body["error"].is_string(), response.status_code != 200, "{body}");
    assert_eq!(response.allows, response.status_code == 405);
    response
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
