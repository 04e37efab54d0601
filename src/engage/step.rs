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
    Finish(MessageOutcome),
    /// Publish a decision that an earlier delivery stored.
    PublishPending(Occurrence),
    /// Decide about a candidate.
    Decide(Box<Candidate>),
    /// Publish a decision together with the others of the batch.
    Publish(Occurrence, Box<Notification>),
}

/// The result of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MessageOutcome {
    /// There is nothing more to do.
    Done,
    /// The queue delivers the message again.
    Retry {
        /// The reason, for the log.
        why: String,
        /// Minimum wait before that.
        wait: Duration,
    },
}

impl NextStep {
    /// The final step of a message that is handled.
    pub(super) const DONE: Self = Self::Finish(MessageOutcome::Done);
}

impl From<CallError> for MessageOutcome {
    fn from(error: CallError) -> Self {
        Self::Retry { why: error.to_string(), wait: Duration::ZERO }
    }
}

impl From<Result<MessageOutcome, CallError>> for NextStep {
    fn from(result: Result<MessageOutcome, CallError>) -> Self {
        Self::Finish(result.unwrap_or_else(MessageOutcome::from))
    }
}
