//! The checkpoint file, from which a restart continues.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::FeedError;

/// A small file with the stream's id and the sequence number up to which all records were delivered.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    stream: String,
    written: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Content {
    stream: String,
    sequence: String,
}

impl Checkpoint {
    pub(super) fn new(path: PathBuf, stream: &str) -> Self {
        Self { path, stream: stream.to_owned(), written: None }
    }

    /// Reads the sequence number. Returns `None` if there is no file, or if it belongs to another stream: a new
    /// database.
    pub(super) fn read(&mut self) -> Result<Option<String>, FeedError> {
        self.content().map_err(|error| FeedError::Checkpoint(self.path.clone(), error))
    }

    fn content(&mut self) -> io::Result<Option<String>> {
        let text = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let content: Content = serde_json::from_slice(&text)?;
        self.written = (content.stream == self.stream).then_some(content.sequence);
        Ok(self.written.clone())
    }

    /// Writes the file atomically, if the number has changed.
    pub(super) fn write(&mut self, sequence: Option<String>) -> io::Result<()> {
        let Some(sequence) = sequence.filter(|sequence| self.written.as_ref() != Some(sequence)) else { return Ok(()) };
        let content = Content { stream: self.stream.clone(), sequence };
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        std::fs::write(&new, serde_json::to_vec(&content)?)?;
        std::fs::rename(&new, &self.path)?;
        self.written = Some(content.sequence);
        Ok(())
    }
}
