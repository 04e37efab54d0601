//! The HTTP edge of a function with a public URL. Lambda events of payload format 2.0 become `lambda_http` requests,
//! and responses are converted back.
//!
//! The types are those of `lambda_http`, but its adapter is not used, because the URL is public. The adapter panics on
//! a query string with a space or a quotation mark, on invalid base64, and on an invalid `host`. It also rejects a
//! whole event for one header that HTTP does not allow. Anybody could cause such a function error, a 502 and an alarm.
//! This edge parses leniently, and drops what HTTP does not allow.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::header::{Entry, HeaderName};
use lambda_http::http::{HeaderMap, HeaderValue, Method, Uri};
use lambda_http::{Body, Context, Error, LambdaEvent, Request, RequestExt, Response, service_fn};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A request in Lambda's format. All other fields of the event are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Envelope {
    request_context: RequestContext,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Headers,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: HttpContext,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct HttpContext {
    method: String,
}

/// Request extension: the body is marked as base64, but is not valid base64. Lambda never sends such a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is marked as base64, but is not valid base64")]
pub struct BodyNotBase64;

impl Envelope {
    /// Converts the event into a request. A method, path or header that HTTP does not allow is dropped: the method
    /// becomes `GET`, and the path `/`. The body has the bytes that the sender signed. If they cannot be decoded, the
    /// body is empty, and [`BodyNotBase64`] is in the extensions.
    pub fn into_request(self) -> Request {
        let body = self.body.unwrap_or_default();
        let decoded =
            if self.is_base64_encoded { STANDARD.decode(body).map(Body::Binary) } else { Ok(Body::Text(body)) };
        let is_broken = decoded.is_err();
        let mut request = Request::new(decoded.unwrap_or_default());
        if is_broken {
            request.extensions_mut().insert(BodyNotBase64);
        }
        *request.method_mut() = Method::from_bytes(self.request_context.http.method.as_bytes()).unwrap_or_default();
        *request.uri_mut() = uri(&self.raw_path.unwrap_or_default(), self.raw_query_string.as_deref());
        *request.headers_mut() = self.headers.0;
        request
    }
}

fn uri(path: &str, query: Option<&str>) -> Uri {
    let text = match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::try_from(text)
        .or_else(|_| Uri::try_from(path))
        .ok()
        .filter(|uri| uri.path().starts_with('/'))
        .unwrap_or_default()
}

/// Headers by name. Repeated headers, in any case, are joined with a comma, as Lambda does.
#[derive(Clone, Debug, Default)]
struct Headers(HeaderMap);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;

        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of header names and values")
            }

            fn visit_unit<E>(self) -> Result<Headers, E> {
                Ok(Headers::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = HeaderMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    let name = HeaderName::from_bytes(name.as_bytes());
                    let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) else { continue };
                    match headers.entry(name) {
                        Entry::Vacant(vacant) => _ = vacant.insert(value),
                        Entry::Occupied(mut known) => {
                            let joined = [known.get().as_bytes(), b",", value.as_bytes()].concat();
                            if let Ok(joined) = HeaderValue::from_bytes(&joined) {
                                known.insert(joined);
                            }
                        }
                    }
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_any(HeadersVisitor)
    }
}

/// Returns a header's value as text. HTTP allows bytes that are not ASCII; they are read as UTF-8.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

/// A response in Lambda's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
    /// Always empty. Lambda does not need the field, but `cargo lambda watch` responds with 500 if it is missing.
    cookies: [String; 0],
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let status_code = response.status().as_u16();
        let (body, is_base64_encoded) = match response.into_body() {
            Body::Text(text) => (text, false),
            Body::Binary(bytes) => (STANDARD.encode(bytes), true),
            _ => (String::new(), false),
        };
        Self { status_code, headers, body, is_base64_encoded, cookies: [] }
    }
}

/// Passes one event to a handler as a request, with Lambda's context in its extensions.
///
/// # Errors
/// Returns the handler's error.
pub async fn serve<F, E>(event: LambdaEvent<Envelope>, handler: impl FnOnce(Request) -> F) -> Result<Reply, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    let request = event.payload.into_request().with_lambda_context(event.context);
    Ok(handler(request).await?.into())
}

/// Runs a function whose handler takes requests, until Lambda ends it.
///
/// # Errors
/// Lambda's Runtime API cannot be reached.
pub async fn run<F, E>(handler: impl Fn(Request) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<Response<Body>, E>>,
    E: fmt::Debug + Into<lambda_http::lambda_runtime::Diagnostic>,
{
    lambda_http::lambda_runtime::run(service_fn(|event| serve(event, &handler))).await
}

/// Returns Lambda's deadline of a request, in milliseconds since 1970; 0 without a context.
pub fn deadline(request: &Request) -> u64 {
    request.lambda_context_ref().map_or(0, |context: &Context| context.deadline)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(json: &str) -> Request {
        serde_json::from_str::<Envelope>(json).unwrap().into_request()
    }

    fn is_broken(request: &Request) -> bool {
        request.extensions().get::<BodyNotBase64>().is_some()
    }

    #[test]
    fn a_base64_body_is_decoded_to_the_signed_bytes() {
        let encoded = request(r#"{"body":"eyJhIjoiw7wifQ==","isBase64Encoded":true}"#);
        assert_eq!(encoded.body().as_ref(), r#"{"a":"ü"}"#.as_bytes());
        assert!(!is_broken(&encoded));
        assert!(is_broken(&request(r#"{"body":"%%","isBase64Encoded":true}"#)));
        assert_eq!(request(r#"{"body":"plain"}"#).body().as_ref(), b"plain");
        assert_eq!(request("{}").body().as_ref(), b"");
    }

    #[test]
    fn headers_are_found_whatever_their_case_and_may_hold_anything() {
        let odd = request(r#"{"headers":{"Svix-Id":"ü","svix-id":"second","x":""},"rawPath":"/ \"^"}"#);
        assert_eq!(header(odd.headers(), "svix-id"), Some("ü,second"));
        assert_eq!(header(odd.headers(), "x"), Some(""));
        assert_eq!(header(request(r#"{"headers":null}"#).headers(), "x"), None);
    }

    #[test]
    fn what_http_does_not_allow_is_left_out_and_the_rest_is_read() {
        let odd = request(
            r#"{"headers":{"a b":"1","x":"line\nbreak","y":"2"},"rawPath":"/ \"^","rawQueryString":"a=<b>",
                "requestContext":{"http":{"method":"NO TOKEN"}}}"#,
        );
        assert_eq!((odd.headers().len(), header(odd.headers(), "y")), (1, Some("2")));
        assert_eq!((odd.method(), odd.uri().path()), (&Method::GET, "/"));
        let plain = request(r#"{"rawPath":"/u/abc","rawQueryString":"x=1&y=%22"}"#);
        assert_eq!((plain.uri().path(), plain.uri().query()), ("/u/abc", Some("x=1&y=%22")));
        assert_eq!(request(r#"{"rawPath":"/u/abc","rawQueryString":"a=\"b"}"#).uri().path(), "/u/abc");
    }

    #[test]
    fn a_response_has_every_field_that_lambda_and_watch_need() {
        let mut response = Response::new(Body::Text(r#"["a"]"#.to_owned()));
        *response.status_mut() = lambda_http::http::StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        response.headers_mut().insert("allow", HeaderValue::from_static("POST"));
        let expected = r#"{"statusCode":405,"headers":{"allow":"POST","content-type":"application/json"},"body":"[\"a\"]","isBase64Encoded":false,"cookies":[]}"#;
        assert_eq!(serde_json::to_string(&Reply::from(response)).unwrap(), expected);
    }

    #[test]
    fn an_event_that_is_no_http_request_is_no_post() {
        assert_eq!(request(r#"{"Records":[]}"#).method(), Method::GET);
        assert_eq!(request(r#"{"requestContext":{"http":{"method":"POST"}}}"#).method(), Method::POST);
    }

    proptest! {
        #[test]
        fn no_request_makes_reading_panic(
            method in "\\PC{0,8}",
            path in "(/\\PC{0,20}|\\PC{0,20})",
            query in "\\PC{0,20}",
            name in "\\PC{0,8}",
            value in "\\PC{0,40}",
            body in "\\PC{0,40}",
            encoded: bool,
        ) {
            let event = serde_json::json!({
                "requestContext": { "http": { "method": method } },
                "rawPath": path,
                "rawQueryString": query,
                "headers": { name: value },
                "body": body,
                "isBase64Encoded": encoded,
            });
            let request = request(&event.to_string());
            prop_assert_eq!(request.method() == Method::POST, method == "POST");
            prop_assert!(encoded || request.body().as_ref() == body.as_bytes());
        }
    }
}
