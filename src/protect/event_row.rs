//! A record of the stream, parsed as a row.

use crate::aws::stream::StreamRecord;
use crate::policy::counting::EventMeta;
use crate::resend::signature::MessageId;
use crate::store::outbox::ClaimOwner;
use crate::store::row::{self, RowKind};
use crate::store::{Item, as_number, string};
use crate::time::{UnixMillis, days};

/// Retention of the record of an event without an expiry of its own, in days.
const RETENTION_DAYS: u32 = 90;

/// Prefixes of the sort keys of the events that `protect` receives, as in the filters of the event source mappings in
/// `template.yaml`.
const RECEIVED_PREFIXES: [&str; 13] = [
    "email.complained#",
    "email.bounced#",
    "email.failed#",
    "domain.updated#",
    "domain.deleted#",
    "email.sent#",
    "email.delivered#",
    "email.opened#",
    "email.clicked#",
    "email.suppressed#",
    "email.delivery_delayed#",
    "contact.",
    "suppression.",
];

/// Returns true if `protect` receives a row of the events table: events of the types that have effects, and rows in
/// quarantine.
pub fn wants(row: &Item) -> bool {
    let event = string(row, "event");
    match string(row, "kind") {
        kind if kind == RowKind::Event.as_str() => RECEIVED_PREFIXES.iter().any(|begin| event.starts_with(begin)),
        kind => kind == RowKind::Quarantine.as_str(),
    }
}

/// A row that was added to the events table.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    /// The sort key: `<type>#<webhook>`.
    pub(super) event: String,
    pub(super) received: EventMeta,
    /// The body of the webhook. `None` for a row in quarantine.
    pub(super) body: Option<Vec<u8>>,
    /// Reason of the quarantine.
    pub(super) problem: String,
}

/// Returns the partition and the sort key of a record's row, even if the row cannot be read.
pub(super) fn row_key(record: &StreamRecord) -> (String, String) {
    let key = |name: &str| {
        let key = string(&record.keys, name);
        if key.is_empty() { string(&record.row, name).to_owned() } else { key.to_owned() }
    };
    let (partition, event) = (key("email_id"), key("event"));
    if partition.is_empty() || event.is_empty() {
        let sequence = &record.sequence_number;
        return (format!("message#stream-{sequence}"), format!("unreadable#{sequence}"));
    }
    (partition, event)
}

impl EventRow {
    /// Parses a record.
    ///
    /// # Errors
    /// Returns the reason why it is not the row of an event.
    pub(super) fn read(record: &StreamRecord, now: UnixMillis) -> Result<Self, String> {
        let (partition, event) = row_key(record);
        let body = match string(&record.row, "kind") {
            kind if kind == RowKind::Event.as_str() => {
                Some(row::payload(&record.row).ok_or("it has no readable payload")?.into_owned())
            }
            kind if kind == RowKind::Quarantine.as_str() => None,
            kind => return Err(format!("its kind is {kind:?}, not event")),
        };
        let (_, message) = event.split_once('#').ok_or("its key has no webhook id")?;
        let millis = |name: &str| record.row.get(name).and_then(as_number);
        let at = UnixMillis(millis("received_at").ok_or("it has no received_at")?);
        let expires_at = millis("expires_at").map(|seconds| UnixMillis(seconds.saturating_mul(1000)));
        Ok(Self {
            received: EventMeta {
                message: MessageId::from_verified(message),
                partition,
                at,
                expires_at: expires_at.unwrap_or_else(|| now.plus(days(RETENTION_DAYS))),
            },
            event,
            body,
            problem: string(&record.row, "problem").to_owned(),
        })
    }

    /// Returns the owner of the alerts that follow from the event.
    pub(super) fn owner(&self) -> ClaimOwner {
        ClaimOwner::Event(self.event.clone())
    }
}
