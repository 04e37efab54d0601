//! A suppression item: the suppression state of one recipient, as DynamoDB holds it.

mod stored;

pub use self::stored::{Standing, Stored};
use super::calls::Calls;
use super::forgotten::{self, ForgottenKey};
use super::recipient_key;
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The suppressions table, read by address, and for an operator's changes.
#[derive(Clone, Debug)]
pub struct Suppressions {
    pub(super) calls: Calls,
    pub(super) table: String,
}

impl Suppressions {
    /// Creates a handle for the table `table`.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Returns the reasons that are active at `now`, as stored. An empty list: the recipient can receive email. With a
    /// `key`, forgotten recipients are checked too.
    pub async fn standing(
        &self,
        recipient: &Recipient,
        key: Option<&ForgottenKey>,
        now: UnixMillis,
    ) -> Result<Vec<String>, CallError> {
        let stored = self.find(recipient.as_str()).await?.unwrap_or_default();
        let mut standing: Vec<String> = stored.standing(now).into_iter().map(|standing| standing.reason).collect();
        if self.is_forgotten(recipient, key).await? {
            standing.push(forgotten::REASON.to_owned());
        }
        Ok(standing)
    }

    /// Returns the key of the forgotten recipients, if there is one.
    pub async fn forgotten_key(&self) -> Result<Option<ForgottenKey>, CallError> {
        forgotten::key(&self.calls, &self.table).await
    }

    /// Returns true if the recipient was forgotten, and must not get email of any kind.
    pub async fn is_forgotten(&self, recipient: &Recipient, key: Option<&ForgottenKey>) -> Result<bool, CallError> {
        let Some(key) = key else { return Ok(false) };
        let item = self.calls.get(&self.table, recipient_key(&key.name_of(recipient))).await?;
        Ok(item.as_ref().is_some_and(forgotten::is_no))
    }

    /// Reads the item of a recipient, or of another key.
    pub async fn find(&self, name: &str) -> Result<Option<Stored>, CallError> {
        Ok(self.calls.get(&self.table, recipient_key(name)).await?.map(Stored::from_item))
    }
}

/// The table keys of a recipient: the address, and, with a `key`, the hash that it has if it was forgotten.
pub fn names(recipient: &Recipient, key: Option<&ForgottenKey>) -> Vec<String> {
    let hash = key.map(|key| key.name_of(recipient));
    std::iter::once(recipient.as_str().to_owned()).chain(hash).collect()
}
