//! A transaction being built: the new counts, and their dedup records.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use sha2::{Digest, Sha256};

use super::Campaigns;
use super::counted_state::{CountedState, addition_of, last_rows, rows_of};
use super::dedup::{CountTarget, DedupRecord, occurrence};
use super::late::{late_expiry, late_key};
use crate::aws::CallError;
use crate::policy::brake::LONG_WINDOW_DAYS;
use crate::policy::counting::{Counter, CounterTotals, MessageHash};
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::client::{put_item, update_item};
use crate::store::version::SeenVersion;
use crate::store::{Item, number, text};
use crate::time::{UnixMillis, days};

/// Retention of a cohort's counters, in days: until the same season of the next year.
const COHORT_DAYS: u32 = 400;

/// Number of days that a dedup record stays after its event: the record must not expire first.
const LONGER_DAYS: u32 = 7;

/// Prefix of the sort key of a complaint's time.
pub(super) const COMPLAINED_AT: &str = "complained_at#";

/// A transaction being built: its items, and the changes of each cohort and late sum.
#[derive(Default)]
pub(super) struct PendingWrites {
    pub(super) items: Vec<TransactWriteItem>,
    pub(super) cohorts: BTreeMap<Cohort, CounterTotals>,
    /// By hour and cohort.
    late: BTreeMap<(Cohort, Cohort), i64>,
    /// The cohorts that webhooks are added to, on the condition that nothing else was added; with the ledger rows put
    /// for each.
    of_messages: BTreeMap<Cohort, BTreeSet<String>>,
    /// The items of the webhooks that are already counted.
    pub(super) counted: BTreeSet<String>,
}

impl Campaigns {
    /// Adds the writes for one dedup record, if any are needed.
    pub(super) fn add_record(
        &self,
        campaign: &Campaign,
        key: &str,
        record: &DedupRecord,
        seen: &CountedState,
        pending: &mut PendingWrites,
    ) -> Result<(), CallError> {
        match record {
            DedupRecord::Ledger { messages, expires_at } => {
                let known = seen.ledgers.get(key);
                let is_new = |hash: &MessageHash| known.is_none_or(|known| !known.contains(hash));
                let (new, counted): (Vec<_>, Vec<_>) = messages.iter().partition(|(hash, _)| is_new(hash));
                pending.counted.extend(counted.iter().flat_map(|(_, counted)| counted.added_to()));
                if new.is_empty() {
                    return Ok(());
                }
                let addition = new.iter().filter_map(|(_, new)| seen.cohorts.get(&new.cohort.to_string()));
                let addition = addition.flat_map(rows_of).map(|row| addition_of(row)).max().map_or(0, |last| last + 1);
                let row = format!("{key}#{addition:08x}{:08x}", fastrand::u32(..));
                for (_, CountTarget { cohort, counter, late }) in &new {
                    pending.cohorts.entry(*cohort).or_default().add(*counter, 1);
                    pending.of_messages.entry(*cohort).or_default().insert(row.clone());
                    if let Some(hour) = late {
                        *pending.late.entry((*hour, *cohort)).or_default() += 1;
                    }
                }
                let hashes: Vec<u8> = new.iter().flat_map(|(hash, _)| hash.0).collect();
                let mut item = self.key(campaign, &row);
                item.insert("messages".to_owned(), AttributeValue::B(Blob::new(hashes)));
                item.insert("expires_at".to_owned(), number(expiry(*expires_at)));
                let put = Put::builder().table_name(&self.table).set_item(Some(item));
                pending.items.push(put_item(put.condition_expression("attribute_not_exists(campaign)"))?);
            }
            DedupRecord::Occurrence { counter, at, cohort, expires_at } => {
                let known = seen.occurrences.get(key).and_then(occurrence);
                let reported = (*at, *cohort);
                let earliest = known.map_or(reported, |known| (known.0.min(reported.0), known.1.min(reported.1)));
                if known == Some(earliest) {
                    pending.counted.insert(earliest.1.to_string());
                    if *counter == Counter::Complained {
                        pending.counted.insert(complained_at(earliest.0, key));
                    }
                    return Ok(());
                }
                pending.cohorts.entry(earliest.1).or_default().add(*counter, 1);
                if let Some((_, counted_in)) = known {
                    pending.cohorts.entry(counted_in).or_default().add(*counter, -1);
                }
                let mut item = self.key(campaign, key);
                item.insert("at".to_owned(), number(earliest.0.0));
                item.insert("counted_in".to_owned(), text(earliest.1.to_string()));
                item.insert("expires_at".to_owned(), number(expiry(*expires_at)));
                let put = Put::builder().table_name(&self.table).set_item(Some(item));
                let put = match known {
                    Some((at, counted_in)) => put
                        .condition_expression("#at = :at AND counted_in = :counted_in")
                        .expression_attribute_names("#at", "at")
                        .expression_attribute_values(":at", number(at.0))
                        .expression_attribute_values(":counted_in", text(counted_in.to_string())),
                    None => put.condition_expression("attribute_not_exists(campaign)"),
                };
                pending.items.push(put_item(put)?);
                if *counter == Counter::Complained && known.map(|known| known.0) != Some(earliest.0) {
                    self.move_complaint(campaign, key, known.map(|known| known.0), earliest.0, pending)?;
                }
            }
        }
        Ok(())
    }

    /// Stores the time of a complaint, in the order of time, so that the brake reads only the last day's complaints.
    fn move_complaint(
        &self,
        campaign: &Campaign,
        key: &str,
        from: Option<UnixMillis>,
        to: UnixMillis,
        pending: &mut PendingWrites,
    ) -> Result<(), CallError> {
        if let Some(from) = from {
            let delete = Delete::builder().table_name(&self.table);
            let delete = delete.set_key(Some(self.key(campaign, &complained_at(from, key)))).build();
            let delete = delete.map_err(|error| CallError::Permanent(error.to_string()))?;
            pending.items.push(TransactWriteItem::builder().delete(delete).build());
        }
        let mut item = self.key(campaign, &complained_at(to, key));
        // The brake does not need it after a day.
        item.insert("expires_at".to_owned(), number(to.plus(days(LONG_WINDOW_DAYS)).seconds()));
        pending.items.push(put_item(Put::builder().table_name(&self.table).set_item(Some(item)))?);
        Ok(())
    }

    /// Adds the changes of each cohort and each late sum.
    pub(super) fn add_all(
        &self,
        campaign: &Campaign,
        seen: &CountedState,
        pending: &mut PendingWrites,
    ) -> Result<(), CallError> {
        for (cohort, figures) in &pending.cohorts {
            let before = seen.cohorts.get(&cohort.to_string());
            let rows = pending.of_messages.get(cohort).map(|rows| (before, rows));
            pending.items.push(self.add(campaign, *cohort, figures, rows)?);
        }
        for ((hour, cohort), sent) in &pending.late {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(self.key(campaign, &late_key(*hour, *cohort))))
                .update_expression("ADD sent :sent SET expires_at = :expires_at")
                .expression_attribute_values(":sent", number(*sent))
                .expression_attribute_values(":expires_at", number(late_expiry(*hour)));
            pending.items.push(update_item(update)?);
        }
        Ok(())
    }

    /// Builds the update of a cohort. If ledger rows are put for it, the cohort must still be as it was read.
    fn add(
        &self,
        campaign: &Campaign,
        cohort: Cohort,
        figures: &CounterTotals,
        rows: Option<(Option<&Item>, &BTreeSet<String>)>,
    ) -> Result<TransactWriteItem, CallError> {
        let key = self.key(campaign, &cohort.to_string());
        let mut update = Update::builder().table_name(&self.table).set_key(Some(key));
        let mut added = Vec::new();
        for (index, (counter, by)) in figures.0.iter().enumerate() {
            added.push(format!("{} :n{index}", counter.as_str()));
            update = update.expression_attribute_values(format!(":n{index}"), number(*by));
        }
        let mut set = "expires_at = :expires_at".to_owned();
        if let Some((before, rows)) = rows {
            set.push_str(", #version = :version, #rows = :rows");
            let unchanged = SeenVersion::of(before).unchanged("campaign");
            update = update
                .set_condition_expression(unchanged.condition.map(str::to_owned))
                .expression_attribute_names("#version", "version")
                .expression_attribute_names("#rows", "rows")
                .expression_attribute_values(":version", text(format!("{:016x}", fastrand::u64(..))))
                .expression_attribute_values(":rows", AttributeValue::Ss(last_rows(before, rows)));
            for (placeholder, name) in unchanged.names {
                update = update.expression_attribute_names(placeholder, name);
            }
            for (placeholder, value) in unchanged.values {
                update = update.expression_attribute_values(placeholder, value);
            }
        }
        let expires_at = cohort.start().plus(days(COHORT_DAYS)).seconds();
        let update = update
            .update_expression(format!("ADD {} SET {set}", added.join(", ")))
            .expression_attribute_values(":expires_at", number(expires_at));
        update_item(update)
    }
}

/// Fifteen digits last until the year 33658, and keep the order of time.
pub(super) fn complained_at(at: UnixMillis, occurrence: &str) -> String {
    let hash = if occurrence.is_empty() { String::new() } else { hex::encode(Sha256::digest(occurrence)) };
    format!("{COMPLAINED_AT}{:015}#{hash:.16}", at.0.max(0))
}

/// Expiry of a dedup record, in seconds.
fn expiry(expires_at: UnixMillis) -> i64 {
    expires_at.plus(days(LONGER_DAYS)).seconds()
}
