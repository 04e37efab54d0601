//! A campaign whose emails are delivered at a steady rate, as its events arrive from the stream.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::store::row::{Row, RowMeta};
use rebound::time::UnixMillis;
use rebound_dev::stream_records;
use serde_json::Value;

use crate::BoxError;

/// A batch: its events, and the time of its delivery.
pub(crate) struct Batch {
    pub(crate) events: Vec<usize>,
    pub(crate) at: UnixMillis,
}

/// The campaign: its start, and the form of its events.
pub(crate) struct BenchCampaign<'a> {
    pub(crate) name: &'a str,
    pub(crate) began: UnixMillis,
    pub(crate) rate: f64,
    pub(crate) sample: &'a str,
}

impl BenchCampaign<'_> {
    fn received_at(&self, index: usize) -> UnixMillis {
        self.began.plus(Duration::from_secs_f64(index as f64 / self.rate))
    }

    fn email_id(index: usize) -> String {
        let mut hasher = DefaultHasher::new();
        index.hash(&mut hasher);
        format!("{:08x}-9c1e-4a77-8f0d-{index:012x}", hasher.finish() >> 32)
    }

    /// The event's row: delivered half a second before its receipt, 2.5 seconds after the email was created.
    fn row(&self, index: usize) -> Result<Row, BoxError> {
        let received_at = self.received_at(index);
        let before = |ms| received_at.minus(Duration::from_millis(ms)).to_text();
        let mut body: Value = serde_json::from_str(self.sample)?;
        for (place, value) in [
            ("/created_at", before(500)),
            ("/data/created_at", before(3_000)),
            ("/data/email_id", Self::email_id(index)),
            ("/data/tags/campaign", self.name.to_owned()),
        ] {
            *body.pointer_mut(place).ok_or("the sample lacks a field")? = value.into();
        }
        let body = body.to_string();
        let message = MessageId::from_verified(format!("msg_{}{index:015}", self.name));
        let stamp = RowMeta { received_at, retention_days: 90 };
        Ok(Row::event(&Event::read(body.as_bytes())?, &message, body.as_bytes(), stamp)?)
    }

    /// Builds the invocation event.
    pub(crate) fn invocation(&self, batch: &Batch) -> Result<Value, BoxError> {
        let rows: Vec<Row> = batch.events.iter().map(|index| self.row(*index)).collect::<Result<_, _>>()?;
        Ok(stream_records::batch(&rows, 1))
    }

    /// The batches of each shard, in the order of their delivery.
    pub(crate) fn batches(&self, events: usize, among: u64, size: usize, window: Duration) -> Vec<Batch> {
        let mut shards: BTreeMap<u64, VecDeque<usize>> = BTreeMap::new();
        for index in 0..events {
            let mut hasher = DefaultHasher::new();
            Self::email_id(index).hash(&mut hasher);
            shards.entry(hasher.finish() % among.max(1)).or_default().push_back(index);
        }
        let mut batches = Vec::new();
        for mut shard in shards.into_values() {
            while let Some(first) = shard.front() {
                let over = self.received_at(*first).plus(window);
                let fits = shard.iter().take(size).take_while(|index| self.received_at(**index) <= over).count();
                let events: Vec<usize> = shard.drain(..fits).collect();
                let full = events.last().map_or(over, |last| self.received_at(*last));
                batches.push(Batch { at: if fits == size { full } else { over }, events });
            }
        }
        batches.sort_by_key(|batch| batch.at);
        batches
    }
}
