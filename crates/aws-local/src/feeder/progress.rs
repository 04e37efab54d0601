//! Progress of the delivery of a stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// The records in flight, in the order of the stream.
#[derive(Debug)]
pub(super) struct FeederProgress {
    state: Mutex<ProgressState>,
    /// Number of records from the beginning on that are done without a gap.
    done: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct ProgressState {
    under_way: VecDeque<InFlightRecord>,
    /// Number of the first of them.
    first: u64,
    /// Sequence number of the last record before them.
    done_through: Option<String>,
    closed: bool,
}

#[derive(Debug)]
struct InFlightRecord {
    sequence: String,
    done: bool,
}

impl FeederProgress {
    pub(super) fn from(done_through: Option<String>) -> Arc<Self> {
        let state = Mutex::new(ProgressState { done_through, ..ProgressState::default() });
        Arc::new(Self { state, done: watch::Sender::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a record. Returns its number, for [`done`](Self::done).
    pub(super) fn begin(&self, sequence: &str) -> u64 {
        let mut state = self.state();
        state.under_way.push_back(InFlightRecord { sequence: sequence.to_owned(), done: false });
        state.first + state.under_way.len() as u64 - 1
    }

    pub(super) fn done(&self, number: u64) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let index = number.checked_sub(state.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| state.under_way.get_mut(index)) {
            entry.done = true;
        }
        while let Some(entry) = state.under_way.pop_front_if(|entry| entry.done) {
            state.first += 1;
            state.done_through = Some(entry.sequence);
        }
        self.done.send_if_modified(|done| std::mem::replace(done, state.first) != state.first);
    }

    /// Number of registered records.
    pub(super) fn begun(&self) -> u64 {
        let state = self.state();
        state.first + state.under_way.len() as u64
    }

    /// Waits until this number of records from the beginning on are done.
    pub(super) async fn reaches(&self, count: u64) {
        let _ = self.done.subscribe().wait_for(|done| *done >= count).await;
    }

    /// Sequence number up to which all records are done.
    pub(super) fn done_through(&self) -> Option<String> {
        self.state().done_through.clone()
    }

    /// Stops counting records as done: from now on they are dropped because the feeder stops.
    pub(super) fn close(&self) {
        self.state().closed = true;
    }
}

/// A record in flight. It is done when the last mapping that wants it drops it.
#[derive(Debug)]
pub(super) struct PendingRecord {
    pub(super) value: Value,
    pub(super) sequence: String,
    /// Length of its JSON, in bytes.
    pub(super) bytes: usize,
    /// Time of the write, in seconds since 1970.
    pub(super) written: f64,
    pub(super) read: Instant,
    pub(super) number: u64,
    pub(super) progress: Arc<FeederProgress>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// A record that waits for its invocation.
#[derive(Clone, Debug)]
pub(super) struct WaitingRecord {
    pub(super) record: Arc<PendingRecord>,
    /// True if it was in an invocation before.
    pub(super) sent: bool,
    /// True if it was done before, and is a redelivery.
    pub(super) repeat: bool,
}

impl Drop for PendingRecord {
    fn drop(&mut self) {
        self.progress.done(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_what_has_no_gap_before_it() {
        let progress = FeederProgress::from(None);
        let numbers: Vec<u64> = ["a", "b", "c", "d"].iter().map(|sequence| progress.begin(sequence)).collect();
        progress.done(numbers[1]);
        assert_eq!(progress.done_through(), None);
        progress.done(numbers[0]);
        assert_eq!(progress.done_through().as_deref(), Some("b"));
        progress.done(numbers[3]);
        progress.close();
        progress.done(numbers[2]);
        assert_eq!(progress.done_through().as_deref(), Some("b"));
        assert_eq!(progress.begun(), 4);
    }
}
