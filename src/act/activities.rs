//! Activities of a run, and their metrics.

use crate::aws::CallError;
use crate::metrics::{Metric, MetricValues};
use crate::policy::followup::sending::{AnswerMeaning, DropReason};

/// An activity in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActActivity {
    /// This many follow-ups were due, at most a page.
    Due(usize),
    /// A request was begun.
    Requested,
    /// Resend accepted a follow-up.
    Sent,
    /// A follow-up was dropped.
    Dropped(DropReason),
    /// It is unknown if a follow-up was sent.
    Unknown,
    /// A follow-up was postponed.
    Postponed,
    /// Resend did not accept a follow-up.
    NotAccepted(AnswerMeaning),
    /// There is no API key, so nothing is sent.
    NoKey,
    /// A contact was unsubscribed at Resend, or there is none.
    Pushed,
    /// Resend refused the key for a contact.
    PushRefused,
}

/// Result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActReport {
    /// The activities, in order.
    pub did: Vec<ActActivity>,
    /// Errors. A later run tries again.
    pub errors: Vec<CallError>,
}

impl ActReport {
    /// Counts activities.
    pub fn count(&self, is: impl Fn(&ActActivity) -> bool) -> usize {
        self.did.iter().filter(|did| is(did)).count()
    }

    /// Computes the metrics.
    pub fn metrics(&self) -> MetricValues {
        let mut numbers = MetricValues::default();
        for activity in &self.did {
            match activity {
                ActActivity::Due(number) => numbers.set(Metric::FollowupsDue, *number as f64),
                ActActivity::Sent => numbers.increment(Metric::FollowupsSent),
                ActActivity::Dropped(reason) => {
                    numbers.increment(Metric::FollowupsDropped);
                    numbers.increment(Metric::of_drop(reason));
                }
                ActActivity::Unknown => numbers.increment(Metric::FollowupsUnknown),
                ActActivity::NotAccepted(meaning) => {
                    if let Some(metric) = Metric::of_answer(meaning) {
                        numbers.increment(metric);
                    }
                }
                ActActivity::NoKey => numbers.increment(Metric::ResendKeyRefusals),
                ActActivity::Pushed => numbers.increment(Metric::ContactsUnsubscribed),
                ActActivity::PushRefused => numbers.increment(Metric::ContactsRefused),
                ActActivity::Requested | ActActivity::Postponed => {}
            }
        }
        numbers
    }
}
