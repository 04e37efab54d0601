//! The list of who must not be written to, changed by an operator: each change with a note of who made it and why, in one transaction.
//!
//! - [`mod@import`]: from a file, or from Resend's own list.
//! - [`export`]: to a file.
//!
//! A change of an operator's is a change like an event's: the newest counts, by its time. So what somebody removes stays removed when
//! an older bounce arrives late, and comes back when the address bounces again.

pub mod export;
pub mod import;

use crate::operate::audit::Note;
use crate::policy::suppression::{Change, Effect, Grounds, Reason};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::store::calls::{Calls, Trouble};
use crate::store::forgotten::{self, ForgottenKey};
use crate::store::suppressions::{Stored, Suppressions};
use crate::time::UnixMillis;

/// The tables that are changed.
#[derive(Clone, Debug)]
pub struct List {
    /// DynamoDB.
    pub calls: Calls,
    /// `SUPPRESSIONS_TABLE`.
    pub suppressions: String,
    /// `EVENTS_TABLE`, which keeps the notes.
    pub events: String,
}

/// What an address came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list is another now: these reasons were added or lifted.
    Changed(Vec<Reason>),
    /// The list said so already.
    Unchanged,
    /// Whoever has it was forgotten, and stays so.
    Forgotten,
    /// Whoever has it was forgotten, and may be written to again.
    Recalled,
}

impl List {
    fn table(&self) -> Suppressions {
        Suppressions::new(self.calls.clone(), &self.suppressions)
    }

    /// The key of those who were forgotten, if there are any.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn forgotten_key(&self) -> Result<Option<ForgottenKey>, Trouble> {
        forgotten::key(&self.calls, &self.suppressions).await
    }

    /// What is known of a recipient: under the address, and whether it was forgotten.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn find(
        &self,
        recipient: &Recipient,
        key: Option<&ForgottenKey>,
    ) -> Result<(Option<Stored>, bool), Trouble> {
        let known = self.table().find(recipient.as_str()).await?;
        let is_forgotten = match key {
            Some(key) => self.table().find(&key.name_of(recipient)).await?.is_some(),
            None => false,
        };
        Ok((known, is_forgotten))
    }

    /// Suppresses a recipient for this reason, if it does not stand already.
    ///
    /// # Errors
    /// It may not be done; to do it again is safe.
    pub async fn add(
        &self,
        recipient: &Recipient,
        reason: Reason,
        key: Option<&ForgottenKey>,
        note: &Note,
    ) -> Result<Outcome, Trouble> {
        if self.find(recipient, key).await?.1 {
            return Ok(Outcome::Forgotten);
        }
        let detail = Some(format!("{}: {}", note.by, note.why)).map(|text| text.chars().take(200).collect());
        let suppress = |stored: &Stored| {
            let stands = stored.suppression.reasons().any(|standing| standing == reason);
            let grounds = Grounds { email_id: None, detail: detail.clone(), until: None };
            if stands { Vec::new() } else { vec![change(reason, note.at, Effect::Suppress(grounds))] }
        };
        self.change(recipient, "added", suppress, note).await
    }

    /// Lifts the reasons that stand, or those of them that are named.
    ///
    /// # Errors
    /// It may not be done; to do it again is safe.
    pub async fn remove(
        &self,
        recipient: &Recipient,
        only: &[Reason],
        key: Option<&ForgottenKey>,
        note: &Note,
    ) -> Result<Outcome, Trouble> {
        let lift = |stored: &Stored| {
            let wanted = |reason: &Reason| only.is_empty() || only.contains(reason);
            let standing = stored.suppression.reasons().filter(wanted);
            standing.map(|reason| change(reason, lifted_at(stored, reason, note.at), Effect::Lift)).collect()
        };
        let outcome = self.change(recipient, "removed", lift, note).await?;
        let may_recall = only.is_empty() || only.contains(&Reason::OptedOut);
        let Some(key) = key.filter(|_| may_recall) else { return Ok(outcome) };
        let name = key.name_of(recipient);
        let is_recalled = self.table().recall(&name, &self.events, &note.row(&name, "recalled", &[])).await?;
        Ok(if is_recalled { Outcome::Recalled } else { outcome })
    }

    async fn change(
        &self,
        recipient: &Recipient,
        action: &'static str,
        changes: impl Fn(&Stored) -> Vec<Change>,
        note: &Note,
    ) -> Result<Outcome, Trouble> {
        let row = |changes: &[Change]| {
            let reasons: Vec<&str> = changes.iter().map(|change| change.reason.as_str()).collect();
            note.row(recipient.as_str(), action, &reasons)
        };
        let changed = self.table().change(recipient, &self.events, changes, row).await?;
        Ok(if changed.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Changed(changed.iter().map(|change| change.reason).collect())
        })
    }
}

/// When a reason is to be lifted: now; or, if what it stands on claims to be of the future, just after that.
fn lifted_at(stored: &Stored, reason: Reason, now: UnixMillis) -> UnixMillis {
    let suppressed = stored.suppression.records.get(&reason).and_then(|record| record.suppressed.as_ref());
    suppressed.map_or(now, |(said, _)| now.max(UnixMillis(said.at.0.saturating_add(1))))
}

/// A change of an operator's, under an id of its own.
fn change(reason: Reason, at: UnixMillis, effect: Effect) -> Change {
    let message = MessageId::already_verified(format!("operator-{:016x}", fastrand::u64(..)));
    Change { reason, at, message, effect }
}
