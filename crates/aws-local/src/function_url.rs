//! A function URL: converts HTTP requests into Lambda's events, and the function's results into HTTP responses.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::feeder::Invoke;
use super::server::{Reply, Server, json_response};

/// Serves a function's URL.
pub async fn serve(address: SocketAddr, invoke: Invoke) -> io::Result<Server> {
    Server::start(address, move |request| {
        let invoke = Invoke::clone(&invoke);
        async move { answer(&invoke, &request).await }
    })
    .await
}

/// The result of a function, in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Handles a request to the URL as Lambda does: builds the event, passes it to the function as JSON, and returns the
/// function's response, or 502 if it fails.
async fn answer(invoke: &Invoke, request: &Request<Bytes>) -> Reply {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let mut event = event(method, path, &header_texts(request.headers()), request.body());
    event["rawQueryString"] = json!(request.uri().query().unwrap_or_default());
    let answered = invoke(event).await.ok().and_then(|answer| serde_json::from_value::<FunctionResponse>(answer).ok());
    match answered.and_then(respond) {
        Some(response) => Ok(response),
        None => Ok(json_response(StatusCode::BAD_GATEWAY, "application/json", "Internal Server Error")),
    }
}

fn respond(answer: FunctionResponse) -> Option<Response<Full<Bytes>>> {
    let body = if answer.is_base64_encoded { STANDARD.decode(answer.body).ok()? } else { answer.body.into_bytes() };
    let response = Response::builder().status(answer.status_code);
    let response = answer.headers.iter().fold(response, |response, (name, value)| response.header(name, value));
    response.body(Full::new(Bytes::from(body))).ok()
}

/// Converts headers as Lambda does: lower-case names, repeated headers joined with a comma.
fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let joined = |name: &HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(",");
    headers.keys().map(|name| (name.as_str().to_owned(), joined(name))).collect()
}

/// Builds the event of a request to a function URL: payload format 2.0, with the body in base64 unless its content type
/// is text.
pub fn event(method: &str, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Value {
    let now = Timestamp::now();
    let content_type = headers.get("content-type").map_or("", String::as_str);
    let text = is_text(content_type).then(|| std::str::from_utf8(body).ok()).flatten();
    let encoded = text.map_or_else(|| STANDARD.encode(body), str::to_owned);
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "local",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": headers.get("user-agent") },
            "requestId": format!("local-{}", now.as_millisecond()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "body": encoded,
        "isBase64Encoded": text.is_none(),
    })
}

fn is_text(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || matches!(media_type.as_str(), "application/json" | "application/javascript" | "application/xml")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}
