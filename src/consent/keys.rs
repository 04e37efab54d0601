//! The keys of the links, and their rotation without a deployment.
//!
//! The secret is read again when the keys are older than [`MAX_KEY_AGE`]. So each copy of the function knows a new key
//! long before it signs, if the operator adds it as the last one, waits 10 minutes, and then moves it to the front.
//!
//! ```text
//!   secret     old              old new                          new old
//!   links      signed by old ─────────────────────────────────▶ signed by new
//!   a copy     old              … at most 5 minutes … old new    holds both
//! ```
//!
//! A token that no known key has signed makes the secret be read again too, at most once a minute: forged tokens cannot
//! cause more calls. If the secret cannot be read, nobody knows if such a token holds, and the answer is 503 instead of
//! 404.

use std::sync::Arc;
use std::time::Duration;

use super::response::ConsentRejection;
use crate::aws::secret::Secret;
use crate::policy::consent_link::{ConsentKeys, ConsentLink, ConsentPurpose, InvalidToken, SignedLink};

/// Maximum age of the keys, if the secret can be read.
pub const MAX_KEY_AGE: Duration = Duration::from_secs(5 * 60);

/// The keys that verify links.
#[derive(Debug)]
pub struct LinkKeys {
    secret: Secret<ConsentKeys>,
    max_age: Duration,
}

impl LinkKeys {
    /// Creates a source that reads the secret again when the keys are older than `max_age`: [`MAX_KEY_AGE`] in the
    /// function.
    pub fn new(secret: Secret<ConsentKeys>, max_age: Duration) -> Self {
        Self { secret, max_age }
    }

    /// Reads the keys before they are needed. If that fails, the error is logged, and they are read with a request.
    pub(super) async fn read_ahead(&self) {
        if let Err(error) = self.secret.read_ahead().await {
            tracing::error!(error, "no key for links yet");
        }
    }

    /// Returns the link of a token that holds. DynamoDB is not called.
    pub(super) async fn verified(&self, token: &str, purpose: ConsentPurpose) -> Result<ConsentLink, ConsentRejection> {
        let signed = SignedLink::read(token)?;
        let is_current = self.secret.refresh(self.max_age).await;
        let known: Arc<ConsentKeys> = self.secret.known().ok_or(ConsentRejection::NoKey)?;
        match signed.verify(purpose, &known) {
            Err(InvalidToken::UnknownKey) => match self.secret.reload(Some(&known)).await {
                Some(renewed) => Ok(signed.verify(purpose, &renewed)?),
                None if is_current => Err(InvalidToken::UnknownKey.into()),
                None => Err(ConsentRejection::KeysTooOld),
            },
            result => Ok(result?),
        }
    }
}
