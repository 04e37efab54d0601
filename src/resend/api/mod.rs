//! A client for the part of Resend's API that the functions call (<https://resend.com/docs/api-reference/introduction>).
//!
//! Each call is one request. Nothing is retried and no redirect is followed, so the caller knows at any time how many
//! requests may have been accepted.
//!
//! - [`key`]: the API key.

pub mod key;

use std::fmt;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder};

use self::key::ResendKey;

/// The default base URL.
pub const BASE_URL: &str = "https://api.resend.com";

/// Maximum time until a connection is open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum time for a request, with its connection and its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum size of a response that is read, in bytes. Resend's have some hundred.
const MAX_RESPONSE: usize = 64 * 1024;

/// A response.
#[derive(Clone, PartialEq, Eq)]
pub struct ResendResponse {
    /// The HTTP status.
    pub status: u16,
    /// Number of seconds in the header `retry-after`
    /// (<https://resend.com/docs/api-reference/rate-limit>).
    pub retry_after: Option<Duration>,
    /// The body; of a huge one, the beginning. An external text.
    pub body: Vec<u8>,
}

/// The reason why a request got no response. The request may have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoResponse {
    /// The connection could not be opened.
    #[error("no_connection")]
    NoConnection,
    /// The time was over.
    #[error("timeout")]
    Timeout,
    /// The connection was lost before the end of the response.
    #[error("connection_lost")]
    ConnectionLost,
}

/// A client of the API at one base URL.
#[derive(Clone, Debug)]
pub struct ResendApi {
    client: reqwest::Client,
    base_url: String,
}

impl fmt::Debug for ResendResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A body may repeat an address.
        write!(f, "ResendResponse({}, {} bytes)", self.status, self.body.len())
    }
}

impl ResendApi {
    /// Creates a client of the API at `base_url`.
    pub fn new(base_url: &str) -> Result<Self, reqwest::Error> {
        let base_url = base_url.trim().trim_end_matches('/').to_owned();
        let client = crate::web::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .retry(reqwest::retry::never());
        let client = if base_url.starts_with("http:") { client.tls_certs_only([]) } else { client };
        Ok(Self { client: client.build()?, base_url })
    }

    /// The base URL, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Opens the connection, with a request that has no key and no effect. Its response is ignored.
    pub async fn connect(&self) {
        if let Ok(response) = self.client.get(&self.base_url).send().await {
            let _ = read(response).await;
        }
    }

    /// Sends an email: `body` is the request's JSON
    /// (<https://resend.com/docs/api-reference/emails/send-email>).
    pub async fn send_email(
        &self,
        key: &ResendKey,
        idempotency_key: &str,
        body: String,
    ) -> Result<ResendResponse, NoResponse> {
        let request = self.client.post(format!("{}/emails", self.base_url));
        call(request.header("Idempotency-Key", idempotency_key), key, body).await
    }

    /// Unsubscribes a contact, by its address
    /// (<https://resend.com/docs/api-reference/contacts/update-contact>).
    pub async fn unsubscribe_contact(&self, key: &ResendKey, address: &str) -> Result<ResendResponse, NoResponse> {
        let address = utf8_percent_encode(address, NON_ALPHANUMERIC);
        let request = self.client.request(Method::PATCH, format!("{}/contacts/{address}", self.base_url));
        call(request, key, r#"{"unsubscribed":true}"#.to_owned()).await
    }
}

async fn call(request: RequestBuilder, key: &ResendKey, body: String) -> Result<ResendResponse, NoResponse> {
    let request = request.header(AUTHORIZATION, key.header()).header(CONTENT_TYPE, "application/json");
    let response = request.body(body).send().await.map_err(|error| no_response(&error))?;
    read(response).await
}

async fn read(mut response: reqwest::Response) -> Result<ResendResponse, NoResponse> {
    let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_response(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_RESPONSE {
            break;
        }
    }
    Ok(ResendResponse { status, retry_after, body })
}

fn no_response(error: &reqwest::Error) -> NoResponse {
    if error.is_connect() {
        NoResponse::NoConnection
    } else if error.is_timeout() {
        NoResponse::Timeout
    } else {
        NoResponse::ConnectionLost
    }
}

/// Returns the wait that a response asks for, in whole seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_of_seconds() {
        let of = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!((of("7"), of(" 60 ")), (Some(Duration::from_secs(7)), Some(Duration::from_secs(60))));
        for none in ["", "soon", "-1", "1.5", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_body_is_never_printed() {
        let response = ResendResponse { status: 422, retry_after: None, body: b"ann@example.com".to_vec() };
        assert_eq!(format!("{response:?}"), "ResendResponse(422, 15 bytes)");
    }
}
