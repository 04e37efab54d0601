//! Requests to Resend: with the key of `act`, at the rate of all runs, on a connection that is open before one begins.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::RequestRate;
use crate::aws::secret::Secret;
use crate::policy::followup::sending::asked_with;
use crate::resend::api::key::ResendKey;
use crate::resend::api::{NoResponse, ResendApi, ResendResponse};
use crate::time::UnixMillis;

/// Time for which a connection counts as open after a response. Servers close idle ones later.
const OPEN: Duration = Duration::from_secs(5);

/// Maximum age of a key.
pub(super) const MAX_KEY_AGE: Duration = Duration::from_secs(5 * 60);

/// The requests of a run.
pub(super) struct ResendRequests<'a> {
    api: &'a ResendApi,
    key: &'a Secret<ResendKey>,
    pub(super) rate: RequestRate,
    /// Time of the last response, after which the connection is open.
    connected_at: Option<Instant>,
}

impl<'a> ResendRequests<'a> {
    pub(super) fn new(api: &'a ResendApi, key: &'a Secret<ResendKey>, rate: RequestRate) -> Self {
        Self { api, key, rate, connected_at: None }
    }

    /// The API key, read again when it is older than five minutes.
    pub(super) async fn key(&self) -> Option<Arc<ResendKey>> {
        self.key.refresh(MAX_KEY_AGE).await;
        self.key.get().await
    }

    /// Reads the API key again, because Resend refused this one.
    pub(super) async fn reload_key(&self, refused: &Arc<ResendKey>) {
        self.key.reload(Some(refused)).await;
    }

    /// The fingerprint of what requests with this key are made with.
    pub(super) fn asked_with(&self, key: &ResendKey) -> String {
        asked_with(self.api.base_url(), key.expose())
    }

    /// Opens the connection, so that a request begins as soon as it may.
    pub(super) async fn connect(&mut self) {
        if self.connected_at.is_none_or(|at| at.elapsed() > OPEN) {
            let _ = tokio::time::timeout(OPEN, self.api.connect()).await;
            self.connected_at = Some(Instant::now());
        }
    }

    /// Sends an email.
    ///
    /// # Errors
    /// There is no complete response: the email may have been accepted.
    pub(super) async fn send_email(
        &mut self,
        key: &ResendKey,
        idempotency_key: &str,
        body: String,
    ) -> Result<ResendResponse, NoResponse> {
        self.rate.begin(UnixMillis::now());
        let response = self.api.send_email(key, idempotency_key, body).await;
        self.end(response)
    }

    /// Unsubscribes a contact.
    ///
    /// # Errors
    /// There is no complete response: the contact may be unsubscribed.
    pub(super) async fn unsubscribe_contact(
        &mut self,
        key: &ResendKey,
        address: &str,
    ) -> Result<ResendResponse, NoResponse> {
        self.rate.begin(UnixMillis::now());
        let response = self.api.unsubscribe_contact(key, address).await;
        self.end(response)
    }

    fn end(&mut self, response: Result<ResendResponse, NoResponse>) -> Result<ResendResponse, NoResponse> {
        self.rate.end();
        self.connected_at = response.as_ref().ok().map(|_| Instant::now());
        response
    }
}
