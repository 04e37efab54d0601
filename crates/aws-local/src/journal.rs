//! What the stand-ins for SQS and SNS hold: in memory, or in a file that outlives the process, however that ends.
//!
//! Both services keep what they have said yes to. So a call is answered when its change is committed, and a process that is killed
//! afterwards finds it again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

/// A journal that fails says why.
#[derive(Debug, thiserror::Error)]
#[error("the journal of queues and topics: {0}")]
pub struct JournalError(#[from] rusqlite::Error);

/// Without a file it also remembers every body ever sent, for tests to ask; in a file that would grow without end.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        sent_at INTEGER NOT NULL,
        first_received_at INTEGER NOT NULL,
        receives INTEGER NOT NULL,
        visible_at INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at, number);
    CREATE INDEX IF NOT EXISTS messages_received ON messages (queue, receives);
    CREATE TABLE IF NOT EXISTS published (number INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL);";

/// The tables of queues and topics.
#[derive(Debug)]
pub struct Journal {
    connection: Mutex<Connection>,
    is_file: bool,
}

impl Journal {
    /// One that is gone with the process.
    ///
    /// # Errors
    /// SQLite does not start.
    pub fn in_memory() -> Result<Arc<Self>, JournalError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLES)?;
        connection
            .execute_batch("CREATE TABLE sent (number INTEGER PRIMARY KEY, queue TEXT NOT NULL, body TEXT NOT NULL)")?;
        Ok(Arc::new(Self { connection: Mutex::new(connection), is_file: false }))
    }

    /// One in a file. What was received when the last process ended, and not deleted, is visible again.
    ///
    /// # Errors
    /// The file can't be opened, or is none of SQLite's.
    pub fn in_file(file: &Path) -> Result<Arc<Self>, JournalError> {
        let connection = Connection::open(file)?;
        // A commit is in the system's hands then, and outlives the process; only the machine's end would need more.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(TABLES)?;
        connection.execute("UPDATE messages SET visible_at = 0 WHERE receives > 0", [])?;
        Ok(Arc::new(Self { connection: Mutex::new(connection), is_file: true }))
    }

    /// Whether it outlives the process.
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// For one change, or one look.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
