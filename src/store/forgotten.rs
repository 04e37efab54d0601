//! Forgotten recipients. Only the fact that they must not get email of any kind is kept, under a keyed hash of the
//! address.
//!
//! | `recipient` | holds |
//! | --- | --- |
//! | `#forgotten-key` | `key`, 32 random bytes, created for the first recipient who is forgotten |
//! | `forgotten#<HMAC-SHA256 of the address, in hex>` | `reasons` = `forgotten`, and since when |
//!
//! The previous reasons are erased too, because they are personal data. So the remaining reason is the strictest. An
//! item of a forgotten recipient with any `reasons` means: no email, not even a transactional one. It never expires
//! ([`is_no`]).
//!
//! Both items are in the suppressions table, so a reader needs no other permission, and an item with `reasons` still
//! means "do not send". The address cannot be computed from the hash. A reader of the table can check if an address
//! that they already know is forgotten, which is the purpose of the table.

use std::fmt;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::client::{RetryClient, check_item};
use super::{Item, recipient_key};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;

/// The item that holds the key.
pub const KEY_ITEM: &str = "#forgotten-key";

/// Prefix of the keys of forgotten recipients.
pub const PREFIX: &str = "forgotten#";

/// The reason in the item of a forgotten recipient. The value `opted_out` has the same effect.
pub const REASON: &str = "forgotten";

/// Returns true if a key of the suppressions table belongs to a forgotten recipient. An address may have the same
/// prefix, but contains an `@`.
pub fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.contains('@')
}

/// Returns true if the item of a forgotten recipient forbids email of any kind: if it has `reasons`. No other attribute
/// can lift that.
pub fn is_no(item: &Item) -> bool {
    item.contains_key("reasons")
}

/// The key of the hash. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ErasureKey(Vec<u8>);

impl ErasureKey {
    /// Creates a key from these bytes. Returns `None` if there are fewer than 32.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() >= 32).then_some(Self(bytes))
    }

    /// Reads the key from its item.
    pub fn from_item(item: &Item) -> Option<Self> {
        Self::new(item.get("key")?.as_b().ok()?.as_ref())
    }

    /// The key's bytes, for the item that holds it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The table key of a forgotten recipient.
    pub fn name_of(&self, recipient: &Recipient) -> String {
        // HMAC takes a key of any length: https://www.rfc-editor.org/rfc/rfc2104#section-3
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return PREFIX.to_owned() };
        mac.update(recipient.as_str().as_bytes());
        PREFIX.to_owned() + &hex::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasureKey(…)")
    }
}

/// Reads the key. Returns `None` if no recipient was ever forgotten.
pub async fn key(calls: &RetryClient, table: &str) -> Result<Option<ErasureKey>, CallError> {
    let item = calls.get(table, recipient_key(KEY_ITEM)).await?;
    Ok(item.as_ref().and_then(ErasureKey::from_item))
}

/// Builds a check as part of a transaction: no forgotten recipient has this key. For [`KEY_ITEM`]: no recipient was
/// ever forgotten.
pub(super) fn check_name(table: &str, name: &str) -> Result<TransactWriteItem, CallError> {
    let condition = if name == KEY_ITEM { "attribute_not_exists(recipient)" } else { "attribute_not_exists(reasons)" };
    let check = ConditionCheckBuilder::default().table_name(table).set_key(Some(recipient_key(name)));
    check_item(check.condition_expression(condition))
}

/// Builds a check as part of a transaction: the recipient was not forgotten. `key` is the key as last read; without
/// one, still no recipient may have been forgotten.
pub(super) fn check_not_forgotten(
    table: &str,
    recipient: &Recipient,
    key: Option<&ErasureKey>,
) -> Result<TransactWriteItem, CallError> {
    check_name(table, &key.map_or_else(|| KEY_ITEM.to_owned(), |key| key.name_of(recipient)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_ignores_the_case_and_depends_on_the_key() {
        let key = ErasureKey::new([7; 32]).unwrap();
        let (ann, same) =
            (Recipient::parse("ann@example.com").unwrap(), Recipient::parse("Ann <ANN@example.com>").unwrap());
        // Frozen: later versions must still find every forgotten recipient.
        let expected = "forgotten#61b55fab9c26d32d104ec34ed67a68f9042c022638ba102c71aeabc6b760fe1d";
        assert_eq!(key.name_of(&ann), expected);
        assert_eq!(key.name_of(&ann), key.name_of(&same));
        assert_ne!(key.name_of(&ann), ErasureKey::new([8; 32]).unwrap().name_of(&ann));
        assert!(ErasureKey::new([7; 31]).is_none());
        assert_eq!(format!("{key:?}"), "ErasureKey(…)");
    }

    #[test]
    fn an_address_that_begins_like_a_hash_is_an_address() {
        assert!(is_name("forgotten#61b55fab"));
        for other in ["forgotten#ann@example.com", "#forgotten-key", "ann@example.com", ""] {
            assert!(!is_name(other), "{other}");
        }
    }
}
