//! Requests and responses, in the format of Resend's API.

use std::collections::BTreeMap;

use aws_local::server::json_response;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rebound::time::UnixMillis;
use serde_json::{Value, json};

const JSON: &str = "application/json; charset=utf-8";

/// Maximum number of entries in a page; and the default.
const MAX_ENTRIES: usize = 100;
const DEFAULT_ENTRIES: usize = 20;

pub(super) type ResendResponse = Response<Full<Bytes>>;

/// A parsed request.
pub(super) struct ResendRequest<'a> {
    pub(super) method: &'a Method,
    /// The decoded parts of the path.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// The body; null if it is not JSON.
    pub(super) body: Value,
    pub(super) idempotency_key: Option<&'a str>,
    pub(super) api_key: Option<&'a str>,
    pub(super) now: UnixMillis,
}

impl<'a> ResendRequest<'a> {
    pub(super) fn read(request: &'a Request<Bytes>, now: UnixMillis) -> Self {
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        Self {
            method: request.method(),
            path: request.uri().path().trim_matches('/').split('/').map(decoded).collect(),
            query: form_urlencoded::parse(query).into_owned().collect(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            idempotency_key: header("idempotency-key"),
            api_key: header("authorization").and_then(|given| given.strip_prefix("Bearer ")),
            now,
        }
    }

    /// A string field of the body.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    /// The strings in a list field of the body.
    pub(super) fn texts(&self, field: &str) -> Vec<&str> {
        self.body.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// A part of a path, percent-decoded.
fn decoded(part: &str) -> String {
    // In a path, unlike in a form, a plus is no space.
    let form = part.replace('+', "%2B");
    form_urlencoded::parse(format!("={form}").as_bytes()).next().map_or_else(String::new, |(_, part)| part.into_owned())
}

/// The pagination of a list.
pub(super) enum Pages {
    /// 20 entries without a limit.
    Default,
    /// All entries without a limit: webhooks.
    Unlimited,
    /// Without `before`: a webhook's events, and their attempts.
    ForwardOnly,
}

/// A page of a list (<https://resend.com/docs/api-reference/pagination>).
pub(super) fn page(all: &[Value], api_request: &ResendRequest<'_>, pages: Pages) -> ResendResponse {
    let (limit, after, before) =
        (api_request.query.get("limit"), api_request.query.get("after"), api_request.query.get("before"));
    if before.is_some() && matches!(pages, Pages::ForwardOnly) {
        return invalid("The `before` parameter is not supported for this endpoint.");
    }
    if after.is_some() && before.is_some() {
        return invalid("The `after` and `before` parameters cannot be used together.");
    }
    let limit = match (limit.map(|limit| limit.parse::<usize>()), pages) {
        (Some(Ok(limit @ 1..=MAX_ENTRIES)), _) => limit,
        (Some(_), _) => return invalid("The `limit` parameter must be a number between 1 and 100."),
        (None, Pages::Unlimited) => all.len(),
        (None, _) => DEFAULT_ENTRIES,
    };
    let place = |id: &String| all.iter().position(|entry| entry.get("id").and_then(Value::as_str) == Some(id));
    let (from, to) = match (after, before) {
        (_, Some(before)) => {
            let to = place(before).unwrap_or(0);
            (to.saturating_sub(limit), to)
        }
        // It is not documented what Resend does for an unknown entry. To begin again is the worst case for a client.
        (after, None) => {
            let from = after.and_then(place).map_or(0, |at| at + 1);
            (from, (from + limit).min(all.len()))
        }
    };
    let has_more = if before.is_some() { from > 0 } else { to < all.len() };
    ok(json!({ "object": "list", "has_more": has_more, "data": all.get(from..to).unwrap_or_default() }))
}

pub(super) fn ok(body: Value) -> ResendResponse {
    json_response(StatusCode::OK, JSON, body.to_string())
}

pub(super) fn created(body: Value) -> ResendResponse {
    json_response(StatusCode::CREATED, JSON, body.to_string())
}

/// An error response, in Resend's format (<https://resend.com/docs/api-reference/errors>).
pub(super) fn error(status: u16, name: &str, message: &str) -> ResendResponse {
    let body = json!({ "statusCode": status, "name": name, "message": message });
    json_response(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), JSON, body.to_string())
}

pub(super) fn invalid(message: &str) -> ResendResponse {
    error(422, "validation_error", message)
}

pub(super) fn missing(field: &str) -> ResendResponse {
    error(422, "missing_required_field", &format!("Missing `{field}` field."))
}

pub(super) fn no_such(what: &str) -> ResendResponse {
    error(404, "not_found", &format!("{what} not found"))
}

pub(super) fn not_allowed() -> ResendResponse {
    error(405, "method_not_allowed", "Method is not allowed for the requested path")
}

/// An HTML page, as from a proxy in front of the API.
pub(super) fn html(status: u16, text: &str) -> ResendResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!("<!DOCTYPE html><html><head><title>{status}</title></head><body><h1>{text}</h1></body></html>");
    json_response(status, "text/html; charset=UTF-8", page)
}

/// Adds the rate limit headers (<https://resend.com/docs/api-reference/rate-limit>).
pub(super) fn with_limit(mut answer: ResendResponse, per_second: usize, left: usize) -> ResendResponse {
    let headers = [
        ("ratelimit-limit", per_second.to_string()),
        ("ratelimit-remaining", left.to_string()),
        ("ratelimit-reset", "1".to_owned()),
        ("ratelimit-policy", format!("{per_second};w=1")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    answer
}

/// A time in the format of the REST API: `2026-10-06 23:47:56.678+00`.
pub(super) fn moment(at: UnixMillis) -> String {
    at.to_text().replace('T', " ").replace('Z', "+00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_and_a_plus_stays_one() {
        assert_eq!(decoded("ann%2Bnews%40example.com"), "ann+news@example.com");
        assert_eq!(decoded("ann+news@example.com"), "ann+news@example.com");
        assert_eq!(decoded("a%26b=c"), "a&b=c");
    }
}
