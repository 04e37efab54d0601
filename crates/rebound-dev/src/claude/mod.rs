//! Claude's Messages API, as far as Rebound calls it (<https://platform.claude.com/docs/en/api/messages>): what it refuses, this
//! refuses, and what it decides, this decides by rote, or as a test has it.

mod decide;
mod request;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use aws_local::server::{CloseConnection, Reply, Server, json_response};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use self::request::ClaudeApiError;

const JSON: &str = "application/json";

/// The header of every answer that names the request, for the support
/// (<https://platform.claude.com/docs/en/api/errors#request-id>).
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// What ids are made of, after their prefix.
const ID_LENGTH: usize = 24;

/// A token is about so many bytes.
const BYTES_PER_TOKEN: usize = 4;

/// A request that came.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// How many requests came before it.
    pub index: usize,
    /// Its body; null if that is not JSON.
    pub body: Value,
    /// Its headers, by their names in lower case. The key is among them.
    pub headers: BTreeMap<String, String>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaudeBehaviour {
    /// It is answered by rote: a follow-up for a human's click, nothing for an unsure one, a low interest for an open. Refused, if
    /// it is wrong.
    Default,
    /// This tool is called with this input, whether it was offered or not. Refused, if it is wrong.
    Tool(String, Value),
    /// It is answered with this content, a list of blocks, and this `stop_reason`. Refused, if it is wrong.
    Content(Value, String),
    /// It fails with this status, and perhaps with a `retry-after` of so many seconds
    /// (<https://platform.claude.com/docs/en/api/errors>).
    Status(u16, Option<u64>),
    /// It is answered with this status, content type and body, as some proxy on the way may.
    Raw(u16, String, Vec<u8>),
    /// The connection is closed without an answer.
    Reset,
    /// All that, this much later.
    Slow(Duration, Box<ClaudeBehaviour>),
}

impl ClaudeBehaviour {
    /// The same, so much later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Slow(delay, Box::new(self))
    }
}

/// What the answers cost that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Answers with status 200 and a usage.
    pub answers: u64,
    /// Tokens read, as the answers say.
    pub input: u64,
    /// Tokens written, as the answers say.
    pub output: u64,
}

type Plan = Arc<dyn Fn(&RecordedRequest) -> ClaudeBehaviour + Send + Sync>;

/// A stand-in for Claude. It stops when this is dropped.
#[derive(Debug)]
pub struct ClaudeStub {
    server: Server,
    shared: Arc<ClaudeStubState>,
}

struct ClaudeStubState {
    state: Mutex<State>,
}

struct State {
    plan: Plan,
    asked: Vec<RecordedRequest>,
    now: usize,
    max_in_flight: usize,
    tokens: Tokens,
}

impl fmt::Debug for ClaudeStubState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("asked", &self.state().asked.len()).finish_non_exhaustive()
    }
}

impl ClaudeStub {
    /// Starts one on `address` (port 0: any free one), which answers by rote until it has a plan.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let state = State {
            plan: Arc::new(|_| ClaudeBehaviour::Default),
            asked: Vec::new(),
            now: 0,
            max_in_flight: 0,
            tokens: Tokens::default(),
        };
        let shared = Arc::new(ClaudeStubState { state: Mutex::new(state) });
        let answering = Arc::clone(&shared);
        let server = Server::start(address, move |request| {
            let shared = Arc::clone(&answering);
            async move { shared.answer(request).await }
        })
        .await?;
        Ok(Self { server, shared })
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on, `plan` says what becomes of each request. What was counted so far stays counted.
    pub fn plan(&self, plan: impl Fn(&RecordedRequest) -> ClaudeBehaviour + Send + Sync + 'static) {
        self.shared.state().plan = Arc::new(plan);
    }

    /// All requests for messages, as they came, those that were refused too.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        self.shared.state().asked.clone()
    }

    /// The most requests that were under way at once.
    pub fn max_in_flight(&self) -> usize {
        self.shared.state().max_in_flight
    }

    /// The tokens of all answers with a usage. Whoever hung up before, paid nothing here.
    pub fn answered_tokens(&self) -> Tokens {
        self.shared.state().tokens
    }
}

/// Counts a request as under way for as long as it lives, also when its caller hangs up.
struct InFlight<'a>(&'a ClaudeStubState);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().now -= 1;
    }
}

impl ClaudeStubState {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and asks the plan about it.
    fn begin(&self, request: &Request<Bytes>, body: &Value) -> (ClaudeBehaviour, InFlight<'_>) {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let (plan, asked) = {
            let mut state = self.state();
            state.now += 1;
            state.max_in_flight = state.max_in_flight.max(state.now);
            let asked = RecordedRequest { index: state.asked.len(), body: body.clone(), headers };
            state.asked.push(asked.clone());
            (Arc::clone(&state.plan), asked)
        };
        let in_flight = InFlight(self);
        (plan(&asked), in_flight)
    }

    async fn answer(&self, request: Request<Bytes>) -> Reply {
        if let Some(model) = request.uri().path().strip_prefix("/v1/models/")
            && request.method() == Method::GET
        {
            return Ok(self.model(&request, model));
        }
        if request.uri().path() != "/v1/messages" {
            return Ok(error(404, None, "Not found"));
        }
        if request.method() != Method::POST {
            return Ok(error(405, None, "Method Not Allowed"));
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let (mut behaviour, _in_flight) = self.begin(&request, &body);
        while let ClaudeBehaviour::Slow(delay, then) = behaviour {
            tokio::time::sleep(delay).await;
            behaviour = *then;
        }
        let (content, stop_reason) = match behaviour {
            ClaudeBehaviour::Reset => return Err(CloseConnection),
            ClaudeBehaviour::Raw(status, content_type, body) => return Ok(raw(status, &content_type, body)),
            ClaudeBehaviour::Status(status, retry_after) => return Ok(error(status, retry_after, "as planned")),
            ClaudeBehaviour::Slow(..) | ClaudeBehaviour::Default => decide::scripted_reply(&body),
            ClaudeBehaviour::Tool(name, input) => decide::tool_use(&name, &input),
            ClaudeBehaviour::Content(content, stop_reason) => (content, stop_reason),
        };
        Ok(match request::check(&request, &body) {
            Ok(()) => self.message(&request, &body, &content, &stop_reason),
            Err(ClaudeApiError { status, message }) => error(status, None, &message),
        })
    }

    /// A model, for a key that is there and is not `refused`: <https://platform.claude.com/docs/en/api/models/retrieve>.
    fn model(&self, request: &Request<Bytes>, model: &str) -> Response<Full<Bytes>> {
        let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        if matches!(key, "" | "refused") {
            return error(401, None, "invalid x-api-key");
        }
        if !request::is_known(model) {
            return error(404, None, &format!("model: {model}"));
        }
        json_response(StatusCode::OK, JSON, json!({ "type": "model", "id": model, "display_name": model }).to_string())
    }

    fn message(
        &self,
        request: &Request<Bytes>,
        body: &Value,
        content: &Value,
        stop_reason: &str,
    ) -> Response<Full<Bytes>> {
        let tokens = |bytes: usize| bytes.div_ceil(BYTES_PER_TOKEN) as u64;
        let (input, output) = (tokens(request.body().len()), tokens(content.to_string().len()));
        let message = json!({
            "id": id("msg"),
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": null,
            "usage": {
                "input_tokens": input,
                "output_tokens": output,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
            },
        });
        let given = &mut self.state().tokens;
        given.answers += 1;
        given.input += input;
        given.output += output;
        with_header(json_response(StatusCode::OK, JSON, message.to_string()), REQUEST_ID, &id("req"))
    }
}

/// An id as Claude's API makes them: `msg_01…`.
fn id(prefix: &str) -> String {
    let letters = (2..ID_LENGTH).map(|_| fastrand::alphanumeric());
    format!("{prefix}_01{}", letters.collect::<String>())
}

/// An error, as Claude's API answers it (<https://platform.claude.com/docs/en/api/errors>).
pub(super) fn error(status: u16, retry_after: Option<u64>, message: &str) -> Response<Full<Bytes>> {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let id = id("req");
    let body = json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": id });
    let response = with_header(raw(status, JSON, body.to_string().into_bytes()), REQUEST_ID, &id);
    match retry_after {
        Some(seconds) => with_header(response, RETRY_AFTER, &seconds.to_string()),
        None => response,
    }
}

fn raw(status: u16, content_type: &str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    with_header(json_response(status, JSON, body), CONTENT_TYPE, content_type)
}

/// A value that no header can have is left out.
fn with_header(mut response: Response<Full<Bytes>>, name: HeaderName, value: &str) -> Response<Full<Bytes>> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
