//! Sums over many measurements.

use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use serde::Serialize;

use crate::Failure;

/// What does not exceed so many percent of the values.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((values.len() * percent / 100).min(last)).copied().unwrap_or(f64::NAN)
}

/// The one in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut values.into_iter().collect::<Vec<_>>(), 50)
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What two programs that took turns have in common: the medians of each, and of how much more the one takes than the other at the
/// same time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    /// Of `receive`.
    pub(crate) receive: f64,
    /// Of the floor.
    pub(crate) floor: f64,
    /// The median of the quotients of each turn.
    pub(crate) ratio: f64,
}

impl Pair {
    /// Of turns: one of `receive`, and one of the floor right before or after it.
    pub(crate) fn of(turns: &[[f64; 2]]) -> Self {
        Self {
            receive: median(turns.iter().map(|[receive, _]| *receive)),
            floor: median(turns.iter().map(|[_, floor]| *floor)),
            ratio: median(turns.iter().map(|[receive, floor]| receive / floor)),
        }
    }
}

/// What each event costs DynamoDB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Units {
    /// Calls.
    pub(crate) calls: f64,
    /// Units of 4 KB.
    pub(crate) read_units: f64,
    /// Units of 1 KB.
    pub(crate) write_units: f64,
}

/// A proxy before DynamoDB that counts.
pub(crate) struct Counting {
    proxy: FaultProxy,
    faults: Faults,
}

impl Counting {
    /// Starts one before this DynamoDB.
    pub(crate) async fn start(dynamodb: String) -> Result<Self, Failure> {
        let faults = Faults::default();
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = FaultProxy::start(dynamodb, any, Service::DynamoDb, faults.clone()).await?;
        Ok(Self { proxy, faults })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// Counts from zero.
    pub(crate) fn begin(&self) {
        self.faults.plan(|_| None);
        self.faults.count_capacity(true);
    }

    /// What each of so many events cost since.
    pub(crate) fn per_event(&self, events: usize) -> Units {
        let (units, events) = (self.faults.capacity(), events as f64);
        Units {
            calls: self.faults.calls().len() as f64 / events,
            read_units: units.read_units / events,
            write_units: units.write_units / events,
        }
    }
}
