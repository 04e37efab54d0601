//! Environment variables of the links in follow-ups.

use super::{ConfigError, ConsentKeyLocation};
use crate::policy::consent_link::ConsentUrl;

/// Origin of the links in follow-ups, and the source of the keys that sign them.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// `CONSENT_URL`.
    pub url: ConsentUrl,
    /// `CONSENT_KEY`, else `CONSENT_KEYS_ARN`.
    pub keys: ConsentKeyLocation,
}

impl LinkConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    ///
    /// # Errors
    /// One of them is missing or invalid. A follow-up is never sent without an unsubscribe link.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let url = variable("CONSENT_URL").filter(|value| !value.trim().is_empty());
        let keys = ConsentKeyLocation::read(variable)?;
        let (Some(url), Some(keys)) = (url, keys) else { return Err(ConfigError::NoLinks) };
        let url = url.parse().map_err(|error| ConfigError::Followups(format!("CONSENT_URL: {error}")))?;
        Ok(Self { url, keys })
    }
}
