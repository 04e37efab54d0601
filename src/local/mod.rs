//! The embedded AWS: what `rebound dev`, the demo and the tests run on instead of an account.
//!
//! - [`template`]: the tables, read from `template.yaml`, so that there is one definition.
//! - [`stack`]: everything together: DynamoDB, Secrets Manager, the function and its URL.
//! - [`dynamodb`]: the embedded DynamoDB.
//! - [`function_url`]: HTTP turned into the events that Lambda sends, and answers turned back.
//! - [`secrets_manager`]: the one call of Secrets Manager that Rebound makes.
//! - [`faults`]: a proxy before DynamoDB that refuses, conflicts, throttles, is slow, or loses answers, when told to.
//! - [`samples`]: a signed sample of every event.
//! - [`runtime_api`]: Lambda's Runtime API, for running the real binary without Lambda.
//! - [`server`]: the small HTTP server under all of them.

use std::time::Duration;

pub mod dynamodb;
pub mod faults;
pub mod function_url;
pub mod runtime_api;
pub mod samples;
pub mod secrets_manager;
pub mod server;
pub mod stack;
pub mod template;

/// The functions' own time limit, as in `template.yaml`.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The signing secret of local runs, unless the environment names another.
pub const LOCAL_SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";
