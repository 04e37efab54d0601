//! Which Rebound is meant: a stack on AWS, or the one that `rebound dev` runs on this machine.
//!
//! What it is made of is looked up in this order: the environment variables that the functions have too; with `--local`, the file that
//! `rebound dev` writes, first; for the names of tables, the name of the stack; for everything else, the outputs of the stack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials;
use rebound::aws::{AwsEnvironment, NotSet, describe};
use rebound::store::calls::Calls;
use rebound::store::tables::TABLES;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::operate::clients;

/// The name of the stack, unless told otherwise: as in `samconfig.toml`.
pub const STACK: &str = "rebound";

/// The region of local runs, which have none.
const LOCAL_REGION: &str = "eu-west-1";

/// Which output of the stack holds what a variable holds.
const OUTPUTS: [(&str, &str); 12] = [
    ("REBOUND_FUNCTION_URL", "WebhookUrl"),
    ("WEBHOOK_SECRET_ARN", "WebhookSecretArn"),
    ("API_KEYS_ARN", "ApiKeysArn"),
    ("OPERATOR_KEYS_ARN", "OperatorKeysArn"),
    ("ALERTS_TOPIC_ARN", "AlertsTopicArn"),
    ("DECISIONS_TOPIC_ARN", "DecisionsTopicArn"),
    ("ENGAGE_QUEUE_URL", "EngageQueueUrl"),
    ("ENGAGE_DEAD_LETTERS_URL", "EngageDeadLettersUrl"),
    ("PROTECT_FAILURES_URL", "ProtectFailuresUrl"),
    ("RECEIVE_FUNCTION", "ReceiveFunctionName"),
    ("PROTECT_FUNCTION", "ProtectFunctionName"),
    ("ENGAGE_FUNCTION", "EngageFunctionName"),
];

/// Why it can't be said which Rebound is meant, or where.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file of `rebound dev` can't be read.
    #[error("{0}: {1}; start `rebound dev` in this folder first, or name its file: --local=FILE")]
    NoLocal(PathBuf, std::io::Error),
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
    Aws(#[from] NotSet),
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

/// What an operator says of the place.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the stack.
    pub stack: String,
    /// The file that `rebound dev` has written, where that one is meant.
    pub local: Option<PathBuf>,
    /// The profile to take credentials from.
    pub profile: Option<String>,
    /// The region.
    pub region: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { stack: STACK.to_owned(), local: None, profile: None, region: None }
    }
}

/// A Rebound, and how to reach what it is made of.
#[derive(Debug)]
pub struct Place {
    variables: BTreeMap<String, String>,
    stack: String,
    aws: AwsEnvironment,
    outputs: OnceCell<BTreeMap<String, String>>,
}

impl Place {
    /// Finds it. `variables` are the environment's.
    ///
    /// # Errors
    /// There are no credentials, no region, or no file of `rebound dev`.
    pub async fn find(
        options: &Options,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, PlaceError> {
        let mut variables: BTreeMap<String, String> =
            variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        if let Some(file) = &options.local {
            variables.extend(read_local(file)?);
        }
        if let Some(region) = &options.region {
            variables.insert("AWS_REGION".to_owned(), region.clone());
        }
        for table in TABLES {
            variables.entry(table.variable.to_owned()).or_insert_with(|| table.name_in(&options.stack));
        }
        add_credentials(&mut variables, options).await?;
        let aws = AwsEnvironment::read(|name| variables.get(name).cloned())?;
        Ok(Self { variables, stack: options.stack.clone(), aws, outputs: OnceCell::new() })
    }

    /// SDK clients for it.
    pub fn aws(&self) -> &AwsEnvironment {
        &self.aws
    }

    /// The name of the stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// DynamoDB's calls, tried again for so long.
    pub fn calls(&self, within: Duration) -> Calls {
        Calls::new(self.aws.dynamodb(), Instant::now() + within)
    }

    /// A table's name, by the variable that names it: `EVENTS_TABLE`.
    pub fn table(&self, variable: &str) -> &str {
        self.variables.get(variable).map_or("", String::as_str)
    }

    /// True if it runs on this machine.
    pub fn is_near(&self) -> bool {
        self.variable("AWS_ENDPOINT_URL_DYNAMODB").is_some_and(|url| is_local(&url))
    }

    /// Every variable of the environment, and of `rebound dev`.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// A variable of the environment, or of `rebound dev`. No call is made.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// The same; and, if it is not set, the output of the stack that holds it, such as `WebhookSecretArn` for `WEBHOOK_SECRET_ARN`.
    ///
    /// # Errors
    /// There is no such output, or the stack can't be described.
    pub async fn named(&self, variable: &str) -> Result<String, PlaceError> {
        if let Some(value) = self.variables.get(variable) {
            return Ok(value.clone());
        }
        let output = OUTPUTS.iter().find(|(known, _)| *known == variable).map_or(variable, |(_, output)| output);
        let outputs = self.outputs.get_or_try_init(|| self.describe_stack()).await?;
        outputs.get(output).cloned().ok_or_else(|| PlaceError::NoOutput {
            variable: variable.to_owned(),
            stack: self.stack.clone(),
            output: output.to_owned(),
        })
    }

    async fn describe_stack(&self) -> Result<BTreeMap<String, String>, PlaceError> {
        let failed = |why: String| PlaceError::NoStack { stack: self.stack.clone(), why };
        let described = clients::cloudformation(&self.aws).describe_stacks().stack_name(&self.stack).send().await;
        let described = described.map_err(|error| failed(describe(&error)))?;
        let stack = described.stacks().first().ok_or_else(|| failed("it does not exist".to_owned()))?;
        let pair = |output: &aws_sdk_cloudformation::types::Output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        };
        Ok(stack.outputs().iter().filter_map(pair).collect())
    }
}

/// Whether a URL is on this machine.
pub fn is_local(url: &str) -> bool {
    let host = url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a file of lines like `NAME=value`.
fn read_local(file: &Path) -> Result<BTreeMap<String, String>, PlaceError> {
    let text = std::fs::read_to_string(file).map_err(|error| PlaceError::NoLocal(file.to_owned(), error))?;
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(text.lines().filter_map(pair).collect())
}

/// Adds region and credentials, where they are not there: for AWS, as the `aws` command finds them; for stand-ins on this machine,
/// which check none, any.
async fn add_credentials(variables: &mut BTreeMap<String, String>, options: &Options) -> Result<(), PlaceError> {
    if variables.contains_key("AWS_ACCESS_KEY_ID") && options.profile.is_none() {
        let region = variables.get("AWS_REGION").or_else(|| variables.get("AWS_DEFAULT_REGION"));
        if region.is_some() {
            return Ok(());
        }
    }
    let has_region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| variables.contains_key(*name));
    let endpoint = variables.get("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| variables.get("AWS_ENDPOINT_URL"));
    let elsewhere = |(name, url): (&String, &String)| name.starts_with("AWS_ENDPOINT_URL") && !is_local(url);
    if endpoint.is_some_and(|url| is_local(url)) && !variables.iter().any(elsewhere) {
        let mut default = |name: &str, value: &str| _ = variables.entry(name.to_owned()).or_insert(value.to_owned());
        if !has_region {
            default("AWS_REGION", LOCAL_REGION);
        }
        default("AWS_ACCESS_KEY_ID", "local");
        default("AWS_SECRET_ACCESS_KEY", "local");
        return Ok(());
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(rebound::aws::any_https());
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    let found = loader.load().await;
    if !variables.contains_key("AWS_REGION") {
        let region = found.region().ok_or(PlaceError::NoRegion)?.to_string();
        variables.insert("AWS_REGION".to_owned(), region);
    }
    let provider = found.credentials_provider().ok_or_else(|| PlaceError::NoCredentials("none found".to_owned()))?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        PlaceError::NoCredentials(format!("{error}{cause}"))
    })?;
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    set("AWS_ACCESS_KEY_ID", credentials.access_key_id());
    set("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    match credentials.session_token() {
        Some(token) => _ = set("AWS_SESSION_TOKEN", token),
        None => _ = variables.remove("AWS_SESSION_TOKEN"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(variables: &[(&str, &str)]) -> Result<Place, PlaceError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Place::find(&Options::default(), variables).await
    }

    #[tokio::test]
    async fn tables_are_named_by_the_environment_else_by_the_stack() {
        let local =
            [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("EVENTS_TABLE", "mine"), ("AGENDA_TABLE", " ")];
        let place = found(&local).await.unwrap();
        assert_eq!(place.table("EVENTS_TABLE"), "mine");
        assert_eq!(place.table("AGENDA_TABLE"), "rebound-agenda", "an empty variable counts as not set");
        assert_eq!(place.variable("AWS_REGION").as_deref(), Some(LOCAL_REGION), "a stand-in needs no region");
    }

    #[tokio::test]
    async fn a_local_engine_is_asked_in_the_region_that_is_named() {
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1");
        for region in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            assert_eq!(
                found(&[endpoint, (region, "us-east-2")]).await.unwrap().aws().region(),
                "us-east-2",
                "{region}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_file_of_rebound_dev_it_says_what_to_start() {
        let options = Options { local: Some("/nowhere/dev.env".into()), ..Options::default() };
        let error = Place::find(&options, []).await.unwrap_err().to_string();
        assert!(error.contains("rebound dev") && error.contains("/nowhere/dev.env"), "{error}");
    }
}
