//! Resend's API, as far as Rebound calls it (<https://resend.com/docs/api-reference/introduction>): webhooks, with their secrets and
//! their rotation, and suppressions, in pages.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::samples::{SignedMessage, new_message_id};
use super::server::{HangUp, Reply, Server, json_response};
use super::uuid;
use crate::signature::SigningSecret;
use crate::time::UnixMillis;

const JSON: &str = "application/json";

/// How many requests a second a team may make.
const PER_SECOND: usize = 10;

/// How long an old secret still signs.
const OLD_SIGNS: Duration = Duration::from_secs(24 * 60 * 60);

/// The types that a webhook can be subscribed to begin with these.
const FAMILIES: [&str; 6] = ["email.", "contact.", "domain.", "suppression.", "topic.", "inbox."];

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It fails with this status before anything is done.
    Status(u16),
    /// It is done, and the connection is closed without an answer.
    LoseAnswer,
}

type Plan = Box<dyn FnMut(&str, &str) -> Option<Behaviour> + Send>;

/// A webhook.
#[derive(Clone, Debug)]
struct Hook {
    endpoint: String,
    events: Vec<String>,
    status: String,
    secret: String,
    /// The secrets before it, and until when they sign.
    old: Vec<(String, UnixMillis)>,
}

struct State {
    key: String,
    hooks: BTreeMap<String, Hook>,
    suppressions: Vec<Value>,
    recent: Vec<Instant>,
    is_limited: bool,
    /// Whether the list of suppressions is open to this team.
    has_suppressions: bool,
    tells_secrets: bool,
    calls: Vec<String>,
    delivered: Vec<Value>,
    plan: Option<Plan>,
    later: Duration,
    /// The signing secret of the next webhook; without it, a new one.
    next_secret: Option<String>,
}

/// A Resend in memory.
pub struct LocalResend {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for LocalResend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalResend({})", self.server.url())
    }
}

impl LocalResend {
    /// Starts one on any free port, for this key.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(key: &str) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            key: key.to_owned(),
            hooks: BTreeMap::new(),
            suppressions: Vec::new(),
            recent: Vec::new(),
            is_limited: true,
            has_suppressions: true,
            tells_secrets: true,
            calls: Vec::new(),
            delivered: Vec::new(),
            plan: None,
            later: Duration::ZERO,
            next_secret: None,
        }));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let reply = lock(&shared).handle(&request);
            async move { reply }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What becomes of requests from now on, by method and path.
    pub fn plan(&self, plan: impl FnMut(&str, &str) -> Option<Behaviour> + Send + 'static) {
        self.state().plan = Some(Box::new(plan));
    }

    /// Gives the next webhook this signing secret, instead of a new one.
    pub fn sign_with(&self, secret: &str) {
        self.state().next_secret = Some(secret.to_owned());
    }

    /// The requests that came, `GET /webhooks` and so on.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Puts an address on the list.
    pub fn suppress(&self, email: &str, origin: &str, created_at: &str) {
        let entry = json!({
            "object": "suppression", "id": uuid(), "email": email, "origin": origin, "source_id": null, "created_at": created_at,
        });
        self.state().suppressions.push(entry);
    }

    /// Whether the list of suppressions, and events about it, are open to this team: they are in beta.
    pub fn open_suppressions(&self, are_open: bool) {
        self.state().has_suppressions = are_open;
    }

    /// Whether secrets are told when a webhook is asked for.
    pub fn tell_secrets(&self, are_told: bool) {
        self.state().tells_secrets = are_told;
    }

    /// Disables every webhook, as after five days of failures.
    pub fn disable_all(&self) {
        self.state().hooks.values_mut().for_each(|hook| hook.status = "disabled".to_owned());
    }

    /// Takes a type away from every webhook.
    pub fn unsubscribe(&self, event_type: &str) {
        self.state().hooks.values_mut().for_each(|hook| hook.events.retain(|event| event != event_type));
    }

    /// The endpoints of all webhooks, and what they are subscribed to.
    pub fn webhooks(&self) -> Vec<(String, Vec<String>, String)> {
        let state = self.state();
        state.hooks.values().map(|hook| (hook.endpoint.clone(), hook.events.clone(), hook.status.clone())).collect()
    }

    /// Lets its clock run on.
    pub fn pass(&self, span: Duration) {
        self.state().later += span;
    }

    /// Delivers an event to every webhook that wants it, signed as Svix signs. Answers the statuses.
    pub async fn deliver(&self, event_type: &str, body: &str) -> Vec<u16> {
        let (now, hooks) = {
            let state = self.state();
            let now = state.now();
            (
                now,
                state
                    .hooks
                    .values()
                    .filter(|hook| hook.events.iter().any(|event| event == event_type))
                    .cloned()
                    .collect::<Vec<_>>(),
            )
        };
        let mut statuses = Vec::new();
        for hook in hooks {
            let secrets = std::iter::once(&hook.secret)
                .chain(hook.old.iter().filter(|(_, until)| *until > now).map(|(old, _)| old));
            let secrets: Vec<SigningSecret> = secrets.filter_map(|secret| secret.parse().ok()).collect();
            let Some(first) = secrets.first() else { continue };
            let seconds = UnixMillis::now().seconds();
            let mut message = SignedMessage::new(new_message_id(), seconds, body, first);
            let signatures: Vec<String> =
                secrets.iter().map(|secret| secret.sign(&message.id, seconds, body.as_bytes())).collect();
            message.headers.insert("svix-signature".to_owned(), signatures.join(" "));
            let sent = message.request(&crate::web::client(), reqwest::Method::POST, &hook.endpoint).send().await;
            let status = sent.map_or(0, |answer| answer.status().as_u16());
            let word = if (200..300).contains(&status) { "success" } else { "failed" };
            let created_at = UnixMillis::now().to_text();
            let entry = json!({ "id": message.id, "type": event_type, "created_at": created_at, "status": word });
            self.state().delivered.insert(0, entry);
            statuses.push(status);
        }
        statuses
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn now(&self) -> UnixMillis {
        UnixMillis::now().plus(self.later)
    }

    fn handle(&mut self, request: &Request<Bytes>) -> Reply {
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
        if self.is_limited && self.recent.len() >= PER_SECOND {
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
