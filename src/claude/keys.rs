//! Where Claude's key comes from: the environment, else a secret in Secrets Manager, that only `engage` may read.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws::describe;

/// How often the secret is read again at most, by the function.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// A key of the Messages API. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(HeaderValue);

impl Key {
    /// Reads a key. `None` if it is empty, or can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text.trim()).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The key, and the place to read it from again.
#[derive(Debug)]
pub struct Keys {
    current: RwLock<Option<Key>>,
    manager: Option<Manager>,
}

#[derive(Debug)]
struct Manager {
    client: Client,
    arn: String,
    interval: Duration,
    last_read: Mutex<Option<Instant>>,
}

/// The secret's JSON. Fields of others are left alone.
#[derive(Deserialize)]
struct SecretJson {
    #[serde(rename = "ANTHROPIC_API_KEY", default)]
    anthropic_api_key: Option<String>,
}

impl Keys {
    /// A key that stays as it is, or none.
    pub fn fixed(key: Option<Key>) -> Self {
        Self { current: RwLock::new(key), manager: None }
    }

    /// The key that a secret holds; it is read when it is needed, and again at most once in `interval`.
    pub fn from_manager(client: Client, arn: String, interval: Duration) -> Self {
        let manager = Manager { client, arn, interval, last_read: Mutex::new(None) };
        Self { current: RwLock::new(None), manager: Some(manager) }
    }

    /// The key that is good now. `None`: there is none, and Claude is not asked.
    pub async fn current(&self) -> Option<Key> {
        let known = self.known();
        if known.is_some() { known } else { self.reread(None).await }
    }

    /// Reads the secret again, at most once in the interval, after `refused` was refused (`None`: there was none). Answers a key worth
    /// trying, if there is one.
    pub async fn reread(&self, refused: Option<&Key>) -> Option<Key> {
        let manager = self.manager.as_ref()?;
        let mut last_read = manager.last_read.lock().await;
        let worth_trying = |key: Option<Key>| key.filter(|key| Some(key) != refused);
        if last_read.is_some_and(|at| at.elapsed() < manager.interval) {
            return worth_trying(self.known());
        }
        *last_read = Some(Instant::now());
        let answer = manager.client.get_secret_value().secret_id(&manager.arn).send().await;
        let key = match &answer {
            Ok(answer) => {
                let json: Option<SecretJson> = answer.secret_string().and_then(|json| serde_json::from_str(json).ok());
                json.and_then(|json| Key::parse(&json.anthropic_api_key?))
            }
            Err(error) => {
                tracing::error!(error = describe(error), "Claude's key can't be read");
                return worth_trying(self.known());
            }
        };
        self.current.write().unwrap_or_else(PoisonError::into_inner).clone_from(&key);
        worth_trying(key)
    }

    fn known(&self) -> Option<Key> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_and_an_empty_one_is_none() {
        let key = Key::parse(" sk-ant-secret\n").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.header()), "Key(…) Sensitive");
        assert_eq!(key.header().as_bytes(), b"sk-ant-secret");
        assert_eq!((Key::parse(" "), Key::parse("a\u{0}b")), (None, None));
    }
}
