//! The target of a command: a stack on AWS, or `rebound dev` on this machine.
//!
//! The names of its resources are looked up in this order: with `--local`, the file that `rebound dev` writes; the environment variables
//! that the functions have too; for tables, the name of the stack; for everything else, the outputs of the stack.
//!
//! - `arguments`: the options that select the target, which hints repeat.
//! - `credentials`: the region and the credentials.
//! - `error`: the errors of selecting a target.
//! - [`flags`]: words of a command line.
//! - `profiles`: the configured AWS profiles.

mod arguments;
mod credentials;
mod error;
pub mod flags;
mod profiles;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use rebound::aws::tables::TableNames;
use rebound::aws::{AwsEnvironment, describe};
use rebound::store::client::RetryClient;
use rebound::store::tables::TABLES;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use self::arguments::TargetArguments;
pub use self::error::TargetError;
use crate::operate::clients;

/// Default name of the stack, as in `samconfig.toml`.
pub const STACK: &str = "rebound";

/// Default path of the file that `rebound dev` writes.
pub const LOCAL_FILE: &str = ".local/dev.env";

/// Maximum time of a connection to a port of this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(800);

/// The output of the stack for each environment variable.
const OUTPUTS: [(&str, &str); 16] = [
    ("REBOUND_FUNCTION_URL", "WebhookUrl"),
    ("WEBHOOK_SECRET_ARN", "WebhookSecretArn"),
    ("API_KEYS_ARN", "ApiKeysArn"),
    ("OPERATOR_KEYS_ARN", "OperatorKeysArn"),
    ("CONSENT_URL", "ConsentUrl"),
    ("CONSENT_KEYS_ARN", "ConsentKeysArn"),
    ("ACT_KEYS_ARN", "ActKeysArn"),
    ("ALERTS_TOPIC_ARN", "AlertsTopicArn"),
    ("DECISIONS_TOPIC_ARN", "DecisionsTopicArn"),
    ("ENGAGE_QUEUE_URL", "EngageQueueUrl"),
    ("ENGAGE_DEAD_LETTERS_URL", "EngageDeadLettersUrl"),
    ("PROTECT_FAILURES_URL", "ProtectFailuresUrl"),
    ("RECEIVE_FUNCTION", "ReceiveFunctionName"),
    ("PROTECT_FUNCTION", "ProtectFunctionName"),
    ("ENGAGE_FUNCTION", "EngageFunctionName"),
    ("ACT_FUNCTION", "ActFunctionName"),
];

/// The target of a command, with the names of its resources.
#[derive(Debug)]
pub struct Target {
    variables: BTreeMap<String, String>,
    arguments: TargetArguments,
    stack: String,
    aws: AwsEnvironment,
    outputs: OnceCell<BTreeMap<String, String>>,
}

impl Target {
    /// Resolves the target. `variables` are the environment's.
    ///
    /// # Errors
    /// There are no credentials, no region, or no readable file of `rebound dev`.
    pub async fn find(
        arguments: &TargetArguments,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, TargetError> {
        let mut variables: BTreeMap<String, String> =
            variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let stack = arguments.stack_name(&variables)?;
        if let Some(file) = &arguments.local {
            variables.extend(read_local(file)?);
        }
        if let Some(region) = &arguments.region {
            variables.insert("AWS_REGION".to_owned(), region.clone());
        }
        for table in TABLES {
            variables.entry(table.variable.to_owned()).or_insert_with(|| table.name_in(&stack));
        }
        credentials::add(&mut variables, arguments).await?;
        let aws = AwsEnvironment::read(|name| variables.get(name).cloned())?;
        Ok(Self { variables, arguments: arguments.clone(), stack, aws, outputs: OnceCell::new() })
    }

    /// SDK clients for it.
    pub fn aws(&self) -> &AwsEnvironment {
        &self.aws
    }

    /// The name of the stack.
    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// A command for the same target, for a hint: `` `rebound connect --local` ``.
    pub fn command(&self, command: &str) -> String {
        self.arguments.command(command)
    }

    /// Checks that a local DynamoDB endpoint accepts connections: a crash leaves the file of `rebound dev` behind, and every call would fail
    /// on its own. An endpoint elsewhere is not checked.
    ///
    /// # Errors
    /// `DevIsGone` or `NobodyThere`: nothing listens at the endpoint.
    pub async fn look(&self) -> Result<(), TargetError> {
        let url = self.variable("AWS_ENDPOINT_URL_DYNAMODB").filter(|url| is_local(url));
        let Some(url) = url else { return Ok(()) };
        if is_answered(&url).await {
            return Ok(());
        }
        Err(match &self.arguments.local {
            Some(file) => TargetError::DevIsGone { file: file.clone(), url },
            None => TargetError::NobodyThere { url },
        })
    }

    /// A client of DynamoDB that retries until `within` has passed.
    pub fn calls(&self, within: Duration) -> RetryClient {
        RetryClient::new(self.aws.dynamodb(), Instant::now() + within)
    }

    /// A table's name, by the variable that names it: `EVENTS_TABLE`.
    pub fn table(&self, variable: &str) -> &str {
        self.variables.get(variable).map_or("", String::as_str)
    }

    /// The names of the five tables.
    pub fn tables(&self) -> TableNames {
        let Ok(tables) = TableNames::read(|variable| Ok::<_, Infallible>(self.table(variable).to_owned()));
        tables
    }

    /// True if it runs on this machine.
    pub fn is_local(&self) -> bool {
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

    /// A variable, or, if it is not set, the output of the stack for it, such as `WebhookSecretArn` for `WEBHOOK_SECRET_ARN`.
    ///
    /// # Errors
    /// `NoOutput`: the stack has no such output. `NoStack`: the stack can't be described.
    pub async fn lookup(&self, variable: &str) -> Result<String, TargetError> {
        if let Some(value) = self.variables.get(variable) {
            return Ok(value.clone());
        }
        let output = OUTPUTS.iter().find(|(known, _)| *known == variable).map_or(variable, |(_, output)| output);
        let outputs = self.outputs.get_or_try_init(|| self.describe_stack()).await?;
        outputs.get(output).cloned().ok_or_else(|| TargetError::NoOutput {
            variable: variable.to_owned(),
            stack: self.stack.clone(),
            output: output.to_owned(),
        })
    }

    async fn describe_stack(&self) -> Result<BTreeMap<String, String>, TargetError> {
        let failed = |why: String| TargetError::NoStack { stack: self.stack.clone(), why };
        let described = clients::cloudformation(&self.aws).describe_stacks().stack_name(&self.stack).send().await;
        let described = described.map_err(|error| failed(describe(&error)))?;
        let stack = described.stacks().first().ok_or_else(|| failed("it does not exist".to_owned()))?;
        let pair = |output: &aws_sdk_cloudformation::types::Output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        };
        Ok(stack.outputs().iter().filter_map(pair).collect())
    }
}

/// Returns true if a URL is on this machine.
pub fn is_local(url: &str) -> bool {
    let host = url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns true if a URL of this machine takes a connection.
async fn is_answered(url: &str) -> bool {
    let addresses = reqwest::Url::parse(url).ok().and_then(|url| url.socket_addrs(|| None).ok()).unwrap_or_default();
    let connect = tokio::net::TcpStream::connect(addresses.as_slice());
    tokio::time::timeout(CONNECT_TIMEOUT, connect).await.is_ok_and(|connected| connected.is_ok())
}

/// Reads a file of lines like `NAME=value`, which `rebound dev` has written.
fn read_local(file: &Path) -> Result<BTreeMap<String, String>, TargetError> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => TargetError::NoLocal(file.to_owned()),
        _ => TargetError::UnreadLocal(file.to_owned(), error),
    })?;
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let variables: BTreeMap<String, String> = text.lines().filter_map(pair).collect();
    if variables.contains_key("AWS_ENDPOINT_URL_DYNAMODB") {
        Ok(variables)
    } else {
        Err(TargetError::NotLocal(file.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::credentials::LOCAL_REGION;
    use super::*;

    async fn found(variables: &[(&str, &str)]) -> Result<Target, TargetError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Target::find(&TargetArguments::default(), variables).await
    }

    #[tokio::test]
    async fn tables_are_named_by_the_environment_else_by_the_stack() {
        let local =
            [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("EVENTS_TABLE", "mine"), ("AGENDA_TABLE", " ")];
        let target = found(&local).await.unwrap();
        assert_eq!(target.table("EVENTS_TABLE"), "mine");
        assert_eq!(target.table("AGENDA_TABLE"), "rebound-agenda", "an empty variable counts as not set");
        assert_eq!(target.variable("AWS_REGION").as_deref(), Some(LOCAL_REGION), "a stub needs no region");
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
        let arguments = TargetArguments { local: Some("/nowhere/dev.env".into()), ..TargetArguments::default() };
        let error = Target::find(&arguments, []).await.unwrap_err().to_string();
        assert!(error.contains("rebound dev") && error.contains("/nowhere/dev.env"), "{error}");
    }
}
