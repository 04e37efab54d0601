//! Unsubscribe links: do they lead to `consent`, with the stored key, and how many opt-outs does Resend not know yet?

use std::time::Duration;

use rebound::policy::consent_link::{ConsentKeys, ConsentLink, ConsentPurpose, ConsentToken, ConsentUrl};
use rebound::policy::count::count;
use rebound::resend::recipient::Recipient;
use rebound::store::agenda::{Agenda, AgendaKind};
use rebound::time::{UnixMillis, hours, minutes};
use reqwest::Method;

use super::Check;
use super::followups::lock;
use crate::operate::connect::secret::field;
use crate::operate::target::{Target, TargetError};

const LINKS: &str = "unsubscribe links";
const KEY: &str = "key of the links";
const PUSHES: &str = "opt-outs for Resend";

const TIMEOUT: Duration = Duration::from_secs(15);

/// Maximum number of waiting opt-outs that are counted.
const MAX_COUNTED: usize = 1_000;

/// Time within which a failed contact is tried again.
const LATER: Duration = hours(1);

/// Time after which `act` has unsubscribed a contact, if nothing is wrong.
const MAX_WAIT: Duration = minutes(15);

/// Address in the link that is tried. Nobody has it, and HEAD changes nothing.
const NOBODY: &str = "doctor@rebound.invalid";

pub(super) async fn check(target: &Target, now: UnixMillis) -> Vec<Check> {
    let mut checks = links(target).await;
    checks.push(pushes(target, now).await);
    checks
}

async fn links(target: &Target) -> Vec<Check> {
    let url = match target.lookup("CONSENT_URL").await {
        Ok(url) => url,
        Err(TargetError::NoOutput { .. }) => return vec![Check::ok(LINKS, "off, as the parameter Consent says")],
        Err(error) => return vec![Check::not_checked(LINKS, error.to_string())],
    };
    let url: ConsentUrl = match url.parse() {
        Ok(url) => url,
        Err(error) => {
            return vec![Check::fault(LINKS, format!("CONSENT_URL: {error}"), "set CONSENT_URL to such a URL")];
        }
    };
    let (answers, key) = tokio::join!(answers(&url), key(target, &url));
    vec![answers, key]
}

/// Asks for what every visitor may read.
async fn answers(url: &ConsentUrl) -> Check {
    let to_do = "check that CONSENT_URL is the stack's output ConsentUrl, or a domain that passes every path and method on to it; then see consent's log";
    match ask(Method::GET, &format!("{url}/u/")).await {
        Ok((404, true)) => Check::ok(LINKS, format!("{url} answers")),
        Ok((404, false)) => Check::fault(LINKS, format!("{url} is answered by something else"), to_do),
        Ok((429, _)) => Check::fault(
            LINKS,
            "the function is throttled (429)",
            "raise the parameter ConsentConcurrency, or the account's concurrency",
        ),
        Ok((403, _)) => Check::fault(
            LINKS,
            format!("{url} refuses every request (403)"),
            "the function URL is not public: deploy the stack again, which grants both permissions that a function URL needs",
        ),
        Ok((500 | 502, _)) => {
            Check::fault(LINKS, "the function fails", "consent's log says which variable or permission is missing")
        }
        Ok((status, _)) => Check::fault(LINKS, format!("{url} is not the function consent: HTTP {status}"), to_do),
        Err(why) => Check::fault(LINKS, format!("{url}: {why}"), to_do),
    }
}

/// Tries a link that the stored key signs.
async fn key(target: &Target, url: &ConsentUrl) -> Check {
    let put = "put {\"CONSENT_KEY\": \"…\"} into the secret that the output ConsentKeysArn names; `openssl rand -hex 32` makes a key";
    let text = match target.variable("CONSENT_KEY") {
        Some(text) => text,
        None => {
            let arn = match target.lookup("CONSENT_KEYS_ARN").await {
                Ok(arn) => arn,
                Err(error) => return Check::not_checked(KEY, error.to_string()),
            };
            match field(target, &arn, "CONSENT_KEY").await {
                Ok(Some(text)) => text,
                Ok(None) => return Check::fault(KEY, "no key is stored, so every unsubscribe link gets a 503", put),
                Err(error) => return Check::not_checked(KEY, error.to_string()),
            }
        }
    };
    let keys: ConsentKeys = match text.parse() {
        Ok(keys) => keys,
        Err(error) => return Check::fault(KEY, format!("CONSENT_KEY: {error}"), put),
    };
    let Some(token) = token(&keys) else { return Check::not_checked(KEY, "no link can be made") };
    let number = text.split_whitespace().count();
    let other = "the function reads the stored keys again when they are 5 minutes old: run the check again then; if that does not help, see consent's log";
    match ask(Method::HEAD, &url.link(ConsentPurpose::OptOut, &token)).await {
        Ok((200, true)) if number > 1 => {
            Check::ok(KEY, format!("the function has the stored key, and {} older", number - 1))
        }
        Ok((200, true)) => Check::ok(KEY, "the function has the stored key"),
        Ok((404, true)) => Check::fault(KEY, "the function has another key than the stored one", other),
        Ok((503, true)) => Check::fault(KEY, "a key is stored, but the function has not read it", other),
        Ok((status, _)) => Check::not_checked(KEY, format!("a link is answered with HTTP {status}")),
        Err(why) => Check::not_checked(KEY, why),
    }
}

fn token(keys: &ConsentKeys) -> Option<ConsentToken> {
    let link = ConsentLink { recipient: Recipient::parse(NOBODY)?, email_id: None };
    link.sign(ConsentPurpose::OptOut, keys).ok()
}

/// Returns the status of the answer, and true if it has a header that every page of `consent` has. The error names no
/// path.
async fn ask(method: Method, url: &str) -> Result<(u16, bool), String> {
    let answer = rebound::web::client_for(url).request(method, url).timeout(TIMEOUT).send().await;
    let answer = answer.map_err(|error| {
        if error.is_timeout() { "no answer within 15 s".to_owned() } else { "the connection failed".to_owned() }
    })?;
    let is_ours = answer.headers().get("x-robots-tag").is_some_and(|value| value == "noindex");
    Ok((answer.status().as_u16(), is_ours))
}

/// Counts the contacts that are to be unsubscribed at Resend.
async fn pushes(target: &Target, now: UnixMillis) -> Check {
    let agenda = Agenda::new(target.calls(TIMEOUT), target.table("AGENDA_TABLE"));
    let lock = lock(target);
    let waiting = agenda.due(AgendaKind::Push, now.plus(LATER), MAX_COUNTED + 1);
    let (waiting, state) = match tokio::try_join!(waiting, lock.read()) {
        Ok(read) => read,
        Err(error) => return Check::not_checked(PUSHES, error.to_string()),
    };
    let missing = match state.contacts_not_found {
        0 => String::new(),
        number => format!("; {number} so far were no contacts there"),
    };
    let number = match waiting.len() {
        0 => return Check::ok(PUSHES, format!("none waits{missing}")),
        more if more > MAX_COUNTED => format!("more than {MAX_COUNTED} contacts"),
        number => count(number, "contact"),
    };
    // An entry of a later time was tried, and failed.
    let failed = waiting.iter().filter(|entry| entry.due > now).count();
    let oldest = waiting.first().filter(|oldest| oldest.due <= now).map(|oldest| oldest.due);
    let since = oldest.map(|due| format!(", the oldest since {}", due.to_text())).unwrap_or_default();
    let found = format!("{number} opted out here, and may still be subscribed at Resend{since}{missing}");
    let by_hand =
        "Rebound suppresses them; for broadcasts that you send at Resend itself, unsubscribe these contacts there";
    if target.lookup("ACT_FUNCTION").await.is_err() {
        return Check::warning(PUSHES, found, by_hand);
    }
    match state.push_resting_until.filter(|until| *until > now) {
        Some(until) => Check::warning(
            PUSHES,
            format!("{found}; Resend refused the key, so act tries again at {}", until.to_text()),
            format!("see the check of act's Resend key; {by_hand}"),
        ),
        None if failed > 0 => {
            Check::warning(PUSHES, format!("{found}; {failed} failed, and are tried again"), "see the log of act")
        }
        None if oldest.is_none_or(|oldest| oldest.plus(MAX_WAIT) >= now) => {
            Check::ok(PUSHES, format!("{found}; act unsubscribes them"))
        }
        None => Check::warning(PUSHES, found, format!("see the last run of act, and its log; {by_hand}")),
    }
}
