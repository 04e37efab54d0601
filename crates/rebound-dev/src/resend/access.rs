//! The door: a request needs an agent, and a key that may do this, and must not come too often.

use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT};

use super::http::{ResendResponse, error, html, with_limit};

/// A key that may only send.
pub const SENDING_KEY: &str = "re_sending_only";

/// Requests a second of a team.
const PER_SECOND: usize = 10;

pub(super) struct AccessControl {
    key: String,
    /// The status and the name with which a key is refused that is unknown. Several were seen.
    pub(super) unknown_key: (u16, String),
    pub(super) per_second: usize,
    recent: Vec<Instant>,
}

impl AccessControl {
    pub(super) fn new(key: &str) -> Self {
        let unknown_key = (401, "validation_error".to_owned());
        Self { key: key.to_owned(), unknown_key, per_second: PER_SECOND, recent: Vec::new() }
    }

    /// The refusal of a request, if it is refused.
    pub(super) fn refuse(&mut self, request: &Request<Bytes>) -> Option<ResendResponse> {
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // This is Cloudflare, before the API (https://resend.com/docs/knowledge-base/403-error-1010).
        if header(USER_AGENT).is_none_or(|agent| agent.trim().is_empty()) {
            return Some(html(403, "error code: 1010"));
        }
        let may_send = request.method() == hyper::Method::POST && request.uri().path() == "/emails";
        match header(AUTHORIZATION).and_then(|given| given.strip_prefix("Bearer ")) {
            None => return Some(error(401, "missing_api_key", "Missing API Key")),
            Some(key) if key == self.key || (key == SENDING_KEY && may_send) => {}
            Some(SENDING_KEY) => {
                return Some(error(401, "restricted_api_key", "This API key is restricted to only send emails"));
            }
            Some(_) => return Some(error(self.unknown_key.0, &self.unknown_key.1, "API key is invalid")),
        }
        let now = Instant::now();
        self.recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if self.recent.len() >= self.per_second {
            let mut limited =
                error(429, "rate_limit_exceeded", "Too many requests. You can only make 10 requests per second.");
            limited.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Some(self.with_limit(limited));
        }
        self.recent.push(now);
        None
    }

    pub(super) fn with_limit(&self, answer: ResendResponse) -> ResendResponse {
        with_limit(answer, self.per_second, self.per_second.saturating_sub(self.recent.len()))
    }
}
