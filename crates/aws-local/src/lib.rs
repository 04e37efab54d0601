//! The embedded AWS: what `rebound dev`, the demo and the tests run on instead of an account.
//!
//! - [`template`]: tables, queues, mappings and schedules, read from `template.yaml`, so that there is one definition.
//! - [`stack`]: everything together: DynamoDB, Secrets Manager, SNS, SQS, the functions.
//! - [`running`]: the functions, fed from the stream, from queues and by the clock.
//! - [`dynamodb`]: the embedded DynamoDB, and [`dynamodb_api`], its HTTP API with plain JSON.
//! - [`feeder`]: the events table's stream, handed to the functions as Lambda's mappings do.
//! - [`poller`]: a queue's messages, handed to a function as Lambda's mappings do.
//! - [`pattern`]: the patterns of the mappings' filters.
//! - [`function_url`]: HTTP turned into the events that Lambda sends, and answers turned back.
//! - [`secrets_manager`]: the one call of Secrets Manager that Rebound makes.
//! - [`sns`]: SNS, which keeps what was published for whoever asks.
//! - [`sqs`]: SQS, as far as queues go.
//! - [`journal`]: what both of them hold, in memory or in a file.
//! - [`control`]: CloudFormation, Lambda and CloudWatch, as far as the operator's command asks them.
//! - [`resend`]: Resend's API, with webhooks that can be delivered.
//! - [`claude`]: Claude's Messages API, which decides by rote.
//! - [`faults`]: proxies before DynamoDB, SNS, SQS and Claude that refuse, conflict, throttle, are slow, or lose answers, when told to.
//! - [`samples`]: a signed sample of every event.
//! - [`stream_records`]: rows as Lambda hands them over from the stream.
//! - [`runtime_api`]: Lambda's Runtime API, for running the real binary without Lambda.
//! - [`tls`]: TLS before any of them, with a certificate of its own.
//! - [`server`]: the small HTTP server under all of them.

use std::time::Duration;

pub mod claude;
pub mod control;
pub mod dynamodb;
pub mod dynamodb_api;
pub mod faults;
pub mod feeder;
pub mod function_url;
pub mod journal;
pub mod pattern;
pub mod poller;
pub mod resend;
pub mod running;
pub mod runtime_api;
pub mod samples;
pub mod secrets_manager;
pub mod server;
pub mod sns;
pub mod sqs;
pub mod stack;
pub mod stream_records;
pub mod template;
pub mod tls;

/// The functions' own time limit, as in `template.yaml`.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The signing secret of local runs, unless the environment names another.
pub const LOCAL_SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";

/// A random UUID, which is what AWS gives its messages and requests for ids.
fn uuid() -> String {
    // The version, 4, and the variant: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-4
    let bits = fastrand::u128(..) & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let mut uuid = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if [8, 12, 16, 20].contains(&index) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}
