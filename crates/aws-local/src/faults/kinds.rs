//! What can happen to which call.

use std::time::Duration;

use strum::IntoStaticStr;

use super::half::Half;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Fault {
    /// It never arrives: the connection is closed first.
    #[strum(serialize = "refused")]
    RefuseBefore,
    /// It never arrives, and no answer ever comes.
    #[strum(serialize = "hung")]
    Hang,
    /// It is applied, and then the connection is closed without an answer.
    #[strum(serialize = "answer lost")]
    LoseAnswer,
    /// It is applied, and no answer ever comes. [`Faults::killed`](super::Faults::killed) resolves then, for whoever kills the caller.
    #[strum(serialize = "killed")]
    KillAfter,
    /// It is not applied, because another write is under way. SNS, SQS and others, which know no such thing, throttle instead.
    #[strum(serialize = "conflict")]
    Conflict,
    /// It is not applied, because of the table's throughput, or of a quota.
    #[strum(serialize = "throttled")]
    Throttle,
    /// It is not applied, because of a fault of the service's own.
    #[strum(serialize = "server error")]
    ServerError,
    /// It is applied, and the answer comes this much later.
    #[strum(serialize = "slow")]
    Slow(Duration),
    /// It is not valid, says the service.
    #[strum(serialize = "invalid")]
    Invalid,
    /// A transaction of DynamoDB's is applied, and reads see only half of it for a while. Of any other call only the answer is lost, if it
    /// is to be.
    #[strum(serialize = "shown half")]
    ShowHalf(Half),
}

impl Fault {
    /// In words.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which service a proxy stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// SNS.
    Sns,
    /// SQS.
    Sqs,
    /// Any other API over HTTP, which tells a failure by its status.
    Http,
}

/// A call that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// How many calls came before it, at all the proxies that share the plan.
    pub index: usize,
    /// Whom it was for.
    pub service: Service,
    /// `PutItem`, `TransactWriteItems`, `Publish`, `SendMessageBatch` and so on; of another API the last part of the path: `messages`.
    pub operation: String,
}
