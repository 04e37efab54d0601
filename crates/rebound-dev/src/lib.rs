//! Rebound on one machine: the base of `rebound dev`, the demo, the tests and the benchmarks.
//!
//! - [`template`]: reads `template.yaml`.
//! - [`stack`]: the embedded AWS: DynamoDB, Secrets Manager, SNS, SQS, and the functions' environment.
//! - [`runner`]: runs the functions: invokes them for the stream, the queues and the schedules.
//! - [`resend`]: a stub of Resend's API, which also delivers webhooks.
//! - [`claude`]: a stub of Claude's Messages API, with fixed or planned answers.
//! - [`samples`]: a signed sample of every event.
//! - [`stream_records`]: rows as stream records, in Lambda's format.
//! - [`overlay`]: a DynamoDB that copies the items that a dry run touches.
//! - [`simulate`]: sends the webhooks of a simulated campaign, and checks the results.
//! - [`commands`]: `demo`, `dev` and `sample`, which `rebound` has too.
//! - [`output`]: the output of commands: tables, colours, progress.
//! - [`progress`]: the progress of long commands.

#[macro_use]
pub mod output;

pub mod claude;
pub mod commands;
pub mod overlay;
pub mod progress;
pub mod resend;
pub mod runner;
pub mod samples;
pub mod simulate;
pub mod stack;
pub mod stream_records;
pub mod template;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The signing secret of local runs, unless the environment names another.
pub const LOCAL_SECRET: &str = "whsec_cmVib3VuZC1sb2NhbC1zaWduaW5nLXNlY3JldA==";

/// The key that signs links in local runs, unless the environment names another, or a secret.
pub const LOCAL_CONSENT_KEY: &str = "key-of-local-runs-for-links-to-unsubscribe";

/// Default path of the environment file that `rebound dev` writes for other commands.
pub const LOCAL_FILE: &str = ".local/dev.env";

/// The variable in that file with the URL that counts the faults of `rebound dev --faults`.
pub const FAULTS_URL: &str = "REBOUND_FAULTS_URL";

/// The variable in that file with the clock of `rebound dev`.
pub const CLOCK: &str = "REBOUND_CLOCK";

/// Reads an environment file: lines like `NAME=value`.
///
/// # Errors
/// The file can't be read.
pub fn read_env_file(file: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)?;
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}
