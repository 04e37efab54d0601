//! Recipients who asked to be forgotten: all that is kept is that they must not get email of any kind, under a keyed hash of the address.
//!
//! | `recipient` | holds |
//! | --- | --- |
//! | `#forgotten-key` | `key`, 32 random bytes, made when somebody is forgotten for the first time |
//! | `forgotten#<HMAC-SHA256 of the address, in hex>` | `reasons` = `forgotten`, and since when |
//!
//! Which reasons were active before is erased too: it is personal data. So the one that is kept is the strongest. An item of a forgotten
//! recipient that has `reasons`, whichever they are, means: no email, not even a transactional one, and it never expires ([`is_no`]).
//!
//! Both are in the suppressions table, so whoever may read that needs no other permission, and the rule that an item with `reasons`
//! means "do not send" holds. From the hash the address can't be read; whoever may read the table can find out whether an address
//! that they know already is among the forgotten, which is what the list is for.

use std::fmt;

use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::builders::ConditionCheckBuilder;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::calls::{Calls, check_item};
use super::{Item, recipient_key};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;

/// The item that holds the key.
pub const KEY_ITEM: &str = "#forgotten-key";

/// What the keys of the forgotten begin with.
pub const PREFIX: &str = "forgotten#";

/// The reason in the item of a forgotten recipient. An item that says `opted_out` is read the same.
pub const REASON: &str = "forgotten";

/// Returns true if a key of the suppressions table is that of a forgotten recipient. An address may begin with the same letters, and has an
/// `@`.
pub fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.contains('@')
}

/// Returns true if the item of a forgotten recipient forbids email of any kind: if it has `reasons`. No other attribute can lift that.
pub fn is_no(item: &Item) -> bool {
    item.contains_key("reasons")
}

/// The key that addresses are hashed with. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ForgottenKey(Vec<u8>);

impl ForgottenKey {
    /// A key of these bytes. `None` where there are too few.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() >= 32).then_some(Self(bytes))
    }

    /// The key that an item holds.
    pub fn from_item(item: &Item) -> Option<Self> {
        Self::new(item.get("key")?.as_b().ok()?.as_ref())
    }

    /// The key's bytes, for the item that holds it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key in the table of a recipient who was forgotten.
    pub fn name_of(&self, recipient: &Recipient) -> String {
        // A key of any length will do: https://www.rfc-editor.org/rfc/rfc2104#section-3
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return PREFIX.to_owned() };
        mac.update(recipient.as_str().as_bytes());
        PREFIX.to_owned() + &hex::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for ForgottenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForgottenKey(…)")
    }
}

/// The key, if anybody was ever forgotten.
///
/// # Errors
/// DynamoDB can't be asked.
pub async fn key(calls: &Calls, table: &str) -> Result<Option<ForgottenKey>, CallError> {
    let item = calls.get(table, recipient_key(KEY_ITEM)).await?;
    Ok(item.as_ref().and_then(ForgottenKey::from_item))
}

/// As part of a transaction: nobody of this name was forgotten; of the name [`KEY_ITEM`]: nobody ever was.
pub(super) fn check_name(table: &str, name: &str) -> Result<TransactWriteItem, CallError> {
    let condition = if name == KEY_ITEM { "attribute_not_exists(recipient)" } else { "attribute_not_exists(reasons)" };
    let check = ConditionCheckBuilder::default().table_name(table).set_key(Some(recipient_key(name)));
    check_item(check.condition_expression(condition))
}

/// As part of a transaction: the recipient was not forgotten. `key` is what was last read; without one, that still nobody ever was.
pub(super) fn check_that_not(
    table: &str,
    recipient: &Recipient,
    key: Option<&ForgottenKey>,
) -> Result<TransactWriteItem, CallError> {
    check_name(table, &key.map_or_else(|| KEY_ITEM.to_owned(), |key| key.name_of(recipient)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_whatever_the_case_of_the_address_and_another_for_another_key() {
        let key = ForgottenKey::new([7; 32]).unwrap();
        let (ann, same) =
            (Recipient::parse("ann@example.com").unwrap(), Recipient::parse("Ann <ANN@example.com>").unwrap());
        // Frozen: whoever was forgotten must be found by every later version.
        let expected = "forgotten#61b55fab9c26d32d104ec34ed67a68f9042c022638ba102c71aeabc6b760fe1d";
        assert_eq!(key.name_of(&ann), expected);
        assert_eq!(key.name_of(&ann), key.name_of(&same));
        assert_ne!(key.name_of(&ann), ForgottenKey::new([8; 32]).unwrap().name_of(&ann));
        assert!(ForgottenKey::new([7; 31]).is_none());
        assert_eq!(format!("{key:?}"), "ForgottenKey(…)");
    }

    #[test]
    fn an_address_that_begins_like_a_hash_is_an_address() {
        assert!(is_name("forgotten#61b55fab"));
        for other in ["forgotten#ann@example.com", "#forgotten-key", "ann@example.com", ""] {
            assert!(!is_name(other), "{other}");
        }
    }
}
