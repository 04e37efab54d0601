//! Environment variables of `act`, and the source of its key.

use std::time::Duration;

use serde::Deserialize;

use super::links::FollowupVariables;
use super::{ConfigError, LinkConfig, RELOAD_INTERVAL};
use crate::aws::AwsEnvironment;
use crate::aws::secret::{Manager, Secret};
use crate::aws::tables::TableNames;
use crate::policy::followup::{AllowedRecipients, FollowupMode, Zone};
use crate::policy::limits::Policy;
use crate::resend::api::BASE_URL;
use crate::resend::api::key::ResendKey;
use crate::resend::campaign::CampaignTags;

/// Default of `FOLLOWUPS_PER_DAY`.
pub const DEFAULT_PER_DAY: u32 = 200;

/// Default of `RESEND_RATE`. Resend allows a team 10 requests a second, over all its keys
/// (<https://resend.com/docs/api-reference/rate-limit>).
const DEFAULT_RATE: f64 = 4.0;

/// Source of act's API key.
#[derive(Clone, Debug)]
pub enum ResendKeyLocation {
    /// `RESEND_API_KEY`: the key itself.
    Environment(ResendKey),
    /// `ACT_KEYS_ARN`: a secret in Secrets Manager.
    Manager(String),
}

/// The secret's JSON. Other fields are ignored.
#[derive(Deserialize)]
struct KeyJson {
    #[serde(rename = "RESEND_API_KEY", default)]
    resend_api_key: Option<String>,
}

impl ResendKeyLocation {
    /// Returns the key, which is read on first use, and later at most once a minute.
    pub fn into_secret(self, aws: &AwsEnvironment) -> Secret<ResendKey> {
        match self {
            Self::Environment(key) => Secret::fixed(Some(key)),
            Self::Manager(arn) => {
                Secret::from_manager(Manager::new(aws.secrets_manager(), arn, RELOAD_INTERVAL, parse))
            }
        }
    }
}

/// Reads the key from the secret's text. An unreadable secret is an error, so that a known key stays.
fn parse(text: &str) -> Result<Option<ResendKey>, String> {
    let json: KeyJson = serde_json::from_str(text).map_err(|_| "the secret is not a JSON object".to_owned())?;
    Ok(json.resend_api_key.and_then(|key| ResendKey::parse(&key)))
}

/// Configuration of `act`.
#[derive(Clone, Debug)]
pub struct ActConfig {
    /// `REBOUND_STACK`: the stack's name, for the commands in texts.
    pub stack: Option<String>,
    /// `EVENTS_TABLE` and the other four.
    pub tables: TableNames,
    /// `CAMPAIGN_TAG`: the first name is that of the tag of a follow-up.
    pub campaign_tags: CampaignTags,
    /// `POLICY`: limits that differ from the defaults.
    pub policy: Policy,
    /// `FOLLOWUPS`: nothing is sent unless it is `send`.
    pub followups: FollowupMode,
    /// `FOLLOWUPS_PER_DAY`: maximum number of follow-ups handed to Resend in a day, UTC.
    pub per_day: u32,
    /// `FOLLOWUP_RECIPIENTS`: recipients that may get a follow-up.
    pub allowed: AllowedRecipients,
    /// `FOLLOWUP_TIMEZONE`: time zone of the quiet hours.
    pub zone: Zone,
    /// `FOLLOWUP_REPLY_TO`.
    pub reply_to: Option<String>,
    /// `SENDER_ADDRESS`: the postal address, the last line of a follow-up.
    pub sender_address: Option<String>,
    /// The unsubscribe links. `None` if nothing is sent.
    pub links: Option<LinkConfig>,
    /// `RESEND_API_KEY`, else `ACT_KEYS_ARN`.
    pub key: ResendKeyLocation,
    /// `RESEND_BASE_URL`.
    pub base_url: String,
    /// `RESEND_RATE`, as the minimum time between two requests.
    pub interval: Duration,
}

impl ActConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| variable(name).ok_or(ConfigError::Missing(name));
        let trimmed = |name: &str| variable(name).map(|value| value.trim().to_owned());
        let FollowupVariables { mode, allowed, zone, links } = FollowupVariables::read(&variable)?;
        let key = match (variable("RESEND_API_KEY"), variable("ACT_KEYS_ARN")) {
            (Some(key), _) => ResendKeyLocation::Environment(
                ResendKey::parse(&key).ok_or(ConfigError::Invalid("RESEND_API_KEY", "a key (re_…)"))?,
            ),
            (None, Some(arn)) => ResendKeyLocation::Manager(arn),
            (None, None) => return Err(ConfigError::NoResendKey),
        };
        let per_day = trimmed("FOLLOWUPS_PER_DAY").map_or(Ok(DEFAULT_PER_DAY), |number| number.parse());
        let rate = trimmed("RESEND_RATE").map_or(Ok(DEFAULT_RATE), |rate| rate.parse::<f64>());
        let rate = rate.ok().filter(|rate| (0.1..=1_000.0).contains(rate));
        let rate = rate.ok_or(ConfigError::Invalid("RESEND_RATE", "a number of requests a second from 0.1 to 1000"))?;
        Ok(Self {
            stack: variable("REBOUND_STACK"),
            tables: TableNames::read(needed)?,
            campaign_tags: CampaignTags::new(variable("CAMPAIGN_TAG").as_deref()),
            policy: super::policy(&variable)?,
            followups: mode,
            per_day: per_day.map_err(|_| ConfigError::Invalid("FOLLOWUPS_PER_DAY", "a whole number"))?,
            allowed,
            zone,
            reply_to: trimmed("FOLLOWUP_REPLY_TO"),
            sender_address: trimmed("SENDER_ADDRESS"),
            links,
            key,
            base_url: trimmed("RESEND_BASE_URL").unwrap_or_else(|| BASE_URL.to_owned()),
            interval: Duration::from_secs_f64(1.0 / rate),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<ActConfig, ConfigError> {
        ActConfig::read(|name| {
            let found = set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            found.or_else(|| name.ends_with("_TABLE").then(|| name.to_lowercase()))
        })
    }

    const KEY: (&str, &str) = ("ACT_KEYS_ARN", "arn");

    #[test]
    fn the_defaults_are_those_of_the_reference() {
        let config = read(&[KEY]).unwrap();
        assert_eq!((config.per_day, config.interval), (200, Duration::from_millis(250)));
        assert_eq!((config.base_url.as_str(), config.allowed), ("https://api.resend.com", AllowedRecipients::All));
        assert_eq!((config.followups, config.links.is_none()), (FollowupMode::Propose, true));
        assert_eq!((config.reply_to, config.sender_address), (None, None));
    }

    #[test]
    fn the_key_in_the_environment_wins_and_is_never_printed() {
        let config = read(&[KEY, ("RESEND_API_KEY", "re_secret")]).unwrap();
        assert!(matches!(config.key, ResendKeyLocation::Environment(_)));
        assert!(!format!("{config:?}").contains("secret"));
        assert_eq!(read(&[]).unwrap_err(), ConfigError::NoResendKey);
    }

    #[test]
    fn sending_needs_links_and_an_invalid_variable_is_named() {
        assert_eq!(read(&[KEY, ("FOLLOWUPS", "send")]).unwrap_err(), ConfigError::NoLinks);
        for (name, value) in [
            ("RESEND_RATE", "0"),
            ("RESEND_RATE", "NaN"),
            ("RESEND_RATE", "fast"),
            ("FOLLOWUPS_PER_DAY", "-1"),
            ("FOLLOWUPS", "always"),
            ("FOLLOWUP_RECIPIENTS", "nobody"),
            ("FOLLOWUP_TIMEZONE", "Mars/Olympus"),
            ("POLICY", "{"),
            ("RESEND_API_KEY", "a\u{0}b"),
        ] {
            let error = read(&[KEY, (name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
    }

    #[test]
    fn a_secret_without_a_key_has_none() {
        assert_eq!(parse(r#"{"RESEND_API_KEY": "re_1", "other": 1}"#).unwrap().unwrap().expose(), "re_1");
        assert!(parse("{}").unwrap().is_none() && parse(r#"{"RESEND_API_KEY": " "}"#).unwrap().is_none());
        assert!(parse("").is_err());
    }
}
