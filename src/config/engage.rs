//! Environment variables of `engage`.

use super::ConfigError;
use super::links::FollowupVariables;
use crate::aws::tables::TableNames;
use crate::policy::followup::{AllowedCampaigns, AllowedRecipients, FollowupMode, Zone};
use crate::policy::limits::Policy;
use crate::policy::money::NanoUsd;
use crate::resend::campaign::CampaignTags;

/// Default of `ANTHROPIC_MODEL`.
pub const DEFAULT_MODEL: &str = "claude-haiku-5-5";

/// Default of `ANTHROPIC_BASE_URL`.
pub const DEFAULT_BASE_URL: &str = "https://api.anthropic.com";

const DEFAULT_CONCURRENCY: usize = 4;

const DEFAULT_BUDGET_USD: f64 = 1.0;

/// Source of Claude's key.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// `ANTHROPIC_API_KEY`.
    Environment(crate::claude::key::ApiKey),
    /// `API_KEYS_ARN`: a secret in Secrets Manager.
    Manager(String),
    /// No key is configured: the built-in rules decide.
    None,
}

impl std::fmt::Debug for KeyLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment(_) => "Environment(…)",
            Self::Manager(_) => "Manager(…)",
            Self::None => "None",
        })
    }
}

/// Configuration of `engage`.
#[derive(Clone, Debug)]
pub struct EngageConfig {
    /// `REBOUND_STACK`: the stack's name, for the commands in texts.
    pub stack: Option<String>,
    /// `EVENTS_TABLE` and the other four.
    pub tables: TableNames,
    /// `DECISIONS_TOPIC_ARN`.
    pub decisions_topic: String,
    /// `ENGAGE_QUEUE_URL`.
    pub engage_queue: String,
    /// `CAMPAIGN_TAG`: names of the tags that hold the campaign.
    pub campaign_tags: CampaignTags,
    /// `POLICY`: limits that differ from the defaults.
    pub policy: Policy,
    /// `FOLLOWUPS`: determines if follow-ups are proposed, or sent.
    pub followups: FollowupMode,
    /// `FOLLOWUP_RECIPIENTS`: recipients to whom follow-ups are sent; for others they are proposed.
    pub allowed: AllowedRecipients,
    /// `FOLLOWUP_CAMPAIGNS`: campaigns in which decisions are made.
    pub campaigns: AllowedCampaigns,
    /// `FOLLOWUP_TIMEZONE`: time zone of the quiet hours.
    pub zone: Zone,
    /// `DECISION_GUIDE`: the sender's own text for Claude.
    pub guide: String,
    /// `ANTHROPIC_API_KEY`, else `API_KEYS_ARN`.
    pub key: KeyLocation,
    /// `ANTHROPIC_MODEL`.
    pub model: String,
    /// `ANTHROPIC_BASE_URL`.
    pub base_url: String,
    /// `CLAUDE_CONCURRENCY`: maximum number of concurrent Claude requests.
    pub concurrency: usize,
    /// `CLAUDE_DAILY_BUDGET_USD`: maximum cost per UTC day.
    pub daily_budget: NanoUsd,
}

impl EngageConfig {
    /// Reads the configuration. `variable` looks up one variable; an empty value counts as not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| variable(name).ok_or(ConfigError::Missing(name));
        let trimmed = |name: &str| variable(name).map(|value| value.trim().to_owned());
        let key = match (variable("ANTHROPIC_API_KEY"), variable("API_KEYS_ARN")) {
            (Some(key), _) => KeyLocation::Environment(
                crate::claude::key::ApiKey::parse(&key).ok_or(ConfigError::Invalid("ANTHROPIC_API_KEY", "a key"))?,
            ),
            (None, Some(arn)) => KeyLocation::Manager(arn),
            (None, None) => KeyLocation::None,
        };
        let concurrency = match trimmed("CLAUDE_CONCURRENCY") {
            None => DEFAULT_CONCURRENCY,
            Some(number) => number
                .parse()
                .ok()
                .filter(|number| (1..=1_000).contains(number))
                .ok_or(ConfigError::Invalid("CLAUDE_CONCURRENCY", "a whole number from 1 to 1000"))?,
        };
        let usd =
            match trimmed("CLAUDE_DAILY_BUDGET_USD") {
                None => DEFAULT_BUDGET_USD,
                Some(usd) => usd.parse().ok().filter(|usd| (0.0..=1_000_000.0).contains(usd)).ok_or(
                    ConfigError::Invalid("CLAUDE_DAILY_BUDGET_USD", "an amount of US dollars from 0 to 1000000"),
                )?,
            };
        // The links are only checked here: a follow-up that `act` sends needs them.
        let FollowupVariables { mode, allowed, zone, links: _ } = FollowupVariables::read(&variable)?;
        Ok(Self {
            stack: variable("REBOUND_STACK"),
            tables: TableNames::read(needed)?,
            decisions_topic: needed("DECISIONS_TOPIC_ARN")?,
            engage_queue: needed("ENGAGE_QUEUE_URL")?,
            campaign_tags: CampaignTags::new(variable("CAMPAIGN_TAG").as_deref()),
            policy: super::policy(&variable)?,
            followups: mode,
            allowed,
            campaigns: AllowedCampaigns::parse(variable("FOLLOWUP_CAMPAIGNS").as_deref().unwrap_or("*")),
            zone,
            guide: variable("DECISION_GUIDE").unwrap_or_default(),
            key,
            model: trimmed("ANTHROPIC_MODEL").unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            base_url: trimmed("ANTHROPIC_BASE_URL").unwrap_or_else(|| DEFAULT_BASE_URL.to_owned()),
            concurrency,
            daily_budget: NanoUsd::of_usd(usd),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<EngageConfig, ConfigError> {
        EngageConfig::read(|name| {
            let found = set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let is_needed = ["_TABLE", "_TOPIC_ARN", "_QUEUE_URL"].iter().any(|end| name.ends_with(end));
            found.or_else(|| is_needed.then(|| name.to_lowercase()))
        })
    }

    #[test]
    fn the_defaults_are_those_that_the_readme_names() {
        let config = read(&[]).unwrap();
        assert_eq!(
            (config.model.as_str(), config.base_url.as_str()),
            ("claude-haiku-5-5", "https://api.anthropic.com")
        );
        assert_eq!((config.concurrency, config.daily_budget), (4, NanoUsd(1_000_000_000)));
        assert_eq!((config.key, config.followups), (KeyLocation::None, FollowupMode::Propose));
    }

    #[test]
    fn the_key_in_the_environment_wins_and_is_never_printed() {
        let config = read(&[("ANTHROPIC_API_KEY", "sk-ant-secret"), ("API_KEYS_ARN", "arn")]).unwrap();
        assert!(matches!(config.key, KeyLocation::Environment(_)));
        assert!(!format!("{config:?}").contains("secret"));
        let config = read(&[("ANTHROPIC_API_KEY", " "), ("API_KEYS_ARN", "arn")]).unwrap();
        assert_eq!(config.key, KeyLocation::Manager("arn".to_owned()));
    }

    #[test]
    fn sending_needs_links() {
        let key = ("CONSENT_KEY", "0123456789abcdef0123456789abcdef");
        let url = ("CONSENT_URL", "https://mail.example.com/");
        let send = ("FOLLOWUPS", "send");
        assert_eq!(read(&[send, url, key]).unwrap().followups, FollowupMode::Send);
        assert_eq!(read(&[send, url, ("CONSENT_KEYS_ARN", "arn")]).unwrap().allowed, AllowedRecipients::All);
        for incomplete in [vec![send], vec![send, url], vec![send, key]] {
            assert_eq!(read(&incomplete).unwrap_err(), ConfigError::NoLinks);
        }
        let path = ("CONSENT_URL", "https://mail.example.com/path");
        assert!(read(&[send, path, key]).unwrap_err().to_string().contains("CONSENT_URL"));
        assert!(read(&[send, url, ("CONSENT_KEY", "short")]).is_err());
    }

    #[test]
    fn an_invalid_variable_is_named() {
        for (name, value) in [
            ("CLAUDE_CONCURRENCY", "0"),
            ("CLAUDE_CONCURRENCY", "many"),
            ("CLAUDE_DAILY_BUDGET_USD", "-1"),
            ("CLAUDE_DAILY_BUDGET_USD", "NaN"),
            ("FOLLOWUPS", "send"),
            ("FOLLOWUPS", "all"),
            ("FOLLOWUP_RECIPIENTS", "nobody"),
            ("FOLLOWUP_TIMEZONE", "Mars/Olympus"),
            ("POLICY", "{"),
            ("POLICY", r#"{"followups": {"email_days": 91}}"#),
            ("RETENTION_DAYS", "30"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name), "{name}={value}: {error}");
        }
        let nothing = EngageConfig::read(|_| None).unwrap_err();
        assert_eq!(nothing, ConfigError::Missing("EVENTS_TABLE"));
    }
}
