//! The meaning of an answer (<https://resend.com/docs/api-reference/errors>).

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value};

/// Characters of Resend's own words that are kept.
const MAX_MESSAGE_CHARS: usize = 200;

/// A call of Resend's API that was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// The text can't be a key.
    #[error("RESEND_API_KEY is not a valid key; copy the whole key from Resend, under API Keys")]
    NoKey,
    /// The key is unknown, revoked, suspended, or may not do this.
    #[error("Resend refuses the key: {0}; create one under API Keys, with full access, and set RESEND_API_KEY")]
    Key(String),
    /// The key may only send.
    #[error("this key can only send; create one with full access at Resend, under API Keys, and set RESEND_API_KEY")]
    SendingOnly,
    /// A gate before the API refuses the request: the key was not looked at.
    #[error(
        "a firewall in front of Resend's API refused the request ({0}) before the key was checked; try from another network, and check your proxy and firewall"
    )]
    Blocked(String),
    /// Something answers that is not Resend's API.
    #[error(
        "the response is not from Resend's API ({0}, not JSON); check RESEND_BASE_URL if it is set, and your proxy"
    )]
    NotResend(String),
    /// Resend has no such thing.
    #[error("Resend did not find it: {0}")]
    NotFound(String),
    /// Resend accepts the key, and refuses this request.
    #[error("Resend refused the request ({status} {name}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// The error's name, such as `validation_error`.
        name: String,
        /// Resend's own words.
        message: String,
    },
    /// The team has used up what it may send or ask.
    #[error("the quota at Resend is used up: {0}; see Settings, Usage, or wait until it resets")]
    Quota(String),
    /// Too many requests, or a failure of Resend's, again and again.
    #[error("Resend is busy: {0}; try again in a minute")]
    Busy(String),
    /// Resend can't be reached, or its answer was lost.
    #[error("Resend can't be reached: {0}; check the network, and RESEND_BASE_URL if it is set")]
    Unreachable(String),
    /// The answer is a success, and can't be read.
    #[error("Resend's response can't be parsed: {0}; try again, and if that does not help, update rebound")]
    Unreadable(String),
}

/// Reads the error of an answer. Returns `None` for a success.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Option<ResendError> {
    if status.is_success() {
        return None;
    }
    let json: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    let text = |field: &str| json.as_ref().and_then(|json| json.get(field)?.as_str()).unwrap_or_default();
    let name: String = text("name").chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(60).collect();
    let message = match words(text("message")) {
        message if message.is_empty() => status_text(status),
        message => message,
    };
    let is_about_the_key = message.to_ascii_lowercase().contains("api key");
    Some(match (status.as_u16(), name.as_str()) {
        (429, "daily_quota_exceeded" | "monthly_quota_exceeded") | (_, "email_above_quota") => {
            ResendError::Quota(message)
        }
        (408 | 429 | 500..=599, _) | (409, "resource_locked" | "concurrent_idempotent_requests") => {
            ResendError::Busy(message)
        }
        (401, "restricted_api_key") => ResendError::SendingOnly,
        (
            _,
            "missing_api_key" | "invalid_api_key" | "restricted_api_key" | "suspended_api_key" | "invalid_permission",
        ) => ResendError::Key(message),
        (400 | 403, "validation_error") if is_about_the_key => ResendError::Key(message),
        (401, _) => ResendError::Key(message),
        (403, _) if json.is_none() => ResendError::Blocked(gate(status, body)),
        _ if json.is_none() => ResendError::NotResend(status_text(status)),
        (404, _) => ResendError::NotFound(message),
        (status, _) => ResendError::Refused { status, name, message },
    })
}

/// The status, and Cloudflare's code where the page has one: `error code: 1010`.
fn gate(status: StatusCode, body: &[u8]) -> String {
    let page = String::from_utf8_lossy(body).to_ascii_lowercase();
    let code = page.split_once("error code:").map(|(_, rest)| rest.trim_start().chars());
    let code: String = code.into_iter().flatten().take_while(char::is_ascii_digit).take(6).collect();
    if code.is_empty() { status_text(status) } else { format!("{}, Cloudflare's code {code}", status_text(status)) }
}

/// A status, with its words where it has some: `404 Not Found`.
fn status_text(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(|| status.as_str().to_owned(), |words| format!("{} {words}", status.as_str()))
}

/// Outsiders' words, on one line, and not too many.
fn words(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

/// Time to wait before the next try: `retry-after`, or `ratelimit-reset`, in seconds
/// (<https://resend.com/docs/api-reference/rate-limit>).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |value: &HeaderValue| value.to_str().ok()?.trim().parse::<f64>().ok();
    let value = headers.get(RETRY_AFTER).or_else(|| headers.get("ratelimit-reset")).and_then(seconds)?;
    Duration::try_from_secs_f64(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outsiders_words_are_one_short_line() {
        let long = format!("\u{1b}[31mAPI\nkey {}", "x".repeat(500));
        assert_eq!(words(&long).chars().count(), MAX_MESSAGE_CHARS);
        assert!(words(&long).starts_with("[31mAPI key x"));
    }
}
