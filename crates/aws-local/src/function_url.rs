//! A function URL: HTTP turned into the events that Lambda sends, and the function's answers turned back.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

use super::FUNCTION_TIMEOUT;
use super::server::{HangUp, Reply, Server, json_response};
use crate::http::{HttpRequest, HttpResponse};
use crate::receive::Receiver;
use crate::time::UnixMillis;

/// Serves a receiver's function URL.
///
/// # Errors
/// The address can't be bound.
pub async fn serve(address: SocketAddr, receiver: Arc<Receiver>) -> io::Result<Server> {
    Server::start(address, move |request| {
        let receiver = Arc::clone(&receiver);
        async move { invoke(&receiver, &request).await }
    })
    .await
}

/// Does what Lambda does with a request to the URL: makes the event, hands it to the function as JSON, and answers what
/// the function returns, or 502 if it fails.
async fn invoke(receiver: &Receiver, request: &Request<Bytes>) -> Reply {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let event = event(method, path, &header_texts(request.headers()), request.body()).to_string();
    let mut context = Context::default();
    context.deadline = UnixMillis::now().plus(FUNCTION_TIMEOUT).0.unsigned_abs();
    let Ok(payload) = serde_json::from_str::<HttpRequest>(&event) else { return Ok(function_error()) };
    let Ok(response) = receiver.handle(LambdaEvent::new(payload, context)).await else { return Ok(function_error()) };
    respond(response).map_err(|_| HangUp)
}

fn function_error() -> Response<Full<Bytes>> {
    json_response(StatusCode::BAD_GATEWAY, "application/json", "Internal Server Error")
}

fn respond(response: HttpResponse) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let mut answer = Response::builder().status(response.status_code);
    for (name, value) in response.headers {
        answer = answer.header(name, value);
    }
    answer.body(Full::new(Bytes::from(response.body)))
}

/// Headers as Lambda has them: lower-case names, what comes twice joined with a comma.
fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let joined = |name: &HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(",");
    headers.keys().map(|name| (name.as_str().to_owned(), joined(name))).collect()
}

/// The event that Lambda makes of a request to a function URL: payload format 2.0, the body in base64 unless its content
/// type is text.
pub fn event(method: &str, path: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Value {
    let now = UnixMillis::now();
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
            "requestId": format!("local-{}", now.0),
            "routeKey": "$default",
            "stage": "$default",
            "time": jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "timeEpoch": now.0,
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
