//! The history of an email, or of an address, in order of time, as text for people.

mod describe;
mod follows;
mod followup;

use std::collections::BTreeSet;

use rebound::aws::CallError;
use rebound::policy::affected::AffectedRecipients;
use rebound::resend::event::Event;
use rebound::resend::recipient::Recipient;
use rebound::store::row::{self, RowKind, payload_text};
use rebound::store::timeline::Timeline;
use rebound::store::{Item, string};
use rebound::time::UnixMillis;
use serde_json::{Map, Value};

pub(super) use self::describe::entry;
pub use self::follows::ListSnapshot;
use super::audit;
use super::scan::{ScanFilter, scan};
use super::suppressions::List;

/// An entry of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// Time of the occurrence.
    pub at: UnixMillis,
    /// Time of receipt, for a webhook.
    pub received_at: Option<UnixMillis>,
    /// The kind: an event type, or `verdict`, `decision`, `followup`, `alert`, `poison`, `quarantine`, `audit`, `forgotten`.
    pub what: String,
    /// The content and its effects, in a few lines.
    pub text: String,
    /// The email id, or another partition.
    pub about: String,
    /// The content as JSON.
    pub fields: Map<String, Value>,
}

/// Converts rows of the events table to entries, in order of time, with the current suppressions.
pub fn entries(rows: &[Item], known: &ListSnapshot) -> Vec<TimelineEntry> {
    let mut entries: Vec<TimelineEntry> = rows.iter().filter_map(|row| entry(row, known)).collect();
    // At the same time, a webhook comes before its effects.
    entries.sort_by_key(|entry| (entry.at, entry.received_at.is_none(), entry.what.clone()));
    entries
}

/// The history of an email: one Query, and the list's items of the recipients whom it suppresses or lifts.
pub async fn of_email(list: &List, email_id: &str, now: UnixMillis) -> Result<Vec<TimelineEntry>, CallError> {
    let rows = Timeline::new(list.calls.clone(), &list.events).all(email_id).await?;
    Ok(entries(&rows, &ListSnapshot::of(list, &rows, now).await?))
}

/// The history of an address: the whole events table is scanned, since no key contains the address. `read` is called with the number of
/// rows that were read.
pub async fn of_address(
    list: &List,
    recipient: &Recipient,
    now: UnixMillis,
    read: impl Fn(usize),
) -> Result<Vec<TimelineEntry>, CallError> {
    let mut partitions = BTreeSet::new();
    scan(&list.calls, &list.events, &ScanFilter::default(), async |rows, number| {
        read(number);
        let concerned = rows.iter().filter(|row| concerns(row, recipient));
        partitions.extend(concerned.map(|row| string(row, "email_id").to_owned()));
        Ok::<(), CallError>(())
    })
    .await?;
    partitions.insert(audit::partition(recipient.as_str()));
    let timeline = Timeline::new(list.calls.clone(), &list.events);
    let mut rows = Vec::new();
    for partition in partitions {
        rows.extend(theirs(timeline.all(&partition).await?, recipient));
    }
    Ok(entries(&rows, &ListSnapshot::of(list, &rows, now).await?))
}

/// The recipients that a webhook names: those of an email, or a contact.
pub(super) fn recipients(event: &Event<'_>) -> Vec<Recipient> {
    let of_email = AffectedRecipients::by_outcome(event).possible();
    if of_email.is_empty() { event.contact().into_vec() } else { of_email }
}

/// Returns true if a webhook is about an address.
pub(super) fn concerns(row: &Item, recipient: &Recipient) -> bool {
    if string(row, "kind") != RowKind::Event.as_str() {
        return false;
    }
    let Some(body) = row::payload(row) else { return false };
    let Ok(event) = Event::read(&body) else { return false };
    recipients(&event).contains(recipient)
}

/// Keeps the rows about `recipient`: its webhooks, their verdicts, and decisions and alerts that name this address or no address. Rows of
/// other kinds are always kept.
pub(super) fn theirs(rows: Vec<Item>, recipient: &Recipient) -> Vec<Item> {
    let webhooks: BTreeSet<String> =
        rows.iter().filter(|row| concerns(row, recipient)).map(|row| string(row, "event").to_owned()).collect();
    let is_theirs = |row: &Item| match string(row, "kind") {
        "event" => webhooks.contains(string(row, "event")),
        "verdict" => string(row, "event").strip_prefix("verdict#").is_some_and(|event| webhooks.contains(event)),
        "decision" | "alert" => {
            let payload = payload_text(row).to_lowercase();
            payload.contains(recipient.as_str()) || !payload.contains('@')
        }
        "followup" => ["", recipient.as_str()].contains(&string(row, "recipient")),
        _ => true,
    };
    rows.into_iter().filter(is_theirs).collect()
}
