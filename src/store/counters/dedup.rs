//! Dedup records: they make each count happen once.

use std::collections::BTreeMap;

use super::late::late_key;
use crate::policy::counting::{Counter, DedupKey, Increment, MessageHash};
use crate::resend::campaign::Cohort;
use crate::store::{Item, as_number};
use crate::time::UnixMillis;

/// Seconds of receipt that share a part of the ledger, which is read whole for every batch. A smaller value makes a
/// slow campaign's batches write more rows; a larger one makes a fast campaign read more. Never change it while there
/// are events: a redelivered webhook would be searched in another part, and counted twice.
const LEDGER_SECONDS: i64 = 30;

/// A dedup record to write, with the counts that depend on it.
pub(super) enum DedupRecord {
    Ledger { messages: BTreeMap<MessageHash, CountTarget>, expires_at: UnixMillis },
    Occurrence { counter: Counter, at: UnixMillis, cohort: Cohort, expires_at: UnixMillis },
}

/// The counters that a webhook is added to.
#[derive(Clone, Copy)]
pub(super) struct CountTarget {
    pub(super) cohort: Cohort,
    pub(super) counter: Counter,
    /// Hour of a late sending.
    pub(super) late: Option<Cohort>,
}

impl CountTarget {
    /// The sort keys of the items that the webhook is added to.
    pub(super) fn added_to(&self) -> impl Iterator<Item = String> {
        let late = self.late.map(|hour| late_key(hour, self.cohort));
        std::iter::once(self.cohort.to_string()).chain(late)
    }
}

/// Groups counts by the sort key of their dedup record.
pub(super) fn dedup_records<'a>(counts: impl IntoIterator<Item = &'a Increment>) -> BTreeMap<String, DedupRecord> {
    let mut dedup_records: BTreeMap<String, DedupRecord> = BTreeMap::new();
    for count in counts {
        let counted = CountTarget { cohort: count.cohort, counter: count.counter, late: count.late };
        let (key, record) = match &count.dedup_key {
            DedupKey::Webhook { second, hash } => (
                format!("ledger#{}", second - second.rem_euclid(LEDGER_SECONDS)),
                DedupRecord::Ledger { messages: BTreeMap::from([(*hash, counted)]), expires_at: count.expires_at },
            ),
            DedupKey::Occurrence { key, at } => {
                let (counter, at, cohort) = (count.counter, *at, count.cohort);
                (key.clone(), DedupRecord::Occurrence { counter, at, cohort, expires_at: count.expires_at })
            }
        };
        match dedup_records.remove(&key) {
            Some(before) => dedup_records.insert(key, before.and(record)),
            None => dedup_records.insert(key, record),
        };
    }
    dedup_records
}

impl DedupRecord {
    /// Merges two records with the same key.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Ledger { mut messages, expires_at }, Self::Ledger { messages: more, expires_at: later }) => {
                messages.extend(more);
                Self::Ledger { messages, expires_at: expires_at.max(later) }
            }
            (
                Self::Occurrence { counter, at, cohort, expires_at },
                Self::Occurrence { at: another, cohort: other, expires_at: later, .. },
            ) => Self::Occurrence {
                counter,
                at: at.min(another),
                cohort: cohort.min(other),
                expires_at: expires_at.max(later),
            },
            (first, _) => first,
        }
    }
}

/// The webhooks that a ledger row lists.
pub(super) fn ledger(item: &Item) -> impl Iterator<Item = MessageHash> {
    let bytes = item.get("messages").and_then(|value| value.as_b().ok()).map(|blob| blob.as_ref()).unwrap_or_default();
    bytes.as_chunks::<8>().0.iter().map(|hash| MessageHash(*hash))
}

/// Time and cohort in which an occurrence is counted.
pub(super) fn occurrence(item: &Item) -> Option<(UnixMillis, Cohort)> {
    let cohort = Cohort::parse(item.get("counted_in")?.as_s().ok()?)?;
    Some((UnixMillis(as_number(item.get("at")?)?), cohort))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resend::campaign::Campaign;

    fn delivered(message: u8, second: i64) -> Increment {
        Increment {
            campaign: Campaign::new("a").unwrap(),
            cohort: Cohort::parse("2026-11-23T13").unwrap(),
            counter: Counter::Delivered,
            late: None,
            dedup_key: DedupKey::Webhook { second, hash: MessageHash([message; 8]) },
            expires_at: UnixMillis(i64::from(message)),
        }
    }

    /// Frozen: under other keys, a redelivered webhook would not be found, and would be counted twice.
    #[test]
    fn webhooks_of_thirty_seconds_share_a_part_of_the_ledger() {
        let counts: Vec<Increment> = [1_795_440_629, 1_795_440_599, 1_795_440_600, 1_795_440_630]
            .into_iter()
            .zip(1..)
            .map(|(s, m)| delivered(m, s))
            .collect();
        let dedup_records = dedup_records(&counts);
        let rows: Vec<(&str, usize, i64)> = dedup_records
            .iter()
            .map(|(key, record)| match record {
                DedupRecord::Ledger { messages, expires_at } => (key.as_str(), messages.len(), expires_at.0),
                DedupRecord::Occurrence { .. } => panic!("a delivery counts per message"),
            })
            .collect();
        assert_eq!(rows, [("ledger#1795440570", 1, 2), ("ledger#1795440600", 2, 3), ("ledger#1795440630", 1, 4),]);
    }
}
