//! The events of one email: reads and writes of the events table.

mod near;

pub use self::near::FirstRows;
use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::{Item, NOT_THERE, event_key, number, text};
use crate::aws::CallError;
use crate::resend::event::EventType;
use crate::time::UnixMillis;

/// The events table.
#[derive(Clone, Debug)]
pub struct Timeline {
    calls: RetryClient,
    table: String,
}

impl Timeline {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Returns the rows of a partition whose types begin with `family` and a dot: `email`, `domain`.
    pub async fn rows(&self, partition: &str, family: &str) -> Result<Vec<Item>, CallError> {
        // '/' follows '.'.
        let (from, to) = (format!("{family}."), format!("{family}/"));
        self.calls.query(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// Returns the rows of a partition with one type.
    pub async fn of_type(&self, partition: &str, event_type: EventType) -> Result<Vec<Item>, CallError> {
        // '$' follows '#'.
        let (from, to) = (format!("{}#", event_type.as_str()), format!("{}$", event_type.as_str()));
        self.calls.query(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// Returns all rows of an email: its events, verdicts, decisions and alerts.
    pub async fn all(&self, partition: &str) -> Result<Vec<Item>, CallError> {
        self.calls.query(&self.table, ("email_id", partition), ("event", "!", "~"), usize::MAX).await
    }

    /// Puts a row next to the event that says that the event cannot be processed. Putting it again changes nothing.
    /// Returns true if the row is new.
    pub async fn put_poison(
        &self,
        partition: &str,
        event: &str,
        problem: &str,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<bool, CallError> {
        let mut item = event_key(partition, &format!("poison#{event}"));
        item.insert("kind".to_owned(), text("poison"));
        item.insert("problem".to_owned(), text(problem));
        item.insert("at".to_owned(), number(now.0));
        item.insert("expires_at".to_owned(), number(expires_at.seconds()));
        let absent = UpdateExpression { condition: Some(NOT_THERE), ..UpdateExpression::default() };
        Ok(self.calls.put(&self.table, &item, &absent).await? == ConditionalWrite::Applied(()))
    }
}
