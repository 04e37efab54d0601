//! The selection of the stored events to replay.

use std::collections::HashMap;

use rebound::aws::CallError;
use rebound::protect;
use rebound::store::client::RetryClient;
use rebound::store::row::RowKind;
use rebound::store::timeline::Timeline;
use rebound::store::{Item, as_number, number, string, text};
use rebound::time::UnixMillis;

use super::{ReplayError, ReplayFunction};
use crate::operate::scan::{ScanFilter, scan};

/// The type of a webhook that could not be parsed as an event.
pub const QUARANTINE: &str = "quarantine";

/// The selected events. An empty selection selects all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of these emails, or other partitions.
    pub partitions: Vec<String>,
    /// Of these types.
    pub types: Vec<String>,
    /// Received at this moment, or later.
    pub since: Option<UnixMillis>,
    /// Received before this moment.
    pub until: Option<UnixMillis>,
}

impl ReplayFunction {
    fn handles(self, row: &Item) -> bool {
        let is_engaged =
            ["email.opened#", "email.clicked#"].iter().any(|prefix| string(row, "event").starts_with(prefix));
        protect::wants(row) && (self == Self::Protect || is_engaged)
    }

    /// Returns true if the function does anything about events of this type.
    pub fn handles_type(self, event_type: &str) -> bool {
        let kind = if event_type == QUARANTINE { RowKind::Quarantine } else { RowKind::Event };
        let row = [("event", format!("{event_type}#")), ("kind", kind.as_str().to_owned())];
        self.handles(&row.map(|(name, value)| (name.to_owned(), text(value))).into())
    }
}

impl Selection {
    fn wants(&self, row: &Item) -> bool {
        let event_type = string(row, "event").split('#').next().unwrap_or_default();
        let received_at = row.get("received_at").and_then(as_number).map(UnixMillis);
        (self.types.is_empty() || self.types.iter().any(|wanted| wanted == event_type))
            && self.since.is_none_or(|since| received_at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| received_at.is_some_and(|at| at < until))
    }

    /// The selected rows that the function processes, in the order of receipt. `read` is called with the number of rows that were read.
    ///
    /// # Errors
    /// The events can't be read.
    pub async fn rows(
        &self,
        calls: &RetryClient,
        events_table: &str,
        function: ReplayFunction,
        read: impl Fn(usize),
    ) -> Result<Vec<Item>, ReplayError> {
        let mut rows = Vec::new();
        if self.partitions.is_empty() {
            let wanted = self.filter();
            scan(calls, events_table, &wanted, async |items, number| {
                read(number);
                rows.extend(items);
                Ok::<(), CallError>(())
            })
            .await?;
        }
        for partition in &self.partitions {
            let all = Timeline::new(calls.clone(), events_table).all(partition).await?;
            read(all.len());
            rows.extend(all);
        }
        rows.retain(|row| self.wants(row) && function.handles(row));
        rows.sort_by_key(|row| row.get("received_at").and_then(as_number));
        Ok(rows)
    }

    /// The partitions of which there is none among these rows.
    pub fn without_rows(&self, rows: &[Item]) -> Vec<&String> {
        let has_one = |partition: &&String| rows.iter().any(|row| string(row, "email_id") == partition.as_str());
        self.partitions.iter().filter(|partition| !has_one(partition)).collect()
    }

    /// The part of the selection that DynamoDB can filter.
    fn filter(&self) -> ScanFilter {
        let mut parts = vec!["#kind IN (:event, :quarantine)".to_owned()];
        let mut values =
            HashMap::from([(":event".to_owned(), text("event")), (":quarantine".to_owned(), text("quarantine"))]);
        for (name, sign, moment) in [(":since", ">=", self.since), (":until", "<", self.until)] {
            if let Some(moment) = moment {
                parts.push(format!("received_at {sign} {name}"));
                values.insert(name.to_owned(), number(moment.0));
            }
        }
        let names = HashMap::from([("#kind".to_owned(), "kind".to_owned())]);
        ScanFilter { filter: Some(parts.join(" AND ")), projection: None, names, values }
    }
}
