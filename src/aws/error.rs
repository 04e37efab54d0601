//! What an unsuccessful call to AWS means.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A failed call to AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Retry later: throttling, a lost connection, no answer before the deadline, a missing permission.
    #[error("{0}")]
    Transient(String),
    /// The service rejects the request as invalid, and will do so each time.
    #[error("{0}")]
    Permanent(String),
}

/// What went wrong with a call, in words: the service's own code and message, else the error and its causes.
///
/// Never by `Debug`, as the SDK's `DisplayErrorContext` does it: that prints the raw answer, and with it, where an answer
/// can't be read, a secret or somebody's address into the log.
pub fn describe<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    if let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) {
        return format!("{code}: {}", error.message().unwrap_or("no message"));
    }
    let mut described = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        described.push_str(": ");
        described.push_str(&error.to_string());
        cause = error.source();
    }
    described
}

/// Returns true if a call failed because there was no answer in time.
pub fn has_timed_out<E, R>(error: &SdkError<E, R>) -> bool {
    match error {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_timeout(),
        _ => false,
    }
}
