//! Environment variables about follow-ups that `engage` and `act` share, with those of the links in follow-ups.

use super::{ConfigError, ConsentKeyLocation};
use crate::policy::consent_link::ConsentUrl;
use crate::policy::followup::{AllowedRecipients, FollowupMode, Zone};

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

/// Variables about follow-ups that `engage` and `act` share.
pub(super) struct FollowupVariables {
    /// `FOLLOWUPS`.
    pub(super) mode: FollowupMode,
    /// `FOLLOWUP_RECIPIENTS`.
    pub(super) allowed: AllowedRecipients,
    /// `FOLLOWUP_TIMEZONE`.
    pub(super) zone: Zone,
    /// The unsubscribe links. `None` if nothing is sent.
    pub(super) links: Option<LinkConfig>,
}

impl FollowupVariables {
    /// Reads the variables. `variable` looks up one of them, and returns `None` for an empty one.
    pub(super) fn read(variable: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mode = FollowupMode::parse(variable("FOLLOWUPS").as_deref());
        let mode = mode.map_err(|error| ConfigError::Followups(error.to_string()))?;
        let links = if mode == FollowupMode::Send { Some(LinkConfig::read(variable)?) } else { None };
        let allowed = AllowedRecipients::parse(variable("FOLLOWUP_RECIPIENTS").as_deref().unwrap_or("*"))?;
        let zone = variable("FOLLOWUP_TIMEZONE").map_or_else(|| Ok(Zone::default()), |zone| Zone::parse(zone.trim()));
        let zone = zone.map_err(|error| ConfigError::Timezone(error.to_string()))?;
        Ok(Self { mode, allowed, zone, links })
    }
}
