//! The errors that stop sending early.

use std::time::Duration;

/// Maximum time in which every response asks for a retry.
pub(super) const MAX_RETRY_TIME: Duration = Duration::from_secs(30);

/// An error with a known cause that every further request would meet, too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection, or no response.
    #[error("nobody answers at {0}")]
    Nobody(String),
    /// The function has another signing secret.
    #[error("{0} answers 401, wrong signature: this webhook was not signed with the function's signing secret")]
    AnotherSecret(String),
    /// The function has no signing secret yet.
    #[error("{0} answers 503: the function has no signing secret yet")]
    NoSecret(String),
    /// The clocks differ.
    #[error("{url} answers 401, {error}; the clock of this machine or of the server is wrong: set it")]
    Clock {
        /// The URL.
        url: String,
        /// The error in the response.
        error: String,
    },
    /// The response does not come from Rebound.
    #[error(
        "{url} is not Rebound: it answers {status}; use the function URL, which `rebound dev` prints, and which is the stack's output WebhookUrl"
    )]
    NotRebound {
        /// The URL.
        url: String,
        /// The status of the response.
        status: u16,
    },
    /// The function accepts no webhook.
    #[error("every response of {url} has been {status} {error} for {} s; the function's log shows why", MAX_RETRY_TIME.as_secs())]
    TakesNothing {
        /// The URL.
        url: String,
        /// The status of the response.
        status: u16,
        /// The error in the response.
        error: String,
    },
}

/// Sending was stopped early.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Stopped {
    /// The reason.
    pub why: SendError,
    /// Number of webhooks that were accepted before. Their rows stay.
    pub taken: usize,
}
