//! What may be wrong with what an operator says of the place.

use std::path::PathBuf;

use rebound::aws::MissingVariable;

/// The file that `rebound dev` writes, as errors name it.
const LOCAL_NAME: &str = ".local/dev.env";

/// Why it can't be said which Rebound is meant, or where.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is no file of `rebound dev`.
    #[error(
        "{0}: there is no such file, so no `rebound dev` runs in this folder; start it first, or name its file: --local=FILE"
    )]
    NoLocal(PathBuf),
    /// The file of `rebound dev` is there and can't be read.
    #[error(
        "{0} can't be read: {1}; --local=FILE names the file that `rebound dev` writes, which is {LOCAL_NAME} unless told otherwise"
    )]
    UnreadLocal(PathBuf, std::io::Error),
    /// The file is not one that `rebound dev` writes. Without this, a command that was meant for this machine would go to AWS.
    #[error(
        "{0} is not a file that `rebound dev` writes: it names no endpoint of DynamoDB; --local=FILE names that file, which is {LOCAL_NAME} unless told otherwise"
    )]
    NotLocal(PathBuf),
    /// The file of `rebound dev` is there, and nobody listens where it says.
    #[error(
        "nobody answers at {url}, where {file} says that `rebound dev` listens: it has crashed, or was killed; start it again"
    )]
    DevIsGone {
        /// The file.
        file: PathBuf,
        /// Where its DynamoDB was.
        url: String,
    },
    /// Nobody listens at an endpoint on this machine that the environment names.
    #[error(
        "nobody answers at {url}, which AWS_ENDPOINT_URL_DYNAMODB names; look whether `rebound dev` is still running, or unset the variable"
    )]
    NobodyThere {
        /// The endpoint.
        url: String,
    },
    /// There is no such profile.
    #[error(
        "there is no AWS profile {profile}: {known}; name another with --profile, or make it with `aws configure sso --profile {profile}`"
    )]
    NoProfile {
        /// Its name.
        profile: String,
        /// Those that there are, in words.
        known: String,
    },
    /// There are no credentials.
    #[error(
        "no credentials for AWS: {0}; log in (`aws sso login`), name a profile (--profile), or, for the Rebound that `rebound dev` runs here, add --local"
    )]
    NoCredentials(String),
    /// There is no region.
    #[error(
        "no region: set AWS_REGION, or name one with --region; or, for the Rebound that `rebound dev` runs here, add --local"
    )]
    NoRegion,
    /// The environment lacks something.
    #[error(transparent)]
    Aws(#[from] MissingVariable),
    /// The stack can't be described.
    #[error("the stack {stack} can't be read: {why}; name another with --stack, or check --region and --profile")]
    NoStack {
        /// Its name.
        stack: String,
        /// What CloudFormation says.
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
