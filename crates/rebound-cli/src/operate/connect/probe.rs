//! Probes whether a function has a signing secret: a webhook that is correctly signed and an hour old is answered `stale`, since the
//! function checks the signature before the age. Nothing is stored.

use std::time::{Duration, Instant};

use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::{SignedMessage, new_message_id};
use rebound::time::UnixMillis;
use serde::Serialize;
use serde_json::Value;

use super::secret::StoredSecrets;
use crate::resend_api::SecretText;

/// Maximum time until the function reloads its secret: it reloads at most once a minute.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(80);

const RETRY_PAUSE: Duration = Duration::from_secs(3);

/// Age of a probe, in seconds. The function accepts five minutes.
const AGE: i64 = 3_600;

const TIMEOUT: Duration = Duration::from_secs(15);

/// The result of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "proof", content = "why")]
pub enum ProbeResult {
    /// The function has the secret.
    Proved,
    /// The function has another secret.
    Wrong,
    /// The function has no secret yet.
    NoSecret,
    /// The URL does not answer as a Rebound function does.
    NotRebound(String),
}

/// Checks that a URL is a Rebound function URL. Throttling (429) and server errors (5xx) count as one, since they may be transient.
///
/// # Errors
/// The response of the URL, as text.
pub async fn find(url: &str) -> Result<(), String> {
    let asked = rebound::web::client_for(url).get(url).timeout(TIMEOUT).send().await;
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return Err("no answer within 15 s".to_owned()),
        Err(_) => return Err("the connection failed".to_owned()),
    };
    match (answer.status().as_u16(), answer.headers().get("allow").map(|value| value.as_bytes())) {
        (405, Some(b"POST")) | (429 | 500.., _) => Ok(()),
        (403, _) => {
            Err("every request is refused (403): deploy the stack again, which makes the function URL public"
                .to_owned())
        }
        (status, _) => Err(format!("a GET returned HTTP {status}")),
    }
}

/// Sends a probe that is signed with a secret.
pub async fn probe(url: &str, secret: &SigningSecret) -> ProbeResult {
    let now = UnixMillis::now().seconds();
    answered(url, &SignedMessage::new(new_message_id(), now - AGE, "{}", secret)).await
}

async fn answered(url: &str, message: &SignedMessage) -> ProbeResult {
    let client = rebound::web::client();
    let request = message.request(&client, reqwest::Method::POST, url).timeout(TIMEOUT);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return ProbeResult::NotRebound("no answer within 15 s".to_owned()),
        Err(_) => return ProbeResult::NotRebound("the connection failed".to_owned()),
    };
    let status = answer.status().as_u16();
    let body: Value = answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str).unwrap_or_default();
    match status {
        401 if error.starts_with("stale") => ProbeResult::Proved,
        401 if error.starts_with("wrong signature") => ProbeResult::Wrong,
        503 if error.contains("secret is not set") => ProbeResult::NoSecret,
        _ => ProbeResult::NotRebound(format!("it returned HTTP {status}")),
    }
}

/// Probes with the first of the secrets, and waits until the function has loaded it. `step` is called before the probe and while waiting.
pub async fn verify_secret(url: &str, stored: &StoredSecrets, step: &impl Fn(&'static str)) -> ProbeResult {
    let Some(secret) = stored.secrets.first().and_then(parsed) else { return ProbeResult::NoSecret };
    let began = Instant::now();
    step("verifying that the function has the secret");
    loop {
        let proof = probe(url, &secret).await;
        if matches!(proof, ProbeResult::Proved | ProbeResult::NotRebound(_)) || began.elapsed() > RELOAD_TIMEOUT {
            return proof;
        }
        step("waiting until the function reloads the secret, at most a minute");
        trigger_reload(url, &secret).await;
        if probe(url, &secret).await == ProbeResult::Proved {
            return ProbeResult::Proved;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Makes the function reload its secret, if it has not within a minute: only a webhook with a fresh timestamp and a wrong signature does.
/// Nothing is stored.
pub(crate) async fn trigger_reload(url: &str, secret: &SigningSecret) {
    let message = SignedMessage::new(new_message_id(), UnixMillis::now().seconds(), "{}", secret);
    answered(url, &SignedMessage { body: b"{ }".to_vec(), ..message }).await;
}

fn parsed(text: &SecretText) -> Option<SigningSecret> {
    text.expose().parse().ok()
}
