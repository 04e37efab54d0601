//! Reads the counted state, although a reader may see half of a transaction: see [`counters`](super).

use std::collections::{BTreeMap, BTreeSet};

use super::Campaigns;
use super::dedup::{DedupRecord, ledger};
use crate::aws::CallError;
use crate::policy::counting::MessageHash;
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::backoff::CallBackoff;
use crate::store::error::DynamoDbError;
use crate::store::{Item, string};

/// Number of last additions whose ledger rows a cohort names. So many additions may follow while one is still becoming
/// visible.
const MAX_NAMED_ADDITIONS: usize = 8;

/// Maximum number of keys read in one transaction
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html>).
const MAX_TRANSACTION_KEYS: usize = 100;

/// The counters and dedup records as they were read.
#[derive(Default)]
pub(super) struct CountedState {
    pub(super) cohorts: BTreeMap<String, Item>,
    pub(super) occurrences: BTreeMap<String, Item>,
    pub(super) ledgers: BTreeMap<String, BTreeSet<MessageHash>>,
    /// The ledger rows that were read.
    rows: BTreeSet<String>,
}

impl CountedState {
    /// The ledger rows that a cohort names but that were missing from a ledger that was read.
    fn missing(&self) -> Vec<String> {
        let is_read = |row: &str| {
            let ledger = row.rsplit_once('#').map_or("", |(ledger, _)| ledger);
            self.ledgers.contains_key(ledger)
        };
        let named = self.cohorts.values().flat_map(rows_of);
        let missing = named.filter(|row| is_read(row) && !self.rows.contains(*row)).cloned();
        missing.collect::<BTreeSet<String>>().into_iter().collect()
    }

    fn add_row(&mut self, item: &Item) {
        let row = string(item, "cohort");
        let Some((key, _)) = row.rsplit_once('#') else { return };
        self.ledgers.entry(key.to_owned()).or_default().extend(ledger(item));
        self.rows.insert(row.to_owned());
    }
}

impl Campaigns {
    /// Reads the missing ledger rows in a transaction. A row that is still missing has expired, and so have its counts.
    pub(super) async fn read_missing(&self, campaign: &Campaign, seen: &mut CountedState) -> Result<(), DynamoDbError> {
        for chunk in seen.missing().chunks(MAX_TRANSACTION_KEYS) {
            let keys = chunk.iter().map(|row| self.key(campaign, row)).collect();
            let found = self.calls.transact_get(&self.table, keys).await?;
            found.iter().flatten().for_each(|item| seen.add_row(item));
        }
        Ok(())
    }

    /// Waits until no transaction that writes one of these items is in flight. Later readers see such a transaction
    /// whole.
    pub(super) async fn wait_for(
        &self,
        campaign: &Campaign,
        keys: &BTreeSet<String>,
        mut backoff: CallBackoff,
    ) -> Result<(), CallError> {
        let keys: Vec<Item> = keys.iter().map(|key| self.key(campaign, key)).collect();
        for chunk in keys.chunks(MAX_TRANSACTION_KEYS) {
            while let Err(error) = self.calls.transact_get(&self.table, chunk.to_vec()).await {
                backoff.wait(error).await?;
            }
        }
        Ok(())
    }

    /// Reads the counted state: first the versions, then the ledgers that they guard.
    pub(super) async fn read_state(
        &self,
        campaign: &Campaign,
        dedup_records: &[(String, DedupRecord)],
    ) -> Result<CountedState, CallError> {
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for (key, record) in dedup_records {
            match record {
                DedupRecord::Ledger { messages, .. } => {
                    keys.extend(messages.values().map(|message| message.cohort.to_string()))
                }
                DedupRecord::Occurrence { .. } => _ = keys.insert(key.clone()),
            }
        }
        let keys = keys.iter().map(|key| self.key(campaign, key)).collect();
        let mut seen = CountedState::default();
        for item in self.calls.batch_get(&self.table, keys).await? {
            let key = string(&item, "cohort").to_owned();
            match Cohort::parse(&key) {
                Some(_) => _ = seen.cohorts.insert(key, item),
                None => _ = seen.occurrences.insert(key, item),
            }
        }
        for (key, _) in dedup_records.iter().filter(|(_, record)| matches!(record, DedupRecord::Ledger { .. })) {
            // '$' follows '#'.
            let (from, to) = (format!("{key}#"), format!("{key}$"));
            let partition = ("campaign", campaign.as_str());
            let rows = self.calls.query(&self.table, partition, ("cohort", &from, &to), usize::MAX).await?;
            seen.ledgers.insert(key.clone(), BTreeSet::new());
            rows.iter().for_each(|item| seen.add_row(item));
        }
        Ok(seen)
    }
}

/// The ledger rows that a cohort names.
pub(super) fn rows_of(cohort: &Item) -> impl Iterator<Item = &String> {
    cohort.get("rows").and_then(|rows| rows.as_ss().ok()).into_iter().flatten()
}

/// Number of the addition that put a ledger row: the first eight hex digits after the last `#` of its sort key. It
/// increases with each addition to a cohort.
pub(super) fn addition_of(row: &str) -> u32 {
    let digits = row.rsplit_once('#').and_then(|(_, digits)| digits.get(..8));
    digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// The ledger rows of a cohort's last additions, including `these`.
pub(super) fn last_rows(before: Option<&Item>, these: &BTreeSet<String>) -> Vec<String> {
    let rows: Vec<&String> = before.into_iter().flat_map(rows_of).chain(these).collect();
    let additions: BTreeSet<u32> = rows.iter().map(|row| addition_of(row)).collect();
    let oldest = additions.iter().rev().nth(MAX_NAMED_ADDITIONS - 1).copied().unwrap_or(0);
    rows.into_iter().filter(|row| addition_of(row) >= oldest).cloned().collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    fn row(addition: u32) -> String {
        format!("ledger#1795440600#{addition:08x}00000000")
    }

    #[test]
    fn a_cohort_names_the_rows_of_its_last_eight_additions() {
        let mut cohort = Item::new();
        for addition in 0..20 {
            // Some additions put several rows.
            let these = BTreeSet::from([row(addition), row(addition).replace("600", "630")]);
            let rows = last_rows(Some(&cohort), &these);
            assert_eq!(rows.len(), 2 * (addition as usize + 1).min(MAX_NAMED_ADDITIONS));
            assert!(rows.contains(&row(addition)) && !rows.contains(&row(addition.wrapping_sub(8))));
            cohort.insert("rows".to_owned(), AttributeValue::Ss(rows));
        }
    }

    #[test]
    fn only_rows_of_what_was_read_are_missed() {
        let named = vec![row(1), row(2), "ledger#5#0000000300000000".to_owned()];
        let cohort = Item::from([("rows".to_owned(), AttributeValue::Ss(named))]);
        let mut seen = CountedState { cohorts: BTreeMap::from([("c".to_owned(), cohort)]), ..CountedState::default() };
        assert_eq!(seen.missing(), Vec::<String>::new());
        seen.ledgers.insert("ledger#1795440600".to_owned(), BTreeSet::new());
        seen.add_row(&Item::from([("cohort".to_owned(), AttributeValue::S(row(1)))]));
        assert_eq!(seen.missing(), [row(2)]);
    }
}
