//! Meaning of what Resend answers.
//!
//! # Sending an email
//!
//! The first line that fits
//! (<https://resend.com/docs/api-reference/errors>):
//!
//! | answer | meaning |
//! | --- | --- |
//! | 2xx, JSON with an `id` | accepted |
//! | any other 2xx; 408; 5xx; 409, unless `invalid_idempotent_request`; no answer | unclear |
//! | 409 `invalid_idempotent_request` | another body had this key |
//! | 401; a name that is about the key; 400 or 403 `validation_error` whose message has "API key" | the key |
//! | 429 of the daily or monthly quota; `email_above_quota` | the quota |
//! | any other 429 | too fast |
//! | 400, 413 or 422 with a name that is about the email | this email |
//! | everything else | otherwise: the account, the domain, or the way there |

use std::time::Duration;

use serde_json::Value;

use super::{AnswerMeaning, SendAnswer};
use crate::resend::api::{NoResponse, ResendResponse};

/// Names of errors that are about the API key, whatever the status.
const ABOUT_KEY: [&str; 5] =
    ["missing_api_key", "invalid_api_key", "restricted_api_key", "suspended_api_key", "invalid_permission"];

/// Names of errors that are about the very email.
const ABOUT_EMAIL: [&str; 7] = [
    "validation_error",
    "missing_required_field",
    "missing_required_parameter",
    "invalid_parameter",
    "invalid_attachment",
    "invalid_from_address",
    "invalid_idempotency_key",
];

/// Names of errors that are about the account's quota, with status 429.
const ABOUT_QUOTA: [&str; 2] = ["daily_quota_exceeded", "monthly_quota_exceeded"];

/// Bounds of the rest after "too fast".
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Maximum length of an error's name, in bytes.
const MAX_NAME: usize = 60;

/// Meaning of an answer to a request that unsubscribes a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushMeaning {
    /// The contact is unsubscribed.
    Done,
    /// There is no such contact.
    NoContact,
    /// The key may not do this.
    Key,
    /// Too fast, or a transient fault: later.
    Later,
}

/// Returns the meaning of an answer to `POST /emails`.
pub fn email_answer(response: &Result<ResendResponse, NoResponse>) -> SendAnswer {
    let response = match response {
        Ok(response) => response,
        Err(error) => return SendAnswer { meaning: AnswerMeaning::Unclear, status: None, name: error.to_string() },
    };
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let name = error_name(&body);
    let known = name.clone().unwrap_or_else(|| format!("http_{}", response.status));
    let meaning = meaning(response, &body, name.as_deref(), &known);
    SendAnswer { meaning, status: Some(response.status), name: known }
}

fn meaning(response: &ResendResponse, body: &Value, name: Option<&str>, known: &str) -> AnswerMeaning {
    let is_any = |names: &[&str]| name.is_some_and(|name| names.contains(&name));
    let id = body.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    match (response.status, id) {
        (200..=299, Some(id)) => AnswerMeaning::Accepted { id: id.to_owned() },
        (200..=299 | 408 | 500..=599, _) => AnswerMeaning::Unclear,
        (409, _) if name == Some("invalid_idempotent_request") => AnswerMeaning::KeyConflict,
        (409, _) => AnswerMeaning::Unclear,
        (401, _) => AnswerMeaning::Key,
        (400 | 403, _) if name == Some("validation_error") && message_has_api_key(body) => AnswerMeaning::Key,
        _ if is_any(&ABOUT_KEY) => AnswerMeaning::Key,
        (429, _) if is_any(&ABOUT_QUOTA) => AnswerMeaning::Quota,
        _ if name == Some("email_above_quota") => AnswerMeaning::Quota,
        (429, _) => {
            let retry_after = response.retry_after.unwrap_or(REST.0).clamp(REST.0, REST.1);
            AnswerMeaning::TooFast { retry_after }
        }
        (400 | 413 | 422, _) if is_any(&ABOUT_EMAIL) => AnswerMeaning::AboutThisEmail { name: known.to_owned() },
        _ => AnswerMeaning::Otherwise { name: known.to_owned() },
    }
}

/// Returns the meaning of an answer to `PATCH /contacts/ADDRESS`.
pub fn push_answer(response: &Result<ResendResponse, NoResponse>) -> PushMeaning {
    let Ok(response) = response else { return PushMeaning::Later };
    match response.status {
        200..=299 => return PushMeaning::Done,
        // A page of a proxy says nothing about a contact.
        404 if error_name(&serde_json::from_slice(&response.body).unwrap_or_default()).is_some() => {
            return PushMeaning::NoContact;
        }
        _ => {}
    }
    match email_answer(&Ok(response.clone())).meaning {
        AnswerMeaning::Key => PushMeaning::Key,
        _ => PushMeaning::Later,
    }
}

/// Returns the name of an error in Resend's form. Anything else than one of its words is no name.
fn error_name(body: &Value) -> Option<String> {
    let name = body.get("name")?.as_str()?;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_word)).then(|| name.to_owned())
}

fn message_has_api_key(body: &Value) -> bool {
    body.get("message").and_then(Value::as_str).is_some_and(|message| message.to_lowercase().contains("api key"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(status: u16, body: &str) -> Result<ResendResponse, NoResponse> {
        Ok(ResendResponse { status, retry_after: None, body: body.as_bytes().to_vec() })
    }

    fn of(status: u16, body: &str) -> AnswerMeaning {
        email_answer(&response(status, body)).meaning
    }

    fn named(status: u16, name: &str) -> AnswerMeaning {
        of(status, &format!(r#"{{"statusCode":{status},"name":"{name}","message":"No."}}"#))
    }

    #[test]
    fn only_a_success_with_an_id_is_accepted() {
        for status in [200, 201, 202, 299] {
            let accepted = AnswerMeaning::Accepted { id: "e1".to_owned() };
            assert_eq!(of(status, r#"{"id":"e1"}"#), accepted, "{status}");
        }
        let huge = format!(r#"{{"id":"{}"#, "x".repeat(64 * 1024));
        for body in
            ["", "{}", "null", "[]", r#"{"id":""}"#, r#"{"id":5}"#, r#"{"id":null}"#, "<html>", "{\"id\":", &huge]
        {
            assert_eq!(of(200, body), AnswerMeaning::Unclear, "{body:.40}");
        }
        assert_ne!(of(302, r#"{"id":"e1"}"#), AnswerMeaning::Accepted { id: "e1".to_owned() });
    }

    #[test]
    fn what_may_have_been_accepted_is_unclear() {
        for status in [408, 500, 502, 503, 504, 520, 599] {
            for body in ["", "<html>Bad gateway", r#"{"name":"missing_api_key"}"#, r#"{"id":"e1"}"#] {
                assert_eq!(of(status, body), AnswerMeaning::Unclear, "{status} {body}");
            }
        }
        assert_eq!(named(409, "concurrent_idempotent_requests"), AnswerMeaning::Unclear);
        assert_eq!(named(409, "resource_locked"), AnswerMeaning::Unclear);
        assert_eq!(of(409, "<html>"), AnswerMeaning::Unclear);
        assert_eq!(named(409, "invalid_idempotent_request"), AnswerMeaning::KeyConflict);
        for lost in [NoResponse::NoConnection, NoResponse::Timeout, NoResponse::ConnectionLost] {
            let answer = email_answer(&Err(lost));
            assert_eq!((answer.meaning, answer.status, answer.name), (AnswerMeaning::Unclear, None, lost.to_string()));
        }
    }

    #[test]
    fn an_unusable_key_is_known_by_status_name_or_message() {
        assert_eq!(
            (of(401, ""), of(401, "<html>"), named(401, "x")),
            (AnswerMeaning::Key, AnswerMeaning::Key, AnswerMeaning::Key)
        );
        for name in ABOUT_KEY {
            for status in [400, 401, 403, 422, 429] {
                assert_eq!(named(status, name), AnswerMeaning::Key, "{status} {name}");
            }
        }
        for status in [400, 403] {
            let body = r#"{"name":"validation_error","message":"API key is invalid"}"#;
            assert_eq!(of(status, body), AnswerMeaning::Key, "{status}");
        }
        let body = r#"{"name":"validation_error","message":"API key is invalid"}"#;
        assert!(matches!(of(422, body), AnswerMeaning::AboutThisEmail { .. }));
    }

    #[test]
    fn quotas_and_rates_rest() {
        for name in ABOUT_QUOTA {
            assert_eq!(named(429, name), AnswerMeaning::Quota, "{name}");
            assert!(matches!(named(403, name), AnswerMeaning::Otherwise { .. }), "{name}");
        }
        for status in [403, 422, 429] {
            assert_eq!(named(status, "email_above_quota"), AnswerMeaning::Quota, "{status}");
        }
        for (seconds, expected) in [(None, 1), (Some(0), 1), (Some(7), 7), (Some(3600), 60)] {
            let retry_after = seconds.map(Duration::from_secs);
            let answer = email_answer(&Ok(ResendResponse { status: 429, retry_after, body: Vec::new() }));
            let retry_after = Duration::from_secs(expected);
            assert_eq!(answer.meaning, AnswerMeaning::TooFast { retry_after }, "{seconds:?}");
            assert_eq!(answer.name, "http_429");
        }
    }

    #[test]
    fn only_resends_own_names_drop_an_email() {
        for name in ABOUT_EMAIL {
            for status in [400, 413, 422] {
                let expected = AnswerMeaning::AboutThisEmail { name: name.to_owned() };
                assert_eq!(named(status, name), expected, "{status} {name}");
            }
            for status in [301, 402, 403, 404, 405, 451] {
                let expected = AnswerMeaning::Otherwise { name: name.to_owned() };
                assert_eq!(named(status, name), expected, "{status} {name}");
            }
        }
        for (status, body) in [
            (400, ""),
            (413, "<html>Request Entity Too Large"),
            (422, r#"{"name":"a_new_error"}"#),
            (403, "error code: 1010"),
            (404, r#"{"name":"not_found"}"#),
            (302, ""),
            (100, ""),
            (422, r#"{"name":"Ann <ann@example.com>"}"#),
            (422, r#"{"name":["validation_error"]}"#),
            (422, r#"[{"name":"validation_error"}]"#),
        ] {
            let answer = email_answer(&response(status, body));
            assert!(matches!(answer.meaning, AnswerMeaning::Otherwise { .. }), "{status} {body}: {answer:?}");
            assert!(!answer.name.contains('@'), "external text is not repeated");
        }
    }

    #[test]
    fn a_push_is_done_or_comes_again() {
        let contact = r#"{"statusCode":404,"name":"not_found","message":"Contact not found"}"#;
        let restricted = r#"{"statusCode":401,"name":"restricted_api_key","message":"This API key is restricted"}"#;
        for (status, body, expected) in [
            (200, r#"{"object":"contact","id":"c1"}"#, PushMeaning::Done),
            (200, "", PushMeaning::Done),
            (404, contact, PushMeaning::NoContact),
            (404, "<html>", PushMeaning::Later),
            (401, restricted, PushMeaning::Key),
            (403, restricted, PushMeaning::Key),
            (429, "", PushMeaning::Later),
            (503, "", PushMeaning::Later),
            (422, contact, PushMeaning::Later),
        ] {
            assert_eq!(push_answer(&response(status, body)), expected, "{status} {body}");
        }
        assert_eq!(push_answer(&Err(NoResponse::Timeout)), PushMeaning::Later);
    }

    proptest! {
        /// Whatever comes: what may have been accepted is never a refusal, and a name is always one short word.
        #[test]
        fn no_answer_is_taken_for_a_refusal_by_mistake(status in 100_u16..700, body in "\\PC{0,80}", name in "[a-zA-Z_@ ]{0,70}") {
            for body in [body.clone(), serde_json::json!({ "name": name, "message": body }).to_string()] {
                let answer = email_answer(&response(status, &body));
                if matches!(status, 200..=299 | 408 | 409 | 500..=599) {
                    prop_assert!(!answer.meaning.is_definite_refusal());
                } else {
                    prop_assert!(answer.meaning.is_definite_refusal());
                }
                prop_assert!(answer.name.len() <= MAX_NAME && !answer.name.contains(['@', ' ']));
            }
        }
    }
}
