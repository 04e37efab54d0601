//! Connects a stack with Resend: the webhook there, its signing secret here, and a check that the two match.
//!
//! ```text
//!   webhook ─▶ subscribed, enabled ─▶ (rotated) ─▶ its secret into Secrets Manager ─▶ probe ─▶ Resend's list imported
//!      ✗ interrupted anywhere: the next run continues from the stored state
//! ```
//!
//! A rotation has no gap: for 24 hours Resend signs with both secrets. The new secret is stored in front of the old one. The function
//! knows the old secret, and accepts its signatures until it reloads. A later run drops secrets that are older than 24 hours.

pub mod probe;
pub mod secret;

use rebound::policy::ids::short_hash;
use rebound::policy::suppression::{ChangeEffect, Reason, ReasonDetail, SuppressionChange};
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use serde::Serialize;

use self::probe::ProbeResult;
use self::secret::SecretStoreError;
use super::target::{Target, TargetError, is_local};
use crate::operate::suppressions::import::ListEntry;
use crate::resend_api::{Resend, ResendError, ResendSuppression, SecretText, Webhook};

/// The event types that Rebound acts on: they suppress or lift, are counted, send alerts, or lead to decisions. Other types are stored, if
/// a webhook is subscribed to them.
pub const NEEDED: [&str; 16] = [
    "email.sent",
    "email.scheduled",
    "email.delivered",
    "email.delivery_delayed",
    "email.complained",
    "email.bounced",
    "email.opened",
    "email.clicked",
    "email.failed",
    "email.suppressed",
    "contact.created",
    "contact.updated",
    "contact.deleted",
    "domain.created",
    "domain.updated",
    "domain.deleted",
];

/// The needed event types that Resend does not offer to every team yet. Without them, `email.suppressed` reports the same one email later.
pub const NEEDED_WHERE_OFFERED: [&str; 2] = ["suppression.added", "suppression.removed"];

/// A failure of `connect`.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The target can't be resolved.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A call of Resend's API failed.
    #[error(transparent)]
    Resend(#[from] ResendError),
    /// The secret can't be read or written.
    #[error(transparent)]
    Secret(#[from] SecretStoreError),
    /// No Resend API key is set.
    #[error(
        "no Resend API key is set: set RESEND_API_KEY to a key with full access, or store it in the secret that OperatorKeysArn names"
    )]
    NoKey,
    /// The key is a signing secret.
    #[error(
        "RESEND_API_KEY holds a webhook's signing secret (whsec_…); it must be a Resend API key with full access (re_…)"
    )]
    NotAKey,
    /// Resend does not return the secret of an existing webhook, and the stored secret does not match.
    #[error(
        "Resend did not return the webhook's signing secret; run the command with --rotate, which creates a new secret"
    )]
    SecretHidden,
    /// No readable webhook at Resend has this URL, and some webhooks can't be read.
    #[error(
        "no webhook at Resend has this URL, but one webhook could not be read ({0}); check it at Resend, under Webhooks, and delete it if it is not needed"
    )]
    UnreadWebhook(String),
    /// The URL is not a Rebound function URL.
    #[error(
        "{url} is not a Rebound function URL: {why}. Nothing was changed at Resend; use the stack's output WebhookUrl"
    )]
    NotThere {
        /// The URL.
        url: String,
        /// The response to the probe.
        why: String,
    },
    /// Resend can't reach this machine.
    #[error(
        "{0} is on this machine, where Resend can't reach it; to use `rebound dev` and its Resend stub, add --local"
    )]
    OnlyHere(String),
    /// The URL is invalid.
    #[error("{0} is not a valid URL; use the stack's output WebhookUrl, which begins with https://")]
    NoUrl(String),
}

/// The change that was made to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookChange {
    /// The webhook was created.
    Created,
    /// The webhook was subscribed to more types, or enabled.
    Updated,
    /// The webhook was configured correctly already.
    Unchanged,
}

/// The result of `connect`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connected {
    /// The webhook's URL.
    pub url: String,
    /// The webhook's id at Resend.
    pub webhook: String,
    /// The change that was made to the webhook.
    pub done: WebhookChange,
    /// The types that were not subscribed to before.
    pub subscribed: Vec<String>,
    /// The types that Resend does not offer to this team.
    pub not_offered: Vec<String>,
    /// True if the webhook has a new secret now.
    pub rotated: bool,
    /// True if the stored secret was changed.
    pub secret_stored: bool,
    /// Number of valid secrets: two, for a day after a rotation.
    pub secrets: usize,
    /// Other webhooks at Resend, for other URLs, which were left alone.
    pub others: Vec<String>,
    /// Webhooks at Resend that can't be read, and were left alone.
    pub unread: Vec<String>,
    /// The result of the probe: does the function have the secret?
    pub proof: ProbeResult,
}

/// A client of Resend's API, with the key of the environment, or else of the stack's secret that no function can read.
///
/// # Errors
/// `NoKey`: no key is set. `NotAKey`: the key is a signing secret.
pub async fn resend_of(target: &Target) -> Result<Resend, ConnectError> {
    let base = target.variable("RESEND_BASE_URL");
    let key = match target.variable("RESEND_API_KEY") {
        Some(key) => key,
        None => {
            let arn = target.lookup("OPERATOR_KEYS_ARN").await?;
            secret::field(target, &arn, "RESEND_API_KEY").await?.ok_or(ConnectError::NoKey)?
        }
    };
    if key.trim().starts_with("whsec_") {
        return Err(ConnectError::NotAKey);
    }
    Ok(Resend::new(base.as_deref(), &key)?)
}

/// Connects the Rebound at `url`, or corrects an existing connection. `step` is called at the start of each step, with its description.
///
/// # Errors
/// After an error some steps may be done. Running it again is safe.
pub async fn connect(
    target: &Target,
    url: &str,
    rotate: bool,
    now: UnixMillis,
    step: impl Fn(&'static str),
) -> Result<Connected, ConnectError> {
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(ConnectError::NoUrl(url.to_owned()));
    }
    let arn = target.lookup("WEBHOOK_SECRET_ARN").await?;
    let resend = resend_of(target).await?;
    if is_local(url) && !is_local(resend.base()) {
        return Err(ConnectError::OnlyHere(url.to_owned()));
    }
    // Before anything is changed: a webhook with a mistyped URL would be registered, and disabled after five days of failures.
    step("checking that the URL is a Rebound function URL");
    probe::find(url).await.map_err(|why| ConnectError::NotThere { url: url.to_owned(), why })?;
    step("looking for the webhook at Resend");
    let (all, unread) = resend.webhooks().await?;
    let unread: Vec<String> = unread.iter().map(ToString::to_string).collect();
    let others = all.iter().filter(|webhook| !webhook.is_for(url)).map(|webhook| webhook.endpoint.clone()).collect();
    let stored = secret::read(target, &arn).await?;
    step("configuring the webhook");
    let ours: Vec<&Webhook> = all.iter().filter(|webhook| webhook.is_for(url)).collect();
    let (webhook, current, done, subscribed, not_offered) = match ours.first() {
        Some(found) => ensure_subscribed(&resend, found).await?,
        // A webhook that can't be read may be the one: two webhooks for one URL would deliver everything twice.
        None if !unread.is_empty() => return Err(ConnectError::UnreadWebhook(unread.join("; "))),
        None => create(&resend, url).await?,
    };
    // Several webhooks may post to one URL, each with a secret of its own.
    let mut good: Vec<SecretText> = current.into_iter().collect();
    for other in ours.iter().skip(1) {
        good.extend(resend.webhook(&other.id).await?.signing_secret);
    }
    let rotated = rotate && done != WebhookChange::Created;
    if good.is_empty() {
        // A rotation returns the new secret in any case.
        if !rotated {
            step("verifying the stored secret");
            let proof = if stored.secrets.is_empty() {
                ProbeResult::Wrong
            } else {
                probe::verify_secret(url, &stored, &step).await
            };
            if proof != ProbeResult::Proved {
                return Err(ConnectError::SecretHidden);
            }
        }
        // For a single webhook, the newest stored secret is the valid one; the one before the last rotation still signs for a day.
        let newest = if stored.rotated_at.is_some() && ours.len() == 1 { 1 } else { stored.secrets.len() };
        good.extend(stored.secrets.iter().take(newest).cloned());
    }
    // The secret that the function may have until it reloads stays behind a new one.
    let mut next = stored.with(&good, now);
    if rotated {
        step("rotating the signing secret");
        let new = match resend.rotate(&webhook).await? {
            Some(new) => new,
            None => resend.webhook(&webhook).await?.signing_secret.ok_or(ConnectError::SecretHidden)?,
        };
        next = next.rotated(&new, now);
    }
    let secret_stored = next != stored;
    if secret_stored {
        step("storing the signing secret");
        secret::write(target, &arn, &next).await?;
    }
    let proof = probe::verify_secret(url, &next, &step).await;
    let (url, secrets) = (url.to_owned(), next.secrets.len());
    Ok(Connected {
        url,
        webhook,
        done,
        subscribed,
        not_offered,
        rotated,
        secret_stored,
        secrets,
        others,
        unread,
        proof,
    })
}

type WebhookState = (String, Option<SecretText>, WebhookChange, Vec<String>, Vec<String>);

/// Subscribes an existing webhook to every needed type, besides its present types, and enables it.
async fn ensure_subscribed(resend: &Resend, found: &Webhook) -> Result<WebhookState, ConnectError> {
    let webhook = resend.webhook(&found.id).await?;
    let has = |event: &&str| webhook.is_subscribed_to(event);
    let missing: Vec<String> = NEEDED.iter().filter(|event| !has(event)).map(|event| (*event).to_owned()).collect();
    let offered: Vec<String> =
        NEEDED_WHERE_OFFERED.iter().filter(|event| !has(event)).map(|event| (*event).to_owned()).collect();
    let secret = webhook.signing_secret.clone();
    // A webhook that is subscribed to every type stays so.
    let events =
        |more: &[&[String]]| webhook.events.as_ref().map(|events| [events.as_slice(), &more.concat()].concat());
    if !offered.is_empty() {
        // Resend may not offer these types to this team.
        match resend.update_webhook(&webhook.id, events(&[&missing, &offered]).as_deref()).await {
            Ok(()) => {
                let subscribed = [missing, offered].concat();
                return Ok((webhook.id, secret, WebhookChange::Updated, subscribed, Vec::new()));
            }
            Err(ResendError::Refused { status: 400 | 422, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() && webhook.is_enabled() {
        return Ok((webhook.id, secret, WebhookChange::Unchanged, Vec::new(), offered));
    }
    resend.update_webhook(&webhook.id, events(&[&missing]).as_deref()).await?;
    Ok((webhook.id, secret, WebhookChange::Updated, missing, offered))
}

async fn create(resend: &Resend, url: &str) -> Result<WebhookState, ConnectError> {
    let owned = |events: &[&str]| events.iter().map(|event| (*event).to_owned()).collect::<Vec<String>>();
    let (needed, offered) = (owned(&NEEDED), owned(&NEEDED_WHERE_OFFERED));
    let all = [needed.clone(), offered.clone()].concat();
    let (made, subscribed, not_offered) = match resend.create_webhook(url, &all).await {
        Ok(made) => (made, all, Vec::new()),
        Err(ResendError::Refused { status: 400 | 422, .. }) => {
            (resend.create_webhook(url, &needed).await?, needed, offered)
        }
        Err(error) => return Err(error.into()),
    };
    Ok((made.0, made.1, WebhookChange::Created, subscribed, not_offered))
}

/// The changes that import Resend's own suppression list. An entry without a time gets `now`.
pub fn changes(list: Vec<ResendSuppression>, now: UnixMillis) -> Vec<ListEntry> {
    let change = |entry: ResendSuppression| {
        let at = entry.created_at.as_deref().and_then(UnixMillis::parse).map_or(now, |at| at.min(now));
        let id = entry.id.unwrap_or_else(|| short_hash(&[entry.recipient.as_str()]));
        let message = MessageId::from_verified(format!("resend-{id}"));
        let details = ReasonDetail { email_id: entry.source_id, detail: entry.origin, until: None };
        let change =
            SuppressionChange { reason: Reason::Provider, at, message, effect: ChangeEffect::Suppress(details) };
        ListEntry { recipient: entry.recipient, changes: vec![change.into()] }
    };
    list.into_iter().map(change).collect()
}
