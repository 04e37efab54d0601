//! Resend's REST API (<https://resend.com/docs/api-reference/introduction>), as far as the operator's command calls it: webhooks, and the
//! list of suppressions. Behind the feature `cli`.

mod told;

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::told::{Delivered, SecretText, Suppressed, Webhook};
use self::told::{Made, Page};

/// Where it is, unless the environment names another.
pub const BASE_URL: &str = "https://api.resend.com";

/// How often a call is tried that is refused for now.
const TRIES: u32 = 6;

const TIMEOUT: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The most entries of a page (<https://resend.com/docs/api-reference/pagination>).
const PAGE: usize = 100;

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResendError {
    /// It is no key.
    #[error("RESEND_API_KEY is no key; copy it whole from Resend, under API Keys")]
    NoKey,
    /// The key is not accepted.
    #[error("Resend refuses the key: {0}; make one under API Keys, with full access, and set RESEND_API_KEY")]
    Key(String),
    /// The key may only send.
    #[error("this key may only send; make one with full access at Resend, under API Keys, and set RESEND_API_KEY")]
    SendingOnly,
    /// There is no such thing.
    #[error("Resend does not know it: {0}")]
    NotFound(String),
    /// Something in the request is not accepted.
    #[error("Resend refuses it ({status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Resend's own words.
        message: String,
    },
    /// Too many requests, or a failure of Resend's, again and again.
    #[error("Resend is busy: {0}; try again in a minute")]
    Busy(String),
    /// It can't be reached, or its answer was lost.
    #[error("Resend can't be reached: {0}; check the network, and RESEND_BASE_URL if it is set")]
    Unreachable(String),
    /// Its answer can't be read.
    #[error("Resend's answer can't be read: {0}")]
    Unreadable(String),
}

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
        let client = crate::web::builder().timeout(TIMEOUT);
        let client = if base.starts_with("http:") { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|error| ResendError::Unreachable(error.to_string()))?;
        Ok(Self { client, base, key })
    }

    /// Every webhook.
    ///
    /// # Errors
    /// They are not told.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, ResendError> {
        self.all("/webhooks").await
    }

    /// One of them, with its signing secret where that is told.
    ///
    /// # Errors
    /// It is not told.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, ResendError> {
        read(self.call(Method::GET, &format!("/webhooks/{id}"), None).await?)
    }

    /// Makes one. Answers its id and its signing secret.
    ///
    /// # Errors
    /// It may be made all the same, where the answer was lost.
    pub async fn create_webhook(
        &self,
        endpoint: &str,
        events: &[String],
    ) -> Result<(String, Option<SecretText>), ResendError> {
        let body = json!({ "endpoint": endpoint, "events": events });
        let made: Made = read(self.call(Method::POST, "/webhooks", Some(&body)).await?)?;
        Ok((made.id, made.signing_secret))
    }

    /// Subscribes one to these types, and enables it.
    ///
    /// # Errors
    /// It may not be done.
    pub async fn update_webhook(&self, id: &str, events: &[String]) -> Result<(), ResendError> {
        let body = json!({ "events": events, "status": "enabled" });
        self.call(Method::PATCH, &format!("/webhooks/{id}"), Some(&body)).await.map(|_| ())
    }

    /// Gives one a new signing secret. For 24 hours it signs with the old one too
    /// (<https://resend.com/docs/api-reference/webhooks/rotate-signing-secret>).
    ///
    /// # Errors
    /// It may be done all the same, where the answer was lost.
    pub async fn rotate(&self, id: &str) -> Result<Option<SecretText>, ResendError> {
        let path = format!("/webhooks/{id}/signing-secret/rotate");
        let made: Made = read(self.call(Method::POST, &path, None).await?)?;
        Ok(made.signing_secret)
    }

    /// The newest events of one.
    ///
    /// # Errors
    /// They are not told.
    pub async fn events(&self, id: &str) -> Result<Vec<Delivered>, ResendError> {
        let page: Page<Delivered> = read(self.call(Method::GET, &format!("/webhooks/{id}/events"), None).await?)?;
        Ok(page.data)
    }

    /// Every address that Resend suppresses.
    ///
    /// # Errors
    /// They are not told.
    pub async fn suppressions(&self) -> Result<Vec<Suppressed>, ResendError> {
        self.all("/suppressions").await
    }

    /// Every entry of a list, page after page.
    async fn all<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<Vec<T>, ResendError> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.call(Method::GET, &format!("{path}?limit={PAGE}{after}"), None).await?;
            let last = page.pointer("/data").and_then(Value::as_array).and_then(|data| data.last());
            let last = last.and_then(|last| last.get("id")).and_then(Value::as_str).map(str::to_owned);
            let page: Page<T> = read(page)?;
            all.extend(page.data);
            match last.filter(|_| page.has_more) {
                Some(last) => after = format!("&after={last}"),
                None => return Ok(all),
            }
        }
    }

    /// One call, tried again while that helps; where its answer was lost, only if it can be made twice without harm.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ResendError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.client.request(method.clone(), format!("{}{path}", self.base));
            let request = request.header(AUTHORIZATION, self.key.clone());
            let request = match body {
                Some(body) => request.header("content-type", "application/json").body(body.to_string()),
                None => request,
            };
            let may_repeat = method != Method::POST;
            let (failure, wait) = match request.send().await {
                Err(error) if may_repeat || error.is_connect() => (ResendError::Unreachable(words(&error)), None),
                Err(error) => return Err(ResendError::Unreachable(words(&error))),
                Ok(answer) => {
                    let (status, wait) = (answer.status(), retry_after(answer.headers()));
                    let body = answer.bytes().await.map_err(|error| ResendError::Unreachable(words(&error)))?;
                    match refused(status, &body) {
                        None => {
                            return serde_json::from_slice(&body)
                                .map_err(|error| ResendError::Unreadable(error.to_string()));
                        }
                        Some(ResendError::Busy(why)) if may_repeat || status == StatusCode::TOO_MANY_REQUESTS => {
                            (ResendError::Busy(why), wait)
                        }
                        Some(failure) => return Err(failure),
                    }
                }
            };
            if tries == TRIES {
                return Err(failure);
            }
            let wait = wait.unwrap_or(pause).min(LONGEST_PAUSE);
            tokio::time::sleep(wait.mul_f64(1.0 + fastrand::f64() / 5.0)).await;
            pause *= 2;
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, ResendError> {
    serde_json::from_value(value).map_err(|error| ResendError::Unreadable(error.to_string()))
}

/// What an answer means that is no success (<https://resend.com/docs/api-reference/errors>). `None`: it is one.
fn refused(status: StatusCode, body: &[u8]) -> Option<ResendError> {
    if status.is_success() {
        return None;
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, message) = (text("name"), text("message"));
    let message = if message.is_empty() { status.to_string() } else { message };
    Some(match status.as_u16() {
        401 if name == "restricted_api_key" => ResendError::SendingOnly,
        401 | 403 => ResendError::Key(message),
        404 => ResendError::NotFound(message),
        429 | 500..=599 => ResendError::Busy(message),
        status => ResendError::Refused { status, message },
    })
}

/// How long to wait: `retry-after`, or `ratelimit-reset`, in seconds (<https://resend.com/docs/api-reference/rate-limit>).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |value: &HeaderValue| value.to_str().ok()?.trim().parse::<f64>().ok();
    let value = headers.get(RETRY_AFTER).or_else(|| headers.get("ratelimit-reset")).and_then(seconds)?;
    Duration::try_from_secs_f64(value).ok()
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
