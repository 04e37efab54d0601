//! A suppression item: the suppression state of one recipient, as DynamoDB holds it.

mod item;
mod maps;
mod send_check;

pub use self::item::{ActiveReason, SuppressionItem};
pub use self::send_check::{EmailKind, NOT_AN_ADDRESS, SendCheck, TOPIC_OUT};
use super::client::RetryClient;
use super::forgotten::{self, ErasureKey};
use super::recipient_key;
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The suppressions table, read by address, and for an operator's changes.
#[derive(Clone, Debug)]
pub struct Suppressions {
    pub(super) calls: RetryClient,
    pub(super) table: String,
}

impl Suppressions {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Returns the reasons against an email that is not transactional, at `now`. An empty list: the recipient can receive
    /// it. With a `key`, forgotten recipients are checked too.
    pub async fn active_reasons(
        &self,
        recipient: &Recipient,
        key: Option<&ErasureKey>,
        now: UnixMillis,
    ) -> Result<Vec<String>, CallError> {
        let own = self.find(recipient.as_str()).await?;
        let is_forgotten = self.is_forgotten(recipient, key).await?;
        let answer = SendCheck::of(own.as_ref(), is_forgotten, EmailKind::default(), now);
        Ok(answer.reasons().into_iter().map(str::to_owned).collect())
    }

    /// Returns the key of the forgotten recipients, if there is one.
    pub async fn forgotten_key(&self) -> Result<Option<ErasureKey>, CallError> {
        forgotten::key(&self.calls, &self.table).await
    }

    /// Returns true if the recipient was forgotten, and must not get email of any kind.
    pub async fn is_forgotten(&self, recipient: &Recipient, key: Option<&ErasureKey>) -> Result<bool, CallError> {
        let Some(key) = key else { return Ok(false) };
        let item = self.calls.get(&self.table, recipient_key(&key.name_of(recipient))).await?;
        Ok(item.as_ref().is_some_and(forgotten::is_no))
    }

    /// Reads the item of a recipient, or of another key.
    pub async fn find(&self, name: &str) -> Result<Option<SuppressionItem>, CallError> {
        Ok(self.calls.get(&self.table, recipient_key(name)).await?.map(SuppressionItem::from_item))
    }
}

/// The table keys of a recipient: the address, and, with a `key`, the hash that it has if it was forgotten.
pub fn lookup_keys(recipient: &Recipient, key: Option<&ErasureKey>) -> Vec<String> {
    let hash = key.map(|key| key.name_of(recipient));
    std::iter::once(recipient.as_str().to_owned()).chain(hash).collect()
}

#[cfg(test)]
mod tests;
