//! Environment variables of `consent`, and the keys of the links, which other programs that make links need too.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use crate::aws::AwsEnvironment;
use crate::aws::secret::{Manager, Secret};
use crate::policy::consent_link::ConsentKeys;

/// Minimum interval between reads of the secret by a function.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// The interval while there is no key yet: an operator who has just put one there is waiting.
const FIRST_READ_INTERVAL: Duration = Duration::from_secs(5);

/// Sender's name on the pages, if neither `SENDER_NAME` nor the stack's name is set.
const UNNAMED: &str = "Rebound";

/// Source of the keys that sign links.
#[derive(Clone, Debug)]
pub enum ConsentKeyLocation {
    /// `CONSENT_KEY`: the keys themselves. They never change while the process runs.
    Environment(ConsentKeys),
    /// `CONSENT_KEYS_ARN`: a secret in Secrets Manager.
    Manager(String),
}

/// The secret's JSON. Other fields are ignored.
#[derive(Deserialize)]
struct KeysJson {
    #[serde(rename = "CONSENT_KEY")]
    consent_key: String,
}

impl ConsentKeyLocation {
    /// Reads `CONSENT_KEY`, else `CONSENT_KEYS_ARN`. Returns `None` if neither is set. `variable` looks up one
    /// variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        match (variable("CONSENT_KEY"), variable("CONSENT_KEYS_ARN")) {
            (Some(keys), _) => Ok(Some(Self::Environment(keys.parse()?))),
            (None, Some(arn)) => Ok(Some(Self::Manager(arn))),
            (None, None) => Ok(None),
        }
    }

    /// Returns the keys, which are read on first use, and later at most once per `interval`.
    pub fn into_secret(self, aws: &AwsEnvironment, interval: Duration) -> Secret<ConsentKeys> {
        match self {
            Self::Environment(keys) => Secret::fixed(Some(keys)),
            Self::Manager(arn) => {
                let manager = Manager::new(aws.secrets_manager(), arn, interval, parse);
                Secret::from_manager(manager.while_absent(FIRST_READ_INTERVAL))
            }
        }
    }
}

/// Reads the keys from the secret's text. A secret without usable keys is an error, so that known ones stay.
fn parse(text: &str) -> Result<Option<ConsentKeys>, String> {
    let json: KeysJson =
        serde_json::from_str(text).map_err(|_| "the secret is not JSON with a string CONSENT_KEY".to_owned())?;
    json.consent_key.parse().map(Some).map_err(|error| format!("CONSENT_KEY: {error}"))
}

/// Configuration of `consent`.
#[derive(Clone, Debug)]
pub struct ConsentConfig {
    /// `EVENTS_TABLE`.
    pub events_table: String,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions_table: String,
    /// `AGENDA_TABLE`.
    pub agenda_table: String,
    /// `CONSENT_KEY`, else `CONSENT_KEYS_ARN`.
    pub keys: ConsentKeyLocation,
    /// `SENDER_NAME`: the sender's name on the pages; by default the stack's name.
    pub sender_name: String,
}

impl ConsentConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| variable(name).ok_or(ConfigError::Missing(name));
        let sender_name = variable("SENDER_NAME").or_else(|| variable("REBOUND_STACK"));
        Ok(Self {
            events_table: needed("EVENTS_TABLE")?,
            suppressions_table: needed("SUPPRESSIONS_TABLE")?,
            agenda_table: needed("AGENDA_TABLE")?,
            keys: ConsentKeyLocation::read(variable)?.ok_or(ConfigError::NoConsentKey)?,
            sender_name: sender_name.map_or_else(|| UNNAMED.to_owned(), |name| name.trim().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::consent_link::ConsentKeyError;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn read(variables: &[(&str, &str)]) -> Result<ConsentConfig, ConfigError> {
        let tables = [("EVENTS_TABLE", "e"), ("SUPPRESSIONS_TABLE", "s"), ("AGENDA_TABLE", "a")];
        let all: Vec<_> = variables.iter().chain(&tables).copied().collect();
        ConsentConfig::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_key_in_the_environment_wins() {
        let both = read(&[("CONSENT_KEY", KEY), ("CONSENT_KEYS_ARN", "arn")]).unwrap();
        assert!(matches!(both.keys, ConsentKeyLocation::Environment(_)));
        let arn = read(&[("CONSENT_KEY", " "), ("CONSENT_KEYS_ARN", "arn")]).unwrap();
        assert!(matches!(arn.keys, ConsentKeyLocation::Manager(arn) if arn == "arn"));
    }

    #[test]
    fn a_short_or_missing_key_is_refused_at_start_with_advice() {
        assert_eq!(read(&[]).unwrap_err(), ConfigError::NoConsentKey);
        let short = read(&[("CONSENT_KEY", &format!("{KEY} short"))]).unwrap_err();
        assert_eq!(short, ConfigError::ConsentKey(ConsentKeyError::Short(5)));
        assert!(short.to_string().contains("CONSENT_KEY: a key has 5 characters, and needs 32 or more"), "{short}");
        let nothing = ConsentConfig::read(|name| (name == "CONSENT_KEY").then(|| KEY.to_owned()));
        assert_eq!(nothing.unwrap_err(), ConfigError::Missing("EVENTS_TABLE"));
    }

    #[test]
    fn the_pages_name_the_sender_or_else_the_stack() {
        let name =
            |variables: &[(&str, &str)]| read(&[&[("CONSENT_KEY", KEY)], variables].concat()).unwrap().sender_name;
        assert_eq!(name(&[("SENDER_NAME", " Bloom & Co "), ("REBOUND_STACK", "rebound")]), "Bloom & Co");
        assert_eq!(name(&[("SENDER_NAME", ""), ("REBOUND_STACK", "bloom")]), "bloom");
        assert_eq!(name(&[]), "Rebound");
    }

    #[test]
    fn a_secret_without_usable_keys_is_an_error() {
        let secret = |json: &str| parse(json).map(|keys| keys.is_some());
        assert_eq!(secret(&format!(r#"{{"CONSENT_KEY": "{KEY}", "OTHER": 1}}"#)), Ok(true));
        for json in ["", "{}", r#"{"CONSENT_KEY": 5}"#, r#"{"CONSENT_KEY": ""}"#, r#"{"CONSENT_KEY": "short"}"#] {
            let error = secret(json).unwrap_err();
            assert!(error.contains("CONSENT_KEY") && !error.contains("short\""), "{json}: {error}");
        }
    }
}
