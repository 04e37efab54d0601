//! Money in whole numbers, so that sums are exact.

/// Billionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Converts US dollars, rounded up.
    pub fn of_usd(usd: f64) -> Self {
        // Rust's `as` saturates, and turns NaN into 0.
        Self((usd * 1e9).ceil() as i64)
    }

    /// Returns the amount in US dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}
