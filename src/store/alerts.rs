//! The record of each alert: a row of the outbox. Its partition is the subject of the alert: an email,
//! `campaign#<name>`, a domain, or a webhook.

use std::time::Duration;

use aws_sdk_dynamodb::types::Update;

use super::agenda::{Agenda, AgendaEntry};
use super::client::update_item;
use super::outbox::{ClaimOwner, Outbox, OutboxClaim, Settlement, has_any};
use super::{Item, event_key, number, string, text};
use crate::aws::CallError;
use crate::time::UnixMillis;

/// A rejected alert cannot be claimed. An alert that is rejected just before a takeover is published once more.
const SETTLEMENT: Settlement<()> = Settlement {
    read: |row| has_any(row, &["published_at", "folded_into", "refused"]).then_some(()),
    takeover: "claimed_at = :seen AND attribute_not_exists(published_at) AND attribute_not_exists(folded_into)",
};

impl Outbox {
    /// Claims an alert for `owner`, with its JSON as payload. A claim older than `lease` is taken over. DynamoDB may
    /// delete the row at `expires_at`.
    pub async fn claim_alert(
        &self,
        key: Item,
        payload: &str,
        expires_at: UnixMillis,
        owner: &ClaimOwner,
        now: UnixMillis,
        lease: Duration,
    ) -> Result<OutboxClaim<()>, CallError> {
        let mut begun = key;
        begun.insert("kind".to_owned(), text("alert"));
        begun.insert("payload".to_owned(), text(payload));
        begun.insert("expires_at".to_owned(), number(expires_at.seconds()));
        self.claim(begun, owner, &SETTLEMENT, now, lease).await
    }

    /// Returns the payload of an alert that was claimed and is not settled.
    pub async fn pending_alert(&self, about: &str, id: &str) -> Result<Option<String>, CallError> {
        let Some(row) = self.calls.get(&self.table, alert_key(about, id)).await? else { return Ok(None) };
        Ok((SETTLEMENT.read)(&row).is_none().then(|| string(&row, "payload").to_owned()))
    }

    /// Groups a claimed alert into the first of these digests that is not closed. Returns true if this call has grouped
    /// it.
    pub async fn fold_alert(&self, key: &Item, agenda: &Agenda, digests: &[AgendaEntry]) -> Result<bool, CallError> {
        for digest in digests {
            let mut backoff = self.calls.backoff();
            loop {
                let note = Update::builder()
                    .table_name(&self.table)
                    .set_key(Some(key.clone()))
                    .update_expression("SET folded_into = :digest")
                    .condition_expression(
                        "attribute_exists(email_id) AND attribute_not_exists(folded_into) AND attribute_not_exists(published_at)",
                    )
                    .expression_attribute_values(":digest", text(format!("{}#{}", digest.due.to_text(), digest.key)));
                let items = vec![update_item(note)?, update_item(agenda.fold(digest))?];
                match self.calls.transact(items).await {
                    Ok(Ok(())) => return Ok(true),
                    // The alert was grouped by a try whose response was lost, or by a function that crashed afterwards;
                    // or the row was deleted.
                    Ok(Err(refused)) if refused.contains(&0) => return Ok(false),
                    Ok(Err(_)) => break,
                    Err(error) => backoff.wait(error).await?,
                }
            }
        }
        Err(CallError::Transient("every digest of this hour is closed; a later delivery tries again".to_owned()))
    }
}

/// The key of an alert's row.
pub fn alert_key(about: &str, id: &str) -> Item {
    event_key(about, &format!("alert#{id}"))
}
