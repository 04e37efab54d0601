//! What was measured and is not written yet: numbers in a fixed place, so that measuring allocates nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::catalogue::{METRICS, Metric};

/// Up to so many milliseconds each has a bucket of its own; beyond, each bucket is a tenth wider than the one before.
const FINE: usize = 20;
const WIDER: f64 = 1.1;

/// The last bucket begins at some 35 s: longer than receive may take. CloudWatch takes at most 100 different values in a line.
pub(super) const BUCKETS: usize = 98;

/// The metrics of a line to be.
#[derive(Clone, Debug)]
pub struct Numbers {
    values: [Option<f64>; METRICS],
    latency: [u32; BUCKETS],
}

impl Default for Numbers {
    fn default() -> Self {
        Self { values: [None; METRICS], latency: [0; BUCKETS] }
    }
}

impl Numbers {
    /// Adds to a metric that is summed up. Adding 0 makes it be written.
    pub fn add(&mut self, metric: Metric, number: f64) {
        self.change(metric, |known| known.unwrap_or(0.0) + number);
    }

    /// Sets a metric that says how something is, if this is more than what it was.
    pub fn peak(&mut self, metric: Metric, number: f64) {
        self.change(metric, |known| known.map_or(number, |known| known.max(number)));
    }

    /// Sets a metric that says how something is now.
    pub fn set(&mut self, metric: Metric, number: f64) {
        self.change(metric, |_| number);
    }

    fn change(&mut self, metric: Metric, change: impl FnOnce(Option<f64>) -> f64) {
        if let Some(value) = self.values.get_mut(metric.index()) {
            let changed = change(*value);
            // Neither JSON nor CloudWatch has a word for what is not finite.
            if changed.is_finite() {
                *value = Some(changed);
            }
        }
    }

    /// Notes how long a webhook took.
    pub fn acknowledged(&mut self, took: Duration) {
        if let Some(bucket) = self.latency.get_mut(bucket_of(took)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// What was measured, in the order of the catalogue, but for the latency.
    pub(super) fn values(&self) -> impl Iterator<Item = (Metric, f64)> {
        Metric::ALL.iter().zip(self.values).filter_map(|(metric, value)| Some((*metric, value?)))
    }

    /// How often which latency was measured, in milliseconds, in ascending order.
    pub(super) fn latency(&self) -> impl Iterator<Item = (f64, u32)> {
        self.latency
            .iter()
            .enumerate()
            .filter(|(_, times)| **times > 0)
            .map(|(bucket, times)| (middle_of(bucket), *times))
    }

    /// Whether nothing was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.values().next().is_none() && self.latency().next().is_none()
    }
}

fn bucket_of(took: Duration) -> usize {
    let ms = (took.as_secs_f64() * 1_000.0).round();
    let fine = FINE as f64;
    // A cast saturates, and the rest of what is too long is in the last one.
    let bucket = if ms < fine { ms } else { fine + (ms / fine).ln() / WIDER.ln() };
    (bucket as usize).min(BUCKETS - 1)
}

/// What stands for all in a bucket: at most 5 % from each of them.
fn middle_of(bucket: usize) -> f64 {
    match bucket.checked_sub(FINE) {
        None => bucket as f64,
        Some(above) => (FINE as f64 * WIDER.powf(above as f64 + 0.5)).round(),
    }
}

/// Numbers that the parts of one invocation add to.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Numbers>);

impl Tally {
    /// One more of something.
    pub fn one(&self, metric: Metric) {
        self.add(metric, 1.0);
    }

    /// See [`Numbers::add`].
    pub fn add(&self, metric: Metric, number: f64) {
        self.lock().add(metric, number);
    }

    /// See [`Numbers::peak`].
    pub fn peak(&self, metric: Metric, number: f64) {
        self.lock().peak(metric, number);
    }

    /// See [`Numbers::set`].
    pub fn set(&self, metric: Metric, number: f64) {
        self.lock().set(metric, number);
    }

    /// What it comes to.
    pub(super) fn numbers(&self) -> Numbers {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_latency_is_told_to_within_five_percent_or_half_a_millisecond(micros in 0_u64..20_000_000) {
            let mut numbers = Numbers::default();
            numbers.acknowledged(Duration::from_micros(micros));
            let told: Vec<(f64, u32)> = numbers.latency().collect();
            let ms = micros as f64 / 1_000.0;
            prop_assert_eq!(told.len(), 1);
            let (value, times) = told[0];
            prop_assert_eq!(times, 1);
            prop_assert!((value - ms).abs() <= (ms * 0.055).max(0.5) + 1.0, "{} for {}", value, ms);
        }
    }

    #[test]
    fn what_is_too_long_is_in_the_last_bucket_and_buckets_are_in_order() {
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
        let middles: Vec<f64> = (0..BUCKETS).map(middle_of).collect();
        assert!(middles.windows(2).all(|two| two[0] < two[1]), "{middles:?}");
        assert!(*middles.last().unwrap() > 30_000.0 && BUCKETS <= 100, "{middles:?}");
    }

    #[test]
    fn sums_add_up_peaks_and_states_do_not_and_what_is_not_finite_changes_nothing() {
        let mut numbers = Numbers::default();
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
