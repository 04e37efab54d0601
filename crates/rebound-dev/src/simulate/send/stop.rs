//! What ends sending early.

use std::time::Duration;

/// Time in which nothing is taken and everything is answered "later", after which that is not going to pass.
pub(super) const MAX_RETRY_TIME: Duration = Duration::from_secs(30);

/// A failure that explains itself, and that every further request would meet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody takes a connection, or answers one.
    #[error("nobody answers at {0}")]
    Nobody(String),
    /// The function has another signing secret.
    #[error(
        "{0} answers 401, wrong signature: the function has another signing secret than the one that this was signed with"
    )]
    AnotherSecret(String),
    /// The function has no signing secret yet.
    #[error("{0} answers 503: the function has no signing secret yet")]
    NoSecret(String),
    /// The clocks differ.
    #[error("{url} answers 401, {error}; the clock of this machine, or the other's, is wrong: set it")]
    Clock {
        /// Where.
        url: String,
        /// What it says of the time.
        error: String,
    },
    /// Something else answers.
    #[error(
        "{url} is no Rebound: it answers {status}; is it the function URL, which `rebound dev` prints and the stack's output WebhookUrl names?"
    )]
    NotRebound {
        /// Where.
        url: String,
        /// What it answers.
        status: u16,
    },
    /// Nothing is taken.
    #[error("{url} has answered nothing but {status} {error} for {} s; its log says why", MAX_RETRY_TIME.as_secs())]
    TakesNothing {
        /// Where.
        url: String,
        /// What it answers.
        status: u16,
        /// What it says.
        error: String,
    },
}

/// Sending that came to its end early.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Stopped {
    /// The reason.
    pub why: SendError,
    /// Number of webhooks that were taken before: their rows stay.
    pub taken: usize,
}
