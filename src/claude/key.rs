//! Source of Claude's API key: the environment, or else a secret in Secrets Manager that only `engage` may read.

use std::fmt;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::aws::secret::{Manager, Secret};

/// Minimum time between two reads of the secret by the function.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// A key of the Messages API. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// Parses a key. Returns `None` if the text is empty or is not a valid header value.
    pub fn parse(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text.trim()).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The secret's JSON. Other fields are ignored.
#[derive(Deserialize)]
struct KeySecretJson {
    #[serde(rename = "ANTHROPIC_API_KEY", default)]
    anthropic_api_key: Option<String>,
}

/// Returns a source that reads the key from a secret: on first use, and then at most once per `interval`.
pub fn from_manager(client: Client, arn: String, interval: Duration) -> Secret<ApiKey> {
    Secret::from_manager(Manager::new(client, arn, interval, parse))
}

/// Reads the key from the secret's text. Without one there is no key, and the built-in rules decide.
fn parse(text: &str) -> Result<Option<ApiKey>, String> {
    let json: Option<KeySecretJson> = serde_json::from_str(text).ok();
    Ok(json.and_then(|json| ApiKey::parse(&json.anthropic_api_key?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_and_an_empty_one_is_none() {
        let key = ApiKey::parse(" sk-ant-secret\n").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.header()), "Key(…) Sensitive");
        assert_eq!(key.header().as_bytes(), b"sk-ant-secret");
        assert_eq!((ApiKey::parse(" "), ApiKey::parse("a\u{0}b")), (None, None));
    }
}
