//! Follow-ups that Rebound sends: webhooks about them, and the ones that are overdue.

use super::record::ParsedEvent;
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::message::decision::{FOLLOWUP_ID_TAG, FOLLOWUP_TAG};
use crate::resend::event::Event;
use crate::store::followups::{FollowupStore, SwitchOf};

/// Name of the writer in a follow-up's history.
const BY: &str = "protect";

/// Records follow-ups that were sent, and measures those that were not.
pub(super) struct Followups<'a> {
    pub(super) store: &'a FollowupStore,
    pub(super) run: ProtectRun<'a>,
}

impl Followups<'_> {
    /// Records the id at Resend of the follow-up that an event is about, whatever the follow-up's status. It reads first,
    /// and writes only what is new.
    pub(super) async fn record(&self, parsed: &ParsedEvent<'_>, event: &Event<'_>) -> Result<(), CallError> {
        let tags = event.tags();
        let (Some(email_id), Some(id)) = (tags.get(FOLLOWUP_TAG), tags.get(FOLLOWUP_ID_TAG)) else { return Ok(()) };
        if email_id.is_empty() || id.is_empty() {
            return Ok(());
        }
        let Some(resend_id) = event.resource_id() else { return Ok(()) };
        let at = parsed.row.received.happened_at(event);
        self.store.record_accepted(email_id, id, &resend_id, BY, at).await?;
        Ok(())
    }

    /// Measures by how much the oldest follow-up is overdue, unless a person has paused all sending.
    pub(super) async fn measure(&self) -> Result<(), CallError> {
        let oldest = self.store.due(self.run.now, 1).await?.into_iter().next();
        let Some(oldest) = oldest else { return Ok(()) };
        if self.store.switch(&SwitchOf::All).await?.is_none() {
            let minutes = self.run.now.seconds_since(oldest.at) / 60.0;
            self.run.did.add(Activity::FollowupOverdue { minutes });
        }
        Ok(())
    }
}
