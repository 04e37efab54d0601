//! The write that makes a webhook durable.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use tokio::time::Instant;

use super::calls::{Change as Condition, check_item, put_item};
use super::failure::Failure;
use super::patience::{FIRST_PAUSE, LONGEST_PAUSE, UNCLEAR_TRIES};
use super::row::Row;
use super::suppressions::Stored;
use super::{NOT_THERE, recipient_key, text};
use crate::aws::CallError;
use crate::aws::backoff::Backoff;
use crate::policy::suppression::SuppressionChange;
use crate::resend::recipient::Recipient;

/// Maximum number of suppression items that one webhook can change. A transaction has at most 100 items, and one is the
/// event's row (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>). Resend
/// sends to at most 50 addresses per email.
pub const MAX_RECIPIENTS: usize = 99;

/// Number of immediate retries after a version conflict, before the first pause.
const OVERTAKEN_AT_ONCE: u32 = 10;

/// Result of storing a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// This call stored it, with its suppressions.
    New,
    /// The same webhook had been stored before.
    Duplicate,
}

/// A webhook could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// DynamoDB rejects the write as invalid.
    #[error("DynamoDB rejects the write as invalid: {0}")]
    Invalid(String),
    /// Conflicts or throttling continued until the deadline.
    #[error("DynamoDB was busy until the deadline: {0}")]
    Busy(String),
    /// DynamoDB could not be reached, or gave an unclear response.
    #[error("the outcome of the write is unknown, and a retry is safe: {0}")]
    Unclear(String),
    /// DynamoDB denies access. An operator must check the function's permissions and table names.
    #[error("DynamoDB refuses this function, check its permissions and its table names: {0}")]
    Denied(String),
}

/// Writes rows and suppressions.
#[derive(Clone, Debug)]
pub struct Writer {
    client: Client,
    events_table: String,
    suppressions_table: String,
}

/// The effect of an event on a suppression item.
struct Update<'a> {
    recipient: &'a Recipient,
    effect: Effect,
}

enum Effect {
    /// The item is written over the one that was read.
    Merge(Stored),
    /// The item needs no change, but it must still be there.
    Keep(Stored),
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
    /// The webhook is not known to be stored. After [`WriteError::Unclear`] it may be stored; a retry finds out.
    pub async fn write(
        &self,
        row: &Row,
        changes: &BTreeMap<Recipient, Vec<SuppressionChange>>,
        deadline: Instant,
    ) -> Result<Written, WriteError> {
        let mut seen: BTreeMap<&Recipient, Stored> = BTreeMap::new();
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).until(deadline);
        let (mut unclear, mut overtaken) = (0, 0);
        loop {
            let updates: Vec<Update<'_>> = changes
                .iter()
                .filter_map(|(recipient, changes)| update(recipient, seen.get(recipient), changes))
                .collect();
            let trial = self.attempt(row, &updates, unclear > 0);
            let failure = match tokio::time::timeout_at(deadline, trial).await {
                Ok(Ok(())) => return Ok(Written::New),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(WriteError::Unclear("no answer before the deadline".to_owned())),
            };
            let reason = match failure {
                Failure::RowExists(Some(stored)) if unclear > 0 && row.is_in(&stored) => return Ok(Written::New),
                Failure::RowExists(_) => return Ok(Written::Duplicate),
                Failure::Invalid(why) => return Err(WriteError::Invalid(why)),
                Failure::Denied(why) => return Err(WriteError::Denied(why)),
                Failure::Overtaken(items) => {
                    overtaken += 1;
                    for (index, item) in items {
                        let Some(update) = updates.get(index) else { continue };
                        match item {
                            Some(item) => seen.insert(update.recipient, Stored::from_item(item)),
                            None => seen.remove(update.recipient),
                        };
                    }
                    // Retried immediately, while the returned items are fresh. Of the writers that collide, one
                    // succeeds each time, and those left with nothing to change drop out.
                    if overtaken <= OVERTAKEN_AT_ONCE && Instant::now() < deadline {
                        continue;
                    }
                    WriteError::Busy("other writers kept changing the same suppression items".to_owned())
                }
                Failure::Busy(why) => WriteError::Busy(why),
                Failure::Unclear(why) => {
                    unclear += 1;
                    if unclear == UNCLEAR_TRIES {
                        return Err(WriteError::Unclear(why));
                    }
                    WriteError::Unclear(why)
                }
            };
            if backoff.wait().await.is_err() {
                return Err(reason);
            }
        }
    }

    /// Makes one call. `return_row` requests the event's row if it already exists: after an unclear try it may be our
    /// own.
    async fn attempt(&self, row: &Row, updates: &[Update<'_>], return_row: bool) -> Result<(), Failure> {
        let on_failure = |wanted| {
            if wanted { ReturnValuesOnConditionCheckFailure::AllOld } else { ReturnValuesOnConditionCheckFailure::None }
        };
        if updates.is_empty() {
            let put = self.client.put_item().table_name(&self.events_table).set_item(Some(row.item().clone()));
            let put = put.condition_expression(NOT_THERE);
            let put = put.return_values_on_condition_check_failure(on_failure(return_row));
            return put.send().await.map(|_| ()).map_err(Failure::of_put);
        }
        let absent = Condition { condition: Some(NOT_THERE), ..Condition::default() };
        let put = absent.put_in_transaction(&self.events_table, row.item().clone());
        let put = put.return_values_on_condition_check_failure(on_failure(return_row));
        let mut transaction = self.client.transact_write_items().transact_items(put_item(put).map_err(invalid)?);
        for update in updates {
            transaction = transaction.transact_items(self.in_transaction(update).map_err(invalid)?);
        }
        transaction.send().await.map(|_| ()).map_err(Failure::of_transaction)
    }

    fn in_transaction(&self, Update { recipient, effect }: &Update<'_>) -> Result<TransactWriteItem, CallError> {
        let returned = ReturnValuesOnConditionCheckFailure::AllOld;
        match effect {
            Effect::Merge(merged) => {
                let (item, condition) = merged.overwrite(recipient);
                let put = condition.put_in_transaction(&self.suppressions_table, item);
                put_item(put.return_values_on_condition_check_failure(returned))
            }
            Effect::Keep(seen) => {
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
fn update<'a>(recipient: &'a Recipient, seen: Option<&Stored>, changes: &[SuppressionChange]) -> Option<Update<'a>> {
    let effect = match seen.cloned().unwrap_or_default().merged(changes) {
        Some(merged) => Effect::Merge(merged),
        None => Effect::Keep(seen?.clone()),
    };
    Some(Update { recipient, effect })
}

fn invalid(trouble: CallError) -> Failure {
    Failure::Invalid(trouble.to_string())
}
