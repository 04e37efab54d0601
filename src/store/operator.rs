//! Changes of an operator's to the suppressions: each in one transaction with the note of who made it, so that neither is there without
//! the other. Behind the feature `cli`.

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::calls::{Trouble, put_item};
use super::failure::Failure;
use super::suppressions::{OVERTAKEN, Stored, Suppressions};
use super::{Item, recipient_key};
use crate::policy::suppression::Change;
use crate::recipient::Recipient;

impl Suppressions {
    /// Makes the changes that follow from what is known of a recipient, with the note that they make. Returns them, and the item after
    /// them; without changes nothing is written, and nothing is noted.
    ///
    /// # Errors
    /// They may not be made. To make them again is safe.
    pub(crate) async fn change(
        &self,
        recipient: &Recipient,
        events_table: &str,
        changes: impl Fn(&Stored) -> Vec<Change>,
        note: impl Fn(&[Change]) -> Item,
    ) -> Result<(Vec<Change>, Stored), Trouble> {
        self.change_with(recipient, events_table, changes, note, None).await
    }

    /// As [`Self::change`], with another item that is put in the same transaction.
    pub(crate) async fn change_with(
        &self,
        recipient: &Recipient,
        events_table: &str,
        changes: impl Fn(&Stored) -> Vec<Change>,
        note: impl Fn(&[Change]) -> Item,
        also: Option<PutBuilder>,
    ) -> Result<(Vec<Change>, Stored), Trouble> {
        let mut patience = self.calls.patience();
        loop {
            let known = self.find(recipient.as_str()).await?.unwrap_or_default();
            let wanted = changes(&known);
            let Some(merged) = known.merged(&wanted) else { return Ok((Vec::new(), known)) };
            let (item, condition) = merged.overwrite(recipient);
            let put = condition.put_in_transaction(&self.table, item);
            let noted = PutBuilder::default().table_name(events_table).set_item(Some(note(&wanted)));
            let mut items = vec![put_item(put)?, put_item(noted)?];
            if let Some(also) = &also {
                items.push(put_item(also.clone())?);
            }
            match self.calls.transact(items).await {
                Ok(Ok(())) => return Ok((wanted, merged)),
                Ok(Err(_)) => patience.with(Failure::Busy(OVERTAKEN.to_owned())).await?,
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    /// Lets somebody be written to again who was forgotten, by the name that the hash gives, with the note of it. `false`: nobody of that name was.
    ///
    /// # Errors
    /// It may not be done. To do it again is safe.
    pub(crate) async fn recall(&self, name: &str, events_table: &str, note: &Item) -> Result<bool, Trouble> {
        let mut patience = self.calls.patience();
        loop {
            let delete = Delete::builder().table_name(&self.table).set_key(Some(recipient_key(name)));
            let delete = delete.condition_expression("attribute_exists(recipient)").build();
            let delete = delete.map_err(|error| Trouble::Never(error.to_string()))?;
            let delete = TransactWriteItem::builder().delete(delete).build();
            let noted = put_item(PutBuilder::default().table_name(events_table).set_item(Some(note.clone())))?;
            match self.calls.transact(vec![delete, noted]).await {
                Ok(Ok(())) => return Ok(true),
                Ok(Err(_)) => return Ok(false),
                Err(failure) => patience.with(failure).await?,
            }
        }
    }
}
