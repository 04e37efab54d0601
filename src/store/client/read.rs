//! Reads: one item, several items, or a range of a partition.

use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::types::{Get, KeysAndAttributes, TransactGetItem};

use super::{Consistency, RetryClient, classify};
use crate::aws::CallError;
use crate::store::backoff::CallBackoff;
use crate::store::error::DynamoDbError;
use crate::store::{Item, text};

/// A range of sort keys in one partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Range<'a> {
    /// The read consistency.
    pub(in crate::store) consistency: Consistency,
    /// The table.
    pub(in crate::store) table: &'a str,
    /// Name and value of the partition key.
    pub(in crate::store) partition: (&'a str, &'a str),
    /// Name of the sort key, its first and its last value, both included.
    pub(in crate::store) sort: (&'a str, &'a str, &'a str),
    /// The order of the items.
    pub(in crate::store) order: Order,
}

/// Order of the items in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Order {
    /// From the smallest sort key on.
    Ascending,
    /// From the largest sort key on.
    Descending,
}

/// A page of a range.
#[derive(Clone, Debug)]
pub(in crate::store) struct RangePage {
    /// The items.
    pub(in crate::store) items: Vec<Item>,
    /// Start of the next page. `None` after the last page.
    pub(in crate::store) next: Option<Item>,
}

impl RetryClient {
    /// Reads one item, strongly consistent.
    pub async fn get(&self, table: &str, key: Item) -> Result<Option<Item>, CallError> {
        let call = || async {
            let get = self.client.get_item().table_name(table).set_key(Some(key.clone())).consistent_read(true);
            get.send().await.map(|output| output.item).map_err(|error| classify(&error))
        };
        Ok(self.with_retries(call).await?)
    }

    /// Reads one item. Waits while a transaction that writes it is in flight: [`Self::get`] may show it as it was
    /// before, and other items of the transaction as they are after it.
    pub(in crate::store) async fn get_committed(&self, table: &str, key: Item) -> Result<Option<Item>, CallError> {
        let mut backoff = CallBackoff::until(self.deadline);
        loop {
            match self.transact_get(table, vec![key.clone()]).await {
                Ok(found) => return Ok(found.into_iter().next().flatten()),
                Err(error) => backoff.wait(error).await?,
            }
        }
    }

    /// Reads the items with these keys, strongly consistent, in any order. At most 100 keys. Missing items are left
    /// out.
    pub async fn batch_get(&self, table: &str, keys: Vec<Item>) -> Result<Vec<Item>, CallError> {
        self.batch_get_with(Consistency::Strong, table, keys).await
    }

    /// Reads as [`Self::batch_get`], with the given consistency.
    pub async fn batch_get_with(
        &self,
        consistency: Consistency,
        table: &str,
        keys: Vec<Item>,
    ) -> Result<Vec<Item>, CallError> {
        let mut found = Vec::new();
        let mut left = keys;
        let mut backoff = CallBackoff::until(self.deadline);
        while !left.is_empty() {
            let call = || async {
                let wanted = KeysAndAttributes::builder().set_keys(Some(left.clone()));
                let wanted = wanted.consistent_read(consistency == Consistency::Strong).build();
                let wanted = wanted.map_err(|error| DynamoDbError::Invalid(error.to_string()))?;
                let get = self.client.batch_get_item().request_items(table, wanted);
                get.send().await.map_err(|error| classify(&error))
            };
            let output = self.with_retries(call).await?;
            found.extend(output.responses.unwrap_or_default().remove(table).unwrap_or_default());
            left = output
                .unprocessed_keys
                .unwrap_or_default()
                .remove(table)
                .map(|unprocessed| unprocessed.keys)
                .unwrap_or_default();
            if !left.is_empty() {
                backoff.wait(DynamoDbError::Busy("DynamoDB left keys unread".to_owned())).await?;
            }
        }
        Ok(found)
    }

    /// Reads the items with these keys as of one moment, in the order of the keys. At most 100 keys. Sent once. While a
    /// transaction that writes one of them is in flight, the result is a [`DynamoDbError::Busy`], so a reader never
    /// sees half of a transaction.
    ///
    /// # Errors
    /// Nothing was read.
    pub(in crate::store) async fn transact_get(
        &self,
        table: &str,
        keys: Vec<Item>,
    ) -> Result<Vec<Option<Item>>, DynamoDbError> {
        let get = |key| {
            let get = Get::builder().table_name(table).set_key(Some(key)).build();
            let get = get.map_err(|error| DynamoDbError::Invalid(error.to_string()))?;
            Ok(TransactGetItem::builder().get(get).build())
        };
        let items: Vec<TransactGetItem> = keys.into_iter().map(get).collect::<Result<_, DynamoDbError>>()?;
        let sent = self.client.transact_get_items().set_transact_items(Some(items)).send();
        let sent = tokio::time::timeout_at(self.deadline, sent).await;
        let Ok(result) = sent else {
            return Err(DynamoDbError::OutcomeUnknown("no answer before the deadline".to_owned()));
        };
        match result {
            Ok(output) => Ok(output.responses.unwrap_or_default().into_iter().map(|response| response.item).collect()),
            Err(error) => Err(match error.as_service_error() {
                Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
                    DynamoDbError::of_reasons(cancelled.cancellation_reasons())
                }
                _ => classify(&error),
            }),
        }
    }

    /// Returns at most `at_most` items of a partition in a range of sort keys, both ends included, in order. Strongly
    /// consistent.
    pub async fn query(
        &self,
        table: &str,
        partition: (&str, &str),
        sort: (&str, &str, &str),
        at_most: usize,
    ) -> Result<Vec<Item>, CallError> {
        self.query_with(Consistency::Strong, table, partition, sort, at_most).await
    }

    /// Reads as [`Self::query`], with the given consistency.
    pub async fn query_with(
        &self,
        consistency: Consistency,
        table: &str,
        partition: (&str, &str),
        sort: (&str, &str, &str),
        at_most: usize,
    ) -> Result<Vec<Item>, CallError> {
        let mut found = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let limit = at_most.saturating_sub(found.len());
            let range = Range { consistency, table, partition, sort, order: Order::Ascending };
            let page = self.one_page(&range, limit, start).await?;
            found.extend(page.items);
            start = page.next;
            if start.is_none() || found.len() >= at_most {
                return Ok(found);
            }
        }
    }

    /// Returns at most `at_most` first items of a range, in its order: at most one page of DynamoDB, which has 1 MB.
    pub(in crate::store) async fn first_page(&self, range: &Range<'_>, at_most: usize) -> Result<RangePage, CallError> {
        self.one_page(range, at_most, None).await
    }

    async fn one_page(&self, range: &Range<'_>, at_most: usize, start: Option<Item>) -> Result<RangePage, CallError> {
        let Range { consistency, table, partition, sort, order } = range;
        let limit = i32::try_from(at_most.min(1_000)).unwrap_or(1_000);
        let call = || async {
            let query = self
                .client
                .query()
                .table_name(*table)
                .consistent_read(*consistency == Consistency::Strong)
                .limit(limit);
            let query = query.key_condition_expression("#p = :p AND #s BETWEEN :from AND :to");
            let query = query.scan_index_forward(*order == Order::Ascending);
            let query = query.expression_attribute_names("#p", partition.0);
            let query = query.expression_attribute_names("#s", sort.0);
            let query = query.expression_attribute_values(":p", text(partition.1));
            let query = query.expression_attribute_values(":from", text(sort.1));
            let query = query.expression_attribute_values(":to", text(sort.2));
            query.set_exclusive_start_key(start.clone()).send().await.map_err(|error| classify(&error))
        };
        let page = self.with_retries(call).await?;
        Ok(RangePage {
            items: page.items.unwrap_or_default(),
            next: page.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }
}
