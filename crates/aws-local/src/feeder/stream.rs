//! Reads a table's stream.

use serde_json::{Value, json};

use super::FeedError;
use crate::dynamodb_api::{Access, DynamoDbApi, DynamoDbApiError};

/// DynamoDB's maximum number of records per read.
pub(super) const MAX_RECORDS: usize = 1_000;

/// The stream of a table. The embedded engine's stream has one shard, which never ends.
#[derive(Debug)]
pub(super) struct Stream {
    api: DynamoDbApi,
    pub(super) arn: String,
    shard: String,
    /// Name of the table's partition key.
    pub(super) partition_key: String,
    /// Sequence number of the last record that was read.
    position: Option<String>,
    iterator: Option<String>,
}

impl Stream {
    pub(super) async fn open(access: &Access, table: &str) -> Result<Self, FeedError> {
        let api = DynamoDbApi::new(access);
        let no_stream = || FeedError::NoStream(table.to_owned());
        let request = json!({ "TableName": table });
        let listed = api.call("DynamoDBStreams_20120810.ListStreams", &request).await?;
        let arn = text(&listed, "/Streams/0/StreamArn").ok_or_else(no_stream)?;
        let described = api.call("DynamoDBStreams_20120810.DescribeStream", &json!({ "StreamArn": arn })).await?;
        let shard = match described.pointer("/StreamDescription/Shards").and_then(Value::as_array).map(Vec::as_slice) {
            Some([shard]) => text(shard, "/ShardId").ok_or_else(no_stream)?,
            _ => return Err(FeedError::NotOneShard(table.to_owned())),
        };
        let description = api.call("DynamoDB_20120810.DescribeTable", &request).await?;
        let keys = description.pointer("/Table/KeySchema").and_then(Value::as_array);
        let is_partition_key = |key: &&Value| text(key, "/KeyType").as_deref() == Some("HASH");
        let partition_key = keys
            .and_then(|keys| keys.iter().find(is_partition_key))
            .and_then(|key| text(key, "/AttributeName"))
            .ok_or_else(no_stream)?;
        Ok(Self { api, arn, shard, partition_key, position: None, iterator: None })
    }

    /// Continues after a record, instead of from the oldest one.
    pub(super) fn seek_after(&mut self, sequence: String) {
        self.position = Some(sequence);
    }

    /// Returns the next records, or none if there are no new ones.
    pub(super) async fn read(&mut self) -> Result<Vec<Value>, DynamoDbApiError> {
        let iterator = match self.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator().await?,
        };
        let request = json!({ "ShardIterator": iterator, "Limit": MAX_RECORDS });
        let mut answer = self.api.call("DynamoDBStreams_20120810.GetRecords", &request).await?;
        let records = match answer.get_mut("Records").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        };
        if let Some(last) = records.last().and_then(sequence) {
            self.position = Some(last.to_owned());
        }
        self.iterator = text(&answer, "/NextShardIterator");
        Ok(records)
    }

    async fn iterator(&self) -> Result<String, DynamoDbApiError> {
        let mut request = json!({ "StreamArn": self.arn, "ShardId": self.shard, "ShardIteratorType": "TRIM_HORIZON" });
        if let (Some(position), Some(request)) = (&self.position, request.as_object_mut()) {
            request.insert("ShardIteratorType".to_owned(), json!("AFTER_SEQUENCE_NUMBER"));
            request.insert("SequenceNumber".to_owned(), json!(position));
        }
        let answer = self.api.call("DynamoDBStreams_20120810.GetShardIterator", &request).await?;
        Ok(text(&answer, "/ShardIterator").unwrap_or_default())
    }
}

/// Sequence number of a record.
pub(super) fn sequence(record: &Value) -> Option<&str> {
    record.pointer("/dynamodb/SequenceNumber")?.as_str()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}
