//! The errors of selecting a target.

use std::path::PathBuf;

use rebound::aws::MissingVariable;

use super::LOCAL_FILE;

/// A target that can't be resolved or reached.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A variable names an impossible stack.
    #[error("{variable} is {name}: {why}")]
    InvalidStack {
        /// The variable.
        variable: &'static str,
        /// Its value.
        name: String,
        /// Why it is impossible.
        why: String,
    },
    /// There is no file of `rebound dev`.
    #[error(
        "{0} does not exist, so `rebound dev` is not running in this folder; start it first, or name its file: --local=FILE"
    )]
    NoLocal(PathBuf),
    /// The file of `rebound dev` is there and can't be read.
    #[error(
        "{0} can't be read: {1}; --local=FILE names the file that `rebound dev` writes, which is {LOCAL_FILE} by default"
    )]
    UnreadLocal(PathBuf, std::io::Error),
    /// The file is not one that `rebound dev` writes. Without this, a command that was meant for this machine would go to AWS.
    #[error(
        "{0} is not a file that `rebound dev` writes: it names no DynamoDB endpoint; --local=FILE names that file, which is {LOCAL_FILE} by default"
    )]
    NotLocal(PathBuf),
    /// The file of `rebound dev` exists, but nothing listens at its endpoint.
    #[error(
        "nothing listens at {url}, the address of `rebound dev` in {file}: it has crashed or was killed; start it again"
    )]
    DevIsGone {
        /// The file.
        file: PathBuf,
        /// Where its DynamoDB was.
        url: String,
    },
    /// Nothing listens at a local endpoint that the environment names.
    #[error(
        "nothing listens at {url}, which AWS_ENDPOINT_URL_DYNAMODB names; check that `rebound dev` is running, or unset the variable"
    )]
    NobodyThere {
        /// The endpoint.
        url: String,
    },
    /// There is no such profile.
    #[error(
        "there is no AWS profile {profile}: {known}; name another with --profile, or create it with `aws configure sso --profile {profile}`"
    )]
    NoProfile {
        /// Its name.
        profile: String,
        /// The configured profiles, as text.
        known: String,
    },
    /// There are no credentials.
    #[error(
        "no AWS credentials: {0}; log in (`aws sso login`), name a profile (--profile), or add --local to use `rebound dev`"
    )]
    NoCredentials(String),
    /// There is no region.
    #[error("no region: set AWS_REGION, or name one with --region; or add --local to use `rebound dev`")]
    NoRegion,
    /// The environment lacks something.
    #[error(transparent)]
    Aws(#[from] MissingVariable),
    /// The stack can't be described.
    #[error("the stack {stack} can't be read: {why}; name another with --stack, or check --region and --profile")]
    NoStack {
        /// Its name.
        stack: String,
        /// The message of CloudFormation.
        why: String,
    },
    /// Neither the environment nor the stack has it.
    #[error(
        "{variable} is not set, and the stack {stack} has no output {output}; deploy this version, or set the variable"
    )]
    NoOutput {
        /// The environment variable.
        variable: String,
        /// The stack.
        stack: String,
        /// The output.
        output: String,
    },
}
