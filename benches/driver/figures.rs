//! Statistics over many measurements.

use std::time::Duration;

use aws_local::faults::{FaultProxy, Faults, Service};
use serde::Serialize;

use crate::BoxError;

/// Percentile of the values.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((values.len() * percent / 100).min(last)).copied().unwrap_or(f64::NAN)
}

/// Median of the values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut values.into_iter().collect::<Vec<_>>(), 50)
}

/// A duration in milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Result of two programs that took turns: the median of each, and the median ratio within a turn.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    /// Median of `receive`.
    pub(crate) receive: f64,
    /// Median of the baseline.
    pub(crate) baseline: f64,
    /// Median of the ratios of the turns.
    pub(crate) ratio: f64,
}

impl Pair {
    /// Computes the result of turns: one of `receive`, and one of the baseline right before or after it.
    pub(crate) fn of(turns: &[[f64; 2]]) -> Self {
        Self {
            receive: median(turns.iter().map(|[receive, _]| *receive)),
            baseline: median(turns.iter().map(|[_, baseline]| *baseline)),
            ratio: median(turns.iter().map(|[receive, baseline]| receive / baseline)),
        }
    }
}

/// DynamoDB usage per event.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Units {
    /// Number of calls.
    pub(crate) calls: f64,
    /// Read units of 4 KB.
    pub(crate) read_units: f64,
    /// Write units of 1 KB.
    pub(crate) write_units: f64,
}

/// A counting proxy in front of DynamoDB.
pub(crate) struct CountingDynamoDb {
    proxy: FaultProxy,
    faults: Faults,
}

impl CountingDynamoDb {
    /// Starts a proxy in front of this DynamoDB.
    pub(crate) async fn start(dynamodb: String) -> Result<Self, BoxError> {
        let faults = Faults::default();
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = FaultProxy::start(dynamodb, any, Service::DynamoDb, faults.clone()).await?;
        Ok(Self { proxy, faults })
    }

    /// URL of the proxy.
    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// Resets the counts.
    pub(crate) fn begin(&self) {
        self.faults.plan(|_| None);
        self.faults.count_capacity(true);
    }

    /// Usage per event since the reset.
    pub(crate) fn per_event(&self, events: usize) -> Units {
        let (units, events) = (self.faults.capacity(), events as f64);
        Units {
            calls: self.faults.calls().len() as f64 / events,
            read_units: units.read_units / events,
            write_units: units.write_units / events,
        }
    }
}
