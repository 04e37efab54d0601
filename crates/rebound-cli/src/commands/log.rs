//! The warnings and errors that a function logs while a command runs it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Dispatch;

/// Maximum number of different causes that are kept.
const MAX_CAUSES: usize = 3;

/// The first warnings and errors, one line per cause.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Returns a dispatcher that writes the log lines here, as long as it is the default.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let log = self.clone();
        let level = |name: &str| (name == "AWS_LAMBDA_LOG_LEVEL").then(|| "WARN".to_owned());
        rebound::logging::dispatch(level, move || log.clone())
    }

    /// Returns the causes.
    pub(crate) fn causes(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let cause = cause(&String::from_utf8_lossy(line));
        let mut causes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.len() < MAX_CAUSES && !cause.is_empty() && !causes.contains(&cause) {
            causes.push(cause);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a line without its level and without the sequence number of its record.
fn cause(line: &str) -> String {
    let line = line.trim().trim_start_matches(|c: char| c.is_ascii_uppercase()).trim();
    let words = line.split(' ').filter(|word| !word.starts_with("sequence_number="));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_kept_once_however_many_records_it_stops() {
        let mut log = Log::default();
        for number in 0..400 {
            let line = format!(" WARN retry later error=no such table sequence_number=\"{number}\"\n");
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(log.causes(), ["retry later error=no such table"]);
    }
}
