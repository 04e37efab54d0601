//! The write that makes a webhook durable.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use tokio::time::Instant;

use super::backoff::CallBackoff;
use super::client::{UpdateExpression, check_item, put_item};
use super::error::DynamoDbError;
use super::row::Row;
use super::suppressions::SuppressionItem;
use super::{NOT_THERE, recipient_key, text};
use crate::aws::CallError;
use crate::policy::suppression::ItemChange;
use crate::resend::recipient::Recipient;

/// Maximum number of suppression items that one webhook can change. A transaction has at most 100 items, and one is the
/// event's row (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>). Resend
/// sends to at most 50 addresses per email.
pub const MAX_RECIPIENTS: usize = 99;

/// Number of immediate retries after a version conflict, before the first pause.
const MAX_IMMEDIATE_RETRIES: u32 = 10;

/// Result of storing a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookWrite {
    /// This call stored it, with its suppressions.
    New,
    /// The same webhook had been stored before.
    Duplicate,
}

/// Writes rows and suppressions.
#[derive(Clone, Debug)]
pub struct Writer {
    client: Client,
    events_table: String,
    suppressions_table: String,
}

/// The effect of an event on a suppression item.
struct ItemUpdate<'a> {
    recipient: &'a Recipient,
    effect: ItemEffect,
}

enum ItemEffect {
    /// The item is written over the one that was read.
    Merge(SuppressionItem),
    /// The item needs no change, but it must still be there.
    Keep(SuppressionItem),
}

impl Writer {
    /// Creates a writer for these two tables. `client` must not retry, because the writer does.
    pub fn new(client: Client, events_table: impl Into<String>, suppressions_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into(), suppressions_table: suppressions_table.into() }
    }

    /// Stores an event's row and the suppressions that follow from it, all or nothing, once.
    ///
    /// Without conflicts this is one call: a conditional put, or, if a recipient is suppressed, one transaction. The
    /// first try assumes that the recipient has no suppression item. The failed condition returns the existing one, and
    /// the second try merges into it.
    ///
    /// ```text
    ///   receive A (a bounce of ann)          receive B (a complaint of ann)        suppressions[ann]
    ///   ───────────────────────────          ──────────────────────────────        ─────────────────
    ///   row A + ann if none ───────────────────────────────────────────────▶       v1 {hard_bounce}
    ///                                        row B + ann if none ──────────▶       rejected: v1 is returned
    ///                                        row B + ann if v1   ──────────▶       v2 {hard_bounce, complaint}
    ///
    ///   What may go wrong, and what the retry (ours, or Resend's later) finds:
    ///   a crash before the call, or an error nothing is stored; the retry stores it
    ///   a crash after the call, before 200   row and suppressions are stored; the retry finds the row: duplicate
    ///   the response is lost                 either of the two. Our own retry finds a row with its own time of
    /// receipt: new
    ///   a conflict, or throttling            nothing is stored; pause with jitter, retry until the deadline
    ///   the same webhook twice, concurrently the row's condition admits one; the other: duplicate
    ///   another writes ann in between        the version has changed; merge into the current item
    ///   ann's item needs no change           the row is put on the condition that the item is still there, as it was
    /// read:
    ///                                        `forget` or the TTL may have deleted it meanwhile
    /// ```
    ///
    /// The row and the suppressions are one transaction, so neither is ever stored without the other. There is no claim
    /// before the work: a crash could leave it behind, and the retry would assume that the work is done.
    ///
    /// # Errors
    /// The webhook is not known to be stored. After [`CallError::Transient`] it may be stored; a retry finds out.
    pub async fn write(
        &self,
        row: &Row,
        changes: &BTreeMap<Recipient, Vec<ItemChange>>,
        deadline: Instant,
    ) -> Result<WebhookWrite, CallError> {
        let mut seen: BTreeMap<&Recipient, SuppressionItem> = BTreeMap::new();
        let mut backoff = CallBackoff::until(deadline);
        let (mut is_unclear, mut conflicts) = (false, 0);
        loop {
            let updates: Vec<ItemUpdate<'_>> = changes
                .iter()
                .filter_map(|(recipient, changes)| update(recipient, seen.get(recipient), changes))
                .collect();
            let attempt = self.attempt(row, &updates, is_unclear);
            let error = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(())) => return Ok(WebhookWrite::New),
                Ok(Err(error)) => error,
                Err(_) => DynamoDbError::OutcomeUnknown("no answer before the deadline".to_owned()),
            };
            let error = match error {
                DynamoDbError::ItemExists(Some(stored)) if is_unclear && row.is_in(&stored) => {
                    return Ok(WebhookWrite::New);
                }
                DynamoDbError::ItemExists(_) => return Ok(WebhookWrite::Duplicate),
                DynamoDbError::VersionConflict(items) => {
                    conflicts += 1;
                    for (index, item) in items {
                        let Some(update) = updates.get(index) else { continue };
                        match item {
                            Some(item) => seen.insert(update.recipient, SuppressionItem::from_item(item)),
                            None => seen.remove(update.recipient),
                        };
                    }
                    // Retried immediately, while the returned items are fresh. Of the writers that collide, one
                    // succeeds each time, and those left with nothing to change drop out.
                    if conflicts <= MAX_IMMEDIATE_RETRIES && Instant::now() < deadline {
                        continue;
                    }
                    DynamoDbError::Busy("other writers kept changing the same suppression items".to_owned())
                }
                error => error,
            };
            is_unclear |= matches!(error, DynamoDbError::OutcomeUnknown(_));
            backoff.wait(error).await.map_err(explained)?;
        }
    }

    /// Makes one call. `return_row` requests the event's row if it already exists: after an unclear try it may be our
    /// own.
    async fn attempt(&self, row: &Row, updates: &[ItemUpdate<'_>], return_row: bool) -> Result<(), DynamoDbError> {
        let on_failure = |wanted| {
            if wanted { ReturnValuesOnConditionCheckFailure::AllOld } else { ReturnValuesOnConditionCheckFailure::None }
        };
        if updates.is_empty() {
            let put = self.client.put_item().table_name(&self.events_table).set_item(Some(row.item().clone()));
            let put = put.condition_expression(NOT_THERE);
            let put = put.return_values_on_condition_check_failure(on_failure(return_row));
            return put.send().await.map(|_| ()).map_err(DynamoDbError::of_put);
        }
        let absent = UpdateExpression { condition: Some(NOT_THERE), ..UpdateExpression::default() };
        let put = absent.put_in_transaction(&self.events_table, row.item().clone());
        let put = put.return_values_on_condition_check_failure(on_failure(return_row));
        let mut transaction = self.client.transact_write_items().transact_items(put_item(put).map_err(invalid)?);
        for update in updates {
            transaction = transaction.transact_items(self.in_transaction(update).map_err(invalid)?);
        }
        transaction.send().await.map(|_| ()).map_err(DynamoDbError::of_transaction)
    }

    fn in_transaction(
        &self,
        ItemUpdate { recipient, effect }: &ItemUpdate<'_>,
    ) -> Result<TransactWriteItem, CallError> {
        let returned = ReturnValuesOnConditionCheckFailure::AllOld;
        match effect {
            ItemEffect::Merge(merged) => {
                let (item, condition) = merged.overwrite(recipient);
                let put = condition.put_in_transaction(&self.suppressions_table, item);
                put_item(put.return_values_on_condition_check_failure(returned))
            }
            ItemEffect::Keep(seen) => {
                let key = recipient_key(recipient.as_str());
                let check = seen.unchanged().check_in_transaction(&self.suppressions_table, key);
                check_item(check.return_values_on_condition_check_failure(returned))
            }
        }
    }

    /// Opens the connection: DNS, TLS and authentication, so that the first webhook does not wait for them. It puts an
    /// item on the condition that it exists already. No item ever has that key, so nothing is written, and the
    /// permission to put is enough. The response is ignored.
    pub async fn warm_up(&self) {
        let put = self.client.put_item().table_name(&self.events_table);
        let put = put.item("email_id", text("warm-up")).item("event", text("warm-up"));
        let _ = put.condition_expression("attribute_exists(email_id)").send().await;
    }
}

/// Computes the effect of these changes on the item that was read. Returns `None` if there is no effect.
fn update<'a>(
    recipient: &'a Recipient,
    seen: Option<&SuppressionItem>,
    changes: &[ItemChange],
) -> Option<ItemUpdate<'a>> {
    let effect = match seen.cloned().unwrap_or_default().merged(changes) {
        Some(merged) => ItemEffect::Merge(merged),
        None => ItemEffect::Keep(seen?.clone()),
    };
    Some(ItemUpdate { recipient, effect })
}

fn invalid(error: CallError) -> DynamoDbError {
    DynamoDbError::Invalid(error.to_string())
}

/// Returns the error of a webhook that is not stored, with a text for the operator.
fn explained(error: DynamoDbError) -> CallError {
    match error {
        DynamoDbError::Busy(why) => CallError::Transient(format!("DynamoDB was busy until the deadline: {why}")),
        DynamoDbError::OutcomeUnknown(why) => {
            CallError::Transient(format!("the outcome of the write is unknown, and a retry is safe: {why}"))
        }
        DynamoDbError::AccessDenied(why) => CallError::Transient(format!(
            "DynamoDB refuses this function, check its permissions and its table names: {why}"
        )),
        error => error.into(),
    }
}
