//! Stores many rows in the events table, as fast as its API allows.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::{StreamExt, TryStreamExt, stream};
use rebound::store::row::Row;

use crate::Failure;
use crate::elsewhere::Elsewhere;

/// Maximum number of rows in one call
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
pub(crate) const AT_ONCE: usize = 25;

/// Number of concurrent calls.
const SIDE_BY_SIDE: usize = 4;

/// The events table.
pub(crate) struct Storage {
    client: Client,
    table: String,
}

impl Storage {
    /// Creates a handle for the table of this AWS.
    pub(crate) fn new(aws: &Elsewhere) -> Result<Self, Failure> {
        Ok(Self { client: aws.dynamodb()?, table: aws.variable("EVENTS_TABLE")? })
    }

    /// Stores these rows.
    pub(crate) async fn store(&self, rows: impl IntoIterator<Item = Row>) -> Result<(), Failure> {
        let rows: Vec<Row> = rows.into_iter().collect();
        let calls = rows.chunks(AT_ONCE).map(|rows| self.put(rows));
        stream::iter(calls).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    async fn put(&self, rows: &[Row]) -> Result<(), Failure> {
        let put = |row: &Row| -> Result<WriteRequest, Failure> {
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
