//! Errors of AWS calls.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A failed AWS call. Most functions of [`store`](crate::store), [`topic`](super::topic) and [`queue`](super::queue)
/// return it, and do not repeat this description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer before the deadline, throttling, a lost connection, or access denied. A later retry may succeed.
    #[error("{0}")]
    Transient(String),
    /// The service rejects the request as invalid. A retry never succeeds.
    #[error("{0}")]
    Permanent(String),
}

/// Describes a failed call as text: the service's error code and message, or else the error and its causes.
///
/// It never uses `Debug`, as the SDK's `DisplayErrorContext` does. That prints the raw response, which may contain a
/// secret or an address if it cannot be parsed.
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

/// Returns true if a call failed because the response did not arrive in time.
pub fn has_timed_out<E, R>(error: &SdkError<E, R>) -> bool {
    match error {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_timeout(),
        _ => false,
    }
}
