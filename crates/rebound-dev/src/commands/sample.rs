//! `rebound sample`: one sample event or request, signed now.
//!
//! A sample with a stored signature would be stale after five minutes.

use std::process::ExitCode;
use std::time::Duration;

use aws_local::function_url;
use rebound::aws::edge::Envelope;
use rebound::policy::consent_link::ConsentKeys;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use serde_json::Value;

use crate::commands::values::{nobody_at, signing_secret, unknown, url};
use crate::commands::{CommandError, variable};
use crate::output::sanitize;
use crate::{LOCAL_CONSENT_KEY, LOCAL_SECRET, samples};

/// Maximum time until the response: as long as Svix waits.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sign a sample event now, and print it as Lambda's invocation event, or post it.
///
/// The last event of an email happens now, and its other events happened before that. The signature is made with RESEND_WEBHOOK_SECRET,
/// or, if that is not set, with the signing secret of local runs. There are three sample requests to consent: one_click (the POST of a mail
/// provider), visit (a GET of the page) and button (the POST of the page). Their links are signed with CONSENT_KEY, or with the key of local
/// runs.
#[derive(clap::Args)]
pub struct Arguments {
    /// The event's type, such as email.bounced, or a request to consent, such as one_click; without it, the types are listed
    event: Option<String>,
    /// The webhook's id [default: a new one each time]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Keep the sample's original time instead of now: a webhook that arrives late
    #[arg(long)]
    late: bool,
    /// The default; accepted for compatibility
    #[arg(long, hide = true, conflicts_with = "late")]
    recent: bool,
    /// Post it to this URL and print the response, instead of printing the invocation event
    #[arg(long, value_name = "URL", value_parser = url)]
    post: Option<String>,
}

/// Prints or posts a sample.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let Some(event_type) = &arguments.event else {
        println!("{}", samples::types().join("\n"));
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(request) = samples::invocation("consent", event_type) {
        return consent_request(arguments, request).await;
    }
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
    let request = message.request(&rebound::web::client(), reqwest::Method::POST, url);
    let nobody = |error| format!("nobody answers at {url}: {error}; {}", nobody_at(url));
    let answer = request.timeout(TIMEOUT).send().await.map_err(nobody)?;
    let (status, body) = (answer.status(), answer.text().await?);
    println!("{} {}", status.as_u16(), sanitize(&body));
    if let Some(hint) = hint(status.as_u16(), &body) {
        eprintln!("rebound: {hint}");
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints or posts a request to `consent`.
async fn consent_request(arguments: &Arguments, request: &[u8]) -> Result<ExitCode, CommandError> {
    if arguments.id.is_some() || arguments.late {
        return Err("--id and --late are for webhooks, and this is a request to consent".into());
    }
    let keys = variable("CONSENT_KEY").unwrap_or_else(|| LOCAL_CONSENT_KEY.to_owned());
    let keys: ConsentKeys = keys.parse().map_err(|error| format!("CONSENT_KEY: {error}"))?;
    let event = samples::consent_request(request, &keys).ok_or("the sample is not a request with a link")?;
    let Some(url) = &arguments.post else {
        println!("{event:#}");
        return Ok(ExitCode::SUCCESS);
    };
    let request = serde_json::from_value::<Envelope>(event)?.into_request();
    let body: &[u8] = request.body().as_ref();
    let url = format!("{}{}", url.trim_end_matches('/'), request.uri().path());
    let client = rebound::web::client();
    let mut sent = client.request(request.method().clone(), &url).body(body.to_vec());
    for name in ["accept-language", "content-type"] {
        sent = request.headers().get(name).into_iter().fold(sent, |sent, value| sent.header(name, value));
    }
    let nobody = |error| format!("nobody answers at {url}: {error}; {}", nobody_at(&url));
    let answer = sent.timeout(TIMEOUT).send().await.map_err(nobody)?;
    let (status, body) = (answer.status(), answer.text().await?);
    println!("{} {}", status.as_u16(), sanitize(title(&body)));
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The title of a page.
pub(super) fn title(html: &str) -> &str {
    let rest = html.split_once("<title>").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once("</title>")).map_or("", |(title, _)| title)
}

/// A hint for a response that does not contain one.
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
            "that is not Rebound: use the function URL, which `rebound dev` prints, and which is the stack's output WebhookUrl",
        ),
        _ => None,
    }
}
