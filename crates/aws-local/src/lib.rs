//! The AWS services that a Lambda application needs, in one process: for tests, demonstrations and development without
//! an account.
//!
//! This crate knows nothing of the application. Its resources come from the application's SAM template. Functions are
//! anything that takes an event and returns a result, in this process or elsewhere.
//!
//! - [`sam`]: tables, queues, event source mappings and schedules of a template.
//! - [`dynamodb`]: the embedded DynamoDB, and [`dynamodb_api`], its HTTP API with plain JSON.
//! - [`feeder`]: delivers a table's stream to functions, as Lambda's event source mappings do.
//! - [`poller`]: delivers a queue's messages to a function, as Lambda's event source mappings do.
//! - [`pattern`]: the patterns of the mappings' filters.
//! - [`function_url`]: HTTP requests as Lambda's events, and results as HTTP responses.
//! - [`runtime_api`]: Lambda's Runtime API, to run a real binary without Lambda.
//! - [`sns`]: an SNS stub that stores published messages.
//! - [`sqs`]: an SQS stub with queues.
//! - [`journal`]: the storage of both stubs, in memory or in a file.
//! - [`secrets_manager`]: reads and writes secrets.
//! - [`control_plane`]: the parts of CloudFormation, Lambda and CloudWatch that an operator's command uses.
//! - [`faults`]: proxies in front of DynamoDB, SNS, SQS and others that reject, conflict, throttle, delay, or lose
//!   responses, by a plan.
//! - [`tls`]: TLS in front of any of them, with its own certificate.
//! - [`server`]: the small HTTP server below all of them.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

pub mod control_plane;
pub mod dynamodb;
pub mod dynamodb_api;
pub mod faults;
pub mod feeder;
pub mod function_url;
pub mod journal;
pub mod pattern;
pub mod poller;
pub mod runtime_api;
pub mod sam;
pub mod secrets_manager;
pub mod server;
pub mod sns;
pub mod sqs;
pub mod tls;

/// Builds an HTTP client for an address on this machine, without root certificates: reading all installed ones takes
/// longer than many calls.
#[expect(clippy::disallowed_methods, reason = "it calls stubs on this machine, which need no User-Agent of Rebound")]
fn http_client(url: &str) -> reqwest::Client {
    // The error means that a provider is already installed, by an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let builder = if url.starts_with("https:") { builder } else { builder.tls_certs_only([]) };
    builder.build().unwrap_or_default()
}

/// Describes a failed call as text: the service's error code and message, or else the error and its causes.
fn describe<E, R>(error: &SdkError<E, R>) -> String
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

/// A random UUID, the form of AWS's message and request ids.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
