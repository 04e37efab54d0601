//! The suppression list, changed by an operator: each change with an audit entry, in one transaction.
//!
//! - [`mod@import`]: from a file, or from Resend's own list.
//! - [`export`]: to a file.
//! - [`meaning`]: the lists of other services, and what their lines say.
//! - [`restore`]: undoes lifts by webhooks.
//! - [`lifted`]: the recipients of an imported list who were lifted since.
//!
//! An operator's change is merged like an event's: the newest wins, by its time, and a change by hand is newer than every stored change.
//! So a removed reason stays removed when an older bounce arrives late, and comes back when the address bounces again.

mod entry;
pub mod export;
mod exports;
pub mod import;
pub mod lifted;
pub mod meaning;
mod parsed;
pub mod restore;

use rebound::aws::CallError;
use rebound::policy::suppression::{ChangeEffect, Reason, ReasonDetail, ReasonState, SuppressionChange};
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::store::client::RetryClient;
use rebound::store::forgotten::{self, ErasureKey};
use rebound::store::manual_change::{ManualChange, MergeResult};
use rebound::store::suppressions::{ActiveReason, SuppressionItem, Suppressions};

use crate::operate::audit::AuditNote;

/// The tables that are changed.
#[derive(Clone, Debug)]
pub struct List {
    /// DynamoDB.
    pub calls: RetryClient,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions: String,
    /// `EVENTS_TABLE`, which keeps the notes.
    pub events: String,
}

/// The result of a change, and the active reasons after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListChange {
    /// The result.
    pub outcome: ChangeResult,
    /// The reasons that are active now, as they were written.
    pub active: Vec<ActiveReason>,
}

impl ListChange {
    /// Returns true if no email may be sent to the address now.
    pub fn is_suppressed(&self) -> bool {
        self.outcome == ChangeResult::Forgotten || !self.active.is_empty()
    }
}

/// The result of a change of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeResult {
    /// These reasons were added or lifted.
    Changed(Vec<Reason>),
    /// The list was not changed.
    Unchanged,
    /// The address was erased, and stays suppressed.
    Forgotten,
    /// The address was erased, and can receive email again.
    Restored,
}

impl List {
    fn table(&self) -> Suppressions {
        Suppressions::new(self.calls.clone(), &self.suppressions)
    }

    /// The key of the hashes of erased addresses. `None` if no address was ever erased.
    pub async fn forgotten_key(&self) -> Result<Option<ErasureKey>, CallError> {
        forgotten::key(&self.calls, &self.suppressions).await
    }

    /// The item of a recipient, and true if the address was erased.
    pub async fn find(
        &self,
        recipient: &Recipient,
        key: Option<&ErasureKey>,
    ) -> Result<(Option<SuppressionItem>, bool), CallError> {
        let known = self.table().find(recipient.as_str()).await?;
        Ok((known, self.table().is_forgotten(recipient, key).await?))
    }

    /// Suppresses a recipient for this reason until it is lifted, unless the list has it already. Running it again after an error is safe.
    pub async fn add(
        &self,
        recipient: &Recipient,
        reason: Reason,
        key: Option<&ErasureKey>,
        note: &AuditNote,
    ) -> Result<ListChange, CallError> {
        if self.find(recipient, key).await?.1 {
            return Ok(ListChange { outcome: ChangeResult::Forgotten, active: Vec::new() });
        }
        let detail = Some(format!("{}: {}", note.by, note.why)).map(|text| text.chars().take(200).collect());
        let suppress = |stored: &SuppressionItem| {
            let suppression = &stored.suppression;
            let is_active = suppression.records.get(&reason).is_some_and(ReasonState::is_permanent);
            let details = ReasonDetail { email_id: None, detail: detail.clone(), until: None };
            let at = suppression.time_by_hand(reason, note.at);
            if is_active { Vec::new() } else { vec![change(reason, at, ChangeEffect::Suppress(details))] }
        };
        self.change(recipient, "added", key, suppress, note).await
    }

    /// Lifts the active reasons, or the named ones of them. Only a change that names no reason restores an erased address: its earlier reasons
    /// are erased, so no named reason is known to be the only one. Running it again after an error is safe.
    pub async fn remove(
        &self,
        recipient: &Recipient,
        only: &[Reason],
        key: Option<&ErasureKey>,
        note: &AuditNote,
    ) -> Result<ListChange, CallError> {
        let lift = |stored: &SuppressionItem| {
            let suppression = &stored.suppression;
            let wanted = |reason: &Reason| only.is_empty() || only.contains(reason);
            let active =
                suppression.records.iter().filter(|(reason, record)| record.is_active(note.at) && wanted(reason));
            let lift = |(reason, _): (&Reason, &ReasonState)| {
                change(*reason, suppression.time_by_hand(*reason, note.at), ChangeEffect::Lift)
            };
            active.map(lift).collect()
        };
        // First, because an erased address can't be changed under its name.
        let is_recalled = match key.filter(|_| only.is_empty()).map(|key| key.name_of(recipient)) {
            Some(name) => {
                self.table().restore_forgotten(&name, &self.events, &note.row(&name, "recalled", &[])).await?
            }
            None => false,
        };
        let done = self.change(recipient, "removed", key, lift, note).await?;
        Ok(if is_recalled { ListChange { outcome: ChangeResult::Restored, ..done } } else { done })
    }

    async fn change(
        &self,
        recipient: &Recipient,
        action: &'static str,
        key: Option<&ErasureKey>,
        changes: impl Fn(&SuppressionItem) -> Vec<SuppressionChange>,
        note: &AuditNote,
    ) -> Result<ListChange, CallError> {
        let row = note.row(recipient.as_str(), action, &[]);
        let by_hand = ManualChange { recipient, key, note: Some((&self.events, row)), also: None };
        let (outcome, stored) = match self.table().change(&by_hand, None, changes).await? {
            MergeResult::Made(changes, stored) => {
                (ChangeResult::Changed(changes.iter().map(|change| change.reason).collect()), stored)
            }
            MergeResult::Unchanged(stored) => (ChangeResult::Unchanged, stored),
            MergeResult::Forgotten(stored) => (ChangeResult::Forgotten, stored),
        };
        Ok(ListChange { outcome, active: stored.active_reasons(note.at) })
    }
}

/// A change of an operator's, under an id of its own.
fn change(reason: Reason, at: rebound::time::UnixMillis, effect: ChangeEffect) -> SuppressionChange {
    let message = MessageId::from_verified(format!("operator-{:016x}", fastrand::u64(..)));
    SuppressionChange { reason, at, message, effect }
}
