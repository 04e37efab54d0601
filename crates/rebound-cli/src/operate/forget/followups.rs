//! The follow-ups to an erased address: each is emptied by a transition of its own, so that its entry, and a late answer of Resend,
//! find what they need.

use rebound::aws::CallError;
use rebound::message::decision::Followup;
use rebound::store::Item;
use rebound::store::followups::{FollowupRow, FollowupStore, FollowupWrite};

use super::{ForgetError, Forgetting, MAX_ATTEMPTS};
use crate::operate::audit::AuditNote;

impl Forgetting<'_> {
    /// Empties the follow-ups that have a place among the recipient's: those that wait, are due, or may have been sent.
    pub(super) async fn stop_followups(&self, note: &AuditNote) -> Result<(), ForgetError> {
        let store = self.followups();
        for taken in store.places(self.recipient).await?.taken {
            if let Some(row) = store.find(&taken.email_id, &Followup::id(&taken.id)).await? {
                self.empty(&store, row, note).await?;
            }
        }
        Ok(())
    }

    /// Empties the follow-up of a row that was found without its place. In a dry run it stays.
    pub(super) async fn empty_followup(&self, row: &Item, note: &AuditNote) -> Result<(), ForgetError> {
        match FollowupRow::from_item(row) {
            Some(row) if self.mode == super::ForgetMode::Forget => self.empty(&self.followups(), row, note).await,
            _ => Ok(()),
        }
    }

    async fn empty(&self, store: &FollowupStore, mut row: FollowupRow, note: &AuditNote) -> Result<(), ForgetError> {
        for _ in 0..MAX_ATTEMPTS {
            match store.forget(&row, &note.by, note.at).await? {
                FollowupWrite::Written(..) | FollowupWrite::Changed(None) => return Ok(()),
                FollowupWrite::Changed(Some(now)) => row = *now,
            }
        }
        Err(CallError::Transient("other writers kept changing the same follow-up".to_owned()).into())
    }

    fn followups(&self) -> FollowupStore {
        FollowupStore::new(self.calls.clone(), self.tables.clone())
    }
}
