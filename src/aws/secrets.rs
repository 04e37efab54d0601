//! Where the signing secret comes from, and how a rotation is noticed without a deploy.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws::describe;
use crate::resend::signature::{SecretError, SigningSecrets};

/// How often, at most, a failed signature makes the secret be read again.
pub const REREAD_INTERVAL: Duration = Duration::from_secs(60);

/// The same while there is no secret yet: whoever has just put it there is watching.
const FIRST_READ_INTERVAL: Duration = Duration::from_secs(5);

/// Why the secret could not be read from Secrets Manager.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Secrets Manager did not give it.
    #[error("Secrets Manager did not give the signing secret: {0}")]
    NotGiven(String),
    /// What it gave is not JSON with a string `RESEND_WEBHOOK_SECRET`.
    #[error("the secret is not JSON with a string RESEND_WEBHOOK_SECRET")]
    NotJson,
    /// What it gave is no signing secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The signing secrets, and the place to read them from again.
#[derive(Debug)]
pub struct SecretSource {
    /// `None` until Secrets Manager holds a usable one: the stack is there before the webhook at Resend is.
    current: RwLock<Option<Arc<SigningSecrets>>>,
    manager: Option<Manager>,
}

#[derive(Debug)]
struct Manager {
    client: Client,
    arn: String,
    interval: Duration,
    last_reread: Mutex<Option<Instant>>,
}

/// The secret's JSON. Fields of others are left alone.
#[derive(Deserialize)]
struct SecretJson {
    #[serde(rename = "RESEND_WEBHOOK_SECRET")]
    resend_webhook_secret: String,
}

impl SecretSource {
    /// Secrets that stay as they are.
    pub fn fixed(secrets: SigningSecrets) -> Self {
        Self { current: RwLock::new(Some(Arc::new(secrets))), manager: None }
    }

    /// Reads the secret from Secrets Manager. If that fails now, the source is empty, the reason is logged, and
    /// [`Self::reread`] tries again.
    pub async fn from_manager(client: Client, arn: String, interval: Duration) -> Self {
        let manager = Manager { client, arn, interval, last_reread: Mutex::new(None) };
        let current = match manager.read().await {
            Ok(secrets) => Some(Arc::new(secrets)),
            Err(error) => {
                tracing::error!(%error, "no signing secret yet");
                None
            }
        };
        Self { current: RwLock::new(current), manager: Some(manager) }
    }

    /// The secrets that are good now, if there are any yet.
    pub fn current(&self) -> Option<Arc<SigningSecrets>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the secret again, at most once in the interval, after a signature failed under `tried` (`None`: there were none
    /// yet). Returns the secrets worth trying, which are not `tried`: just read, or read by another request meanwhile.
    pub async fn reread(&self, tried: Option<&Arc<SigningSecrets>>) -> Option<Arc<SigningSecrets>> {
        let manager = self.manager.as_ref()?;
        let mut last_reread = manager.last_reread.lock().await;
        let current = self.current();
        let unchanged = match (&current, tried) {
            (Some(current), Some(tried)) => Arc::ptr_eq(current, tried),
            (current, _) => current.is_none(),
        };
        if !unchanged {
            return current;
        }
        let interval = if current.is_none() { manager.interval.min(FIRST_READ_INTERVAL) } else { manager.interval };
        if last_reread.is_some_and(|at| at.elapsed() < interval) {
            return None;
        }
        *last_reread = Some(Instant::now());
        match manager.read().await {
            Ok(secrets) => {
                tracing::info!("signing secret read again");
                let secrets = Arc::new(secrets);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&secrets));
                Some(secrets)
            }
            Err(error) => {
                tracing::error!(%error, "signing secret not read again");
                None
            }
        }
    }
}

impl Manager {
    async fn read(&self) -> Result<SigningSecrets, ReadError> {
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let answer = answer.map_err(|error| ReadError::NotGiven(describe(&error)))?;
        let json: SecretJson =
            serde_json::from_str(answer.secret_string().unwrap_or_default()).map_err(|_| ReadError::NotJson)?;
        Ok(json.resend_webhook_secret.parse()?)
    }
}
