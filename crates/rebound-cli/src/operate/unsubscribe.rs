//! Links with which a recipient stops email: for the operator's own emails.

use rebound::policy::consent_link::{
    ConsentKeyError, ConsentKeys, ConsentLink, ConsentPurpose, ConsentUrl, ConsentUrlError, TokenTooLong,
};

use crate::operate::connect::secret::{SecretStoreError, field};
use crate::operate::target::{Target, TargetError};

/// The origin of the links: an environment variable, or an output of the stack.
const URL: &str = "CONSENT_URL";

/// The keys that sign links: an environment variable, and the field of the secret.
const KEY: &str = "CONSENT_KEY";

/// The secret with the keys: an environment variable, or an output of the stack.
const KEYS_ARN: &str = "CONSENT_KEYS_ARN";

/// A link that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum UnsubscribeLinkError {
    /// `CONSENT_URL` is not an origin.
    #[error("{URL}: {0}")]
    Url(#[from] ConsentUrlError),
    /// `CONSENT_KEY` has no usable key.
    #[error("{KEY}: {0}")]
    Key(#[from] ConsentKeyError),
    /// The secret has no key.
    #[error("the secret {0} has no {KEY}; put one into it, as JSON, or set the variable {KEY}")]
    NoKey(String),
    /// The stack has no function `consent`.
    #[error("{0}; or turn the function on, with the parameter Consent=on")]
    NotOn(TargetError),
    /// The target can't be resolved.
    #[error(transparent)]
    Target(TargetError),
    /// The secret can't be read.
    #[error(transparent)]
    Secret(#[from] SecretStoreError),
    /// The email id is too long.
    #[error(transparent)]
    TooLong(#[from] TokenTooLong),
}

impl From<TargetError> for UnsubscribeLinkError {
    fn from(error: TargetError) -> Self {
        if matches!(error, TargetError::NoOutput { .. }) { Self::NotOn(error) } else { Self::Target(error) }
    }
}

/// Origin and keys of the links.
#[derive(Debug)]
pub struct UnsubscribeLinks {
    url: ConsentUrl,
    keys: ConsentKeys,
}

impl UnsubscribeLinks {
    /// Parses the values of the two variables.
    ///
    /// # Errors
    /// `Url`, `Key`: one of them is invalid.
    pub fn new(url: &str, keys: &str) -> Result<Self, UnsubscribeLinkError> {
        Ok(Self { url: url.parse()?, keys: keys.parse()? })
    }

    /// Looks up origin and keys of a target. The variable with the keys wins over the secret.
    pub async fn of(target: &Target) -> Result<Self, UnsubscribeLinkError> {
        let url = target.lookup(URL).await?;
        let keys = match target.variable(KEY) {
            Some(keys) => keys,
            None => {
                let arn = target.lookup(KEYS_ARN).await?;
                field(target, &arn, KEY).await?.ok_or(UnsubscribeLinkError::NoKey(arn))?
            }
        };
        Self::new(&url, &keys)
    }

    /// Makes the link of a recipient and an email.
    ///
    /// # Errors
    /// `TooLong`: the email id is too long.
    pub fn link(&self, link: &ConsentLink) -> Result<String, UnsubscribeLinkError> {
        let token = link.sign(ConsentPurpose::OptOut, &self.keys)?;
        Ok(self.url.link(ConsentPurpose::OptOut, &token))
    }
}
