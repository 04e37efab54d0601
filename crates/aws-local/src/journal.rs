//! Storage of the SQS and SNS stubs: in memory, or in a file that survives a crash of the process.
//!
//! Both services store every message that they have accepted. So a call is answered only after its change is committed,
//! and a killed process finds the message again.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

/// The storage has failed.
#[derive(Debug, thiserror::Error)]
#[error("the journal of queues and topics: {0}")]
pub struct JournalError(#[from] rusqlite::Error);

/// In memory, every body ever sent is also kept for tests; in a file, that would grow without limit.
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
    /// Opens storage that ends with the process.
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

    /// Opens storage in a file. Messages that were received but not deleted when the last process ended are visible
    /// again.
    ///
    /// # Errors
    /// The file cannot be opened, or is not an SQLite file.
    pub fn in_file(file: &Path) -> Result<Arc<Self>, JournalError> {
        let connection = Connection::open(file)?;
        // A commit is then in the hands of the operating system, and survives the process; only a crash of the machine
        // would need more.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(TABLES)?;
        connection.execute("UPDATE messages SET visible_at = 0 WHERE receives > 0", [])?;
        Ok(Arc::new(Self { connection: Mutex::new(connection), is_file: true }))
    }

    /// Returns true if the storage survives the process.
    pub fn is_file(&self) -> bool {
        self.is_file
    }

    /// Locks the connection for one change or read.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
