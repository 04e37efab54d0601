//! The queues, in a journal: messages that are visible, in flight, delayed, or dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::time::Instant;

use crate::journal::Journal;
use crate::uuid;

/// Number of messages in a queue, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: usize,
    /// Received, and neither deleted nor visible again.
    pub not_visible: usize,
    /// Sent with a delay that is not over.
    pub delayed: usize,
}

/// All queues.
#[derive(Debug)]
pub(super) struct Queues {
    journal: Arc<Journal>,
    redrives: Mutex<BTreeMap<String, Redrive>>,
    /// Start time by both clocks: times in the journal are real time in microseconds, and never jump.
    began: (Instant, Timestamp),
}

/// The dead-letter queue for messages that were received too often.
#[derive(Clone, Debug)]
pub(super) struct Redrive {
    pub(super) dead_letters: String,
    pub(super) max_receive_count: usize,
}

#[derive(Clone, Debug)]
pub(super) struct SqsMessage {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) sent_at: Timestamp,
    pub(super) first_received_at: Timestamp,
    pub(super) receives: i64,
}

/// A receipt handle: one receive of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiptHandle<'a> {
    id: &'a str,
    receive: i64,
}

impl<'a> ReceiptHandle<'a> {
    pub(super) fn parse(handle: &'a str) -> Option<Self> {
        let (id, receive) = handle.split_once('.')?;
        Some(Self { id, receive: receive.parse().ok()? })
    }
}

/// A message's visibility cannot be changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotChanged {
    Gone,
    NotInFlight,
}

/// Converts a time of the journal, in milliseconds since 1970.
fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

impl SqsMessage {
    pub(super) fn receipt_handle(&self) -> String {
        format!("{}.{}", self.id, self.receives)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Self)> {
        let message = Self {
            id: row.get("id")?,
            body: row.get("body")?,
            sent_at: moment(row.get("sent_at")?),
            first_received_at: moment(row.get("first_received_at")?),
            receives: row.get("receives")?,
        };
        Ok((row.get("number")?, message))
    }
}

impl Queues {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, redrives: Mutex::default(), began: (Instant::now(), Timestamp::now()) }
    }

    fn redrives(&self) -> MutexGuard<'_, BTreeMap<String, Redrive>> {
        self.redrives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_redrive(&self, queue: &str, redrive: Redrive) {
        self.redrives().insert(queue.to_owned(), redrive);
    }

    pub(super) fn redrive(&self, queue: &str) -> Option<Redrive> {
        self.redrives().get(queue).cloned()
    }

    /// Time after this delay, in microseconds since 1970.
    fn after(&self, delay: Duration) -> i64 {
        let (began, at) = self.began;
        let since = i64::try_from((began.elapsed() + delay).as_micros()).unwrap_or(i64::MAX);
        at.as_microsecond().saturating_add(since)
    }

    /// Adds a message, and returns its id.
    pub(super) fn send(&self, queue: &str, body: &str, delay: Duration) -> rusqlite::Result<String> {
        let (id, now) = (uuid(), Timestamp::now().as_millisecond());
        let connection = self.journal.connection();
        connection
            .prepare_cached(
                "INSERT INTO messages (queue, id, body, sent_at, first_received_at, receives, visible_at)
                 VALUES (?1, ?2, ?3, ?4, ?4, 0, ?5)",
            )?
            .execute(params![queue, id, body, now, self.after(delay)])?;
        self.remember(&connection, queue, body)?;
        Ok(id)
    }

    fn remember(&self, connection: &Connection, queue: &str, body: &str) -> rusqlite::Result<()> {
        if !self.journal.is_file() {
            connection.execute("INSERT INTO sent (queue, body) VALUES (?1, ?2)", [queue, body])?;
        }
        Ok(())
    }

    /// Receives the messages that have been visible longest, and hides them for `timeout`. A message that was received
    /// too often, and is visible again, becomes a dead letter instead, with the same id.
    pub(super) fn receive(&self, queue: &str, at_most: i64, timeout: Duration) -> rusqlite::Result<Vec<SqsMessage>> {
        let redrive = self.redrive(queue);
        let mut connection = self.journal.connection();
        let change = connection.transaction()?;
        let now = self.after(Duration::ZERO);
        if let Some(Redrive { dead_letters, max_receive_count }) = redrive {
            let dead: Vec<(i64, SqsMessage)> = change
                .prepare_cached("SELECT * FROM messages WHERE queue = ?1 AND receives >= ?2 AND +visible_at <= ?3")?
                .query_map(params![queue, max_receive_count, now], SqsMessage::read)?
                .collect::<Result<_, _>>()?;
            for (number, message) in dead {
                change.execute("UPDATE messages SET queue = ?1 WHERE number = ?2", params![dead_letters, number])?;
                self.remember(&change, &dead_letters, &message.body)?;
            }
        }
        let visible: Vec<(i64, SqsMessage)> = change
            .prepare_cached(
                "SELECT * FROM messages INDEXED BY messages_visible WHERE queue = ?1 AND visible_at <= ?2
                 ORDER BY visible_at, number LIMIT ?3",
            )?
            .query_map(params![queue, now, at_most], SqsMessage::read)?
            .collect::<Result<_, _>>()?;
        let mut received = Vec::new();
        for (number, mut message) in visible {
            if message.receives == 0 {
                message.first_received_at = Timestamp::now();
            }
            message.receives += 1;
            change
                .prepare_cached(
                    "UPDATE messages SET first_received_at = ?1, receives = ?2, visible_at = ?3 WHERE number = ?4",
                )?
                .execute(params![
                    message.first_received_at.as_millisecond(),
                    message.receives,
                    self.after(timeout),
                    number
                ])?;
            received.push(message);
        }
        change.commit()?;
        Ok(received)
    }

    /// Deletes a message. A message that is gone, or was received again, is not changed:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>.
    pub(super) fn delete(&self, queue: &str, receipt: ReceiptHandle<'_>) -> rusqlite::Result<()> {
        let connection = self.journal.connection();
        let mut delete =
            connection.prepare_cached("DELETE FROM messages WHERE id = ?1 AND receives = ?2 AND queue = ?3")?;
        delete.execute(params![receipt.id, receipt.receive, queue])?;
        Ok(())
    }

    /// Makes a message in flight visible again after this time.
    pub(super) fn change_visibility(
        &self,
        queue: &str,
        receipt: ReceiptHandle<'_>,
        timeout: Duration,
    ) -> rusqlite::Result<Result<(), NotChanged>> {
        let connection = self.journal.connection();
        let visible_at: Option<i64> = connection
            .prepare_cached("SELECT visible_at FROM messages WHERE id = ?1 AND receives = ?2 AND queue = ?3")?
            .query_row(params![receipt.id, receipt.receive, queue], |row| row.get(0))
            .optional()?;
        let Some(visible_at) = visible_at else { return Ok(Err(NotChanged::Gone)) };
        if visible_at <= self.after(Duration::ZERO) {
            return Ok(Err(NotChanged::NotInFlight));
        }
        connection
            .prepare_cached("UPDATE messages SET visible_at = ?1 WHERE id = ?2")?
            .execute(params![self.after(timeout), receipt.id])?;
        Ok(Ok(()))
    }

    pub(super) fn counts(&self, queue: &str) -> rusqlite::Result<QueueDepth> {
        let connection = self.journal.connection();
        // One time for all three: otherwise a message that becomes visible in between would be in none of them.
        let now = self.after(Duration::ZERO);
        let count = |rest: &str| {
            let query = format!("SELECT COUNT(*) FROM messages WHERE queue = ?1 AND {rest}");
            connection.prepare_cached(&query)?.query_row(params![queue, now], |row| row.get(0))
        };
        Ok(QueueDepth {
            visible: count("visible_at <= ?2")?,
            not_visible: count("visible_at > ?2 AND receives > 0")?,
            delayed: count("visible_at > ?2 AND receives = 0")?,
        })
    }

    /// Returns the bodies of all messages that ever entered a queue, in order; in a file, only of those that it still
    /// holds.
    pub(super) fn bodies(&self, queue: &str) -> rusqlite::Result<Vec<String>> {
        let table = if self.journal.is_file() { "messages" } else { "sent" };
        let connection = self.journal.connection();
        let mut bodies = connection.prepare(&format!("SELECT body FROM {table} WHERE queue = ?1 ORDER BY number"))?;
        bodies.query_map([queue], |row| row.get(0))?.collect()
    }
}
