//! Resend: is the key valid, does the webhook exist, and did the last deliveries succeed?

use rebound::policy::count::count;
use std::time::Duration;

use rebound::time::UnixMillis;

use super::{Check, CheckStatus};
use crate::operate::connect::{ConnectError, NEEDED, NEEDED_WHERE_OFFERED, resend_of, secret};
use crate::operate::target::Target;
use crate::resend_api::{DeliveryAttempt, Resend, ResendError, Webhook};

const KEY: &str = "Resend's key";
const WEBHOOK: &str = "webhook at Resend";
const DELIVERIES: &str = "deliveries at Resend";

/// Time after which the first attempt of a delivery has ended: Resend waits 15 s for a response.
const FIRST_TRY: Duration = Duration::from_secs(60);

pub(super) async fn resend(target: &Target, url: Option<&str>, now: UnixMillis) -> Vec<Check> {
    let resend = match resend_of(target).await {
        Ok(resend) => resend,
        Err(ConnectError::NoKey) => {
            let found = "no key is set, so nothing at Resend can be checked";
            let to_do =
                "set RESEND_API_KEY to a key with full access, or store it in the secret that OperatorKeysArn names";
            return vec![Check::not_checked(KEY, found).with_to_do(to_do)];
        }
        Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
    };
    let (all, unread) = match resend.webhooks().await {
        Ok(all) => all,
        Err(error @ (ResendError::Key(_) | ResendError::SendingOnly)) => {
            return vec![Check::fault(KEY, error.to_string(), "set RESEND_API_KEY to a key with full access")];
        }
        Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
    };
    let key = match unread.first() {
        None => Check::ok(KEY, "the key is valid"),
        Some(first) => Check::warning(
            KEY,
            format!(
                "the key is valid; of {}, {} can't be read: {first}",
                count(all.len() + unread.len(), "webhook"),
                unread.len()
            ),
            "look at them at Resend, under Webhooks",
        ),
    };
    let url = match url {
        Some(url) => url.to_owned(),
        None => match target.lookup("REBOUND_FUNCTION_URL").await {
            Ok(url) => url,
            Err(error) => return vec![key, Check::not_checked(WEBHOOK, error.to_string())],
        },
    };
    let Some(webhook) = all.iter().find(|webhook| webhook.is_for(&url)) else {
        let found = format!("no webhook has the URL {url}");
        return vec![key, Check::fault(WEBHOOK, found, format!("run {}", target.command("connect")))];
    };
    vec![key, registered(target, &resend, webhook).await, deliveries(&resend, webhook, now).await]
}

/// Returns true if the secret that Resend signs with is stored, and `None` if either is unknown.
async fn secret_matches(target: &Target, webhook: &Webhook) -> Option<bool> {
    let arn = target.lookup("WEBHOOK_SECRET_ARN").await.ok()?;
    let stored = secret::read(target, &arn).await.ok()?;
    let signs = webhook.signing_secret.as_ref()?;
    // If none is stored, another check reports it.
    (!stored.secrets.is_empty()).then(|| stored.secrets.contains(signs))
}

async fn registered(target: &Target, resend: &Resend, found: &Webhook) -> Check {
    let connect = target.command("connect");
    // The list may omit the event types.
    let webhook = resend.webhook(&found.id).await.unwrap_or_else(|_| found.clone());
    if !webhook.is_enabled() {
        let found =
            "the webhook is disabled, so nothing arrives: Resend disables a webhook after five days of failures";
        let to_do =
            format!("fix the cause (see the other checks), run {connect}, and replay the failed events at Resend");
        return Check::fault(WEBHOOK, found, to_do);
    }
    let has = |event: &&&str| webhook.is_subscribed_to(event);
    let missing: Vec<&str> = NEEDED.iter().filter(|event| !has(event)).copied().collect();
    if !missing.is_empty() {
        let found = format!("the webhook is not subscribed to {}", missing.join(", "));
        return Check::fault(WEBHOOK, found, format!("run {connect}, which subscribes it"));
    }
    if secret_matches(target, &webhook).await == Some(false) {
        let found = "the webhook's signing secret is not the stored one: was it rotated at Resend?";
        let to_do =
            format!("run {connect}, which stores the new secret; for 24 hours Resend signs with the old one too");
        return Check::fault(WEBHOOK, found, to_do);
    }
    let beta: Vec<&str> = NEEDED_WHERE_OFFERED.iter().filter(|event| !has(event)).copied().collect();
    let besides = if beta.is_empty() {
        String::new()
    } else {
        format!("; not to {}, which Resend does not offer to every team yet", beta.join(", "))
    };
    let types = webhook.events.as_ref().map_or("all types".to_owned(), |events| count(events.len(), "type"));
    Check::ok(WEBHOOK, format!("enabled, subscribed to {types}{besides}"))
}

/// Checks the last deliveries: Resend lists those of 30 days.
async fn deliveries(resend: &Resend, webhook: &Webhook, now: UnixMillis) -> Check {
    let events = match resend.events(&webhook.id).await {
        Ok(events) => events,
        Err(error) => return Check::not_checked(DELIVERIES, error.to_string()),
    };
    let Some(last) = events.first() else {
        let to_do = "send an email to delivered@resend.dev, and run the check again";
        return Check::new(DELIVERIES, CheckStatus::Warning, "no event yet").with_to_do(to_do);
    };
    let ago = UnixMillis::parse(&last.created_at).map_or_else(|| last.created_at.clone(), |at| ago(at, now));
    let failed = events.iter().filter(|event| event.status == "failed").count();
    let still_tried = events.iter().filter(|event| is_still_tried(event, now)).count();
    let besides = if still_tried == 0 { String::new() } else { format!(", {still_tried} are being retried") };
    let found = format!(
        "the last event, {}, was created {ago}: {}; {failed} of the last {} failed{besides}",
        last.event_type,
        last.status,
        events.len()
    );
    if failed + still_tried == 0 {
        return Check::ok(DELIVERIES, found);
    }
    if failed == 0 {
        let to_do =
            "fix the cause (see the other checks): Resend retries each event for about 27 hours, and then stops";
        return Check::warning(DELIVERIES, found, to_do);
    }
    let to_do = "when the cause is fixed, replay the failed events at Resend, under Webhooks: events that are stored already are not stored again";
    if last.status == "failed" {
        Check::fault(DELIVERIES, found, to_do)
    } else {
        Check::warning(DELIVERIES, found, to_do)
    }
}

/// Returns true if the first attempt, which is immediate, did not succeed: Resend retries for 27.5 hours before it reports `failed`
/// (<https://resend.com/docs/webhooks/retries-and-replays>).
fn is_still_tried(event: &DeliveryAttempt, now: UnixMillis) -> bool {
    let is_old = UnixMillis::parse(&event.created_at).is_none_or(|at| at.plus(FIRST_TRY) < now);
    matches!(event.status.as_str(), "attempting" | "pending") && is_old
}

/// The time from `at` until now, as text.
pub(super) fn ago(at: UnixMillis, now: UnixMillis) -> String {
    let minutes = (now.0 - at.0) / 60_000;
    match minutes {
        ..2 => "just now".to_owned(),
        2..120 => format!("{minutes} minutes ago"),
        120..2_880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}
