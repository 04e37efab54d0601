//! The signing secret that Secrets Manager holds, and how a rotation is noticed without a deploy.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;

use crate::aws::secret::{Manager, Secret};
use crate::resend::signature::SigningSecrets;

/// How often, at most, a failed signature makes the secret be read again.
pub const REREAD_INTERVAL: Duration = Duration::from_secs(60);

/// The same while there is no secret yet: whoever has just put it there is watching.
const FIRST_READ_INTERVAL: Duration = Duration::from_secs(5);

/// The secret's JSON. Fields of others are left alone.
#[derive(Deserialize)]
struct SecretJson {
    #[serde(rename = "RESEND_WEBHOOK_SECRET")]
    resend_webhook_secret: String,
}

/// Reads the secret of an ARN from Secrets Manager; later at most once in `interval`. If that fails now, the reason is logged, and it is
/// read again when a webhook comes: the stack is there before the webhook at Resend is.
pub async fn from_manager(client: Client, arn: String, interval: Duration) -> Secret<SigningSecrets> {
    let manager = Manager::new(client, arn, interval, parse).while_absent(FIRST_READ_INTERVAL);
    let secret = Secret::from_manager(manager);
    if let Err(error) = secret.read_ahead().await {
        tracing::error!(error, "no signing secret yet");
    }
    secret
}

fn parse(text: &str) -> Result<Option<SigningSecrets>, String> {
    let json: SecretJson = serde_json::from_str(text)
        .map_err(|_| "the secret is not JSON with a string RESEND_WEBHOOK_SECRET".to_owned())?;
    let secrets: SigningSecrets = json.resend_webhook_secret.parse().map_err(|error| format!("{error}"))?;
    Ok(Some(secrets))
}
