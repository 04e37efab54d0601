//! The signing secret in Secrets Manager, and the detection of a rotation without a deployment.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;

use crate::aws::secret::{Manager, Secret};
use crate::resend::signature::SigningSecrets;

/// Minimum interval between reads of the secret after failed signatures.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// The interval while there is no secret yet: an operator who has just set it is waiting.
const FIRST_READ_INTERVAL: Duration = Duration::from_secs(5);

/// The secret's JSON. Other fields are ignored.
#[derive(Deserialize)]
struct SecretJson {
    #[serde(rename = "RESEND_WEBHOOK_SECRET")]
    resend_webhook_secret: String,
}

/// Reads the secret with this ARN from Secrets Manager, later at most once per `interval`. If the first read fails, the
/// error is logged, and the secret is read again when a webhook arrives. The stack exists before the webhook at Resend
/// does.
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
