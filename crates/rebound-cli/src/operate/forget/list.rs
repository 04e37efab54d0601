//! The address in the list itself, which is erased last, with the audit rows and tasks that were stored with it.

use rebound::aws::CallError;
use rebound::aws::tables::TableNames;
use rebound::resend::recipient::Recipient;
use rebound::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use rebound::store::client::RetryClient;
use rebound::store::manual_change::NOTED;
use rebound::store::timeline::Timeline;
use rebound::store::{Item, as_number, event_key, recipient_key, string};
use rebound::time::UnixMillis;

use super::action::action_in_list;
use super::{EraseCounts, ForgetError, ForgetMode, Forgetting};
use crate::operate::audit::partition;

/// Reads the tasks to unsubscribe the recipient's contact at Resend. They are erased: the contact is left as it is.
pub async fn waiting_pushes(
    calls: &RetryClient,
    tables: &TableNames,
    recipient: &Recipient,
) -> Result<Vec<Item>, CallError> {
    let pushes = ("kind", AgendaKind::Push.as_str());
    let mut waiting = calls.query(&tables.agenda, pushes, ("due", "0", "~"), usize::MAX).await?;
    waiting.retain(|task| string(task, "due").split_once('#').is_some_and(|(_, key)| key == recipient.as_str()));
    Ok(waiting)
}

impl Forgetting<'_> {
    /// Deletes the audit entries that the scan has missed, because they were stored just before the hash.
    pub(super) async fn notes(&self, counts: &mut EraseCounts) -> Result<(), ForgetError> {
        let table = self.tables.events.as_str();
        for note in Timeline::new(self.calls.clone(), table).all(&partition(self.recipient.as_str())).await? {
            self.push_of(&note).await?;
            self.delete((table, &["email_id", "event"]), &note, counts).await?;
        }
        Ok(())
    }

    /// Deletes the task to unsubscribe the contact at Resend that was stored with an audit entry. By its key: reads may not show it yet, if
    /// both were stored just before the hash.
    pub(super) async fn push_of(&self, note: &Item) -> Result<(), CallError> {
        if self.mode == ForgetMode::DryRun {
            return Ok(());
        }
        self.push_at(UnixMillis(note.get("at").and_then(as_number).unwrap_or(0))).await
    }

    async fn push_at(&self, at: UnixMillis) -> Result<(), CallError> {
        let push = AgendaEntry::new(AgendaKind::Push, at, self.recipient.as_str(), &[]);
        Agenda::new(self.calls.clone(), &self.tables.agenda).delete(&push).await
    }

    /// Deletes the tasks to unsubscribe the contact at Resend that the scan has missed, because they were stored just before the hash.
    pub(super) async fn pushes(&self, counts: &mut EraseCounts) -> Result<(), ForgetError> {
        let table = self.tables.agenda.as_str();
        for task in waiting_pushes(self.calls, self.tables, self.recipient).await? {
            self.delete((table, &["kind", "due"]), &task, counts).await?;
        }
        Ok(())
    }

    /// Erases the address from the list itself, last: its item, and every mention of it.
    pub(super) async fn suppressions(
        &self,
        events: &mut EraseCounts,
        read: &impl Fn(usize),
    ) -> Result<EraseCounts, ForgetError> {
        let table = self.tables.suppressions.as_str();
        let (found, mut counts) = self.mentioning(table, read).await?;
        let mut theirs = None;
        for item in found {
            if self.mode == ForgetMode::Forget && string(&item, "recipient") == self.recipient.as_str() {
                theirs = Some(item);
                continue;
            }
            let action_of = |item: &Item| action_in_list(item, self.recipient, &self.redactor);
            self.apply_action((table, &["recipient"]), item, action_of, &mut counts).await?;
        }
        if self.mode == ForgetMode::Forget {
            // By its key: the scan may have missed it, if it was stored just before the hash.
            let taken = self.calls.take(table, recipient_key(self.recipient.as_str())).await?;
            counts.deleted += usize::from(taken.is_some() || theirs.is_some());
            for item in taken.iter().chain(&theirs) {
                self.note_of(item, events).await?;
            }
        }
        Ok(counts)
    }

    /// Deletes the audit entry of the newest change by hand, and its task to unsubscribe the contact. By their keys: DynamoDB rejects
    /// this as long as their transaction is in flight, and no read may show them yet.
    async fn note_of(&self, item: &Item, events: &mut EraseCounts) -> Result<(), ForgetError> {
        let noted = string(item, NOTED);
        let Some(at) = noted.split('#').nth(1).and_then(UnixMillis::parse) else { return Ok(()) };
        let key = event_key(&partition(self.recipient.as_str()), noted);
        if let Some(note) = self.calls.take(&self.tables.events, key).await? {
            events.deleted += 1;
            return Ok(self.push_of(&note).await?);
        }
        Ok(self.push_at(at).await?)
    }
}
