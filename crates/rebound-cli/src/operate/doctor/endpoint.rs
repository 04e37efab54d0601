//! The function URL: does Rebound answer there, and with the stored secret?

use std::time::Duration;

use rebound::resend::signature::SigningSecrets;

use super::Check;
use crate::operate::connect::probe::{ProbeResult, probe, trigger_reload};
use crate::operate::connect::secret;
use crate::operate::target::Target;

const URL: &str = "function URL";
const SECRET: &str = "signing secret";

const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn check(target: &Target, url: Option<&str>) -> Vec<Check> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => match target.lookup("REBOUND_FUNCTION_URL").await {
            Ok(url) => url,
            Err(error) => return vec![Check::not_checked(URL, format!("{error}; or name it with --url"))],
        },
    };
    let answers = answers(&url).await;
    let secret = signing_secret(target, &url).await;
    vec![answers, secret]
}

async fn answers(url: &str) -> Check {
    let asked = rebound::web::client().get(url).timeout(TIMEOUT).send().await;
    let to_do = "check that it is the stack's output WebhookUrl; if so, see receive's log";
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => {
            return Check::fault(URL, format!("{url} does not answer within 15 s"), to_do);
        }
        Err(_) => return Check::fault(URL, format!("the connection to {url} failed"), to_do),
    };
    let allow = answer.headers().get("allow").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (answer.status().as_u16(), allow) {
        (405, "POST") => Check::ok(URL, format!("{url} answers")),
        (403, _) => {
            let to_do = "the function URL is not public: deploy the stack again, which grants both permissions that a function URL needs";
            Check::fault(URL, format!("{url} refuses every request (403)"), to_do)
        }
        (429, _) => Check::fault(
            URL,
            "the function is throttled (429)",
            "raise the account's concurrency, or the parameter ReservedConcurrency",
        ),
        (502 | 500, _) => {
            Check::fault(URL, "the function fails", "receive's log says which variable or permission is missing")
        }
        (status, _) => {
            Check::fault(URL, format!("{url} is not a Rebound function URL: it returned HTTP {status}"), to_do)
        }
    }
}

async fn signing_secret(target: &Target, url: &str) -> Check {
    let connect =
        format!("run {}, which stores the secret; or copy it from Resend, under Webhooks", target.command("connect"));
    let text = match target.variable("RESEND_WEBHOOK_SECRET") {
        Some(text) => text,
        None => {
            let arn = match target.lookup("WEBHOOK_SECRET_ARN").await {
                Ok(arn) => arn,
                Err(error) => return Check::not_checked(SECRET, error.to_string()),
            };
            match secret::field(target, &arn, "RESEND_WEBHOOK_SECRET").await {
                Ok(Some(text)) => text,
                Ok(None) => {
                    return Check::fault(SECRET, "no signing secret is stored, so every webhook gets a 503", connect);
                }
                Err(error) => return Check::not_checked(SECRET, error.to_string()),
            }
        }
    };
    let Ok(secrets) = text.parse::<SigningSecrets>() else {
        return Check::fault(SECRET, "the stored value is not a signing secret", connect);
    };
    let number = text.split_whitespace().count();
    let Some(first) = secrets.first() else {
        return Check::fault(SECRET, "the stored value is not a signing secret", connect);
    };
    let mut proof = probe(url, first).await;
    if matches!(proof, ProbeResult::Wrong | ProbeResult::NoSecret) {
        // The function may not have loaded the stored secret yet.
        trigger_reload(url, first).await;
        proof = probe(url, first).await;
    }
    let to_do = "the function reloads the stored secret at most once a minute: run the check again in a minute; if that does not help, see receive's log";
    match proof {
        ProbeResult::Proved if number > 1 => {
            Check::ok(SECRET, format!("the function has the stored secret, and {} older", number - 1))
        }
        ProbeResult::Proved => Check::ok(SECRET, "the function has the stored secret"),
        ProbeResult::Wrong => Check::fault(SECRET, "the function has another secret than the stored one", to_do),
        ProbeResult::NoSecret => {
            Check::fault(SECRET, "a secret is stored, but the function has not loaded it yet", to_do)
        }
        ProbeResult::NotRebound(why) => Check::not_checked(SECRET, why),
    }
}
