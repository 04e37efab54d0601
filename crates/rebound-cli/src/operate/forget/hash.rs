//! The keyed hash that remains of an erased address.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::CallError;
use rebound::store::client::{ConditionalWrite, UpdateExpression};
use rebound::store::forgotten::{ErasureKey, KEY_ITEM, REASON};
use rebound::store::suppressions::Suppressions;
use rebound::store::{Item, number, recipient_key};

use super::{ForgetError, Forgetting};
use crate::operate::audit::AuditNote;

impl Forgetting<'_> {
    /// Stores that the address is suppressed, with the audit entry, before anything is erased.
    pub(super) async fn keep_the_hash(&self, note: &AuditNote) -> Result<(), ForgetError> {
        let key = self.key().await?;
        let name = key.name_of(self.recipient);
        let mut item = recipient_key(&name);
        item.insert("reasons".to_owned(), AttributeValue::Ss(vec![REASON.to_owned()]));
        item.insert(REASON.to_owned(), AttributeValue::M(Item::from([("at".to_owned(), number(note.at.0))])));
        item.insert("version".to_owned(), number(1));
        let list = Suppressions::new(self.calls.clone(), &self.tables.suppressions);
        list.store_forgotten(item, &self.tables.events, &note.row(&name, "forgotten", &[])).await?;
        Ok(())
    }

    /// The key of the hashes; it is created if no address was ever erased.
    async fn key(&self) -> Result<ErasureKey, ForgetError> {
        let mut bytes = [0; 32];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| ForgetError::NoRandomness)?;
        let mut item = recipient_key(KEY_ITEM);
        item.insert("key".to_owned(), AttributeValue::B(Blob::new(bytes)));
        let made = self.calls.put(&self.tables.suppressions, &item, &absent()).await?;
        let stored = match made {
            ConditionalWrite::Applied(()) => item,
            ConditionalWrite::ConditionFailed(stored) => stored.unwrap_or_default(),
        };
        let unusable = || CallError::Permanent(format!("the item {KEY_ITEM} does not hold a key of at least 32 bytes"));
        Ok(ErasureKey::from_item(&stored).ok_or_else(unusable)?)
    }
}

fn absent() -> UpdateExpression {
    UpdateExpression { condition: Some("attribute_not_exists(recipient)"), ..UpdateExpression::default() }
}
