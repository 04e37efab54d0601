//! What it answers to a request.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{Behaviour, Hook, State};
use crate::local::server::{HangUp, Reply, json_response};
use crate::local::uuid;
use crate::time::UnixMillis;

const JSON: &str = "application/json";

/// How many requests a second a team may make.
const PER_SECOND: usize = 10;

/// How long an old secret still signs.
const OLD_SIGNS: Duration = Duration::from_secs(24 * 60 * 60);

/// The types that a webhook can be subscribed to begin with these.
const FAMILIES: [&str; 6] = ["email.", "contact.", "domain.", "suppression.", "topic.", "inbox."];

impl State {
    pub(super) fn now(&self) -> UnixMillis {
        UnixMillis::now().plus(self.later)
    }

    pub(super) fn handle(&mut self, request: &Request<Bytes>) -> Reply {
        let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
        self.calls.push(format!("{method} {path}"));
        let planned = self.plan.as_mut().and_then(|plan| plan(&method, &path));
        if let Some(Behaviour::Status(status)) = planned {
            return Ok(error(status, "application_error", "something went wrong on our side"));
        }
        if let Some(refused) = self.refuse(request) {
            return Ok(refused);
        }
        let reply = self.answer(request);
        if planned == Some(Behaviour::LoseAnswer) { Err(HangUp) } else { Ok(reply) }
    }

    fn refuse(&mut self, request: &Request<Bytes>) -> Option<Response<Full<Bytes>>> {
        let now = Instant::now();
        self.recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if self.recent.len() >= PER_SECOND {
            let mut limited =
                error(429, "rate_limit_exceeded", "Too many requests. You can only make 10 requests per second.");
            limited.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Some(limited);
        }
        self.recent.push(now);
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match given.strip_prefix("Bearer ") {
            None => Some(error(401, "missing_api_key", "Missing API Key")),
            Some("re_sending_only") => {
                Some(error(401, "restricted_api_key", "This API key is restricted to only send emails"))
            }
            Some(key) if key != self.key => Some(error(403, "invalid_api_key", "API key is invalid")),
            Some(_) => None,
        }
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["webhooks"]) => {
                let all: Vec<Value> = self.hooks.iter().map(|(id, hook)| hook_json(id, hook, false)).collect();
                page(&all, &query)
            }
            (&Method::POST, ["webhooks"]) => self.create(&body),
            (&Method::GET, ["suppressions"]) if self.has_suppressions => page(&self.suppressions, &query),
            (&Method::GET, ["webhooks", id, "events"]) if self.hooks.contains_key(*id) => page(&self.delivered, &query),
            (method, ["webhooks", id, rest @ ..]) => {
                let (tells, now) = (self.tells_secrets, self.now());
                let has_suppressions = self.has_suppressions;
                let Some(hook) = self.hooks.get_mut(*id) else { return error(404, "not_found", "Webhook not found") };
                match (method, rest) {
                    (&Method::GET, []) => ok(hook_json(id, hook, tells)),
                    (&Method::PATCH, []) => {
                        if let Some(events) = body.get("events") {
                            match events_of(events, has_suppressions) {
                                Ok(events) => hook.events = events,
                                Err(why) => return error(422, "validation_error", &why),
                            }
                        }
                        if let Some(status) = body.get("status").and_then(Value::as_str) {
                            hook.status = status.to_owned();
                        }
                        ok(json!({ "object": "webhook", "id": id }))
                    }
                    (&Method::POST, ["signing-secret", "rotate"]) => {
                        let old = std::mem::replace(&mut hook.secret, new_secret());
                        hook.old.push((old, now.plus(OLD_SIGNS)));
                        ok(json!({ "object": "webhook", "id": id, "signing_secret": hook.secret }))
                    }
                    _ => error(405, "method_not_allowed", "Method is not allowed for the requested path"),
                }
            }
            _ => error(404, "not_found", "The requested endpoint does not exist"),
        }
    }

    fn create(&mut self, body: &Value) -> Response<Full<Bytes>> {
        let Some(endpoint) = body.get("endpoint").and_then(Value::as_str).filter(|url| url.starts_with("http")) else {
            return error(422, "validation_error", "The `endpoint` field must be a URL");
        };
        let events = match events_of(body.get("events").unwrap_or(&Value::Null), self.has_suppressions) {
            Ok(events) => events,
            Err(why) => return error(422, "validation_error", &why),
        };
        let (id, secret) = (uuid(), self.next_secret.take().unwrap_or_else(new_secret));
        let answer = json!({ "object": "webhook", "id": id, "signing_secret": secret });
        let (endpoint, status) = (endpoint.to_owned(), "enabled".to_owned());
        self.hooks.insert(id, Hook { endpoint, events, status, secret, old: Vec::new() });
        ok(answer)
    }
}

fn events_of(events: &Value, has_suppressions: bool) -> Result<Vec<String>, String> {
    let events = events.as_array().filter(|events| !events.is_empty()).ok_or("Missing `events` field")?;
    let is_known = |event: &str| {
        FAMILIES.iter().any(|family| event.starts_with(family))
            && (has_suppressions || !event.starts_with("suppression."))
    };
    let read = |event: &Value| match event.as_str() {
        Some(event) if is_known(event) => Ok(event.to_owned()),
        other => Err(format!("Invalid event type: {}", other.unwrap_or("not a string"))),
    };
    events.iter().map(read).collect()
}

fn hook_json(id: &str, hook: &Hook, with_secret: bool) -> Value {
    let mut json = json!({
        "object": "webhook", "id": id, "endpoint": hook.endpoint, "events": hook.events, "status": hook.status,
        "created_at": "2026-11-20T10:00:00.000Z",
    });
    if let (true, Some(fields)) = (with_secret, json.as_object_mut()) {
        fields.insert("signing_secret".to_owned(), json!(hook.secret));
    }
    json
}

fn page(all: &[Value], query: &BTreeMap<String, String>) -> Response<Full<Bytes>> {
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20_usize).clamp(1, 100);
    let id = |entry: &Value| entry.get("id").and_then(Value::as_str).map(str::to_owned);
    let from = query.get("after").and_then(|after| all.iter().position(|entry| id(entry).as_ref() == Some(after)));
    let from = from.map_or(0, |at| at + 1);
    let data: Vec<&Value> = all.iter().skip(from).take(limit).collect();
    let has_more = from + data.len() < all.len();
    ok(json!({ "object": "list", "has_more": has_more, "data": data }))
}

fn new_secret() -> String {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(24).collect();
    format!("whsec_{}", STANDARD.encode(bytes))
}

fn ok(body: Value) -> Response<Full<Bytes>> {
    json_response(StatusCode::OK, JSON, body.to_string())
}

fn error(status: u16, name: &str, message: &str) -> Response<Full<Bytes>> {
    let body = json!({ "statusCode": status, "name": name, "message": message });
    json_response(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), JSON, body.to_string())
}
