//! What a Lambda application needs of AWS, in one process: for tests, demonstrations and development without an account.
//!
//! It knows nothing of the application. What there is comes from the application's SAM template, and what is invoked is whatever takes an
//! event and answers, in this process or elsewhere.
//!
//! - [`sam`]: tables, queues, mappings and schedules of a template.
//! - [`dynamodb`]: the embedded DynamoDB, and [`dynamodb_api`], its HTTP API with plain JSON.
//! - [`feeder`]: a table's stream, handed to functions as Lambda's mappings do.
//! - [`poller`]: a queue's messages, handed to a function as Lambda's mappings do.
//! - [`pattern`]: the patterns of the mappings' filters.
//! - [`function_url`]: HTTP turned into the events that Lambda sends, and answers turned back.
//! - [`runtime_api`]: Lambda's Runtime API, for running a real binary without Lambda.
//! - [`sns`]: SNS, which keeps what was published for whoever asks.
//! - [`sqs`]: SQS, as far as queues go.
//! - [`journal`]: what both of them hold, in memory or in a file.
//! - [`secrets_manager`]: reading and writing secrets.
//! - [`control`]: CloudFormation, Lambda and CloudWatch, as far as an operator's command asks them.
//! - [`faults`]: proxies before DynamoDB, SNS, SQS and others that refuse, conflict, throttle, are slow, or lose answers, when told to.
//! - [`tls`]: TLS before any of them, with a certificate of its own.
//! - [`server`]: the small HTTP server under all of them.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

pub mod control;
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

/// An HTTP client for an address on this machine. It is spared the certificates: to read all that are installed takes longer than many
/// calls.
#[expect(
    clippy::disallowed_methods,
    reason = "it goes to stand-ins on this machine, which want no User-Agent of Rebound"
)]
fn http_client(url: &str) -> reqwest::Client {
    // An error only says that there is one already: the same, from an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let builder = if url.starts_with("https:") { builder } else { builder.tls_certs_only([]) };
    builder.build().unwrap_or_default()
}

/// What went wrong with a call, in words: the service's own code and message, else the error and its causes.
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

/// A random UUID, which is what AWS gives its messages and requests for ids.
pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
