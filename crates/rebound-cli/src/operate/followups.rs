//! The follow-ups that Rebound sends: read by their entries in the agenda, and stopped by a person.

use std::time::Duration;

use rebound::aws::CallError;
use rebound::message::decision::Followup;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::resend::recipient::Recipient;
use rebound::store::followups::{FollowupRow, FollowupStore, FollowupWrite};
use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::audit::AuditNote;
use super::target::Target;

/// Maximum time of a command.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum number of tries against other writers of the same row.
const MAX_ATTEMPTS: u32 = 20;

/// Result of stopping a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopResult {
    /// It will not be sent, and Resend never accepted it.
    Stopped,
    /// Too late: it is sent.
    Sent,
    /// It will not be sent again, but Resend may have accepted it before; or this is unknown.
    Unclear,
}

impl StopResult {
    /// The exit code of the command.
    pub const fn code(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Sent => 1,
            Self::Unclear => 2,
        }
    }

    fn of(row: &FollowupRow) -> Self {
        match row.state.status {
            FollowupStatus::Sent => Self::Sent,
            FollowupStatus::Dropped if !row.state.is_unclear() => Self::Stopped,
            _ => Self::Unclear,
        }
    }
}

/// The follow-ups of a target.
pub fn store(target: &Target) -> FollowupStore {
    FollowupStore::new(target.calls(TIMEOUT), target.tables())
}

/// Reads the follow-ups that are not settled, and at most `at_most` that were settled since `since`.
pub async fn list(store: &FollowupStore, since: UnixMillis, at_most: usize) -> Result<Vec<FollowupRow>, CallError> {
    let mut entries = store.done(since, usize::MAX).await?;
    // Of many, the newest.
    entries.drain(..entries.len().saturating_sub(at_most));
    entries.extend(store.open(at_most).await?);
    store.rows(&entries).await
}

/// Finds a follow-up by its id, if it is not settled, or was settled within the last 30 days.
pub async fn find(store: &FollowupStore, id: &str) -> Result<Option<FollowupRow>, CallError> {
    match store.find_entry(id).await? {
        Some(entry) => store.find(&entry.email_id, &entry.id).await,
        None => Ok(None),
    }
}

/// Stops one follow-up, for the reason `reason`. What is settled stays as it is.
pub async fn stop_one(
    store: &FollowupStore,
    mut row: FollowupRow,
    reason: &DropReason,
    note: &AuditNote,
) -> Result<(StopResult, FollowupRow), CallError> {
    for _ in 0..MAX_ATTEMPTS {
        if row.state.status.is_settled() {
            return Ok((StopResult::of(&row), row));
        }
        let written = store.drop_followup(&row, reason.clone(), &note.by, &note.why, Vec::new(), note.at).await?;
        row = match written {
            FollowupWrite::Written(row, _) => *row,
            FollowupWrite::Changed(Some(row)) => *row,
            // Deleted meanwhile: nobody can send it.
            FollowupWrite::Changed(None) => return Ok((StopResult::Unclear, row)),
        };
    }
    Err(CallError::Transient("other writers kept changing the same follow-up".to_owned()))
}

/// Stops all follow-ups to a recipient that are there when they are read. Returns the result for each.
pub async fn stop_all(
    store: &FollowupStore,
    recipient: &Recipient,
    note: &AuditNote,
) -> Result<Vec<(StopResult, FollowupRow)>, CallError> {
    let mut results = Vec::new();
    for taken in store.places(recipient).await?.taken {
        // Proposals have a place, and no row.
        if let Some(row) = store.find(&taken.email_id, &Followup::id(&taken.id)).await? {
            results.push(stop_one(store, row, &DropReason::Stopped, note).await?);
        }
    }
    Ok(results)
}

/// A follow-up as JSON, for a list. Absent fields are left out; `at` is the time of the last change.
pub fn line(row: &FollowupRow) -> Value {
    let state = &row.state;
    let mut fields = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("id", Some(json!(row.id)));
    set("email_id", Some(json!(row.email_id)));
    set("status", Some(json!(state.status.as_str())));
    set("mode", Some(json!(row.mode.as_str())));
    set("recipient", row.recipient.as_ref().map(|recipient| json!(recipient.as_str())));
    set("campaign", row.campaign.as_ref().map(|campaign| json!(campaign.as_str())));
    set("not_before", Some(json!(state.not_before.to_text())));
    set("tries", Some(json!(state.tries)));
    set("reason", state.reason.as_ref().map(|reason| json!(reason.to_string())));
    set("unclear", state.is_unclear().then_some(json!(true)));
    set("resend_id", state.resend_id.as_ref().map(|id| json!(id)));
    set("at", state.history.last().map(|line| json!(line.at.to_text())));
    Value::Object(fields)
}
