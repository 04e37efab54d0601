//! What Lambda may do and hardly ever does: deliver once more what was done.

use std::collections::VecDeque;

use super::progress::Waiting;

/// How often batches are delivered once more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chaos {
    /// The probability that a batch which was done is delivered again: whole, or from some record on, as after a lost answer; next,
    /// or after others. Each record at most once.
    pub redeliver: f64,
    /// Where the dice begin.
    pub seed: u64,
}

/// The dice of one lane.
#[derive(Debug)]
pub(super) struct Dice {
    redeliver: f64,
    random: fastrand::Rng,
    late: VecDeque<Waiting>,
}

impl Dice {
    pub(super) fn new(chaos: Chaos, lane: u64) -> Self {
        let random = fastrand::Rng::with_seed(chaos.seed.wrapping_add(lane));
        Self { redeliver: chaos.redeliver, random, late: VecDeque::new() }
    }

    /// A batch is done: perhaps it comes again.
    pub(super) fn roll(&mut self, batch: Vec<Waiting>, waiting: &mut VecDeque<Waiting>) {
        if self.random.bool() {
            put_first(self.late(), waiting);
        }
        if self.random.f64() >= self.redeliver {
            return;
        }
        let from = if self.random.bool() { 0 } else { self.random.usize(..batch.len().max(1)) };
        let again = batch.into_iter().skip(from).filter(|waiting| !waiting.repeat);
        let again = again.map(|waiting| Waiting { repeat: true, ..waiting }).collect();
        if self.random.bool() {
            put_first(again, waiting);
        } else {
            self.late.extend(again);
        }
    }

    /// What is to come again when nothing else is to be done.
    pub(super) fn late(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.late)
    }
}

fn put_first(mut these: VecDeque<Waiting>, waiting: &mut VecDeque<Waiting>) {
    these.append(waiting);
    *waiting = these;
}
