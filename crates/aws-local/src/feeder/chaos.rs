//! Redelivery of batches that were done, which Lambda may do and rarely does.

use std::collections::VecDeque;

use super::progress::WaitingRecord;

/// Frequency of redeliveries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RedeliveryOptions {
    /// Probability that a batch that was done is delivered again: whole, or from some record on, as after a lost
    /// response; immediately, or after others. Each record at most once.
    pub redeliver: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// The random numbers of one lane.
#[derive(Debug)]
pub(super) struct Dice {
    redeliver: f64,
    random: fastrand::Rng,
    late: VecDeque<WaitingRecord>,
}

impl Dice {
    pub(super) fn new(chaos: RedeliveryOptions, lane: u64) -> Self {
        let random = fastrand::Rng::with_seed(chaos.seed.wrapping_add(lane));
        Self { redeliver: chaos.redeliver, random, late: VecDeque::new() }
    }

    /// Called when a batch is done: may schedule its redelivery.
    pub(super) fn roll(&mut self, batch: Vec<WaitingRecord>, waiting: &mut VecDeque<WaitingRecord>) {
        if self.random.bool() {
            put_first(self.late(), waiting);
        }
        if self.random.f64() >= self.redeliver {
            return;
        }
        let from = if self.random.bool() { 0 } else { self.random.usize(..batch.len().max(1)) };
        let again = batch.into_iter().skip(from).filter(|waiting| !waiting.repeat);
        let again = again.map(|waiting| WaitingRecord { repeat: true, ..waiting }).collect();
        if self.random.bool() {
            put_first(again, waiting);
        } else {
            self.late.extend(again);
        }
    }

    /// Returns the redeliveries that are due when there is nothing else to do.
    pub(super) fn late(&mut self) -> VecDeque<WaitingRecord> {
        std::mem::take(&mut self.late)
    }
}

fn put_first(mut these: VecDeque<WaitingRecord>, waiting: &mut VecDeque<WaitingRecord>) {
    these.append(waiting);
    *waiting = these;
}
