//! Connecting a Rebound with Resend: the webhook there, its signing secret here, and the proof that the two fit.
//!
//! ```text
//!   webhook ─▶ subscribed, enabled ─▶ (rotated) ─▶ its secret into Secrets Manager ─▶ proof ─▶ Resend's list taken over
//!      ✗ broken off anywhere: the next run finds what is there, and goes on
//! ```
//!
//! A rotation has no gap: for 24 hours Resend signs with both secrets. The new one is stored with the old one behind it; the function,
//! which knows the old one, accepts what is signed with it until it reads the secret again. A later run drops what is older than that.

pub mod probe;
pub mod secret;

use rebound::policy::ids::short_hash;
use rebound::policy::suppression::{ChangeEffect, Reason, ReasonDetail, SuppressionChange};
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use serde::Serialize;

use self::probe::Proof;
use self::secret::SecretError;
use super::place::{Place, PlaceError, is_local};
use crate::operate::suppressions::import::ListEntry;
use crate::resend_api::{Resend, ResendError, SecretText, Suppressed, Webhook};

/// The types of event that Rebound acts on: they suppress or lift, are counted, tell people, or are decided about. Others are stored, if a
/// webhook is subscribed to them.
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

/// Those of them that Resend does not offer to everybody yet. Without them, `email.suppressed` tells of the same a mail later.
pub const NEEDED_WHERE_OFFERED: [&str; 2] = ["suppression.added", "suppression.removed"];

/// Why it is not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The place can't be found out.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Resend does not answer, or refuses.
    #[error(transparent)]
    Resend(#[from] ResendError),
    /// The secret can't be read or written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no key.
    #[error(
        "no key of Resend's API: set RESEND_API_KEY to one with full access, or put it into the secret that OperatorKeysArn names"
    )]
    NoKey,
    /// What stands in the place of the key is a signing secret.
    #[error(
        "RESEND_API_KEY holds a webhook's signing secret (whsec_…); it takes a key of Resend's API with full access (re_…)"
    )]
    NotAKey,
    /// The secret of a webhook that exists is not told, and the one that is stored does not fit.
    #[error("Resend does not tell the secret of the webhook; run it with --rotate, which gives it a new one")]
    SecretNotTold,
    /// No webhook at Resend is for this URL, as far as they can be read.
    #[error(
        "no webhook at Resend is for this URL, but of one it can't be said ({0}); look at it under Webhooks, and remove it if it is of no use"
    )]
    UnreadWebhook(String),
    /// Nobody answers at the URL, or something else does.
    #[error("there is no Rebound at {url}: {why}. Nothing was changed at Resend; is it the stack's output WebhookUrl?")]
    NotThere {
        /// The URL.
        url: String,
        /// What was found there.
        why: String,
    },
    /// Resend can't reach this machine.
    #[error(
        "{0} is on this machine, where Resend can't reach it; for the Rebound that `rebound dev` runs, and its stand-in for Resend, add --local"
    )]
    OnlyHere(String),
    /// It is no URL of a webhook.
    #[error("{0} is no URL; it begins with https://, and is the stack's output WebhookUrl")]
    NoUrl(String),
}

/// What became of the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// It was made.
    Created,
    /// It was subscribed to more, or enabled.
    Updated,
    /// It was as it must be.
    Unchanged,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connected {
    /// The webhook's URL.
    pub url: String,
    /// The webhook's id at Resend.
    pub webhook: String,
    /// What became of it.
    pub done: Done,
    /// The types that were not subscribed to before.
    pub subscribed: Vec<String>,
    /// The types that Resend does not offer to this team.
    pub not_offered: Vec<String>,
    /// Whether it has a new secret now.
    pub rotated: bool,
    /// Whether the stored secret was changed.
    pub secret_stored: bool,
    /// How many secrets are good now: two, for a day after a rotation.
    pub secrets: usize,
    /// Other webhooks at Resend, for other URLs, which were left alone.
    pub others: Vec<String>,
    /// Webhooks at Resend that can't be read, and were left alone.
    pub unread: Vec<String>,
    /// Whether the function proved that it has the secret.
    pub proof: Proof,
}

/// A client for Resend's API, with the key of the environment, else of the stack's secret that no function may read.
///
/// # Errors
/// There is no key.
pub async fn resend_of(place: &Place) -> Result<Resend, ConnectError> {
    let base = place.variable("RESEND_BASE_URL");
    let key = match place.variable("RESEND_API_KEY") {
        Some(key) => key,
        None => {
            let arn = place.named("OPERATOR_KEYS_ARN").await?;
            secret::field(place, &arn, "RESEND_API_KEY").await?.ok_or(ConnectError::NoKey)?
        }
    };
    if key.trim().starts_with("whsec_") {
        return Err(ConnectError::NotAKey);
    }
    Ok(Resend::new(base.as_deref(), &key)?)
}

/// Connects the Rebound at `url`, or brings what is connected into order. `step` hears what is being done.
///
/// # Errors
/// It may be done in part; to do it again is safe.
pub async fn connect(
    place: &Place,
    url: &str,
    rotate: bool,
    now: UnixMillis,
    step: impl Fn(&'static str),
) -> Result<Connected, ConnectError> {
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err(ConnectError::NoUrl(url.to_owned()));
    }
    let arn = place.named("WEBHOOK_SECRET_ARN").await?;
    let resend = resend_of(place).await?;
    if is_local(url) && !resend.is_near() {
        return Err(ConnectError::OnlyHere(url.to_owned()));
    }
    // Before anything is changed: a webhook for a URL with a typing error would be registered, and disabled after five days of failures.
    step("looking whether a Rebound answers there");
    probe::find(url).await.map_err(|why| ConnectError::NotThere { url: url.to_owned(), why })?;
    step("looking for the webhook at Resend");
    let (all, unread) = resend.webhooks().await?;
    let unread: Vec<String> = unread.iter().map(ToString::to_string).collect();
    let others = all.iter().filter(|webhook| !webhook.is_for(url)).map(|webhook| webhook.endpoint.clone()).collect();
    let stored = secret::read(place, &arn).await?;
    step("bringing the webhook into order");
    let ours: Vec<&Webhook> = all.iter().filter(|webhook| webhook.is_for(url)).collect();
    let (webhook, current, done, subscribed, not_offered) = match ours.first() {
        Some(found) => in_order(&resend, found).await?,
        // One that can't be read may be the one: two for one URL would bring everything twice.
        None if !unread.is_empty() => return Err(ConnectError::UnreadWebhook(unread.join("; "))),
        None => create(&resend, url).await?,
    };
    // Several webhooks may post to one URL, each with a secret of its own.
    let mut good: Vec<SecretText> = current.into_iter().collect();
    for other in ours.iter().skip(1) {
        good.extend(resend.webhook(&other.id).await?.signing_secret);
    }
    let rotated = rotate && done != Done::Created;
    if good.is_empty() {
        // A rotation tells the new secret, whatever was told before.
        if !rotated {
            step("proving the secret that is stored");
            let proof = if stored.secrets.is_empty() { Proof::Wrong } else { probe::prove(url, &stored, &step).await };
            if proof != Proof::Proved {
                return Err(ConnectError::SecretNotTold);
            }
        }
        // Of a single webhook, the newest is the one that is good; what was before the last rotation still signs for a day.
        let newest = if stored.rotated_at.is_some() && ours.len() == 1 { 1 } else { stored.secrets.len() };
        good.extend(stored.secrets.iter().take(newest).cloned());
    }
    // What the function may have until it reads the secret again stays behind a new one.
    let mut next = stored.with(&good, now);
    if rotated {
        step("rotating the signing secret");
        let new = match resend.rotate(&webhook).await? {
            Some(new) => new,
            None => resend.webhook(&webhook).await?.signing_secret.ok_or(ConnectError::SecretNotTold)?,
        };
        next = next.rotated(&new, now);
    }
    let secret_stored = next != stored;
    if secret_stored {
        step("putting the signing secret in place");
        secret::write(place, &arn, &next).await?;
    }
    let proof = probe::prove(url, &next, &step).await;
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

type InOrder = (String, Option<SecretText>, Done, Vec<String>, Vec<String>);

/// A webhook that exists, subscribed to all that is needed, besides what it has already, and enabled.
async fn in_order(resend: &Resend, found: &Webhook) -> Result<InOrder, ConnectError> {
    let webhook = resend.webhook(&found.id).await?;
    let has = |event: &&str| webhook.is_subscribed_to(event);
    let missing: Vec<String> = NEEDED.iter().filter(|event| !has(event)).map(|event| (*event).to_owned()).collect();
    let offered: Vec<String> =
        NEEDED_WHERE_OFFERED.iter().filter(|event| !has(event)).map(|event| (*event).to_owned()).collect();
    let secret = webhook.signing_secret.clone();
    // What is subscribed to every type stays so.
    let events =
        |more: &[&[String]]| webhook.events.as_ref().map(|events| [events.as_slice(), &more.concat()].concat());
    if !offered.is_empty() {
        // Of these it is not known whether Resend offers them to this team.
        match resend.update_webhook(&webhook.id, events(&[&missing, &offered]).as_deref()).await {
            Ok(()) => {
                let subscribed = [missing, offered].concat();
                return Ok((webhook.id, secret, Done::Updated, subscribed, Vec::new()));
            }
            Err(ResendError::Refused { status: 400 | 422, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() && webhook.is_enabled() {
        return Ok((webhook.id, secret, Done::Unchanged, Vec::new(), offered));
    }
    resend.update_webhook(&webhook.id, events(&[&missing]).as_deref()).await?;
    Ok((webhook.id, secret, Done::Updated, missing, offered))
}

async fn create(resend: &Resend, url: &str) -> Result<InOrder, ConnectError> {
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
    Ok((made.0, made.1, Done::Created, subscribed, not_offered))
}

/// Changes that Resend's own list comes to. What has no time of its own is of `now`.
pub fn changes(list: Vec<Suppressed>, now: UnixMillis) -> Vec<ListEntry> {
    let change = |entry: Suppressed| {
        let at = entry.created_at.as_deref().and_then(UnixMillis::parse).map_or(now, |at| at.min(now));
        let id = entry.id.unwrap_or_else(|| short_hash(&[entry.recipient.as_str()]));
        let message = MessageId::from_verified(format!("resend-{id}"));
        let grounds = ReasonDetail { email_id: entry.source_id, detail: entry.origin, until: None };
        let change =
            SuppressionChange { reason: Reason::Provider, at, message, effect: ChangeEffect::Suppress(grounds) };
        ListEntry { recipient: entry.recipient, changes: vec![change] }
    };
    list.into_iter().map(change).collect()
}
