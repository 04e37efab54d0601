//! The stream of the events table, read from now on.
//!
//! A stream is cut into shards, which end after hours and are followed by others. One `GetRecords` for each shard and each look: slow on
//! purpose. A stream bears two readers (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>), and both are
//! protect's. Where AWS slows readers down, this one waits, so that protect does not have to.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{
    AttributeValue as StreamValue, OperationType, Record, Shard as Described, ShardIteratorType,
};
use futures_util::future::join_all;
use rebound::aws::describe;
use rebound::store::Item;
use rebound::time::UnixMillis;
use tokio::time::Instant;

use super::TailError;
use crate::operate::clients;
use crate::operate::target::Target;

/// Time between two looks for shards that are new, where none has ended.
const LOOK_FOR_SHARDS: Duration = Duration::from_secs(60);

/// The same, where one has ended, and what follows it is not there yet.
const LOOK_FOR_CHILDREN: Duration = Duration::from_secs(5);

/// A row that was put or changed.
#[derive(Clone, Debug)]
pub(super) struct ChangedRow {
    /// True if there was no row of this key.
    pub(super) is_new: bool,
    /// When, as far as the stream says.
    pub(super) at: UnixMillis,
    /// The row, as it is after the change.
    pub(super) row: Item,
}

/// The answer to one look.
#[derive(Debug, Default)]
pub(super) struct StreamRead {
    /// The changes, the oldest first.
    pub(super) changes: Vec<ChangedRow>,
    /// AWS slows its readers down: it says why.
    pub(super) slowed: Option<String>,
}

#[derive(Debug)]
struct Shard {
    id: String,
    /// Where to read on. `None`: to be asked for.
    iterator: Option<String>,
    /// The last record that was read.
    position: Option<String>,
    /// Where it begins, while no record was read.
    begin: ShardIteratorType,
}

/// The reader of a table's stream.
#[derive(Debug)]
pub(super) struct StreamReader {
    client: Client,
    table: String,
    arn: String,
    shards: Vec<Shard>,
    /// Every shard that was ever seen.
    seen: BTreeSet<String>,
    look_again: Instant,
}

impl StreamReader {
    /// Opens the stream of a table, at its end.
    pub(super) async fn open(target: &Target, table: &str) -> Result<Self, TailError> {
        let described = target.aws().dynamodb().describe_table().table_name(table).send().await;
        let described =
            described.map_err(|error| TailError::Table { table: table.to_owned(), why: describe(&error) })?;
        let arn = described.table().and_then(|table| table.latest_stream_arn()).filter(|arn| !arn.is_empty());
        let arn = arn.ok_or_else(|| TailError::NoStream(table.to_owned()))?.to_owned();
        let client = clients::dynamodb_streams(target.aws());
        let look_again = Instant::now() + LOOK_FOR_SHARDS;
        let mut reader =
            Self { client, table: table.to_owned(), arn, shards: Vec::new(), seen: BTreeSet::new(), look_again };
        let described = reader.describe().await?;
        // A shard that has ended is another's parent. That it has an ending number is no sign: the embedded engine's, which never ends, has one.
        let parents: BTreeSet<&str> = described.iter().filter_map(Described::parent_shard_id).collect();
        for shard in &described {
            let id = shard.shard_id().unwrap_or_default().to_owned();
            if !parents.contains(id.as_str()) {
                reader.shards.push(Shard::new(id.clone(), ShardIteratorType::Latest));
            }
            reader.seen.insert(id);
        }
        // From now on: whatever is written after this is seen.
        for index in 0..reader.shards.len() {
            reader.iterator(index).await?;
        }
        Ok(reader)
    }

    /// The number of shards that are read.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Reads once what is new in each shard.
    pub(super) async fn look(&mut self) -> Result<StreamRead, TailError> {
        if Instant::now() >= self.look_again {
            self.look_for_shards().await?;
        }
        for index in 0..self.shards.len() {
            if self.shards.get(index).is_some_and(|shard| shard.iterator.is_none()) {
                self.iterator(index).await?;
            }
        }
        let reads =
            self.shards.iter().map(|shard| self.client.get_records().set_shard_iterator(shard.iterator.clone()).send());
        let reads = join_all(reads).await;
        let mut look = StreamRead::default();
        let mut ended = false;
        for (shard, read) in self.shards.iter_mut().zip(reads) {
            match read {
                Ok(read) => {
                    shard.iterator = read.next_shard_iterator;
                    ended |= shard.iterator.is_none();
                    let records = read.records.unwrap_or_default();
                    let last = records.last().and_then(|record| record.dynamodb()?.sequence_number());
                    shard.position = last.map(str::to_owned).or(shard.position.take());
                    look.changes.extend(records.into_iter().filter_map(change));
                    if shard.iterator.is_none() {
                        shard.id.clear();
                    }
                }
                Err(error) => {
                    let why = describe(&error);
                    let error = error.into_service_error();
                    if error.is_expired_iterator_exception() {
                        shard.iterator = None;
                    } else if error.is_trimmed_data_access_exception() {
                        (shard.iterator, shard.position) = (None, None);
                        shard.begin = ShardIteratorType::TrimHorizon;
                    } else if error.is_resource_not_found_exception() {
                        shard.id.clear();
                        ended = true;
                    } else if error.is_limit_exceeded_exception() || why.contains("Throttl") {
                        look.slowed = Some(why);
                    } else {
                        return Err(TailError::Stream { table: self.table.clone(), why });
                    }
                }
            }
        }
        self.shards.retain(|shard| !shard.id.is_empty());
        if ended {
            self.look_for_shards().await?;
        }
        look.changes.sort_by_key(|change| change.at);
        Ok(look)
    }

    /// Adds the shards that are new: they follow others that have ended, and are read from their beginning.
    async fn look_for_shards(&mut self) -> Result<(), TailError> {
        let described = self.describe().await?;
        for shard in described {
            let id = shard.shard_id().unwrap_or_default().to_owned();
            if self.seen.insert(id.clone()) {
                self.shards.push(Shard::new(id, ShardIteratorType::TrimHorizon));
            }
        }
        let soon = if self.shards.is_empty() { LOOK_FOR_CHILDREN } else { LOOK_FOR_SHARDS };
        self.look_again = Instant::now() + soon;
        Ok(())
    }

    async fn describe(&self) -> Result<Vec<Described>, TailError> {
        let (mut shards, mut start) = (Vec::new(), None);
        loop {
            let describe_stream = self.client.describe_stream().stream_arn(&self.arn);
            let described = describe_stream.set_exclusive_start_shard_id(start).send().await;
            let failed = |why: String| TailError::Stream { table: self.table.clone(), why };
            let described = described.map_err(|error| failed(describe(&error)))?.stream_description;
            let described = described.ok_or_else(|| failed("DynamoDB returned no description".to_owned()))?;
            shards.extend(described.shards.unwrap_or_default());
            start = described.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Asks for the iterator of a shard.
    async fn iterator(&mut self, index: usize) -> Result<(), TailError> {
        let Some(shard) = self.shards.get_mut(index) else { return Ok(()) };
        let request = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(&shard.id);
        let request = match &shard.position {
            Some(position) => {
                request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(position)
            }
            None => request.shard_iterator_type(shard.begin.clone()),
        };
        let given = request.send().await;
        let given = given.map_err(|error| TailError::Stream { table: self.table.clone(), why: describe(&error) })?;
        shard.iterator = given.shard_iterator;
        Ok(())
    }
}

impl Shard {
    const fn new(id: String, begin: ShardIteratorType) -> Self {
        Self { id, iterator: None, position: None, begin }
    }
}

/// A record as a change. `None`: a row that was deleted.
fn change(record: Record) -> Option<ChangedRow> {
    let is_new = record.event_name == Some(OperationType::Insert);
    let changed = record.dynamodb?;
    let at = changed.approximate_creation_date_time.and_then(|at| at.to_millis().ok()).unwrap_or(0);
    let row = changed.new_image?.into_iter().filter_map(|(name, value)| Some((name, attribute(value)?))).collect();
    Some(ChangedRow { is_new, at: UnixMillis(at), row })
}

/// An attribute, as DynamoDB's own client has it.
fn attribute(value: StreamValue) -> Option<AttributeValue> {
    Some(match value {
        StreamValue::S(text) => AttributeValue::S(text),
        StreamValue::N(number) => AttributeValue::N(number),
        StreamValue::B(bytes) => AttributeValue::B(bytes),
        StreamValue::Bool(value) => AttributeValue::Bool(value),
        StreamValue::Null(value) => AttributeValue::Null(value),
        StreamValue::Ss(texts) => AttributeValue::Ss(texts),
        StreamValue::Ns(numbers) => AttributeValue::Ns(numbers),
        StreamValue::Bs(bytes) => AttributeValue::Bs(bytes),
        StreamValue::L(values) => AttributeValue::L(values.into_iter().filter_map(attribute).collect()),
        StreamValue::M(values) => {
            let values = values.into_iter().filter_map(|(name, value)| Some((name, attribute(value)?)));
            AttributeValue::M(values.collect())
        }
        _ => return None,
    })
}
