//! Undoes lifts by webhooks, such as those of a contact synchronization that resubscribed everybody.

use rebound::aws::CallError;
use rebound::policy::suppression::{ChangeEffect, Reason, SuppressionChange};
use rebound::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use rebound::store::forgotten::ErasureKey;
use rebound::store::lifts::Lift;
use rebound::store::manual_change::{ManualChange, MergeResult};
use rebound::store::suppressions::{SuppressionItem, Suppressions};
use rebound::time::UnixMillis;

use super::{List, change};
use crate::operate::audit::AuditNote;

/// The result for one lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreResult {
    /// The recipient is suppressed again, for this reason; in a dry run: would be.
    Suppressed(Reason),
    /// Nothing is to be undone: the lift is not the last word any more, or the recipient is suppressed for this reason already.
    Unchanged,
    /// The person was forgotten, and stays so.
    Forgotten,
}

/// The mode of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMode {
    /// The lifts are undone.
    Restore,
    /// The lifts are only reported.
    DryRun,
}

impl List {
    /// The lifts by webhooks that were received at `since` or later and before `until`, the oldest first.
    pub async fn lifts(
        &self,
        agenda_table: &str,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Vec<Lift>, CallError> {
        Agenda::new(self.calls.clone(), agenda_table).lifts(since, until, usize::MAX).await
    }

    /// Suppresses a recipient again whom a webhook lifted, if that webhook is still what lifted them last.
    ///
    /// Who was unsubscribed comes back as opted out, which no webhook lifts, and is to be unsubscribed at Resend too: else the next
    /// synchronization would lift them again.
    ///
    /// Running it again after an error is safe.
    pub async fn restore(
        &self,
        agenda_table: &str,
        lift: &Lift,
        key: Option<&ErasureKey>,
        note: &AuditNote,
        mode: RestoreMode,
    ) -> Result<RestoreResult, CallError> {
        let recipient = &lift.recipient;
        let (known, is_forgotten) = self.find(recipient, key).await?;
        if is_forgotten {
            return Ok(RestoreResult::Forgotten);
        }
        let wanted = |stored: &SuppressionItem| suppression(lift, stored, note.at);
        let restored = |change: Option<&SuppressionChange>| {
            change.map_or(RestoreResult::Unchanged, |c| RestoreResult::Suppressed(c.reason))
        };
        let Some(change) = wanted(&known.unwrap_or_default()) else { return Ok(RestoreResult::Unchanged) };
        if mode == RestoreMode::DryRun {
            return Ok(restored(Some(&change)));
        }
        let agenda = Agenda::new(self.calls.clone(), agenda_table);
        let push = AgendaEntry::new(AgendaKind::Push, note.at, recipient.as_str(), &[]);
        let push = (lift.reason == Reason::Unsubscribed).then(|| agenda.put_in_transaction(&push));
        let row = note.row(recipient.as_str(), "restored", &[]);
        let by_hand = ManualChange { recipient, key, note: Some((&self.events, row)), also: push };
        let table = Suppressions::new(self.calls.clone(), &self.suppressions);
        let changed = table.change(&by_hand, None, |stored| wanted(stored).into_iter().collect()).await?;
        Ok(match changed {
            MergeResult::Made(changes, _) => restored(changes.first()),
            MergeResult::Unchanged(_) => RestoreResult::Unchanged,
            MergeResult::Forgotten(_) => RestoreResult::Forgotten,
        })
    }
}

/// The change that undoes a lift. `None`: there is nothing to undo.
fn suppression(lift: &Lift, stored: &SuppressionItem, now: UnixMillis) -> Option<SuppressionChange> {
    let records = &stored.suppression.records;
    let record = records.get(&lift.reason).filter(|_| lift.holds(stored))?;
    let (_, details) = record.suppressed.as_ref()?;
    if details.until.is_some_and(|until| until <= now) {
        return None;
    }
    let reason = if lift.reason == Reason::Unsubscribed { Reason::OptedOut } else { lift.reason };
    if let Some(other) = records.get(&reason).filter(|_| reason != lift.reason) {
        // Who was restored before, and then lifted by hand, stays lifted.
        let is_lifted_since =
            other.lifted.as_ref().map(|lifted| lifted.at) > record.lifted.as_ref().map(|lifted| lifted.at);
        if other.is_permanent() || is_lifted_since {
            return None;
        }
    }
    let at = stored.suppression.time_by_hand(reason, now);
    Some(change(reason, at, ChangeEffect::Suppress(details.clone())))
}
