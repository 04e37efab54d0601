//! The function URL: does a Rebound answer there, and with the right secret?

use std::time::Duration;

use rebound::resend::signature::SigningSecrets;

use super::Check;
use crate::operate::connect::probe::{Proof, nudge, probe};
use crate::operate::connect::secret;
use crate::operate::place::Place;

const URL: &str = "function URL";
const SECRET: &str = "signing secret";

const TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn check(place: &Place, url: Option<&str>) -> Vec<Check> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => match place.named("REBOUND_FUNCTION_URL").await {
            Ok(url) => url,
            Err(error) => return vec![Check::not_checked(URL, format!("{error}; or name it with --url"))],
        },
    };
    let answers = answers(&url).await;
    let secret = signing_secret(place, &url).await;
    vec![answers, secret]
}

async fn answers(url: &str) -> Check {
    let asked = rebound::claude::web::client().get(url).timeout(TIMEOUT).send().await;
    let to_do = "is it the stack's output WebhookUrl? If so, look at receive's log";
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => {
            return Check::fault(URL, format!("{url} does not answer within 15 s"), to_do);
        }
        Err(_) => return Check::fault(URL, format!("nobody answers at {url}"), to_do),
    };
    let allow = answer.headers().get("allow").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (answer.status().as_u16(), allow) {
        (405, "POST") => Check::ok(URL, format!("{url} answers")),
        (403, _) => {
            let to_do = "Lambda does not let the public invoke it: deploy the stack again, which gives it both permissions that a function URL needs";
            Check::fault(URL, format!("{url} refuses everybody (403)"), to_do)
        }
        (429, _) => Check::fault(
            URL,
            "it is throttled (429)",
            "raise the account's concurrency, or the parameter ReservedConcurrency",
        ),
        (502 | 500, _) => Check::fault(
            URL,
            "the function fails",
            "look at receive's log: it says which variable or permission is missing",
        ),
        (status, _) => Check::fault(URL, format!("{url} is no Rebound: it answers {status}"), to_do),
    }
}

async fn signing_secret(place: &Place, url: &str) -> Check {
    let connect =
        format!("run {}, which puts it in place; or copy it from Resend, under Webhooks", place.command("connect"));
    let text = match place.variable("RESEND_WEBHOOK_SECRET") {
        Some(text) => text,
        None => {
            let arn = match place.named("WEBHOOK_SECRET_ARN").await {
                Ok(arn) => arn,
                Err(error) => return Check::not_checked(SECRET, error.to_string()),
            };
            match secret::field(place, &arn, "RESEND_WEBHOOK_SECRET").await {
                Ok(Some(text)) => text,
                Ok(None) => {
                    return Check::fault(SECRET, "there is none yet, so every webhook is answered 503", connect);
                }
                Err(error) => return Check::not_checked(SECRET, error.to_string()),
            }
        }
    };
    let Ok(secrets) = text.parse::<SigningSecrets>() else {
        return Check::fault(SECRET, "what is stored is no signing secret", connect);
    };
    let number = text.split_whitespace().count();
    let Some(first) = secrets.first() else {
        return Check::fault(SECRET, "what is stored is no signing secret", connect);
    };
    let mut proof = probe(url, first).await;
    if matches!(proof, Proof::Wrong | Proof::NoSecret) {
        // It may only not have read the stored one yet.
        nudge(url, first).await;
        proof = probe(url, first).await;
    }
    let to_do = "it reads the stored one again at most once a minute: look again in a minute; if that does not help, see receive's log";
    match proof {
        Proof::Proved if number > 1 => Check::ok(SECRET, format!("the function has it, and {} older", number - 1)),
        Proof::Proved => Check::ok(SECRET, "the function has the one that is stored"),
        Proof::Wrong => Check::fault(SECRET, "the function has another than the one that is stored", to_do),
        Proof::NoSecret => Check::fault(SECRET, "it is stored, and the function has not read it yet", to_do),
        Proof::NotRebound(why) => Check::not_checked(SECRET, why),
    }
}
