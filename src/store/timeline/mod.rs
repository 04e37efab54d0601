//! The events of one email: the events table, read, and added to.

mod near;

pub use self::near::Begun;
use super::calls::{Calls, Change, Written};
use super::{Item, NOT_THERE, event_key, number, text};
use crate::aws::CallError;
use crate::resend::event::EventType;
use crate::time::UnixMillis;

/// The events table.
#[derive(Clone, Debug)]
pub struct Timeline {
    calls: Calls,
    table: String,
}

impl Timeline {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// The rows of a partition whose types begin with `family` and a dot: `email`, `domain`.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn rows(&self, partition: &str, family: &str) -> Result<Vec<Item>, CallError> {
        // '/' is what follows '.'.
        let (from, to) = (format!("{family}."), format!("{family}/"));
        self.calls.range(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// The rows of a partition of one type.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn of_type(&self, partition: &str, event_type: EventType) -> Result<Vec<Item>, CallError> {
        // '$' is what follows '#'.
        let (from, to) = (format!("{}#", event_type.as_str()), format!("{}$", event_type.as_str()));
        self.calls.range(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// Everything about an email: its events, and what was made of them.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn all(&self, partition: &str) -> Result<Vec<Item>, CallError> {
        self.calls.range(&self.table, ("email_id", partition), ("event", "!", "~"), usize::MAX).await
    }

    /// Puts a row that says that an event can't be handled, beside the event. Putting it again changes nothing. Returns true if there was
    /// none yet.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
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
        let absent = Change { condition: Some(NOT_THERE), ..Change::default() };
        Ok(self.calls.put(&self.table, &item, &absent).await? == Written::Done(()))
    }
}
