//! Resend's REST API (<https://resend.com/docs/api-reference/introduction>), as far as the operator's command calls it: webhooks, and the
//! list of suppressions. Behind the feature `cli`.
//!
//! - `answer`: the errors of a response.
//! - `list`: lists, page after page.
//! - `types`: the types of the responses.

mod answer;
mod list;
mod types;

use std::fmt;
use std::time::Duration;

use rebound::aws::backoff::Backoff;
use rebound::resend::json::mended;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

pub use self::answer::ResendError;
use self::answer::{refused, retry_after};
pub use self::list::{CutShort, Listed, Unread};
use self::list::{ListItem, PAGE, PageReader};
use self::types::CreatedWebhook;
pub use self::types::{DeliveryAttempt, ResendSuppression, SecretText, Webhook};

/// The default base URL.
pub const BASE_URL: &str = "https://api.resend.com";

/// Maximum number of attempts at a call that fails transiently.
const MAX_ATTEMPTS: u32 = 6;

/// Maximum number of attempts at a connection. A missing network does not come back within a minute.
const MAX_CONNECT_ATTEMPTS: u32 = 3;

/// Bytes of an answer that are read. A page of 100 entries has a few ten thousand.
const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024;

const TIMEOUT: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The API.
#[derive(Clone)]
pub struct Resend {
    client: Client,
    base: String,
    key: HeaderValue,
}

impl fmt::Debug for Resend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resend({})", self.base)
    }
}

impl Resend {
    /// The API at `base` (`None`: Resend's own), with a key.
    ///
    /// # Errors
    /// It can't be a key.
    pub fn new(base: Option<&str>, key: &str) -> Result<Self, ResendError> {
        let mut key = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| ResendError::NoKey)?;
        key.set_sensitive(true);
        let base = base.unwrap_or(BASE_URL).trim_end_matches('/').to_owned();
        let client = rebound::web::builder().timeout(TIMEOUT);
        let client = if base.starts_with("http:") { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|error| ResendError::Unreachable(error.to_string()))?;
        Ok(Self { client, base, key })
    }

    /// Returns the URL of the API.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Every webhook. A partial list is an error: a caller that does not find its webhook would create it.
    ///
    /// # Errors
    /// `Unreadable`: the list was not read to its end.
    pub async fn webhooks(&self) -> Result<(Vec<Webhook>, Vec<Unread>), ResendError> {
        let Listed { entries, unread, cut_short } = self.all("/webhooks").await?;
        match cut_short {
            None => Ok((entries, unread)),
            Some(CutShort::Page(error)) => Err(error),
            Some(why) => Err(ResendError::Unreadable(format!("the list of webhooks: {why}"))),
        }
    }

    /// Reads a webhook, with its signing secret if Resend returns it.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, ResendError> {
        read(&self.call(Method::GET, &format!("/webhooks/{}", segment(id)?), None).await?)
    }

    /// Creates a webhook. Returns its id and its signing secret.
    ///
    /// # Errors
    /// The webhook may exist nevertheless, if the response was lost.
    pub async fn create_webhook(
        &self,
        endpoint: &str,
        events: &[String],
    ) -> Result<(String, Option<SecretText>), ResendError> {
        let body = json!({ "endpoint": endpoint, "events": events });
        let CreatedWebhook(id, secret) = read(&self.call(Method::POST, "/webhooks", Some(&body)).await?)?;
        Ok((id, secret))
    }

    /// Enables a webhook, and subscribes it to these types. With `None`, its types do not change.
    pub async fn update_webhook(&self, id: &str, events: Option<&[String]>) -> Result<(), ResendError> {
        let body = match events {
            Some(events) => json!({ "events": events, "status": "enabled" }),
            None => json!({ "status": "enabled" }),
        };
        self.call(Method::PATCH, &format!("/webhooks/{}", segment(id)?), Some(&body)).await.map(|_| ())
    }

    /// Gives a webhook a new signing secret. For 24 hours Resend signs with the old one too
    /// (<https://resend.com/docs/api-reference/webhooks/rotate-signing-secret>).
    ///
    /// # Errors
    /// The secret may be new nevertheless, if the response was lost.
    pub async fn rotate(&self, id: &str) -> Result<Option<SecretText>, ResendError> {
        let path = format!("/webhooks/{}/signing-secret/rotate", segment(id)?);
        let CreatedWebhook(_, secret) = read(&self.call(Method::POST, &path, None).await?)?;
        Ok(secret)
    }

    /// Reads the newest delivery attempts of a webhook, at most 20.
    pub async fn events(&self, id: &str) -> Result<Vec<DeliveryAttempt>, ResendError> {
        let page = self.call(Method::GET, &format!("/webhooks/{}/events", segment(id)?), None).await?;
        let mut newest = PageReader::new();
        newest.take(&page)?;
        Ok(newest.listed().entries)
    }

    /// Reads every address that Resend suppresses, as far as the list can be read.
    pub async fn suppressions(&self) -> Result<Listed<ResendSuppression>, ResendError> {
        self.all("/suppressions").await
    }

    /// Reads a list, page after page. If a later page fails, the pages before it are returned.
    async fn all<T: ListItem>(&self, path: &str) -> Result<Listed<T>, ResendError> {
        let mut reader = PageReader::new();
        let mut query = format!("limit={PAGE}");
        loop {
            let page = self.call(Method::GET, &format!("{path}?{query}"), None).await;
            let after = match page.and_then(|page| reader.take(&page)) {
                Ok(Some(after)) => after,
                Ok(None) => return Ok(reader.listed()),
                Err(error) if reader.is_at_the_first_page() => return Err(error),
                Err(error) => {
                    reader.broke_off(error);
                    return Ok(reader.listed());
                }
            };
            let after: String = form_urlencoded::byte_serialize(after.as_bytes()).collect();
            query = format!("limit={PAGE}&after={after}");
        }
    }

    /// One call, tried again while that helps; where its answer was lost, only if it can be made twice without harm.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ResendError> {
        let may_repeat = method != Method::POST;
        let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
        let mut tries = 0;
        loop {
            tries += 1;
            let Failed { error, wait, was_done } = match self.once(&method, path, body).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            let is_passing = matches!(error, ResendError::Busy(_) | ResendError::Unreachable(_));
            let is_refused = matches!(error, ResendError::Unreachable(_)) && was_done == WasDone::No;
            let most = if is_refused { MAX_CONNECT_ATTEMPTS } else { MAX_ATTEMPTS };
            if !is_passing || tries >= most || (was_done == WasDone::Unknown && !may_repeat) {
                return Err(error);
            }
            if backoff.wait_as_asked(wait).await.is_err() {
                return Err(error);
            }
        }
    }

    /// One request.
    async fn once(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let request = self.client.request(method.clone(), format!("{}{path}", self.base));
        let request = request.header(AUTHORIZATION, self.key.clone());
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let lost = |error: &reqwest::Error| {
            let was_done = if error.is_connect() { WasDone::No } else { WasDone::Unknown };
            Failed { error: ResendError::Unreachable(words(error)), wait: None, was_done }
        };
        let mut answer = request.send().await.map_err(|error| lost(&error))?;
        let (status, wait) = (answer.status(), retry_after(answer.headers()));
        let mut body = Vec::new();
        while let Some(some) = answer.chunk().await.map_err(|error| lost(&error))? {
            body.extend_from_slice(&some);
            if body.len() > MAX_RESPONSE_BYTES {
                break;
            }
        }
        if let Some(error) = refused(status, &body) {
            let is_unclear = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT;
            let was_done = if is_unclear { WasDone::Unknown } else { WasDone::No };
            return Err(Failed { error, wait, was_done });
        }
        serde_json::from_slice(mended(&body).as_deref().unwrap_or(&body)).map_err(|error| Failed {
            error: ResendError::Unreadable(error.to_string()),
            wait: None,
            was_done: WasDone::Unknown,
        })
    }
}

/// A request without a success.
struct Failed {
    error: ResendError,
    /// Time that Resend asks to wait.
    wait: Option<Duration>,
    was_done: WasDone,
}

/// The effect of a request without a success.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WasDone {
    No,
    Unknown,
}

fn read<T: ListItem>(value: &Value) -> Result<T, ResendError> {
    T::read(value).map_err(|why| ResendError::Unreadable(why.to_owned()))
}

/// An id, as a part of a path. Resend's are of letters, digits, `-` and `_`.
fn segment(id: &str) -> Result<&str, ResendError> {
    let is_plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_plain { Ok(id) } else { Err(ResendError::Unreadable("an invalid id".to_owned())) }
}

/// An error of the connection, with its causes, and without the URL, which may be somebody's own.
fn words(error: &reqwest::Error) -> String {
    let mut words =
        if error.is_timeout() { "no answer in time".to_owned() } else { "the connection failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
