//! Claude's Messages API (<https://platform.claude.com/docs/en/api/messages>): one question, one answer, and what a failure means.
//!
//! - [`request`]: what is asked, word for word.
//! - [`price`]: what it costs.
//! - [`key`]: where the key comes from.

pub mod key;
pub mod price;
pub mod request;
pub mod web;

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

/// How long an answer may take. It is usually there after two seconds; under load it can take half a minute.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// The largest answer that is read, in bytes. One of 1,024 tokens has a few thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// The longest wait that an answer may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may pass: too many requests, overload, a broken connection.
    #[error("{why}")]
    Passing {
        /// What happened.
        why: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Whether it costs something all the same.
        charge: Charge,
    },
    /// There was no answer in time. It may still be paid for.
    #[error("Claude gave no answer in time")]
    TimedOut,
    /// The key is missing, wrong, or may not do this.
    #[error("{0}")]
    Key(String),
    /// It will never be answered.
    #[error("{0}")]
    Never(String),
}

/// What a question without an answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Nothing: it never arrived, or was refused.
    Nothing,
    /// It may have been answered, and the answer was lost.
    Unknown,
}

/// The Messages API at one address.
#[derive(Clone, Debug)]
pub struct Claude {
    client: reqwest::Client,
    url: String,
    /// So many questions at once; Lambda's own bound is how many functions read the queue, each of which asks one at a time.
    places: Arc<Semaphore>,
}

impl Claude {
    /// The API at `base_url`, asked `at_once` questions at most.
    ///
    /// # Errors
    /// No TLS can be had.
    pub fn new(base_url: &str, at_once: usize) -> Result<Self, reqwest::Error> {
        let client =
            crate::claude::web::builder().connect_timeout(CONNECT_TIMEOUT).pool_idle_timeout(Duration::from_secs(30));
        let client = if base_url.starts_with("http:") { client.tls_certs_only([]) } else { client };
        Ok(Self {
            client: client.build()?,
            url: format!("{}/v1/messages", base_url.trim_end_matches('/')),
            places: Arc::new(Semaphore::new(at_once)),
        })
    }

    /// Asks once, and answers the body of the answer. All of it takes `timeout` at most, the wait for a place too.
    ///
    /// # Errors
    /// There is none.
    pub async fn ask(&self, key: &ApiKey, body: Vec<u8>, timeout: Duration) -> Result<Vec<u8>, Failure> {
        let until = Instant::now() + timeout;
        let Ok(place) = tokio::time::timeout_at(until, self.places.acquire()).await else {
            let why = "too many others were asking Claude".to_owned();
            return Err(Failure::Passing { why, retry_after: None, charge: Charge::Nothing });
        };
        let _place = place.map_err(|error| Failure::Never(error.to_string()))?;
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
                // A proxy on the way, or an answer that had begun, may hold an error all the same.
                Some(kind) => Err(refused(status_of(&kind), retry_after, &read)),
                None => Ok(read),
            },
            status => Err(refused(status, retry_after, &read)),
        }
    }
}

/// A request that got no answer.
fn lost(error: &reqwest::Error) -> Failure {
    let (what, charge) = if error.is_connect() {
        ("no connection to Claude", Charge::Nothing)
    } else if error.is_timeout() {
        return Failure::TimedOut;
    } else {
        ("the connection to Claude broke", Charge::Unknown)
    };
    Failure::Passing { why: what.to_owned(), retry_after: None, charge }
}

/// A request that was answered with an error (<https://platform.claude.com/docs/en/api/errors>).
fn refused(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let code = status.as_u16();
    let kind = error_kind(body).filter(|kind| !kind.is_empty()).map(|kind| format!(", {kind}")).unwrap_or_default();
    let why = format!("Claude answered {code}{kind}");
    match code {
        401 | 403 => Failure::Key(why),
        408 | 409 | 425 | 429 | 500..=599 => Failure::Passing { why, retry_after, charge: Charge::Nothing },
        _ => Failure::Never(why),
    }
}

/// What kind of error a body says that it is; empty where it doesn't name one. `None`: it is no error.
pub fn error_kind(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |pointer| body.pointer(pointer).and_then(serde_json::Value::as_str);
    if text("/type") != Some("error")
        && (text("/type").is_some() || body.get("error").is_none_or(|error| error.is_null()))
    {
        return None;
    }
    // One of a few words; the message beside it may repeat what was asked, which is no business of a log.
    let kind = text("/error/type").unwrap_or_default();
    let is_word = kind.len() <= 40 && kind.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    Some(if is_word { kind.to_owned() } else { String::new() })
}

/// The status that belongs to a kind of error (<https://platform.claude.com/docs/en/api/errors>). One that is not known may pass.
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

/// How long to wait, in seconds (<https://platform.claude.com/docs/en/api/rate-limits>).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means_is_told_by_its_status() {
        let of = |status: u16, body: &str| refused(StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
        let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(of(529, overloaded).to_string(), "Claude answered 529, overloaded_error");
        for passing in [408, 429, 500, 502, 503, 504, 529] {
            assert!(matches!(of(passing, "<html>"), Failure::Passing { charge: Charge::Nothing, .. }), "{passing}");
        }
        for key in [401, 403] {
            assert!(matches!(of(key, "{}"), Failure::Key(_)), "{key}");
        }
        for never in [301, 400, 404, 413, 422] {
            assert!(matches!(of(never, ""), Failure::Never(_)), "{never}");
        }
        let told = of(400, r#"{"error":{"type":"ann@example.com wrote\n"}}"#).to_string();
        assert_eq!(told, "Claude answered 400", "words of outsiders are not repeated");
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
            assert!(matches!(of(kind), Failure::Passing { charge: Charge::Nothing, .. }), "{kind}");
        }
        assert!(matches!(of("authentication_error"), Failure::Key(_)));
        assert!(matches!(of("not_found_error"), Failure::Never(_)));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_never_longer_than_an_hour() {
        let of = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(of("1e300"), Some(LONGEST_WAIT));
        for none in ["", "soon", "-1", "NaN", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
