//! Stores many rows in the events table, as fast as its API allows.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::{StreamExt, TryStreamExt, stream};
use rebound::store::row::Row;

use crate::BoxError;
use crate::aws_process::AwsProcess;

/// Maximum number of rows in one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
pub(crate) const MAX_ROWS: usize = 25;

/// Number of concurrent calls.
const MAX_CONCURRENT: usize = 4;

/// The events table.
pub(crate) struct Storage {
    client: Client,
    table: String,
}

impl Storage {
    /// Creates a handle for the table of this AWS.
    pub(crate) fn new(aws: &AwsProcess) -> Result<Self, BoxError> {
        Ok(Self { client: aws.dynamodb()?, table: aws.variable("EVENTS_TABLE")? })
    }

    /// Stores these rows.
    pub(crate) async fn store(&self, rows: impl IntoIterator<Item = Row>) -> Result<(), BoxError> {
        let rows: Vec<Row> = rows.into_iter().collect();
        let calls = rows.chunks(MAX_ROWS).map(|rows| self.put(rows));
        stream::iter(calls).buffer_unordered(MAX_CONCURRENT).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    async fn put(&self, rows: &[Row]) -> Result<(), BoxError> {
        let put = |row: &Row| -> Result<WriteRequest, BoxError> {
            let put = PutRequest::builder().set_item(Some(row.item().clone())).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let requests = rows.iter().map(put).collect::<Result<Vec<_>, _>>()?;
        let answer = self.client.batch_write_item().request_items(&self.table, requests).send().await?;
        if answer.unprocessed_items.unwrap_or_default().is_empty() {
            Ok(())
        } else {
            Err("the embedded DynamoDB did not take a whole batch; start again".into())
        }
    }
}
