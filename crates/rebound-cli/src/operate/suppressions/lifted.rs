//! The recipients of an imported list who were lifted since: they are not suppressed again silently.
//!
//! The suppression list records a lift for some weeks; the audit entries record a lift by hand for 400 days.

use rebound::aws::CallError;
use rebound::policy::suppression::{ChangeEffect, Reason, ReasonState, SuppressionChange};
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::ErasureKey;
use rebound::store::manual_change::{ManualChange, MergeResult};
use rebound::store::suppressions::{SuppressionItem, Suppressions};
use rebound::time::UnixMillis;
use serde::Serialize;

use super::List;
use crate::operate::audit::{self, AuditNote};

/// The effect of a list on recipients who were lifted by hand since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiftedByHand {
    /// They stay lifted, and are named.
    #[default]
    Stay,
    /// They are suppressed again.
    Again,
}

/// A recipient of a list whom it does not suppress, because the reason was lifted since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lifted {
    /// The address.
    pub recipient: Recipient,
    /// The name of the reason.
    pub reason: &'static str,
    /// Time of the lift.
    pub at: UnixMillis,
    /// Who lifted it: an operator by name, else the id of a webhook.
    pub by: String,
    /// Reason that the operator gave.
    pub why: Option<String>,
}

/// The result of one entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum EntryResult {
    Changed,
    Unchanged,
    Lifted(Lifted),
    /// The recipient was forgotten, and stays so.
    Forgotten,
}

/// Merges one change of a list. `has_time`: the list says itself when it was.
pub(super) async fn take(
    list: &List,
    table: &Suppressions,
    key: Option<&ErasureKey>,
    (recipient, change): (&Recipient, &SuppressionChange),
    has_time: bool,
    by_hand: LiftedByHand,
    note: &AuditNote,
) -> Result<EntryResult, CallError> {
    if change.effect == ChangeEffect::Lift {
        return Ok(table.merge(recipient, key, None, change).await?.into());
    }
    let stored = table.find(recipient.as_str()).await?.unwrap_or_default();
    let record = stored.suppression.records.get(&change.reason).cloned().unwrap_or_default();
    // An entry without a time says only that the reason is active.
    if !has_time && record.is_permanent() {
        return Ok(EntryResult::Unchanged);
    }
    if !record.is_active(note.at)
        && let Some(lifted) = lifted_by_hand(list, recipient, change.reason, &record).await?
        && (!has_time || change.at <= lifted.at)
    {
        return match by_hand {
            LiftedByHand::Stay => Ok(EntryResult::Lifted(lifted)),
            LiftedByHand::Again => again(list, table, key, recipient, change, note).await,
        };
    }
    let changed = table.merge(recipient, key, Some(stored), change).await?;
    let lifted = match &changed {
        MergeResult::Made(_, stored) | MergeResult::Unchanged(stored) => lifted_later(stored, recipient, change),
        MergeResult::Forgotten(_) => None,
    };
    Ok(lifted.map_or_else(|| changed.into(), EntryResult::Lifted))
}

impl EntryResult {
    /// The result of an entry after this change and the next one.
    pub(super) fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Unchanged, next) => next,
            (Self::Changed, Self::Unchanged) => Self::Changed,
            (Self::Changed, next) => next,
            (stays, _) => stays,
        }
    }
}

impl<C> From<MergeResult<C>> for EntryResult {
    fn from(changed: MergeResult<C>) -> Self {
        match changed {
            MergeResult::Made(..) => Self::Changed,
            MergeResult::Unchanged(_) => Self::Unchanged,
            MergeResult::Forgotten(_) => Self::Forgotten,
        }
    }
}

/// Suppresses somebody again who was lifted by hand: by hand too, with a note of its own.
async fn again(
    list: &List,
    table: &Suppressions,
    key: Option<&ErasureKey>,
    recipient: &Recipient,
    change: &SuppressionChange,
    note: &AuditNote,
) -> Result<EntryResult, CallError> {
    let changes = |stored: &SuppressionItem| {
        let at = stored.suppression.time_by_hand(change.reason, note.at);
        vec![SuppressionChange { at, ..change.clone() }]
    };
    let row = note.row(recipient.as_str(), "added", &[]);
    let by_hand = ManualChange { recipient, key, note: Some((&list.events, row)), also: None };
    Ok(table.change(&by_hand, None, changes).await?.into())
}

/// The newest lift by hand of a reason, if the newest that was done by hand is a lift.
async fn lifted_by_hand(
    list: &List,
    recipient: &Recipient,
    reason: Reason,
    record: &ReasonState,
) -> Result<Option<Lifted>, CallError> {
    let done = audit::entries(&list.calls, &list.events, recipient.as_str()).await?;
    let of_reason = |done: &&audit::AuditEntry| done.reasons.iter().any(|name| name == reason.as_str());
    let last = done.iter().rfind(of_reason).filter(|done| done.action == "removed");
    Ok(last.map(|done| Lifted {
        recipient: recipient.clone(),
        reason: reason.as_str(),
        // A change by hand may be later than the moment at which it was made.
        at: record.lifted.as_ref().map_or(done.at, |said| said.at.max(done.at)),
        by: done.by.clone(),
        why: Some(done.why.clone()),
    }))
}

/// The lift that is newer than a change, where the list has one.
fn lifted_later(stored: &SuppressionItem, recipient: &Recipient, change: &SuppressionChange) -> Option<Lifted> {
    let record = stored.suppression.records.get(&change.reason).filter(|record| !record.suppresses())?;
    let said = record.lifted.as_ref()?;
    let (recipient, reason) = (recipient.clone(), change.reason.as_str());
    Some(Lifted { recipient, reason, at: said.at, by: said.message.as_str().to_owned(), why: None })
}
