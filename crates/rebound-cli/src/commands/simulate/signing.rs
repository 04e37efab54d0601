//! The secret that a simulation signs with.

use std::time::Duration;

use rebound::receive::secret as webhook_secret;
use rebound::resend::signature::SigningSecret;
use rebound_cli::operate::target::{Target, is_local};
use rebound_dev::LOCAL_SECRET;
use rebound_dev::commands::values::signing_secret;
use rebound_dev::commands::{CommandError, variable};

/// What the webhooks are signed with.
pub(super) struct Signing {
    pub(super) secret: SigningSecret,
    /// Whether the shell names it.
    pub(super) is_from_environment: bool,
}

impl Signing {
    /// The environment's, else that of the place, else that of local runs.
    pub(super) async fn of(place: Option<&Target>, url: &str) -> Result<Self, CommandError> {
        if let Some(text) = variable("RESEND_WEBHOOK_SECRET") {
            return Ok(Self { secret: signing_secret(&text)?, is_from_environment: true });
        }
        Ok(Self { secret: stored(place, url).await?, is_from_environment: false })
    }
}

async fn stored(place: Option<&Target>, url: &str) -> Result<SigningSecret, CommandError> {
    let Some(place) = place else {
        if is_local(url) {
            return Ok(LOCAL_SECRET.parse()?);
        }
        return Err("which signing secret? Set RESEND_WEBHOOK_SECRET, or name the stack and its credentials".into());
    };
    let arn = match place.lookup("WEBHOOK_SECRET_ARN").await {
        Ok(arn) => arn,
        Err(_) if is_local(url) => return Ok(LOCAL_SECRET.parse()?),
        Err(error) => return Err(error.into()),
    };
    let source = webhook_secret::from_manager(place.aws().secrets_manager(), arn, Duration::from_secs(60)).await;
    let secret = source.known().and_then(|secrets| secrets.first().cloned());
    let unread = if place.is_local() {
        "the signing secret can't be read from `rebound dev`, which has stopped or was started again: start it again, and look at its file (--local=FILE)".to_owned()
    } else {
        let doctor = place.command("doctor");
        format!("the signing secret can't be read from Secrets Manager; set RESEND_WEBHOOK_SECRET, or see {doctor}")
    };
    Ok(secret.ok_or(unread)?)
}
