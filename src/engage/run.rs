//! One invocation: its time, its deadline, and the list of its activities.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::message::decision::{DecidedBy, Receipt};
use crate::metrics::{Metric, MetricValues};
use crate::policy::answer::Usage;
use crate::policy::money::NanoUsd;
use crate::policy::verdict::Verdict;
use crate::time::UnixMillis;

/// One invocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct EngageRun<'a> {
    /// The time at which everything in the invocation happens.
    pub(super) now: UnixMillis,
    /// Time by which everything must be finished.
    pub(super) deadline: Instant,
    did: &'a EngageActivities,
}

/// The activities of an invocation, from which its metrics are computed.
#[derive(Debug, Default)]
pub(super) struct EngageActivities(Mutex<Vec<EngageActivity>>);

/// An activity in an invocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EngageActivity {
    /// An open or click was read that was received at this time.
    Read(UnixMillis),
    /// A verdict was stored.
    Classified(Verdict),
    /// A decision was stored. Contains the metric of its result.
    Decided(Metric, DecidedBy),
    /// Claude answered.
    Answered(Usage),
    /// A request to Claude failed.
    Unanswered,
    /// Claude rejects all requests, until an operator changes a setting.
    Refused,
    /// A request to Claude had this cost.
    Paid(NanoUsd),
    /// This amount is spent or reserved today.
    SpentToday(NanoUsd),
}

impl<'a> EngageRun<'a> {
    /// Creates an invocation. Its activities are added to `did`.
    pub(super) const fn new(now: UnixMillis, deadline: Instant, did: &'a EngageActivities) -> Self {
        Self { now, deadline, did }
    }

    /// Adds an activity.
    pub(super) fn record(&self, activity: EngageActivity) {
        self.did.list().push(activity);
    }
}

impl EngageActivities {
    /// Computes the metrics of the activities, for an invocation at `now`.
    pub(super) fn metrics(&self, now: UnixMillis) -> MetricValues {
        let mut numbers = MetricValues::default();
        for activity in self.list().iter() {
            match activity {
                EngageActivity::Read(received_at) => numbers.peak(Metric::EngageLag, now.seconds_since(*received_at)),
                EngageActivity::Classified(verdict) => numbers.increment(Metric::of_verdict(*verdict)),
                EngageActivity::Decided(result, by) => {
                    numbers.increment(*result);
                    numbers.increment(Metric::of_chooser(*by));
                }
                EngageActivity::Answered(usage) => {
                    let cached = usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
                    numbers.add(Metric::ClaudeInputTokens, (usage.input_tokens + cached) as f64);
                    numbers.add(Metric::ClaudeOutputTokens, usage.output_tokens as f64);
                }
                EngageActivity::Unanswered => numbers.increment(Metric::ClaudeFailures),
                EngageActivity::Refused => numbers.increment(Metric::ClaudeRefusals),
                EngageActivity::Paid(cost) => numbers.add(Metric::ClaudeCost, cost.usd()),
                EngageActivity::SpentToday(spent) => numbers.set(Metric::ClaudeSpentToday, spent.usd()),
            }
        }
        numbers
    }

    fn list(&self) -> MutexGuard<'_, Vec<EngageActivity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EngageActivity {
    /// A decision that was stored.
    pub(super) const fn decided(receipt: &Receipt) -> Self {
        Self::Decided(Metric::of_decision(&receipt.done), receipt.asked.by)
    }
}
