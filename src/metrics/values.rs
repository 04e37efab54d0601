//! Measured values that are not written yet, in fixed arrays, so that measuring allocates nothing.

use std::time::Duration;

use super::catalogue::{METRICS, Metric};

/// Below this number of milliseconds, each millisecond has its own bucket. Above, each bucket is a tenth wider than the
/// one before.
const FINE: usize = 20;
const WIDER: f64 = 1.1;

/// Number of buckets. The last one begins at about 35 s: longer than receive may take. CloudWatch accepts at most 100
/// different values in a line.
pub(super) const BUCKETS: usize = 98;

/// Values of a line that is not written yet.
#[derive(Clone, Debug)]
pub struct MetricValues {
    values: [Option<f64>; METRICS],
    latency: [u32; BUCKETS],
}

impl Default for MetricValues {
    fn default() -> Self {
        Self { values: [None; METRICS], latency: [0; BUCKETS] }
    }
}

impl MetricValues {
    /// Adds 1 to a metric that is a sum.
    pub fn increment(&mut self, metric: Metric) {
        self.add(metric, 1.0);
    }

    /// Adds to a metric that is a sum. Adding 0 makes the metric appear in the line.
    pub fn add(&mut self, metric: Metric, number: f64) {
        self.change(metric, |known| known.unwrap_or(0.0) + number);
    }

    /// Raises a metric that is a maximum to `number`.
    pub fn peak(&mut self, metric: Metric, number: f64) {
        self.change(metric, |known| known.map_or(number, |known| known.max(number)));
    }

    /// Sets a metric that is a current state.
    pub fn set(&mut self, metric: Metric, number: f64) {
        self.change(metric, |_| number);
    }

    fn change(&mut self, metric: Metric, change: impl FnOnce(Option<f64>) -> f64) {
        if let Some(value) = self.values.get_mut(metric.index()) {
            let changed = change(*value);
            // JSON and CloudWatch have no form for values that are not finite.
            if changed.is_finite() {
                *value = Some(changed);
            }
        }
    }

    /// Records the latency of a webhook.
    pub fn acknowledged(&mut self, took: Duration) {
        if let Some(bucket) = self.latency.get_mut(bucket_of(took)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// Returns the values in the order of the catalogue, without the latency.
    pub(super) fn values(&self) -> impl Iterator<Item = (Metric, f64)> {
        Metric::ALL.iter().zip(self.values).filter_map(|(metric, value)| Some((*metric, value?)))
    }

    /// Returns the measured latencies in milliseconds with their counts, in ascending order.
    pub(super) fn latency(&self) -> impl Iterator<Item = (f64, u32)> {
        self.latency
            .iter()
            .enumerate()
            .filter(|(_, times)| **times > 0)
            .map(|(bucket, times)| (middle_of(bucket), *times))
    }

    /// Returns true if nothing was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.values().next().is_none() && self.latency().next().is_none()
    }
}

fn bucket_of(took: Duration) -> usize {
    let ms = (took.as_secs_f64() * 1_000.0).round();
    let fine = FINE as f64;
    // A cast saturates, and longer times are in the last bucket.
    let bucket = if ms < fine { ms } else { fine + (ms / fine).ln() / WIDER.ln() };
    (bucket as usize).min(BUCKETS - 1)
}

/// Returns the value that represents a bucket, at most 5 % from each value in it.
fn middle_of(bucket: usize) -> f64 {
    match bucket.checked_sub(FINE) {
        None => bucket as f64,
        Some(above) => (FINE as f64 * WIDER.powf(above as f64 + 0.5)).round(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_latency_is_exact_to_five_percent_or_half_a_millisecond(micros in 0_u64..20_000_000) {
            let mut numbers = MetricValues::default();
            numbers.acknowledged(Duration::from_micros(micros));
            let latencies: Vec<(f64, u32)> = numbers.latency().collect();
            let ms = micros as f64 / 1_000.0;
            prop_assert_eq!(latencies.len(), 1);
            let (value, times) = latencies[0];
            prop_assert_eq!(times, 1);
            prop_assert!((value - ms).abs() <= (ms * 0.055).max(0.5) + 1.0, "{} for {}", value, ms);
        }
    }

    #[test]
    fn too_long_times_are_in_the_last_bucket_and_buckets_ascend() {
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        let middles: Vec<f64> = (0..BUCKETS).map(middle_of).collect();
        assert!(middles.windows(2).all(|two| two[0] < two[1]), "{middles:?}");
        assert!(*middles.last().unwrap() > 30_000.0 && BUCKETS <= 100, "{middles:?}");
    }

    #[test]
    fn only_sums_add_up_and_non_finite_numbers_change_nothing() {
        let mut numbers = MetricValues::default();
        assert!(numbers.is_empty());
        numbers.add(Metric::Accepted, 0.0);
        numbers.add(Metric::EventsSent, 2.0);
        numbers.add(Metric::EventsSent, 3.0);
        numbers.peak(Metric::ProtectLag, 7.0);
        numbers.peak(Metric::ProtectLag, 4.0);
        numbers.set(Metric::ClaudeSpentToday, 0.5);
        numbers.set(Metric::ClaudeSpentToday, 0.25);
        numbers.set(Metric::ClaudeCost, f64::NAN);
        let values: Vec<(Metric, f64)> = numbers.values().collect();
        let expected = [
            (Metric::Accepted, 0.0),
            (Metric::EventsSent, 5.0),
            (Metric::ProtectLag, 7.0),
            (Metric::ClaudeSpentToday, 0.25),
        ];
        assert_eq!(values, expected);
    }
}
