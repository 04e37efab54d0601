//! A message on its way through the batch: its next step, and its result.

use std::time::Duration;

use super::candidate::Candidate;
use crate::aws::CallError;
use crate::aws::queue::QueueMessage;
use crate::message::notification::Notification;
use crate::store::decisions::Occurrence;

/// A message of the batch, with its next step.
pub(super) struct BatchMessage<'a> {
    pub(super) delivery: &'a QueueMessage,
    pub(super) step: NextStep,
}

/// The next step of a message. Each step sets the following one.
pub(super) enum NextStep {
    /// No further step: the message is handled, or is retried later.
    Finish(Result<(), Retry>),
    /// Publish a decision that an earlier delivery stored.
    PublishPending(Occurrence),
    /// Decide about a candidate.
    Decide(Box<Candidate>),
    /// Publish a decision together with the others of the batch.
    Publish(Occurrence, Box<Notification>),
}

/// A message that the queue delivers again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// The reason, for the log.
    pub(super) why: String,
    /// Minimum wait before that.
    pub(super) wait: Duration,
}

impl NextStep {
    /// The final step of a message that is handled.
    pub(super) const DONE: Self = Self::Finish(Ok(()));
}

impl From<CallError> for Retry {
    fn from(error: CallError) -> Self {
        Self { why: error.to_string(), wait: Duration::ZERO }
    }
}

impl From<Result<Self, Retry>> for NextStep {
    fn from(result: Result<Self, Retry>) -> Self {
        result.unwrap_or_else(|retry| Self::Finish(Err(retry)))
    }
}
