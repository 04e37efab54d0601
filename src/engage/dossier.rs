//! The reads outside the email's own rows: everything else that matters for a follow-up. Read only.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws::CallError;
use crate::config::EngageConfig;
use crate::policy::brake::Brake;
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::store::client::RetryClient;
use crate::store::counters::Campaigns;
use crate::store::followups::{Followups, read_facts};
use crate::store::forgotten::{ErasureKey, KEY_ITEM};
use crate::store::suppressions::{Suppressions, lookup_keys};
use crate::time::UnixMillis;

/// Time for which the key of the forgotten recipients is cached, or its absence.
const FORGOTTEN_INTERVAL: Duration = Duration::from_secs(60);

/// The cached key of the forgotten recipients, if there is one, and the time of its read. `None` until it is read.
#[derive(Debug, Default)]
pub(super) struct ForgottenCache(Mutex<Option<(Instant, Option<ErasureKey>)>>);

/// Reads suppressions, opt-out clicks, follow-ups and brakes.
pub(super) struct Dossier<'a> {
    suppressions: Suppressions,
    calls: RetryClient,
    recipients_table: &'a str,
    campaigns: Campaigns,
    forgotten: &'a ForgottenCache,
    now: UnixMillis,
}

/// Suppressions, opt-out click and follow-ups of one recipient.
#[derive(Clone, Debug)]
pub(super) struct RecipientStatus {
    /// The reasons why the recipient is suppressed.
    pub(super) suppressed: Vec<String>,
    /// Time until which the recipient's clicks on opt-out and preference links block follow-ups.
    pub(super) opted_out_until: Option<UnixMillis>,
    /// The recipient's follow-ups, with the version that was read.
    pub(super) followups: Followups,
    /// The keys in the suppressions table that must not be suppressed when a follow-up is stored.
    pub(super) keys: Vec<String>,
}

impl<'a> Dossier<'a> {
    /// Creates a reader of these tables at `now`.
    pub(super) fn new(
        calls: &RetryClient,
        config: &'a EngageConfig,
        forgotten: &'a ForgottenCache,
        now: UnixMillis,
    ) -> Self {
        Self {
            suppressions: Suppressions::new(calls.clone(), &config.tables.suppressions),
            calls: calls.clone(),
            recipients_table: &config.tables.recipients,
            campaigns: Campaigns::new(calls.clone(), &config.tables.campaigns),
            forgotten,
            now,
        }
    }

    /// Reads the status of a recipient, strongly consistent.
    pub(super) async fn recipient(&self, recipient: &Recipient) -> Result<RecipientStatus, CallError> {
        let key = self.forgotten().await?;
        let known = read_facts(&self.calls, self.recipients_table, recipient).await?;
        let suppressed = self.suppressions.active_reasons(recipient, key.as_ref(), self.now).await?;
        let mut keys = lookup_keys(recipient, key.as_ref());
        if key.is_none() {
            // Up to a minute ago, no recipient had been forgotten: this must still be so.
            keys.push(KEY_ITEM.to_owned());
        }
        Ok(RecipientStatus { suppressed, opted_out_until: known.opted_out_until, followups: known.followups, keys })
    }

    /// Reads a campaign's brake, strongly consistent.
    pub(super) async fn brake(&self, campaign: &Campaign) -> Result<Option<Brake>, CallError> {
        Ok(self.campaigns.state(campaign).await?.map(|state| state.brake))
    }

    /// Drops the cached key of the forgotten recipients, because the first one may have been forgotten just now.
    pub(super) async fn drop_forgotten_key(&self) {
        *self.forgotten.0.lock().await = None;
    }

    /// Returns the key of the forgotten recipients, if there is one. Read once a minute.
    async fn forgotten(&self) -> Result<Option<ErasureKey>, CallError> {
        let mut cached = self.forgotten.0.lock().await;
        if let Some((_, key)) = cached.as_ref().filter(|(read_at, _)| read_at.elapsed() < FORGOTTEN_INTERVAL) {
            return Ok(key.clone());
        }
        let key = self.suppressions.forgotten_key().await?;
        *cached = Some((Instant::now(), key.clone()));
        Ok(key)
    }
}
