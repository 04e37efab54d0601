//! The embedded DynamoDB, with the tables of a template.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::dynamodb_api::{Access, DynamoDbApi};
use super::sam::TableDefinition;

/// The embedded DynamoDB could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedDbError {
    /// The address is in use, or cannot be bound.
    #[error("can't listen on {0}: {1}; choose another address")]
    Listen(SocketAddr, io::Error),
    /// The file cannot be opened, or a table cannot be created in it.
    #[error("the local DynamoDB: {0}")]
    Database(String),
}

/// The embedded DynamoDB. Stops when dropped.
#[derive(Debug)]
pub struct EmbeddedDynamoDb {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), String>>,
}

impl EmbeddedDynamoDb {
    /// Starts the engine at an address, with the tables in the file; without a file, empty and in memory.
    ///
    /// # Errors
    /// The address is in use, or the file cannot be opened.
    pub async fn start(at: SocketAddr, data: Option<&Path>) -> Result<Self, EmbeddedDbError> {
        let failed = |error: &dyn std::error::Error| EmbeddedDbError::Database(error.to_string());
        let name = data.map_or_else(name_in_memory, |file| file.to_string_lossy().into_owned());
        let database = Database::new(&name).map_err(|error| failed(&error))?;
        index_the_stream(&name).map_err(|error| failed(&error))?;
        let listening = |error| EmbeddedDbError::Listen(at, error);
        let listener = TcpListener::bind(at).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
            let _ = stopped.await;
        }));
        Ok(Self { address, stop, serving })
    }

    /// URL of the engine: `http://127.0.0.1:8000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the engine, and waits until it has stopped.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.serving.await;
    }
}

/// Returns the name of a new database in memory, which a second connection of this process can open:
/// <https://sqlite.org/inmemorydb.html#sharedmemdb>.
fn name_in_memory() -> String {
    static DATABASES: AtomicUsize = AtomicUsize::new(0);
    format!("file:dynamodb-{}?mode=memory&cache=shared", DATABASES.fetch_add(1, Ordering::Relaxed))
}

/// Creates an index that the engine lacks. Each write to a table with a stream queries the highest sequence number, as
/// an integer, of a text column. Without an index this scans all stream records, so writes become slower with every
/// write (dynoxide-rs 3.2.0).
fn index_the_stream(name: &str) -> Result<(), rusqlite::Error> {
    rusqlite::Connection::open(name)?.execute_batch(
        "CREATE INDEX IF NOT EXISTS stream_order
         ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
    )
}

/// Returns true if an endpoint is on this machine.
pub fn is_local(endpoint: &str) -> bool {
    let host = endpoint.parse::<hyper::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Creates the template's tables in a local DynamoDB, if they do not exist.
///
/// # Errors
/// The engine does not respond, or rejects a table definition.
pub async fn make_tables(access: &Access, tables: &[TableDefinition]) -> Result<(), EmbeddedDbError> {
    let api = DynamoDbApi::new(access);
    let make = async |operation, request: Value| match api.call(operation, &request).await {
        Ok(_) => Ok(true),
        Err(error) if error.is("ResourceInUseException") => Ok(false),
        Err(error) => Err(EmbeddedDbError::Database(error.to_string())),
    };
    for table in tables {
        let mut definition = table.definition.clone();
        definition.insert("TableName".to_owned(), json!(table.name));
        if !make("DynamoDB_20120810.CreateTable", definition.into()).await? {
            continue;
        }
        if let Some(attribute) = &table.ttl_attribute {
            let ttl = json!({ "AttributeName": attribute, "Enabled": true });
            let request = json!({ "TableName": table.name, "TimeToLiveSpecification": ttl });
            make("DynamoDB_20120810.UpdateTimeToLive", request).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_in_memory_finds_the_streams_last_number_in_an_index() {
        let name = name_in_memory();
        let _database = Database::new(&name).unwrap();
        index_the_stream(&name).unwrap();
        let last = "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 'events'";
        let connection = rusqlite::Connection::open(&name).unwrap();
        let plan = |row: &rusqlite::Row<'_>| row.get::<_, String>("detail");
        let plan = connection.query_row(&format!("EXPLAIN QUERY PLAN {last}"), [], plan).unwrap();
        assert!(plan.contains("stream_order"), "{plan}");
    }

    #[test]
    fn only_endpoints_on_this_machine_are_local() {
        for local in ["http://127.0.0.1:8000", "http://localhost:8000/", "http://[::1]:8000"] {
            assert!(is_local(local), "{local}");
        }
        for elsewhere in
            ["https://dynamodb.eu-west-1.amazonaws.com", "http://10.0.0.1:8000", "http://localhost.example", ""]
        {
            assert!(!is_local(elsewhere), "{elsewhere}");
        }
    }
}
