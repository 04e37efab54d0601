//! `rebound sample`: one sample event, signed now.
//!
//! A sample that was signed once and stored would be stale after five minutes.

use std::process::ExitCode;
use std::time::Duration;

use aws_local::function_url;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use serde_json::Value;

use crate::commands::values::{nobody_at, signing_secret, unknown, url};
use crate::commands::{CommandError, variable};
use crate::output::sanitize;
use crate::{LOCAL_SECRET, samples};

/// How long an answer may take: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sign a sample event now, and print it as Lambda's event, or post it.
///
/// It happens now: the samples of one email tell one story, which ends now. Signs with RESEND_WEBHOOK_SECRET, or, where that is not set, with the signing secret of local runs.
#[derive(clap::Args)]
pub struct Arguments {
    /// The event's type, such as email.bounced; without it, the types are listed
    event: Option<String>,
    /// The message's id (a new one each time)
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Say that it happened when the sample was written, and not now: a webhook that comes late
    #[arg(long)]
    late: bool,
    /// What is done without it, too
    #[arg(long, hide = true, conflicts_with = "late")]
    recent: bool,
    /// Post it to this URL and print the answer, instead of printing the event of a function URL
    #[arg(long, value_name = "URL", value_parser = url)]
    post: Option<String>,
}

/// Prints or posts a sample.
///
/// # Errors
/// It says what went wrong.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let Some(event_type) = &arguments.event else {
        println!("{}", samples::types().join("\n"));
        return Ok(ExitCode::SUCCESS);
    };
    let body = match arguments.late {
        true => samples::body(event_type).map(<[u8]>::to_vec),
        false => samples::recent(event_type, UnixMillis::now()),
    };
    let body = body.ok_or_else(|| {
        let all = "`rebound sample` lists the types";
        format!("there is no sample of {event_type}; {}", unknown(event_type, samples::types(), all))
    })?;
    let secret = signing_secret(&variable("RESEND_WEBHOOK_SECRET").unwrap_or_else(|| LOCAL_SECRET.to_owned()))?;
    let id = arguments.id.clone().unwrap_or_else(rebound::resend::signed::new_message_id);
    let message = SignedMessage::new(id, UnixMillis::now().seconds(), body, &secret);
    let Some(url) = &arguments.post else {
        println!("{:#}", function_url::event("POST", "/", &message.headers, &message.body));
        return Ok(ExitCode::SUCCESS);
    };
    let request = message.request(&rebound::claude::web::client(), reqwest::Method::POST, url);
    let nobody = |error| format!("nobody answers at {url}: {error}; {}", nobody_at(url));
    let answer = request.timeout(TIMEOUT).send().await.map_err(nobody)?;
    let (status, body) = (answer.status(), answer.text().await?);
    println!("{} {}", status.as_u16(), sanitize(&body));
    if let Some(hint) = hint(status.as_u16(), &body) {
        eprintln!("rebound: {hint}");
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What to do about an answer that does not say it.
fn hint(status: u16, body: &str) -> Option<&'static str> {
    let is_rebounds = serde_json::from_str::<Value>(body)
        .is_ok_and(|body| ["status", "error"].iter().any(|name| body.get(name).is_some_and(Value::is_string)));
    match status {
        401 if is_rebounds && body.contains("wrong signature") && variable("RESEND_WEBHOOK_SECRET").is_some() => {
            Some("RESEND_WEBHOOK_SECRET in this shell is not the function's: unset it, or set it to the function's")
        }
        401 if is_rebounds && body.contains("wrong signature") => {
            Some("the function has a signing secret of its own: set RESEND_WEBHOOK_SECRET to it")
        }
        200..500 if !is_rebounds => Some(
            "that is no Rebound: is it the function URL, which `rebound dev` prints and the stack's output WebhookUrl names?",
        ),
        _ => None,
    }
}
