//! Reads of follow-ups: by their entries in the agenda, without a scan.

use super::row::{FollowupRow, followup_key};
use super::{FollowupStore, Followups, slots};
use crate::aws::CallError;
use crate::policy::followup::sending::{DropReason, FollowupStatus};
use crate::resend::recipient::Recipient;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::{Item, agenda, as_number, fact_key};
use crate::time::UnixMillis;

/// Maximum number of rows of one read.
const MAX_KEYS: usize = 100;

/// A follow-up's entry in the agenda.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowupEntry {
    /// The email that it answers.
    pub email_id: String,
    /// The follow-up's id.
    pub id: String,
    /// Its status.
    pub status: FollowupStatus,
    /// Reason why it was dropped.
    pub reason: Option<DropReason>,
    /// Time of the next look; of a settled one, the time at which it was settled.
    pub at: UnixMillis,
    entry: AgendaEntry,
}

impl FollowupEntry {
    fn read(entry: AgendaEntry) -> Option<Self> {
        Some(Self {
            email_id: entry.text("email_id").to_owned(),
            id: entry.text("id").to_owned(),
            status: FollowupStatus::from_text(entry.text("status"))?,
            reason: DropReason::from_text(entry.text("reason")),
            at: entry.due,
            entry,
        })
    }
}

impl FollowupStore {
    /// Reads a follow-up's row, strongly consistent.
    pub async fn find(&self, email_id: &str, id: &str) -> Result<Option<FollowupRow>, CallError> {
        let item = self.calls.get(&self.tables.events, followup_key(email_id, id)).await?;
        Ok(item.as_ref().and_then(FollowupRow::from_item))
    }

    /// Reads the attributes of a follow-up's row, strongly consistent.
    pub async fn attributes(&self, email_id: &str, id: &str) -> Result<Option<Item>, CallError> {
        self.calls.get(&self.tables.events, followup_key(email_id, id)).await
    }

    /// Reads the rows of these entries, in their order. Rows that are gone are left out.
    pub async fn rows(&self, entries: &[FollowupEntry]) -> Result<Vec<FollowupRow>, CallError> {
        let mut rows = Vec::new();
        for part in entries.chunks(MAX_KEYS) {
            let keys = part.iter().map(|entry| followup_key(&entry.email_id, &entry.id)).collect();
            let found = self.calls.batch_get(&self.tables.events, keys).await?;
            let mut found: Vec<FollowupRow> = found.iter().filter_map(FollowupRow::from_item).collect();
            let place = |row: &FollowupRow| part.iter().position(|entry| entry.id == row.id);
            found.sort_by_key(place);
            rows.extend(found);
        }
        Ok(rows)
    }

    /// Finds the entry of a follow-up by its id: among those that are not settled, and those that were settled within
    /// the last 30 days.
    pub async fn find_entry(&self, id: &str) -> Result<Option<FollowupEntry>, CallError> {
        let open = self.open(usize::MAX).await?;
        if let Some(entry) = open.into_iter().find(|entry| entry.id == id) {
            return Ok(Some(entry));
        }
        let done = self.done(UnixMillis(0), usize::MAX).await?;
        Ok(done.into_iter().find(|entry| entry.id == id))
    }

    /// Returns at most `at_most` entries of follow-ups that must be looked at by `now`, the oldest first.
    pub async fn due(&self, now: UnixMillis, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        Ok(read_all(self.agenda().due(AgendaKind::Followup, now, at_most).await?))
    }

    /// Returns at most `at_most` entries of follow-ups that are not settled, the one that is due first at the
    /// beginning.
    pub async fn open(&self, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        self.due(UnixMillis(i64::MAX), at_most).await
    }

    /// Returns at most `at_most` entries of follow-ups that were settled since `since`, the oldest first.
    pub async fn done(&self, since: UnixMillis, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        let until = UnixMillis(i64::MAX);
        Ok(read_all(self.agenda().between(AgendaKind::FollowupDone, since, until, at_most).await?))
    }

    /// Deletes an entry whose row is gone, was emptied, or is settled. The row is read again: an entry may be visible
    /// before the row that the same transaction writes. An entry with an open row stays.
    ///
    /// # Errors
    /// The row is there, but can't be read: its entry stays too.
    pub async fn delete_entry(&self, entry: &FollowupEntry) -> Result<(), CallError> {
        let item = self.calls.get_committed(&self.tables.events, followup_key(&entry.email_id, &entry.id)).await?;
        let row = item.as_ref().map(FollowupRow::from_item);
        match row {
            None => self.agenda().delete(&entry.entry).await,
            Some(Some(row)) if row.state.status.is_settled() => self.agenda().delete(&entry.entry).await,
            Some(Some(row)) if row.recipient.is_some() => Ok(()),
            Some(_) => Err(CallError::Permanent("a follow-up's row can't be read".to_owned())),
        }
    }

    /// Reads the places of a recipient's follow-ups. Waits while a transaction that writes them is in flight.
    pub async fn places(&self, recipient: &Recipient) -> Result<Followups, CallError> {
        let item = self.calls.get_committed(&self.tables.recipients, fact_key(recipient, slots::FACT)).await?;
        Ok(item.as_ref().map(Followups::from_item).unwrap_or_default())
    }

    /// Reads the number of follow-ups of which a first try began on the day of `now`, UTC.
    pub async fn handed_over(&self, now: UnixMillis) -> Result<i64, CallError> {
        let item = self.calls.get(&self.tables.agenda, handed_over_key(now)).await?;
        Ok(item.and_then(|item| item.get("count").and_then(as_number)).unwrap_or(0))
    }

    pub(super) fn agenda(&self) -> Agenda {
        Agenda::new(self.calls.clone(), &self.tables.agenda)
    }
}

/// Key of a day's number of follow-ups handed to Resend.
pub(super) fn handed_over_key(now: UnixMillis) -> Item {
    agenda::key("handed_over", &now.day())
}

fn read_all(entries: Vec<AgendaEntry>) -> Vec<FollowupEntry> {
    entries.into_iter().filter_map(FollowupEntry::read).collect()
}
