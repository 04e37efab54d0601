//! Claude's Messages API (<https://platform.claude.com/docs/en/api/messages>): one request, one response, and the
//! meaning of each error.
//!
//! - [`request`]: the text of the request.
//! - [`price`]: the cost of a request.
//! - [`key`]: the source of the key.

pub mod key;
pub mod price;
pub mod request;

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::key::ApiKey;

/// The version of the API (<https://platform.claude.com/docs/en/api/versioning>).
pub const VERSION: &str = "2023-06-01";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for a response. Usually it takes two seconds; under load it can take half a minute.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Maximum size of a response that is read, in bytes. A response of 1,024 tokens has a few thousand bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Maximum wait that a `retry-after` header can ask for.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// A failed Claude request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaudeError {
    /// A retry may help: too many requests, overload, or a broken connection.
    #[error("{why}")]
    Transient {
        /// The cause, for logs.
        why: String,
        /// Wait that the API asked for, if any.
        retry_after: Option<Duration>,
        /// Possible cost of the failed request.
        charge: Charge,
    },
    /// No response arrived in time. The request may still be charged.
    #[error("Claude did not respond in time")]
    TimedOut,
    /// The key is missing, invalid, or lacks a permission.
    #[error("{0}")]
    InvalidKey(String),
    /// A retry never helps.
    #[error("{0}")]
    Permanent(String),
}

/// Cost of a request without a usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: the request never arrived, or was rejected.
    Nothing,
    /// Unknown: Claude may have responded, and the response was lost.
    Unknown,
}

/// A client of the Messages API at one base URL.
#[derive(Clone, Debug)]
pub struct Claude {
    client: reqwest::Client,
    url: String,
    /// Limits concurrent requests in this process. Lambda limits how many functions read the queue, and each sends one
    /// request at a time.
    places: Arc<Semaphore>,
}

impl Claude {
    /// Creates a client of the API at `base_url` with at most `at_once` concurrent requests.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(base_url: &str, at_once: usize) -> Result<Self, reqwest::Error> {
        let client = crate::web::builder().connect_timeout(CONNECT_TIMEOUT).pool_idle_timeout(Duration::from_secs(30));
        let client = if base_url.starts_with("http:") { client.tls_certs_only([]) } else { client };
        Ok(Self {
            client: client.build()?,
            url: format!("{}/v1/messages", base_url.trim_end_matches('/')),
            places: Arc::new(Semaphore::new(at_once)),
        })
    }

    /// Sends one request and returns the body of the response. `timeout` also includes the wait for a free slot.
    pub async fn ask(&self, key: &ApiKey, body: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, ClaudeError> {
        let until = Instant::now() + timeout;
        let Ok(place) = tokio::time::timeout_at(until, self.places.acquire()).await else {
            let why = "too many concurrent Claude requests".to_owned();
            return Err(ClaudeError::Transient { why, retry_after: None, charge: Charge::Nothing });
        };
        let _place = place.map_err(|error| ClaudeError::Permanent(error.to_string()))?;
        let left = until.saturating_duration_since(Instant::now());
        let request = self.client.post(&self.url).timeout(left).body(body);
        let request = request.header("content-type", "application/json").header("anthropic-version", VERSION);
        let sent = request.header("x-api-key", key.header()).send().await;
        let mut answer = sent.map_err(|error| lost(&error))?;
        let (status, retry_after) = (answer.status(), retry_after(answer.headers()));
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| lost(&error))? {
            read.extend_from_slice(&chunk);
            if read.len() > MAX_ANSWER {
                break;
            }
        }
        match status {
            StatusCode::OK => match error_kind(&read) {
                // A proxy may send an error with status 200, and so may a response that had already begun.
                Some(kind) => Err(refused(status_of(&kind), retry_after, &read)),
                None => Ok(read),
            },
            status => Err(refused(status, retry_after, &read)),
        }
    }
}

/// Returns the error for a request that got no response.
fn lost(error: &reqwest::Error) -> ClaudeError {
    let (what, charge) = if error.is_connect() {
        ("no connection to Claude", Charge::Nothing)
    } else if error.is_timeout() {
        return ClaudeError::TimedOut;
    } else {
        ("the connection to Claude was lost", Charge::Unknown)
    };
    ClaudeError::Transient { why: what.to_owned(), retry_after: None, charge }
}

/// Returns the error for an error response (<https://platform.claude.com/docs/en/api/errors>).
fn refused(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> ClaudeError {
    let code = status.as_u16();
    let kind = error_kind(body).filter(|kind| !kind.is_empty()).map(|kind| format!(", {kind}")).unwrap_or_default();
    let why = format!("Claude answered {code}{kind}");
    match code {
        401 | 403 => ClaudeError::InvalidKey(why),
        408 | 409 | 425 | 429 | 500..=599 => ClaudeError::Transient { why, retry_after, charge: Charge::Nothing },
        _ => ClaudeError::Permanent(why),
    }
}

/// Returns the error type in a response body, or an empty string if the error has no known type. Returns `None` if the
/// body is not an error.
pub fn error_kind(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |pointer| body.pointer(pointer).and_then(serde_json::Value::as_str);
    if text("/type") != Some("error")
        && (text("/type").is_some() || body.get("error").is_none_or(|error| error.is_null()))
    {
        return None;
    }
    // The type is one of a few words. The message beside it may repeat personal data of the request, which must not be
    // logged.
    let kind = text("/error/type").unwrap_or_default();
    let is_word = kind.len() <= 40 && kind.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    Some(if is_word { kind.to_owned() } else { String::new() })
}

/// Returns the HTTP status of an error type (<https://platform.claude.com/docs/en/api/errors>). An unknown type counts
/// as transient.
fn status_of(kind: &str) -> StatusCode {
    match kind {
        "invalid_request_error" => StatusCode::BAD_REQUEST,
        "authentication_error" => StatusCode::UNAUTHORIZED,
        "billing_error" => StatusCode::PAYMENT_REQUIRED,
        "permission_error" => StatusCode::FORBIDDEN,
        "not_found_error" => StatusCode::NOT_FOUND,
        "request_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "rate_limit_error" => StatusCode::TOO_MANY_REQUESTS,
        "timeout_error" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the wait that the response asks for; the header is in seconds
/// (<https://platform.claude.com/docs/en/api/rate-limits>).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).map_or(MAX_WAIT, |wait| wait.min(MAX_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_the_meaning_of_an_error() {
        let of = |status: u16, body: &str| refused(StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(of(529, overloaded).to_string(), "Claude answered 529, overloaded_error");
        for passing in [408, 429, 500, 502, 503, 504, 529] {
            assert!(
                matches!(of(passing, "<html>"), ClaudeError::Transient { charge: Charge::Nothing, .. }),
                "{passing}"
            );
        }
        for key in [401, 403] {
            assert!(matches!(of(key, "{}"), ClaudeError::InvalidKey(_)), "{key}");
        }
        for never in [301, 400, 404, 413, 422] {
            assert!(matches!(of(never, ""), ClaudeError::Permanent(_)), "{never}");
        }
        let message = of(400, r#"{"error":{"type":"ann@example.com wrote\n"}}"#).to_string();
        assert_eq!(message, "Claude answered 400", "external text is not repeated");
    }

    #[test]
    fn an_error_inside_an_answer_is_read_as_one() {
        for (body, expected) in [
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, Some("overloaded_error")),
            (r#"{"error":{"type":"api_error"}}"#, Some("api_error")),
            (r#"{"type":"error"}"#, Some("")),
            (r#"{"type":"error","error":{"type":"Ann wrote"}}"#, Some("")),
            (r#"{"type":"message","content":[]}"#, None),
            (r#"{"type":"message","error":{"type":"x"}}"#, None),
            (r#"{"error":null}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(error_kind(body.as_bytes()).as_deref(), expected, "{body}");
        }
        let of = |kind: &str| refused(status_of(kind), None, b"");
        for kind in ["overloaded_error", "rate_limit_error", "api_error", "timeout_error", "", "a_new_error"] {
            assert!(matches!(of(kind), ClaudeError::Transient { charge: Charge::Nothing, .. }), "{kind}");
        }
        assert!(matches!(of("authentication_error"), ClaudeError::InvalidKey(_)));
        assert!(matches!(of("not_found_error"), ClaudeError::Permanent(_)));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_never_longer_than_an_hour() {
        let of = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(of("1e300"), Some(MAX_WAIT));
        for none in ["", "soon", "-1", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
