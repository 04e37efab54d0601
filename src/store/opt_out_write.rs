//! A recipient's own opt-out, through a link. It is one transaction: the suppression, its audit entry, the task to
//! unsubscribe the contact at Resend, and the check that the recipient was not forgotten. [`manual_change`] writes it,
//! and draws what happens in races and crashes.
//!
//! [`manual_change`]: super::manual_change

use std::sync::{PoisonError, RwLock};

use aws_sdk_dynamodb::Client;
use strum::IntoStaticStr;
use tokio::time::Instant;

use super::agenda::{Agenda, AgendaEntry, AgendaKind};
use super::audit::{AuditNote, RECIPIENT};
use super::client::RetryClient;
use super::forgotten::ErasureKey;
use super::manual_change::{ManualChange, MergeResult};
use super::suppressions::{SuppressionItem, Suppressions};
use crate::aws::CallError;
use crate::policy::suppression::{ChangeEffect, MAX_EMAIL_ID, Reason, ReasonDetail, ReasonState, SuppressionChange};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// Prefix of the id of an opt-out's change.
const ID_PREFIX: &str = "consent-";

/// Means by which a recipient opted out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum OptOutWay {
    /// One-click unsubscription, by the recipient's mail provider (RFC 8058).
    #[strum(serialize = "one_click")]
    OneClick,
    /// The button on the page.
    #[strum(serialize = "page")]
    Page,
}

impl OptOutWay {
    /// The `detail` of the reason.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The text in the audit entry.
    fn why(self) -> &'static str {
        match self {
            Self::OneClick => "one-click unsubscription in the mail program",
            Self::Page => "button on the page of the unsubscribe link",
        }
    }
}

/// An opt-out.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// The recipient.
    pub recipient: Recipient,
    /// The email whose link was used, if it is known.
    pub email_id: Option<String>,
    /// Means by which the recipient opted out.
    pub way: OptOutWay,
    /// Time of the request.
    pub at: UnixMillis,
}

/// Result of an opt-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptOutResult {
    /// The opt-out was stored by this call, under this id.
    Stored(MessageId),
    /// The recipient had opted out before. Nothing was written.
    Unchanged,
    /// The recipient was forgotten, and gets no email. Nothing was written.
    Forgotten,
}

/// Opt-out state of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOutState {
    /// The recipient did not opt out.
    Open,
    /// The recipient opted out, or was forgotten.
    Stopped,
}

/// Stores opt-outs.
#[derive(Debug)]
pub struct OptOutWriter {
    client: Client,
    events_table: String,
    suppressions_table: String,
    agenda_table: String,
    /// The key of the forgotten recipients, once it was read. It never changes. That there is none is asked each time.
    forgotten_key: RwLock<Option<ErasureKey>>,
}

impl OptOutWriter {
    /// Creates a writer for these tables. `client` must not retry. Nothing is called.
    pub fn new(
        client: Client,
        events_table: impl Into<String>,
        suppressions_table: impl Into<String>,
        agenda_table: impl Into<String>,
    ) -> Self {
        Self {
            client,
            events_table: events_table.into(),
            suppressions_table: suppressions_table.into(),
            agenda_table: agenda_table.into(),
            forgotten_key: RwLock::default(),
        }
    }

    /// Returns the state of a recipient. Nothing is written.
    ///
    /// # Errors
    /// The state cannot be read before `deadline`.
    pub async fn state(&self, recipient: &Recipient, deadline: Instant) -> Result<OptOutState, CallError> {
        let (_, suppressions) = self.tables(deadline);
        // The address first: `forget` writes the hash before it deletes the address.
        let (stored, key) =
            futures_util::future::try_join(suppressions.find(recipient.as_str()), self.key(&suppressions)).await?;
        let is_stopped =
            stored.as_ref().is_some_and(has_opted_out) || suppressions.is_forgotten(recipient, key.as_ref()).await?;
        Ok(if is_stopped { OptOutState::Stopped } else { OptOutState::Open })
    }

    /// Stores an opt-out, unless the recipient opted out before or was forgotten.
    ///
    /// # Errors
    /// The opt-out is not known to be stored before `deadline`. Storing it again is safe.
    pub async fn opt_out(&self, opt_out: &OptOut, deadline: Instant) -> Result<OptOutResult, CallError> {
        let OptOut { recipient, way, at, .. } = opt_out;
        let (calls, suppressions) = self.tables(deadline);
        let (stored, key) =
            futures_util::future::try_join(suppressions.find(recipient.as_str()), self.key(&suppressions)).await?;
        let message = MessageId::from_verified(format!("{ID_PREFIX}{:016x}", fastrand::u64(..)));
        let note = AuditNote { by: RECIPIENT.to_owned(), why: way.why().to_owned(), at: *at };
        let push = AgendaEntry::new(AgendaKind::Push, *at, recipient.as_str(), &[]);
        let change = ManualChange {
            recipient,
            key: key.as_ref(),
            note: Some((&self.events_table, note.row(recipient.as_str(), "added", &[]))),
            also: Some(Agenda::new(calls, &self.agenda_table).put_in_transaction(&push)),
        };
        let changes = |stored: &SuppressionItem| {
            if has_opted_out(stored) { Vec::new() } else { vec![suppression(opt_out, stored, &message)] }
        };
        Ok(match suppressions.change(&change, Some(stored.unwrap_or_default()), changes).await? {
            MergeResult::Made(..) => OptOutResult::Stored(message),
            MergeResult::Unchanged(_) => OptOutResult::Unchanged,
            MergeResult::Forgotten(_) => OptOutResult::Forgotten,
        })
    }

    fn tables(&self, deadline: Instant) -> (RetryClient, Suppressions) {
        let calls = RetryClient::new(self.client.clone(), deadline);
        (calls.clone(), Suppressions::new(calls, &self.suppressions_table))
    }

    /// Returns the key of the forgotten recipients. Reads it until there is one.
    async fn key(&self, suppressions: &Suppressions) -> Result<Option<ErasureKey>, CallError> {
        let known = self.forgotten_key.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let read = suppressions.forgotten_key().await?;
        self.forgotten_key.write().unwrap_or_else(PoisonError::into_inner).clone_from(&read);
        Ok(read)
    }
}

/// Returns true if the recipient opted out until further notice.
fn has_opted_out(stored: &SuppressionItem) -> bool {
    stored.suppression.records.get(&Reason::OptedOut).is_some_and(ReasonState::is_permanent)
}

/// Builds the change of an opt-out. It is newer than everything that is stored, like an operator's change.
fn suppression(opt_out: &OptOut, stored: &SuppressionItem, message: &MessageId) -> SuppressionChange {
    let email_id = opt_out.email_id.clone().filter(|id| id.len() <= MAX_EMAIL_ID);
    let detail = Some(opt_out.way.as_str().to_owned());
    SuppressionChange {
        reason: Reason::OptedOut,
        at: stored.suppression.time_by_hand(Reason::OptedOut, opt_out.at),
        message: message.clone(),
        effect: ChangeEffect::Suppress(ReasonDetail { email_id, detail, until: None }),
    }
}
