//! The kinds of faults, and the calls that they affect.

use std::time::Duration;

use strum::IntoStaticStr;

use super::half::Half;

/// A fault of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Fault {
    /// The call is not applied: the connection is closed before.
    #[strum(serialize = "refused")]
    RefuseBefore,
    /// The call is not applied, and no response is sent.
    #[strum(serialize = "hung")]
    Hang,
    /// The call is applied, and the connection is closed without a response.
    #[strum(serialize = "answer lost")]
    LoseAnswer,
    /// The call is applied, and no response is sent. Then [`Faults::killed`](super::Faults::killed) resolves, so that a
    /// test can stop the caller.
    #[strum(serialize = "killed")]
    KillAfter,
    /// The call is not applied because of a conflicting write. SNS, SQS and other services have no conflicts and
    /// throttle instead.
    #[strum(serialize = "conflict")]
    Conflict,
    /// The call is not applied, because of the table's throughput, or a quota.
    #[strum(serialize = "throttled")]
    Throttle,
    /// The call is not applied, because of an internal error of the service.
    #[strum(serialize = "server error")]
    ServerError,
    /// The call is applied, and the response is delayed by this time.
    #[strum(serialize = "slow")]
    Slow(Duration),
    /// The service rejects the call as invalid.
    #[strum(serialize = "invalid")]
    Invalid,
    /// A DynamoDB transaction is applied, and is half visible for some time. For any other call, the response is lost
    /// if the caller is to get none.
    #[strum(serialize = "shown half")]
    ShowHalf(Half),
}

impl Fault {
    /// Name of the fault.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The service behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// SNS.
    Sns,
    /// SQS.
    Sqs,
    /// Any other HTTP API that reports an error by its status.
    Http,
}

/// A call that passed a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Number of earlier calls, at all proxies that share the plan.
    pub index: usize,
    /// The called service.
    pub service: Service,
    /// `PutItem`, `TransactWriteItems`, `Publish`, `SendMessageBatch` and so on. For other APIs, the last part of the
    /// path: `messages`.
    pub operation: String,
}
