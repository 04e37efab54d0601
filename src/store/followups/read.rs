//! Reads of follow-ups: by their entries in the agenda, without a scan.

use super::row::{FollowupRow, followup_key};
use super::{FollowupStore, Followups, slots};
use crate::aws::CallError;
use crate::policy::followup::sending::{DropReason, FollowupStatus};
use crate::resend::recipient::Recipient;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::fact_key;
use crate::time::UnixMillis;

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

    /// Returns at most `at_most` entries of follow-ups that must be looked at by `now`, the oldest first.
    pub async fn due(&self, now: UnixMillis, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        Ok(read_all(self.agenda().due(AgendaKind::Followup, now, at_most).await?))
    }

    /// Returns at most `at_most` entries of follow-ups that are not settled, the one that is due first at the beginning.
    pub async fn open(&self, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        self.due(UnixMillis(i64::MAX), at_most).await
    }

    /// Returns at most `at_most` entries of follow-ups that were settled since `since`, the oldest first.
    pub async fn done(&self, since: UnixMillis, at_most: usize) -> Result<Vec<FollowupEntry>, CallError> {
        let until = UnixMillis(i64::MAX);
        Ok(read_all(self.agenda().between(AgendaKind::FollowupDone, since, until, at_most).await?))
    }

    /// Deletes an entry whose row is gone, or was emptied.
    pub async fn delete_entry(&self, entry: &FollowupEntry) -> Result<(), CallError> {
        self.agenda().delete(&entry.entry).await
    }

    /// Reads the places of a recipient's follow-ups, strongly consistent.
    pub async fn places(&self, recipient: &Recipient) -> Result<Followups, CallError> {
        let item = self.calls.get(&self.tables.recipients, fact_key(recipient, slots::FACT)).await?;
        Ok(item.as_ref().map(Followups::from_item).unwrap_or_default())
    }

    pub(super) fn agenda(&self) -> Agenda {
        Agenda::new(self.calls.clone(), &self.tables.agenda)
    }
}

fn read_all(entries: Vec<AgendaEntry>) -> Vec<FollowupEntry> {
    entries.into_iter().filter_map(FollowupEntry::read).collect()
}
