//! A suppression item: what policy knows of a recipient, as DynamoDB holds it.
//!
//! | attribute | value |
//! | --- | --- |
//! | `recipient` | the bare, lower-cased address |
//! | `reasons` | the set of reasons that stand; absent when none does |
//! | one map for each reason ever heard of, under its name | `at`, `message_id`, `email_id`, `detail`, `until` of the newest change that suppressed; `lifted_at`, `lifted_by` of the newest that lifted |
//! | `until` | milliseconds; only where all that stands will lapse |
//! | `expires_at` | seconds, DynamoDB's TTL; only where nothing stands for good |
//! | `version` | goes up with each write; the next write's condition |

mod stored;

pub use self::stored::{Standing, Stored};
use super::calls::Calls;
use super::forgotten::{self, ForgottenKey};
use super::recipient_key;
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The suppressions table, for whoever reads it by address; and for changes by hand.
#[derive(Clone, Debug)]
pub struct Suppressions {
    pub(super) calls: Calls,
    pub(super) table: String,
}

impl Suppressions {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Why a recipient must not be written to at `now`: the reasons that stand, as the table has them. None: nothing stands. With a
    /// `key`, it is also looked whether the recipient was forgotten.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
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

    /// The key under which people were forgotten, if there is one.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn forgotten_key(&self) -> Result<Option<ForgottenKey>, CallError> {
        forgotten::key(&self.calls, &self.table).await
    }

    /// Returns true if the recipient was forgotten, and so must not get email of any kind.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn is_forgotten(&self, recipient: &Recipient, key: Option<&ForgottenKey>) -> Result<bool, CallError> {
        let Some(key) = key else { return Ok(false) };
        let item = self.calls.get(&self.table, recipient_key(&key.name_of(recipient))).await?;
        Ok(item.as_ref().is_some_and(forgotten::is_no))
    }

    /// What is known of a recipient, or of whatever else has this key.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn find(&self, name: &str) -> Result<Option<Stored>, CallError> {
        Ok(self.calls.get(&self.table, recipient_key(name)).await?.map(Stored::from_item))
    }
}

/// Under which keys a recipient may stand: the address, and, where there is a key, the hash that it has if it was forgotten.
pub fn names(recipient: &Recipient, key: Option<&ForgottenKey>) -> Vec<String> {
    let hash = key.map(|key| key.name_of(recipient));
    std::iter::once(recipient.as_str().to_owned()).chain(hash).collect()
}
