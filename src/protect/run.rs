//! One run: its time, its deadline, and the list of its activities.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::message::alert;
use crate::metrics::{Metric, MetricValues};
use crate::policy::brake::Status;
use crate::policy::counting::Counter;
use crate::resend::campaign::{Campaign, Cohort};
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// One run: a batch of records, or a tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProtectRun<'a> {
    /// The time at which everything in the run happens.
    pub(super) now: UnixMillis,
    /// Time by which the run must be finished.
    pub(super) deadline: Instant,
    pub(super) did: &'a ProtectActivities,
}

/// The activities of a run, in order.
#[derive(Debug, Default)]
pub(super) struct ProtectActivities(Mutex<Vec<Activity>>);

/// An activity of a run: a call that succeeded, or a result that was computed. Work that an earlier run already did is
/// not listed, except [`AlertPublished`](Self::AlertPublished) and [`SentToEngage`](Self::SentToEngage), which may
/// happen twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Activity {
    /// Records of the stream were read.
    RecordsRead {
        /// Time since `receive` received the oldest of them.
        lag_seconds: f64,
    },
    /// Events were added to a counter of a cohort.
    Counted {
        /// The campaign.
        campaign: Campaign,
        /// The cohort.
        cohort: Cohort,
        /// The counter.
        counter: Counter,
        /// Number of events. Negative if an event was moved to an earlier cohort.
        number: i64,
    },
    /// A campaign's brake was computed.
    BrakeComputed {
        /// Complaints as a percentage of delivered emails. 0 if the campaign is too small for a rate.
        complaint_percent: f64,
    },
    /// A campaign's brake was written with a new status, volume, reason or warning.
    BrakeSet {
        /// The campaign.
        campaign: Campaign,
        /// The status before the write.
        before: Status,
        /// The status now.
        status: Status,
    },
    /// A recipient's item in the suppressions table was changed.
    SuppressionChanged {
        /// The recipient.
        recipient: Recipient,
        /// True if a reason became active.
        is_new: bool,
    },
    /// SNS accepted an alert.
    AlertPublished {
        /// The alert's id: the same for each repeat.
        id: String,
        /// The alert's kind.
        kind: alert::AlertKind,
        /// The title: the subject of the email.
        title: String,
    },
    /// An alert was grouped into a digest.
    AlertGrouped {
        /// The alert's id.
        id: String,
    },
    /// The oldest follow-up that is due has not been sent.
    FollowupOverdue {
        /// Time since it was to be looked at.
        minutes: f64,
    },
    /// An event that can never be processed was recorded.
    PoisonRecorded {
        /// The event's sort key: `<type>#<webhook>`.
        key: String,
    },
    /// Opens and clicks were put into the queue of `engage`.
    SentToEngage {
        /// Number of opens and clicks.
        number: usize,
    },
}

impl ProtectActivities {
    pub(super) fn add(&self, activity: Activity) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(activity);
    }

    pub(super) fn into_activities(self) -> Vec<Activity> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the metrics of a run.
pub(super) fn metrics(activities: &[Activity]) -> MetricValues {
    let mut numbers = MetricValues::default();
    for activity in activities {
        match activity {
            Activity::RecordsRead { lag_seconds } => numbers.peak(Metric::ProtectLag, *lag_seconds),
            Activity::BrakeComputed { complaint_percent } => numbers.peak(Metric::ComplaintRate, *complaint_percent),
            Activity::BrakeSet { before, status, .. } if before != status => {
                numbers.increment(Metric::of_brake(*status))
            }
            Activity::SuppressionChanged { is_new: true, .. } => numbers.increment(Metric::SuppressedSoftBounce),
            Activity::FollowupOverdue { minutes } => numbers.peak(Metric::FollowupsOverdue, *minutes),
            Activity::AlertPublished { kind, .. } => numbers.increment(Metric::of_alert(*kind)),
            Activity::BrakeSet { .. }
            | Activity::SuppressionChanged { .. }
            | Activity::Counted { .. }
            | Activity::AlertGrouped { .. }
            | Activity::PoisonRecorded { .. }
            | Activity::SentToEngage { .. } => {}
        }
    }
    numbers
}
