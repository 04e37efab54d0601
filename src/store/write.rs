//! The one write that makes a webhook durable.

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
use crate::policy::suppression::Change;
use crate::resend::recipient::Recipient;

/// The most suppression items that one webhook can change: a transaction has at most 100 items, and one is the event's row
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>). Resend sends to at
/// most 50 addresses at once.
pub const MAX_RECIPIENTS: usize = 99;

/// How often a write that was overtaken is tried again at once, before it makes way for others.
const OVERTAKEN_AT_ONCE: u32 = 10;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was stored by this call, with its suppressions.
    New,
    /// It had been stored before: the same message again.
    Duplicate,
}

/// Why a row could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// DynamoDB can never take it.
    #[error("DynamoDB refuses the write: {0}")]
    Invalid(String),
    /// Conflicts or throttles went on until the deadline.
    #[error("DynamoDB was busy until the deadline: {0}")]
    Busy(String),
    /// DynamoDB could not be reached, or did not answer clearly.
    #[error("DynamoDB gave no clear answer: {0}")]
    Unclear(String),
    /// DynamoDB refuses us. A person has to look at the function's permissions and table names.
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

/// What an event does to a suppression item.
struct Update<'a> {
    recipient: &'a Recipient,
    effect: Effect,
}

enum Effect {
    /// It is written over the one that was seen.
    Merge(Stored),
    /// The one that was seen says as much already: it has to be there still.
    Keep(Stored),
}

impl Writer {
    /// A writer to these two tables. The client must not retry by itself: this does.
    pub fn new(client: Client, events_table: impl Into<String>, suppressions_table: impl Into<String>) -> Self {
        Self { client, events_table: events_table.into(), suppressions_table: suppressions_table.into() }
    }

    /// Stores an event's row and the suppressions that follow from it, all or nothing, once.
    ///
    /// One call when nothing is in the way: a conditional put, or, when somebody is suppressed, one transaction. The first
    /// try assumes that the recipient has no suppression item; the failed condition returns the one that there is, and the
    /// second try merges into it.
    ///
    /// ```text
    ///   receive A (a bounce of ann)          receive B (a complaint of ann)        suppressions[ann]
    ///   ───────────────────────────          ──────────────────────────────        ─────────────────
    ///   row A + ann if none ───────────────────────────────────────────────▶       v1 {hard_bounce}
    ///                                        row B + ann if none ──────────▶       refused: v1 is returned
    ///                                        row B + ann if v1   ──────────▶       v2 {hard_bounce, complaint}
    ///
    ///   What may go wrong, and what the retry (ours, or Resend's later) finds:
    ///   dies before the call, or is refused  nothing is stored; the retry stores it
    ///   dies after the call, before the 200  row and suppressions are stored; the retry finds the row: duplicate
    ///   the answer is lost                   either of the two. Our own retry finds a row with its own time of receipt: new
    ///   a conflict, a throttle               nothing is stored; pause with jitter, try again until the deadline
    ///   the same message twice at once       the row's condition lets one in; the other: duplicate
    ///   another writes ann in between        the version has moved; merge into what is there now
    ///   ann's item already says as much      the row is put on the condition that the item is still there, as it was seen:
    ///                                        `forget` or the TTL may have deleted it meanwhile
    /// ```
    ///
    /// The row and the suppressions are one transaction, so no order of events leaves the one without the other. There is no
    /// claim written before the work: a crash could leave it behind, and the retry would take the work for done.
    ///
    /// # Errors
    /// Nothing is known to be stored. After [`WriteError::Unclear`] it may be; the retry will tell.
    pub async fn write(
        &self,
        row: &Row,
        changes: &BTreeMap<Recipient, Vec<Change>>,
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
                    // At once, while what was just returned is fresh: of those that collide one gets through each time, and
                    // those that it leaves with nothing new to say drop out.
                    if overtaken <= OVERTAKEN_AT_ONCE && Instant::now() < deadline {
                        continue;
                    }
                    WriteError::Busy("others kept changing the same suppression items".to_owned())
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

    /// One call. `return_row` asks for the event's row if it exists already: after an unclear try it may be our own.
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

    /// Opens the connection: DNS, TLS and authentication, so that the first webhook finds them done. It puts an item on the
    /// condition that it exists already; nothing ever does under that key, so nothing is written, and no permission is
    /// needed but the one to put. The answer is ignored.
    pub async fn warm_up(&self) {
        let put = self.client.put_item().table_name(&self.events_table);
        let put = put.item("email_id", text("warm-up")).item("event", text("warm-up"));
        let _ = put.condition_expression("attribute_exists(email_id)").send().await;
    }
}

/// What follows from these changes of a recipient, of whom nothing or an item was seen. `None`: nothing.
fn update<'a>(recipient: &'a Recipient, seen: Option<&Stored>, changes: &[Change]) -> Option<Update<'a>> {
    let effect = match seen.cloned().unwrap_or_default().merged(changes) {
        Some(merged) => Effect::Merge(merged),
        None => Effect::Keep(seen?.clone()),
    };
    Some(Update { recipient, effect })
}

fn invalid(trouble: CallError) -> Failure {
    Failure::Invalid(trouble.to_string())
}
