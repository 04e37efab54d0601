//! The agenda table: scheduled tasks, which each tick processes when they are due.
//!
//! | `kind` | `due` | what the tick does |
//! | --- | --- | --- |
//! | `delay` | `<when>#<email>#<recipient>` | checks if the delayed email has an outcome; without one it sends an alert |
//! | `brake` | `<since when>#<campaign>` | computes the brake again, until it is open |
//! | `domain` | `<when>#<domain id>` | checks if a domain that was verified is still `pending` |
//! | `digest` | `<when>#<kind of alert>#<campaign>` | sends one alert with the number of alerts grouped into it |
//! | `publish` | `<when>#<alert>` | publishes an alert that could not be published immediately |
//! | `lift` | `<received at>#<recipient>#<reason>` | nothing: records a reason that a webhook lifted, for 35 days; see [`lifts`](super::lifts) |
//! | `push` | `<when>#<recipient>` | nothing yet: a contact to unsubscribe at Resend; stays until that is done |
//! | `followup` | `<when>#<follow-up>` | nothing: a follow-up to look at then; see [`followups`](super::followups) |
//! | `followup_done` | `<when>#<follow-up>` | nothing: a follow-up that was sent or dropped, or is unknown, for 30 days |
//! | `lock` | `act` | nothing: who sends now |
//! | `switch` | `all`, or `campaign#<name>` | nothing: sending is paused by a person |
//! | `handed_over` | `<day>` | nothing: number of follow-ups of which a first try began that day |
//! | `spent` | `<day>` | nothing: the cost of that day's Claude requests; see [`budget`](super::budget) |
//! | `told#<kind of alert>#<campaign>` | `<hour>` | nothing: the alerts that were sent one by one in that hour |
//!
//! Times are text, `2026-11-23T13:00:00.000Z`, so their order is the order of time.
//!
//! A task that a tick processes has no TTL, and stays until it is done. A campaign may be slowed for months, and its
//! brake reopens only because a task says to compute it again.

mod digests;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::PutBuilder;
use strum::IntoStaticStr;

use super::client::{RetryClient, UpdateExpression};
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::time::{UnixMillis, days};

/// Retention of the record of a lift, in days: as long as the tombstone of a lifted reason.
const LIFT_DAYS: u32 = 35;

/// Retention of the entry of a settled follow-up, in days.
pub(super) const FOLLOWUP_DONE_DAYS: u32 = 30;

/// Kind of a task: the attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum AgendaKind {
    /// A delayed email without an outcome.
    #[strum(serialize = "delay")]
    Delay,
    /// A campaign that is not open.
    #[strum(serialize = "brake")]
    Brake,
    /// A domain that is pending, or may be pending.
    #[strum(serialize = "domain")]
    Domain,
    /// Alerts grouped into one message.
    #[strum(serialize = "digest")]
    Digest,
    /// An alert that could not be published.
    #[strum(serialize = "publish")]
    Publish,
    /// A reason that a webhook lifted.
    #[strum(serialize = "lift")]
    Lift,
    /// A contact to be unsubscribed at Resend.
    #[strum(serialize = "push")]
    Push,
    /// A follow-up that waits, is due, or may have been sent.
    #[strum(serialize = "followup")]
    Followup,
    /// A follow-up that was sent or dropped, or is unknown.
    #[strum(serialize = "followup_done")]
    FollowupDone,
}

impl AgendaKind {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Retention in days of an entry that no tick processes. `None` if the entry stays until it is done.
    const fn kept_days(self) -> Option<u32> {
        match self {
            Self::Lift => Some(LIFT_DAYS),
            Self::FollowupDone => Some(FOLLOWUP_DONE_DAYS),
            Self::Delay | Self::Brake | Self::Domain | Self::Digest | Self::Publish | Self::Push | Self::Followup => {
                None
            }
        }
    }
}

/// A scheduled task.
#[derive(Clone, Debug, PartialEq)]
pub struct AgendaEntry {
    /// The kind of task.
    pub kind: AgendaKind,
    /// Time at which the task is due.
    pub due: UnixMillis,
    /// Distinguishes the task from others that are due at the same time.
    pub key: String,
    /// All other attributes.
    pub item: Item,
}

impl AgendaEntry {
    /// Creates an entry with these attributes.
    pub fn new(
        kind: AgendaKind,
        due: UnixMillis,
        key: impl Into<String>,
        attributes: &[(&str, AttributeValue)],
    ) -> Self {
        let item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { kind, due, key: key.into(), item }
    }

    /// Returns a text attribute, or an empty text if there is none.
    pub fn text(&self, attribute: &str) -> &str {
        string(&self.item, attribute)
    }

    /// Returns a number attribute.
    pub fn number(&self, attribute: &str) -> Option<i64> {
        self.item.get(attribute).and_then(as_number)
    }

    fn sort(&self) -> String {
        sort(self.due, &self.key)
    }

    /// The key in the table.
    pub(super) fn table_key(&self) -> Item {
        key(self.kind.as_str(), &self.sort())
    }

    /// Builds the put of this entry in the table `table`, as part of a transaction.
    pub(super) fn put_in(&self, table: &str) -> PutBuilder {
        PutBuilder::default().table_name(table).set_item(Some(self.to_item()))
    }

    fn to_item(&self) -> Item {
        let mut item = self.item.clone();
        item.extend(key(self.kind.as_str(), &self.sort()));
        if let Some(kept) = self.kind.kept_days() {
            item.insert("expires_at".to_owned(), number(self.due.plus(days(kept)).seconds()));
        }
        item
    }

    fn from_item(kind: AgendaKind, item: Item) -> Option<Self> {
        let (due, key) = string(&item, "due").split_once('#')?;
        Some(Self { kind, due: UnixMillis::parse(due)?, key: key.to_owned(), item })
    }
}

/// The agenda table.
#[derive(Clone, Debug)]
pub struct Agenda {
    pub(super) calls: RetryClient,
    pub(super) table: String,
}

impl Agenda {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Stores an entry. An entry with the same kind, time and key stays as it is.
    pub async fn put(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        let item = entry.to_item();
        let condition = UpdateExpression {
            condition: Some("attribute_not_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            ..UpdateExpression::default()
        };
        self.calls.put(&self.table, &item, &condition).await?;
        Ok(())
    }

    /// Returns at most `at_most` entries of a kind that are due at `now`, the oldest first.
    pub async fn due(&self, kind: AgendaKind, now: UnixMillis, at_most: usize) -> Result<Vec<AgendaEntry>, CallError> {
        // '$' follows '#', so every entry of this millisecond is included.
        let until = format!("{}$", now.to_text());
        let items = self.calls.query(&self.table, ("kind", kind.as_str()), ("due", "0", &until), at_most).await?;
        Ok(items.into_iter().filter_map(|item| AgendaEntry::from_item(kind, item)).collect())
    }

    /// Builds the put of an entry, as part of a transaction.
    pub fn put_in_transaction(&self, entry: &AgendaEntry) -> PutBuilder {
        entry.put_in(&self.table)
    }

    /// Returns at most `at_most` entries of a kind that are due from `from` until before `until`, the oldest first.
    pub(super) async fn between(
        &self,
        kind: AgendaKind,
        from: UnixMillis,
        until: UnixMillis,
        at_most: usize,
    ) -> Result<Vec<AgendaEntry>, CallError> {
        let (from, until) = (from.to_text(), until.to_text());
        let items = self.calls.query(&self.table, ("kind", kind.as_str()), ("due", &from, &until), at_most).await?;
        Ok(items.into_iter().filter_map(|item| AgendaEntry::from_item(kind, item)).collect())
    }

    /// Deletes an entry that is done.
    pub async fn delete(&self, entry: &AgendaEntry) -> Result<(), CallError> {
        self.calls.delete(&self.table, key(entry.kind.as_str(), &entry.sort())).await
    }
}

fn sort(due: UnixMillis, rest: &str) -> String {
    format!("{}#{rest}", due.to_text())
}

pub(super) fn key(kind: &str, due: &str) -> Item {
    Item::from([("kind".to_owned(), text(kind)), ("due".to_owned(), text(due))])
}
