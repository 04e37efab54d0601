//! The signing secret of a simulation.

use std::time::Duration;

use rebound::receive::secret as webhook_secret;
use rebound::resend::signature::SigningSecret;
use rebound_cli::operate::target::{Target, is_local};
use rebound_dev::LOCAL_SECRET;
use rebound_dev::commands::values::signing_secret;
use rebound_dev::commands::{CommandError, variable};

/// The secret that signs the webhooks.
pub(super) struct Signing {
    pub(super) secret: SigningSecret,
    /// True if the secret comes from the shell.
    pub(super) is_from_environment: bool,
}

impl Signing {
    /// Returns the secret of the environment, else that of the target, else that of local runs.
    pub(super) async fn of(target: Option<&Target>, url: &str) -> Result<Self, CommandError> {
        if let Some(text) = variable("RESEND_WEBHOOK_SECRET") {
            return Ok(Self { secret: signing_secret(&text)?, is_from_environment: true });
        }
        Ok(Self { secret: stored(target, url).await?, is_from_environment: false })
    }
}

async fn stored(target: Option<&Target>, url: &str) -> Result<SigningSecret, CommandError> {
    let Some(target) = target else {
        if is_local(url) {
            return Ok(LOCAL_SECRET.parse()?);
        }
        return Err("which signing secret? Set RESEND_WEBHOOK_SECRET, or name the stack and its credentials".into());
    };
    let arn = match target.lookup("WEBHOOK_SECRET_ARN").await {
        Ok(arn) => arn,
        Err(_) if is_local(url) => return Ok(LOCAL_SECRET.parse()?),
        Err(error) => return Err(error.into()),
    };
    let source = webhook_secret::from_manager(target.aws().secrets_manager(), arn, Duration::from_secs(60)).await;
    let secret = source.known().and_then(|secrets| secrets.first().cloned());
    let unread = if target.is_local() {
        "the signing secret can't be read from `rebound dev`: it stopped, or was restarted; start it again, and check its file (--local=FILE)".to_owned()
    } else {
        let doctor = target.command("doctor");
        format!("the signing secret can't be read from Secrets Manager; set RESEND_WEBHOOK_SECRET, or run {doctor}")
    };
    Ok(secret.ok_or(unread)?)
}
