//! A stub of Claude's Messages API, with the parts that Rebound calls (<https://platform.claude.com/docs/en/api/messages>). It rejects
//! the requests that the API rejects. Its answers are fixed, or planned by a test.

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

/// The response header with the request's id, for the support
/// (<https://platform.claude.com/docs/en/api/errors#request-id>).
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Length of an id after its prefix.
const ID_LENGTH: usize = 24;

/// Approximate number of bytes of an LLM token.
const BYTES_PER_TOKEN: usize = 4;

/// A request to the stub.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// Number of requests before this one.
    pub index: usize,
    /// The body; null if it is not JSON.
    pub body: Value,
    /// The headers by their names in lower case, including the API key.
    pub headers: BTreeMap<String, String>,
}

/// The planned reaction to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaudeBehaviour {
    /// A fixed answer: a follow-up for a human's click, nothing for an unsure one, low interest for an open. An invalid request is
    /// rejected.
    Default,
    /// A call of this tool with this input, even if the tool is not offered. An invalid request is rejected.
    Tool(String, Value),
    /// This content, a list of blocks, and this `stop_reason`. An invalid request is rejected.
    Content(Value, String),
    /// This error status, and perhaps a `retry-after` in seconds
    /// (<https://platform.claude.com/docs/en/api/errors>).
    Status(u16, Option<u64>),
    /// This status, content type and body, as from a proxy.
    Raw(u16, String, Vec<u8>),
    /// The connection is closed without an answer.
    Reset,
    /// Another reaction, after this delay.
    Slow(Duration, Box<ClaudeBehaviour>),
}

impl ClaudeBehaviour {
    /// This reaction, after a delay.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Slow(delay, Box::new(self))
    }
}

/// The token usage of all responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Number of responses with status 200 and a usage.
    pub answers: u64,
    /// Input tokens in these usages.
    pub input: u64,
    /// Output tokens in these usages.
    pub output: u64,
}

type Plan = Arc<dyn Fn(&RecordedRequest) -> ClaudeBehaviour + Send + Sync>;

/// The stub of Claude's API. It stops when it is dropped.
#[derive(Debug)]
pub struct ClaudeStub {
    server: Server,
    shared: Arc<SharedStub>,
}

struct SharedStub {
    state: Mutex<ClaudeState>,
}

struct ClaudeState {
    plan: Plan,
    asked: Vec<RecordedRequest>,
    now: usize,
    max_in_flight: usize,
    tokens: Tokens,
}

impl fmt::Debug for SharedStub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStub").field("asked", &self.state().asked.len()).finish_non_exhaustive()
    }
}

impl ClaudeStub {
    /// Starts a stub on `address` (port 0: any free port). Its answers are fixed until it has a plan.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let state = ClaudeState {
            plan: Arc::new(|_| ClaudeBehaviour::Default),
            asked: Vec::new(),
            now: 0,
            max_in_flight: 0,
            tokens: Tokens::default(),
        };
        let shared = Arc::new(SharedStub { state: Mutex::new(state) });
        let answering = Arc::clone(&shared);
        let server = Server::start(address, move |request| {
            let shared = Arc::clone(&answering);
            async move { shared.answer(request).await }
        })
        .await?;
        Ok(Self { server, shared })
    }

    /// The URL of the stub, without a path.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Sets the reaction to each following request. Requests and tokens so far stay counted.
    pub fn plan(&self, plan: impl Fn(&RecordedRequest) -> ClaudeBehaviour + Send + Sync + 'static) {
        self.shared.state().plan = Arc::new(plan);
    }

    /// All requests to the Messages API in order, including rejected ones.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        self.shared.state().asked.clone()
    }

    /// Maximum number of concurrent requests so far.
    pub fn max_in_flight(&self) -> usize {
        self.shared.state().max_in_flight
    }

    /// The token usage of all responses. A request whose connection was closed before the response does not count.
    pub fn answered_tokens(&self) -> Tokens {
        self.shared.state().tokens
    }
}

/// Counts a request as in flight until it is dropped, even if its caller closes the connection.
struct InFlight<'a>(&'a SharedStub);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state().now -= 1;
    }
}

impl SharedStub {
    fn state(&self) -> MutexGuard<'_, ClaudeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, and gets its reaction from the plan.
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

    /// The response with a model, unless the key is missing or is `refused`: <https://platform.claude.com/docs/en/api/models/retrieve>.
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

/// A random id in the format of Claude's API: `msg_01…`.
fn id(prefix: &str) -> String {
    let letters = (2..ID_LENGTH).map(|_| fastrand::alphanumeric());
    format!("{prefix}_01{}", letters.collect::<String>())
}

/// An error response, in the format of Claude's API (<https://platform.claude.com/docs/en/api/errors>).
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

/// The response with one more header. An invalid value is omitted.
fn with_header(mut response: Response<Full<Bytes>>, name: HeaderName, value: &str) -> Response<Full<Bytes>> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
