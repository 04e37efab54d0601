//! DynamoDB calls with retries.
//!
//! Every call here can be repeated without harm. Its caller ensures that: with a condition, with a version, or by
//! writing the same values again. So a call whose response was lost is simply made again.

mod read;
mod scan;

use std::future::Future;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::{ConditionCheckBuilder, PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use tokio::time::Instant;

pub(super) use self::read::{Order, Range};
pub use self::scan::{ScanFilter, ScanPage};
use super::Item;
use super::backoff::CallBackoff;
use super::error::DynamoDbError;
use crate::aws::{CallError, describe};

impl From<DynamoDbError> for CallError {
    fn from(error: DynamoDbError) -> Self {
        match error {
            DynamoDbError::Invalid(why) => Self::Permanent(why),
            DynamoDbError::Busy(why) | DynamoDbError::OutcomeUnknown(why) | DynamoDbError::AccessDenied(why) => {
                Self::Transient(why)
            }
            DynamoDbError::ItemExists(_) | DynamoDbError::VersionConflict(_) => {
                Self::Transient("a condition failed".to_owned())
            }
        }
    }
}

/// Result of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionalWrite<T> {
    /// The write was applied.
    Applied(T),
    /// The condition did not hold. Contains the current item, if there is one and it was requested.
    ConditionFailed(Option<Item>),
}

/// Read consistency
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Strongly consistent.
    Strong,
    /// Eventually consistent: mostly less than a second old. Costs half as much.
    Eventual,
}

/// An update: its expression, its condition, and their names and values.
#[derive(Clone, Debug, Default)]
pub struct UpdateExpression {
    /// The update expression: `SET …`, `ADD …`.
    pub update: String,
    /// The condition expression. `None` if the write is unconditional.
    pub condition: Option<&'static str>,
    /// `#name` and the attribute that it replaces.
    pub names: Vec<(String, String)>,
    /// `:value` and the value that it replaces.
    pub values: Vec<(String, AttributeValue)>,
}

/// A DynamoDB client with retries until a deadline.
#[derive(Clone, Debug)]
pub struct RetryClient {
    client: Client,
    deadline: Instant,
}

impl RetryClient {
    /// Creates a client with retries until `deadline`. `client` must not retry.
    pub fn new(client: Client, deadline: Instant) -> Self {
        Self { client, deadline }
    }

    /// Puts an item if the condition holds.
    pub async fn put(
        &self,
        table: &str,
        item: &Item,
        condition: &UpdateExpression,
    ) -> Result<ConditionalWrite<()>, CallError> {
        let call = || async {
            let put = self.client.put_item().table_name(table).set_item(Some(item.clone()));
            let put = put.set_condition_expression(condition.condition.map(str::to_owned));
            let put = put.set_expression_attribute_names(non_empty(&condition.names));
            let put = put.set_expression_attribute_values(non_empty(&condition.values));
            let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            match put.send().await {
                Ok(_) => Ok(ConditionalWrite::Applied(())),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                        Ok(ConditionalWrite::ConditionFailed(refused.item.clone()))
                    }
                    _ => Err(classify(&error)),
                },
            }
        };
        Ok(self.with_retries(call).await?)
    }

    /// Updates an item and returns it. If the condition does not hold, the result contains the current item.
    pub async fn update(
        &self,
        table: &str,
        key: Item,
        change: &UpdateExpression,
    ) -> Result<ConditionalWrite<Item>, CallError> {
        let update = || {
            let update = self.client.update_item().table_name(table).set_key(Some(key.clone()));
            let update = update.update_expression(&change.update);
            let update = update.set_condition_expression(change.condition.map(str::to_owned));
            let update = update.set_expression_attribute_names(non_empty(&change.names));
            update.set_expression_attribute_values(non_empty(&change.values))
        };
        self.update_as(update).await
    }

    async fn update_as(
        &self,
        update: impl Fn() -> UpdateItemFluentBuilder,
    ) -> Result<ConditionalWrite<Item>, CallError> {
        let call = || async {
            let update = update().return_values(ReturnValue::AllNew);
            let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            match update.send().await {
                Ok(output) => Ok(ConditionalWrite::Applied(output.attributes.unwrap_or_default())),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                        Ok(ConditionalWrite::ConditionFailed(refused.item.clone()))
                    }
                    _ => Err(classify(&error)),
                },
            }
        };
        Ok(self.with_retries(call).await?)
    }

    /// Deletes an item. Returns it as it was; `None` if there was none, or if the response of an earlier try was lost.
    pub async fn take(&self, table: &str, key: Item) -> Result<Option<Item>, CallError> {
        let call = || async {
            let delete = self.client.delete_item().table_name(table).set_key(Some(key.clone()));
            let deleted = delete.return_values(ReturnValue::AllOld).send().await;
            deleted.map(|deleted| deleted.attributes).map_err(|error| classify(&error))
        };
        Ok(self.with_retries(call).await?)
    }

    /// Deletes an item.
    pub async fn delete(&self, table: &str, key: Item) -> Result<(), CallError> {
        let call = || async {
            let delete = self.client.delete_item().table_name(table).set_key(Some(key.clone()));
            delete.send().await.map(|_| ()).map_err(|error| classify(&error))
        };
        Ok(self.with_retries(call).await?)
    }

    /// Sends one transaction once. Returns the indexes of the items whose conditions did not hold. A conflict is a
    /// [`DynamoDbError::Busy`]: the caller reads again before the next try.
    ///
    /// # Errors
    /// The call failed. The transaction may be applied if the outcome is unclear.
    pub(super) async fn transact(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Vec<usize>>, DynamoDbError> {
        let sent = self.transact_with_items(items).await?;
        Ok(sent.map_err(|refused| refused.into_iter().map(|(index, _)| index).collect()))
    }

    /// Sends one transaction once, as [`Self::transact`]. Also returns the current item of each condition that did not
    /// hold, if it was requested and there is one.
    pub(super) async fn transact_with_items(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Vec<(usize, Option<Item>)>>, DynamoDbError> {
        let transaction = self.client.transact_write_items().set_transact_items(Some(items));
        let sent = tokio::time::timeout_at(self.deadline, transaction.send()).await;
        let Ok(result) = sent else {
            return Err(DynamoDbError::OutcomeUnknown("no answer before the deadline".to_owned()));
        };
        let Err(error) = result else { return Ok(Ok(())) };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Err(classify(&error));
        };
        let reasons = cancelled.cancellation_reasons();
        let failed = |(index, reason): (usize, &aws_sdk_dynamodb::types::CancellationReason)| {
            (reason.code() == Some("ConditionalCheckFailed")).then(|| (index, reason.item.clone()))
        };
        let refused: Vec<(usize, Option<Item>)> = reasons.iter().enumerate().filter_map(failed).collect();
        if refused.is_empty() { Err(DynamoDbError::of_reasons(reasons)) } else { Ok(Err(refused)) }
    }

    /// Retries a call until it succeeds, fails permanently, or the deadline is over.
    async fn with_retries<T, F>(&self, call: impl Fn() -> F) -> Result<T, DynamoDbError>
    where
        F: Future<Output = Result<T, DynamoDbError>>,
    {
        let mut backoff = CallBackoff::until(self.deadline);
        loop {
            match tokio::time::timeout_at(self.deadline, call()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => backoff.wait(error).await?,
                Err(_) => return Err(DynamoDbError::OutcomeUnknown("no answer before the deadline".to_owned())),
            }
        }
    }

    /// Creates the backoff for retries of a transaction.
    pub(super) fn backoff(&self) -> CallBackoff {
        CallBackoff::until(self.deadline)
    }
}

/// Builds a put as part of a transaction.
pub(super) fn put_item(put: PutBuilder) -> Result<TransactWriteItem, CallError> {
    let put = put.build().map_err(|error| CallError::Permanent(error.to_string()))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Builds a condition check as part of a transaction.
pub(super) fn check_item(check: ConditionCheckBuilder) -> Result<TransactWriteItem, CallError> {
    let check = check.build().map_err(|error| CallError::Permanent(error.to_string()))?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

/// Builds an update as part of a transaction.
pub(super) fn update_item(update: UpdateBuilder) -> Result<TransactWriteItem, CallError> {
    let update = update.build().map_err(|error| CallError::Permanent(error.to_string()))?;
    Ok(TransactWriteItem::builder().update(update).build())
}

impl UpdateExpression {
    /// Builds this update as part of a transaction.
    pub(super) fn update_in_transaction(&self, table: &str, key: Item) -> UpdateBuilder {
        UpdateBuilder::default()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(&self.update)
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(non_empty(&self.names))
            .set_expression_attribute_values(non_empty(&self.values))
    }

    /// Builds a put of an item on this condition, as part of a transaction.
    pub(super) fn put_in_transaction(&self, table: &str, item: Item) -> PutBuilder {
        PutBuilder::default()
            .table_name(table)
            .set_item(Some(item))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(non_empty(&self.names))
            .set_expression_attribute_values(non_empty(&self.values))
    }

    /// Builds a check of this condition alone, as part of a transaction. Nothing is written to the item.
    pub(super) fn check_in_transaction(&self, table: &str, key: Item) -> ConditionCheckBuilder {
        ConditionCheckBuilder::default()
            .table_name(table)
            .set_key(Some(key))
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(non_empty(&self.names))
            .set_expression_attribute_values(non_empty(&self.values))
    }
}

/// Converts pairs into the SDK's map. Returns `None` for no pairs, because DynamoDB rejects an empty map.
fn non_empty<T: Clone>(pairs: &[(String, T)]) -> Option<std::collections::HashMap<String, T>> {
    (!pairs.is_empty()).then(|| pairs.iter().cloned().collect())
}

fn classify<E, R>(error: &SdkError<E, R>) -> DynamoDbError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    let described = describe(error);
    match error.as_service_error() {
        Some(service) => DynamoDbError::of_code(service.code(), described),
        None => DynamoDbError::OutcomeUnknown(described),
    }
}
