//! The response to a request: a page, with the headers that every response has.

use lambda_http::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use lambda_http::http::{HeaderMap, HeaderValue, Method, StatusCode};
use lambda_http::{Body, Response};

use super::MAX_BODY_BYTES;
use super::form::OtherAction;
use super::pages::{self, Language, Page};
use crate::aws::CallError;
use crate::policy::consent_link::InvalidToken;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// Text for crawlers.
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// A request that was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// A crawler asked what it may fetch.
    Robots,
    /// A link was looked up without its page.
    Probed,
    /// The page asks the recipient.
    Asked(Recipient),
    /// The page says that email is stopped.
    SeenStopped(Recipient),
    /// The opt-out was stored now, under this id.
    OptedOut(Recipient, MessageId),
    /// The recipient had opted out before, or was forgotten. Nothing was written.
    WasStopped(Recipient),
}

/// Reason why a request was not handled. A visitor sees only the page of the status.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConsentRejection {
    /// There is no such path.
    #[error("there is no such path")]
    OtherPath,
    /// The token does not hold.
    #[error("the token does not hold: {0}")]
    Token(#[from] InvalidToken),
    /// The method is not GET, HEAD or POST.
    #[error("the method is not GET, HEAD or POST")]
    Method,
    /// The body is too large.
    #[error("the body is over {MAX_BODY_BYTES} bytes")]
    TooLarge,
    /// The form asks for something else.
    #[error(transparent)]
    Action(#[from] OtherAction),
    /// No key is stored yet.
    #[error("there is no key for links yet; put CONSENT_KEY into the stack's secret for consent")]
    NoKey,
    /// None of the keys signed the token, and the secret cannot be read to see if there is another one.
    #[error("none of the known keys signed the token, and the secret with the keys can't be read again")]
    KeysTooOld,
    /// DynamoDB does not respond.
    #[error(transparent)]
    NotStored(#[from] CallError),
}

impl Handled {
    fn page(&self) -> Option<Page<'_>> {
        match self {
            Self::Robots | Self::Probed => None,
            Self::Asked(recipient) => Some(Page::Ask { address: recipient.as_str() }),
            Self::SeenStopped(recipient) | Self::WasStopped(recipient) => {
                Some(Page::Stopped { address: recipient.as_str() })
            }
            Self::OptedOut(recipient, _) => Some(Page::Done { address: recipient.as_str() }),
        }
    }
}

impl ConsentRejection {
    fn status(&self) -> StatusCode {
        match self {
            Self::OtherPath | Self::Token(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Action(_) => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::KeysTooOld | Self::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn page(&self) -> Page<'static> {
        match self {
            Self::OtherPath | Self::Token(_) => Page::NotFound,
            Self::Method => Page::MethodNotAllowed,
            Self::TooLarge => Page::TooLarge,
            Self::Action(_) => Page::BadRequest,
            Self::NoKey | Self::KeysTooOld | Self::NotStored(_) => Page::Unavailable,
        }
    }
}

/// Builds the response to a request with this method. A response to HEAD has no body.
pub(super) fn response(
    result: &Result<Handled, ConsentRejection>,
    method: &Method,
    language: Language,
    sender_name: &str,
) -> Response<Body> {
    let (status, page) = match result {
        Ok(handled) => (StatusCode::OK, handled.page()),
        Err(refusal) => (refusal.status(), Some(refusal.page())),
    };
    let body = match (method, result, page) {
        (&Method::HEAD, _, _) | (_, Ok(Handled::Probed), _) => Body::Empty,
        (_, _, Some(page)) => Body::Text(page.html(language, sender_name)),
        (_, _, None) => Body::Text(ROBOTS.to_owned()),
    };
    let content_type = if matches!(result, Ok(Handled::Robots)) { PLAIN } else { HTML };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    common_headers(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    match status {
        StatusCode::METHOD_NOT_ALLOWED => _ = headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST")),
        StatusCode::SERVICE_UNAVAILABLE => _ = headers.insert(RETRY_AFTER, HeaderValue::from_static("60")),
        _ => {}
    }
    response
}

/// Sets the headers of every response. Nothing is stored on the way; the browser sends the address of a page to no other site, the page is in no
/// search engine and in no frame, and loads nothing but its own style.
fn common_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (VARY, "Accept-Language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&pages::CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}
