//! Rebound on one machine: what `rebound dev`, the demo, the tests and the benches run on.
//!
//! - [`template`]: `template.yaml`, read.
//! - [`stack`]: everything together: DynamoDB, Secrets Manager, SNS, SQS, the functions.
//! - [`runner`]: the functions, fed from the stream, from queues and by the clock.
//! - [`resend`]: a stand-in for Resend's API, with webhooks that can be delivered.
//! - [`claude`]: a stand-in for Claude's Messages API, which decides by rote.
//! - [`samples`]: a signed sample of every event.
//! - [`stream_records`]: rows as Lambda hands them over from the stream.
//! - [`overlay`]: a copy of what is touched, for a dry run.
//! - [`simulate`]: the webhooks of a campaign, sent, and what must have come of them.
//! - [`commands`]: `demo`, `dev` and `sample`, which the operator's command has too.
//! - [`output`]: how commands show things.
//! - [`progress`]: where long work is.

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

/// Where `rebound dev` writes what others need to reach it, unless told otherwise.
pub const LOCAL_FILE: &str = ".local/dev.env";

/// The variable in that file that says where the faults of `rebound dev --faults` are counted.
pub const FAULTS_URL: &str = "REBOUND_FAULTS_URL";

/// Reads such a file: lines like `NAME=value`.
///
/// # Errors
/// It can't be read.
pub fn read_env_file(file: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)?;
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}
