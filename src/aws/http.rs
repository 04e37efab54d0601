//! The function URL's request and response, in Lambda's payload format 2.0.
//!
//! Read here and not by `lambda_http`, because the URL is public: that crate panics on a path that is no URI and on a body
//! whose base64 is broken, and refuses a request whole for one header that is not ASCII. Each would be a function error,
//! a 502 and an alarm, for whoever sends it. Only four fields are needed.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The largest body taken, in bytes. Svix sends at most about 350 kB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request as Lambda hands it over. Whatever else the event holds is skipped.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRequest {
    request_context: RequestContext,
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

/// The body is said to be base64 and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is marked as base64 and is not")]
pub struct BodyNotBase64;

impl HttpRequest {
    /// The method, in capitals.
    pub fn method(&self) -> &str {
        &self.request_context.http.method
    }

    /// The headers, and the bytes that the sender sent, which are what it signed. Lambda encodes a body whose content type
    /// is not text; one that is marked so and is not base64 it never sends.
    pub fn into_parts(self) -> (Headers, Result<Vec<u8>, BodyNotBase64>) {
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| BodyNotBase64)
        } else {
            Ok(body.into_bytes())
        };
        (self.headers, body)
    }
}

/// Headers by lower-case name. One that comes twice is joined with a comma, as Lambda does it.
#[derive(Clone, Debug, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// A header's value, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

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
                let mut headers = BTreeMap::new();
                while let Some((mut name, value)) = map.next_entry::<String, String>()? {
                    name.make_ascii_lowercase();
                    headers
                        .entry(name)
                        .and_modify(|known: &mut String| {
                            known.push(',');
                            known.push_str(&value);
                        })
                        .or_insert(value);
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_any(HeadersVisitor)
    }
}

/// A response as Lambda takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// The status code.
    pub status_code: u16,
    /// The headers.
    pub headers: BTreeMap<&'static str, &'static str>,
    /// The body: JSON.
    pub body: String,
    /// Always false: the body is text.
    pub is_base64_encoded: bool,
    /// Always empty. Lambda does without it; `cargo lambda watch` answers 500 to a response that has no such field.
    pub cookies: [String; 0],
}

impl HttpResponse {
    /// A JSON response.
    ///
    /// A body that can't be serialised, which none of ours is, becomes an empty one.
    pub fn json(status_code: u16, body: &impl Serialize) -> Self {
        let headers = BTreeMap::from([("content-type", "application/json")]);
        let body = serde_json::to_string(body).unwrap_or_default();
        Self { status_code, headers, body, is_base64_encoded: false, cookies: [] }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(name, value);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(json: &str) -> HttpRequest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_body_marked_as_base64_is_decoded_to_the_bytes_that_were_signed() {
        let encoded = request(r#"{"body":"eyJhIjoiw7wifQ==","isBase64Encoded":true}"#);
        assert_eq!(encoded.into_parts().1.unwrap(), r#"{"a":"ü"}"#.as_bytes());
        assert_eq!(request(r#"{"body":"%%","isBase64Encoded":true}"#).into_parts().1, Err(BodyNotBase64));
        assert_eq!(request(r#"{"body":"plain"}"#).into_parts().1.unwrap(), b"plain");
        assert_eq!(request("{}").into_parts().1.unwrap(), b"");
    }

    #[test]
    fn headers_are_found_whatever_their_case_and_may_hold_anything() {
        let odd = request(r#"{"headers":{"Svix-Id":"ü","svix-id":"second","x":""},"rawPath":"/ \"^"}"#);
        assert_eq!(odd.headers.get("svix-id"), Some("ü,second"));
        assert_eq!(odd.headers.get("x"), Some(""));
        assert_eq!(request(r#"{"headers":null}"#).headers.get("x"), None);
    }

    #[test]
    fn a_response_has_every_field_that_lambda_and_cargo_lambda_watch_want() {
        let response = HttpResponse::json(405, &["a"]).with_header("allow", "POST");
        let expected = r#"{"statusCode":405,"headers":{"allow":"POST","content-type":"application/json"},"body":"[\"a\"]","isBase64Encoded":false,"cookies":[]}"#;
        assert_eq!(serde_json::to_string(&response).unwrap(), expected);
    }

    #[test]
    fn an_event_that_is_no_http_request_has_no_method() {
        assert_eq!(request(r#"{"Records":[]}"#).method(), "");
        assert_eq!(request(r#"{"requestContext":{"http":{"method":"POST"}}}"#).method(), "POST");
    }

    proptest! {
        #[test]
        fn no_request_makes_reading_panic(method in "\\PC{0,8}", name in "\\PC{0,8}", value in "\\PC{0,40}", body in "\\PC{0,40}", encoded: bool) {
            let event = serde_json::json!({
                "requestContext": { "http": { "method": method } },
                "headers": { name: value },
                "body": body,
                "isBase64Encoded": encoded,
            });
            let request = request(&event.to_string());
            prop_assert_eq!(request.method(), method);
            let (_, bytes) = request.into_parts();
            prop_assert!(encoded || bytes == Ok(body.into_bytes()));
        }
    }
}
