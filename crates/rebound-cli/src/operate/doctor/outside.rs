//! Resend: is the key good, is the webhook there, and what came of the last deliveries?

use rebound::policy::count::count;
use std::time::Duration;

use rebound::time::UnixMillis;

use super::{Check, Verdict};
use crate::operate::connect::{ConnectError, NEEDED, NEEDED_WHERE_OFFERED, resend_of, secret};
use crate::operate::place::Place;
use crate::resend_api::{Delivered, Resend, ResendError, Webhook};

const KEY: &str = "Resend's key";
const WEBHOOK: &str = "webhook at Resend";
const DELIVERIES: &str = "deliveries at Resend";

/// Time in which the first try of a delivery has ended: Resend waits 15 s for an answer.
const FIRST_TRY: Duration = Duration::from_secs(60);

pub(super) async fn resend(place: &Place, url: Option<&str>, now: UnixMillis) -> Vec<Check> {
    let resend = match resend_of(place).await {
        Ok(resend) => resend,
        Err(ConnectError::NoKey) => {
            let found = "none is set, so nothing can be looked at there";
            let to_do =
                "set RESEND_API_KEY to one with full access, or put it into the secret that OperatorKeysArn names";
            return vec![Check::not_checked(KEY, found).with_to_do(to_do)];
        }
        Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
    };
    let (all, unread) = match resend.webhooks().await {
        Ok(all) => all,
        Err(error @ (ResendError::Key(_) | ResendError::SendingOnly)) => {
            return vec![Check::fault(KEY, error.to_string(), "set RESEND_API_KEY to one with full access")];
        }
        Err(error) => return vec![Check::not_checked(KEY, error.to_string())],
    };
    let key = match unread.first() {
        None => Check::ok(KEY, "it is good"),
        Some(first) => Check::warning(
            KEY,
            format!(
                "it is good; of {}, {} can't be read: {first}",
                count(all.len() + unread.len(), "webhook"),
                unread.len()
            ),
            "look at them at Resend, under Webhooks",
        ),
    };
    let url = match url {
        Some(url) => url.to_owned(),
        None => match place.named("REBOUND_FUNCTION_URL").await {
            Ok(url) => url,
            Err(error) => return vec![key, Check::not_checked(WEBHOOK, error.to_string())],
        },
    };
    let Some(webhook) = all.iter().find(|webhook| webhook.is_for(&url)) else {
        let found = format!("there is none for {url}");
        return vec![key, Check::fault(WEBHOOK, found, format!("run {}", place.command("connect")))];
    };
    vec![key, registered(place, &resend, webhook).await, deliveries(&resend, webhook, now).await]
}

/// Whether the secret that Resend signs with is among those that are stored. `None`: it can't be told.
async fn fits(place: &Place, webhook: &Webhook) -> Option<bool> {
    let arn = place.named("WEBHOOK_SECRET_ARN").await.ok()?;
    let stored = secret::read(place, &arn).await.ok()?;
    let signs = webhook.signing_secret.as_ref()?;
    // Without any, another check says so.
    (!stored.secrets.is_empty()).then(|| stored.secrets.contains(signs))
}

async fn registered(place: &Place, resend: &Resend, found: &Webhook) -> Check {
    let connect = place.command("connect");
    // The list may leave the types out.
    let webhook = resend.webhook(&found.id).await.unwrap_or_else(|_| found.clone());
    if !webhook.is_enabled() {
        let found = "it is disabled, so nothing arrives: Resend does that after five days of failures";
        let to_do =
            format!("remove the cause (the other checks say more), run {connect}, and replay what failed at Resend");
        return Check::fault(WEBHOOK, found, to_do);
    }
    let has = |event: &&&str| webhook.is_subscribed_to(event);
    let missing: Vec<&str> = NEEDED.iter().filter(|event| !has(event)).copied().collect();
    if !missing.is_empty() {
        let found = format!("it is not subscribed to {}", missing.join(", "));
        return Check::fault(WEBHOOK, found, format!("run {connect}, which subscribes it"));
    }
    if fits(place, &webhook).await == Some(false) {
        let found = "the secret that it signs with is not the one that is stored: was it rotated at Resend?";
        let to_do = format!("run {connect}, which puts it in place; Resend signs with the old one too for 24 hours");
        return Check::fault(WEBHOOK, found, to_do);
    }
    let beta: Vec<&str> = NEEDED_WHERE_OFFERED.iter().filter(|event| !has(event)).copied().collect();
    let besides = if beta.is_empty() {
        String::new()
    } else {
        format!("; not to {}, which is not offered to everybody yet", beta.join(", "))
    };
    let types = webhook.events.as_ref().map_or("all types".to_owned(), |events| count(events.len(), "type"));
    Check::ok(WEBHOOK, format!("enabled, subscribed to {types}{besides}"))
}

/// What came of the last events: Resend tells of 30 days.
async fn deliveries(resend: &Resend, webhook: &Webhook, now: UnixMillis) -> Check {
    let events = match resend.events(&webhook.id).await {
        Ok(events) => events,
        Err(error) => return Check::not_checked(DELIVERIES, error.to_string()),
    };
    let Some(last) = events.first() else {
        let to_do = "send a mail to delivered@resend.dev, and look again";
        return Check::new(DELIVERIES, Verdict::Warning, "no event yet").with_to_do(to_do);
    };
    let ago = UnixMillis::parse(&last.created_at).map_or_else(|| last.created_at.clone(), |at| ago(at, now));
    let failed = events.iter().filter(|event| event.status == "failed").count();
    let still_tried = events.iter().filter(|event| is_still_tried(event, now)).count();
    let besides = if still_tried == 0 { String::new() } else { format!(", {still_tried} are still being tried") };
    let found = format!(
        "the last one, {}, came about {ago}: {}; {failed} of the last {} failed{besides}",
        last.event_type,
        last.status,
        events.len()
    );
    if failed + still_tried == 0 {
        return Check::ok(DELIVERIES, found);
    }
    if failed == 0 {
        let to_do = "remove the cause (the other checks say more): Resend tries each event for about 27 hours, and then no more";
        return Check::warning(DELIVERIES, found, to_do);
    }
    let to_do = "when the cause is gone, replay the failed ones at Resend, under Webhooks: what was stored before is not stored again";
    if last.status == "failed" {
        Check::fault(DELIVERIES, found, to_do)
    } else {
        Check::warning(DELIVERIES, found, to_do)
    }
}

/// Returns true if the first try, which comes at once, did not succeed: Resend goes on for 27.5 hours before it says `failed`
/// (<https://resend.com/docs/webhooks/retries-and-replays>).
fn is_still_tried(event: &Delivered, now: UnixMillis) -> bool {
    let is_old = UnixMillis::parse(&event.created_at).is_none_or(|at| at.plus(FIRST_TRY) < now);
    matches!(event.status.as_str(), "attempting" | "pending") && is_old
}

/// A span until now, in words.
pub(super) fn ago(at: UnixMillis, now: UnixMillis) -> String {
    let minutes = (now.0 - at.0) / 60_000;
    match minutes {
        ..2 => "just now".to_owned(),
        2..120 => format!("{minutes} minutes ago"),
        120..2_880 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}
