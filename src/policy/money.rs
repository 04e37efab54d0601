//! Money, in whole numbers: sums of them are exact.

/// Billionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// So many US dollars, rounded up.
    pub fn of_usd(usd: f64) -> Self {
        // Rust's `as` saturates, and makes 0 of what is no number.
        Self((usd * 1e9).ceil() as i64)
    }

    /// In US dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}
