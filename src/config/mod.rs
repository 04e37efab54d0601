//! Configuration from environment variables, read once at start.

mod act;
mod consent;
mod engage;
mod links;

use std::str::FromStr;

pub use self::act::{ActConfig, DEFAULT_PER_DAY, ResendKeyLocation};
pub use self::consent::{ConsentConfig, ConsentKeyLocation, RELOAD_INTERVAL};
pub use self::engage::{DEFAULT_BASE_URL, DEFAULT_MODEL, EngageConfig, KeyLocation};
pub use self::links::LinkConfig;
use crate::aws::MissingVariable;
use crate::aws::tables::TableNames;
use crate::policy::consent_link::ConsentKeyError;
use crate::policy::limits::{Policy, PolicyError};
use crate::resend::campaign::CampaignTags;
use crate::resend::signature::{SigningSecretError, SigningSecrets};

/// Minimum of [`ReceiveConfig::retention_days`]. Resend can replay webhooks that are 30 days old, and a replay must
/// find the row of the first delivery.
pub const MIN_RETENTION_DAYS: u32 = 35;

const DEFAULT_RETENTION_DAYS: u32 = 90;

/// An unusable configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable without a default is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// Both variables for the signing secret are missing.
    #[error(
        "set RESEND_WEBHOOK_SECRET to the webhook's signing secret (whsec_…), or WEBHOOK_SECRET_ARN to the secret that holds it"
    )]
    NoSecret,
    /// `RESEND_WEBHOOK_SECRET` is not a valid signing secret.
    #[error("RESEND_WEBHOOK_SECRET: {0}")]
    Secret(#[from] SigningSecretError),
    /// Both variables for act's API key are missing.
    #[error("set RESEND_API_KEY to an API key of Resend (re_…), or ACT_KEYS_ARN to the secret that holds it")]
    NoResendKey,
    /// Both variables for the keys of links are missing.
    #[error("set CONSENT_KEY to the key that signs unsubscribe links, or CONSENT_KEYS_ARN to the secret that holds it")]
    NoConsentKey,
    /// `CONSENT_KEY` has no usable keys.
    #[error("CONSENT_KEY: {0}")]
    ConsentKey(#[from] ConsentKeyError),
    /// `POLICY` is not valid JSON, or a number in it is out of range.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A variable has an invalid value.
    #[error("{0} must be {1}")]
    Invalid(&'static str, &'static str),
    /// `FOLLOWUPS` is not a known mode.
    #[error("FOLLOWUPS: {0}")]
    Followups(String),
    /// Follow-ups shall be sent, but there is no unsubscribe link for them.
    #[error(
        "FOLLOWUPS=send needs CONSENT_URL, and CONSENT_KEY or CONSENT_KEYS_ARN: each follow-up has an unsubscribe link. Deploy with Consent=on, or set FOLLOWUPS=propose"
    )]
    NoLinks,
    /// `FOLLOWUP_RECIPIENTS` has an invalid entry.
    #[error("FOLLOWUP_RECIPIENTS: {0}")]
    Trial(#[from] crate::policy::followup::TrialError),
    /// `FOLLOWUP_TIMEZONE` is not a known time zone.
    #[error("FOLLOWUP_TIMEZONE: {0}")]
    Timezone(String),
    /// `RETENTION_DAYS` is not a number, or is too small.
    #[error("RETENTION_DAYS must be a whole number of days, at least {MIN_RETENTION_DAYS}")]
    Retention,
}

/// An environment in which a function can't start.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable of Rebound is missing or invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A variable that Lambda sets is missing.
    #[error(transparent)]
    Aws(#[from] MissingVariable),
}

/// Source of the signing secret.
#[derive(Clone, Debug)]
pub enum SecretLocation {
    /// `RESEND_WEBHOOK_SECRET`: the secrets themselves. They never change while the process runs.
    Environment(SigningSecrets),
    /// `WEBHOOK_SECRET_ARN`: a secret in Secrets Manager.
    Manager(String),
}

/// Configuration of `receive`.
#[derive(Clone, Debug)]
pub struct ReceiveConfig {
    /// `EVENTS_TABLE`.
    pub events_table: String,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions_table: String,
    /// `RESEND_WEBHOOK_SECRET`, else `WEBHOOK_SECRET_ARN`.
    pub secret: SecretLocation,
    /// `RETENTION_DAYS`: number of days that an event's row is kept.
    pub retention_days: u32,
}

impl ReceiveConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| variable(name).ok_or(ConfigError::Missing(name));
        let secret = match (variable("RESEND_WEBHOOK_SECRET"), variable("WEBHOOK_SECRET_ARN")) {
            (Some(secrets), _) => SecretLocation::Environment(SigningSecrets::from_str(&secrets)?),
            (None, Some(arn)) => SecretLocation::Manager(arn),
            (None, None) => return Err(ConfigError::NoSecret),
        };
        let retention_days = retention_days(&variable)?;
        Ok(Self {
            events_table: needed("EVENTS_TABLE")?,
            suppressions_table: needed("SUPPRESSIONS_TABLE")?,
            secret,
            retention_days,
        })
    }
}

/// `RETENTION_DAYS`: number of days that an event's row is kept.
fn retention_days(variable: &impl Fn(&str) -> Option<String>) -> Result<u32, ConfigError> {
    match variable("RETENTION_DAYS") {
        None => Ok(DEFAULT_RETENTION_DAYS),
        Some(days) => {
            let days = days.trim().parse().ok().filter(|days| *days >= MIN_RETENTION_DAYS);
            days.ok_or(ConfigError::Retention)
        }
    }
}

/// `POLICY`. Its time windows must not be longer than the retention of the data that they read.
fn policy(variable: &impl Fn(&str) -> Option<String>) -> Result<Policy, ConfigError> {
    let policy = variable("POLICY").as_deref().map_or_else(|| Ok(Policy::default()), Policy::read)?;
    policy.check_retention(retention_days(variable)?)?;
    Ok(policy)
}

/// Configuration of `protect`.
#[derive(Clone, Debug)]
pub struct ProtectConfig {
    /// `EVENTS_TABLE` and the other four.
    pub tables: TableNames,
    /// `ALERTS_TOPIC_ARN`.
    pub alerts_topic: String,
    /// `ENGAGE_QUEUE_URL`.
    pub engage_queue: String,
    /// `CAMPAIGN_TAG`: names of the tags that hold the campaign.
    pub campaign_tags: CampaignTags,
    /// `POLICY`: limits that differ from the defaults.
    pub policy: Policy,
    /// `REBOUND_STACK`: the stack's name, for the commands in alerts.
    pub stack: Option<String>,
}

impl ProtectConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| variable(name).ok_or(ConfigError::Missing(name));
        Ok(Self {
            tables: TableNames::read(needed)?,
            alerts_topic: needed("ALERTS_TOPIC_ARN")?,
            engage_queue: needed("ENGAGE_QUEUE_URL")?,
            campaign_tags: CampaignTags::new(variable("CAMPAIGN_TAG").as_deref()),
            policy: policy(&variable)?,
            stack: variable("REBOUND_STACK"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";

    fn read(variables: &[(&str, &str)]) -> Result<ReceiveConfig, ConfigError> {
        let tables = [("EVENTS_TABLE", "e"), ("SUPPRESSIONS_TABLE", "s")];
        let all: Vec<_> = variables.iter().chain(&tables).copied().collect();
        ReceiveConfig::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_secret_in_the_environment_wins() {
        let both = read(&[("RESEND_WEBHOOK_SECRET", SECRET), ("WEBHOOK_SECRET_ARN", "arn")]).unwrap();
        assert!(matches!(both.secret, SecretLocation::Environment(_)));
        let arn = read(&[("RESEND_WEBHOOK_SECRET", " "), ("WEBHOOK_SECRET_ARN", "arn")]).unwrap();
        assert!(matches!(arn.secret, SecretLocation::Manager(arn) if arn == "arn"));
    }

    #[test]
    fn a_missing_or_invalid_variable_is_named() {
        assert_eq!(read(&[]).unwrap_err(), ConfigError::NoSecret);
        assert_eq!(
            read(&[("RESEND_WEBHOOK_SECRET", "whsec_")]).unwrap_err(),
            ConfigError::Secret(SigningSecretError::Empty)
        );
        for days in ["34", "0", "-1", "many", "1e3"] {
            assert_eq!(
                read(&[("WEBHOOK_SECRET_ARN", "arn"), ("RETENTION_DAYS", days)]).unwrap_err(),
                ConfigError::Retention
            );
        }
        let nothing = ReceiveConfig::read(|name| (name == "WEBHOOK_SECRET_ARN").then(|| "arn".to_owned()));
        assert_eq!(nothing.unwrap_err(), ConfigError::Missing("EVENTS_TABLE"));
    }

    #[test]
    fn protect_needs_tables_topic_and_queue_and_defaults_the_rest() {
        let all = [
            "EVENTS_TABLE",
            "SUPPRESSIONS_TABLE",
            "CAMPAIGNS_TABLE",
            "RECIPIENTS_TABLE",
            "AGENDA_TABLE",
            "ALERTS_TOPIC_ARN",
            "ENGAGE_QUEUE_URL",
        ];
        let read = |without: &str, policy: &str| {
            ProtectConfig::read(|name| match name {
                "POLICY" => Some(policy.to_owned()),
                "CAMPAIGN_TAG" => Some(" ".to_owned()),
                _ => (all.contains(&name) && name != without).then(|| name.to_lowercase()),
            })
        };
        let config = read("", "").unwrap();
        assert_eq!((config.policy, config.campaign_tags), (Policy::default(), CampaignTags::new(None)));
        assert_eq!(config.engage_queue, "engage_queue_url");
        for name in all {
            assert_eq!(read(name, "").unwrap_err(), ConfigError::Missing(name));
        }
        assert!(matches!(read("", "{").unwrap_err(), ConfigError::Policy(PolicyError::NotReadable(_))));
    }

    #[test]
    fn a_window_longer_than_retention_is_refused_with_the_reason() {
        let read = |policy: &str, days: &str| {
            ProtectConfig::read(|name| match name {
                "POLICY" => Some(policy.to_owned()),
                "RETENTION_DAYS" => Some(days.to_owned()),
                _ => Some("x".to_owned()),
            })
        };
        let long = r#"{"followups": {"email_days": 120}}"#;
        let error = read(long, "").unwrap_err().to_string();
        for words in ["followups.email_days is 120 days", "events are kept for 90 days", "RETENTION_DAYS"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(read(long, "119").is_err() && read(long, "120").is_ok());
        assert!(read(r#"{"delay": {"hours": 720}, "followups": {"event_hours": 720}}"#, "35").is_ok());
        assert_eq!(read("", "34").unwrap_err(), ConfigError::Retention);
    }

    #[test]
    fn events_are_kept_90_days_by_default() {
        assert_eq!(read(&[("WEBHOOK_SECRET_ARN", "arn")]).unwrap().retention_days, 90);
        assert_eq!(read(&[("WEBHOOK_SECRET_ARN", "arn"), ("RETENTION_DAYS", "35")]).unwrap().retention_days, 35);
    }
}
