//! The whole stack in one process: DynamoDB, Secrets Manager, SNS, SQS, and the functions' environment.

mod queues;
mod shell;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_local::control_plane::LocalControlPlane;
use aws_local::dynamodb::{EmbeddedDbError, EmbeddedDynamoDb, is_local, make_tables};
use aws_local::dynamodb_api::Access;
use aws_local::faults::{FaultProxy, Faults, Service};
use aws_local::journal::JournalError;
use aws_local::sam::TemplateError;
use aws_local::secrets_manager::LocalSecretsManager;
use aws_local::sns::LocalSns;
use aws_local::sqs::LocalSqs;
use rebound::act::Actor;
use rebound::aws::AwsEnvironment;
use rebound::aws::tables::TableNames;
use rebound::config::EnvironmentError;
use rebound::consent::Consent;
use rebound::engage::Engager;
use rebound::protect::Protector;
use rebound::receive::Receiver;
use serde_json::json;

use self::queues::{journal, set_up};
use self::shell::{PASSED_THROUGH, identity};
use crate::template::{STACK_NAME, template};
use crate::{LOCAL_CONSENT_KEY, LOCAL_SECRET};

/// The name of the webhook secret in the local Secrets Manager.
pub const SECRET_NAME: &str = "rebound/webhook";

/// The topic of alerts in the local SNS.
pub const ALERTS_TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:rebound-alerts";

/// The queue of opens and clicks in the local SQS.
pub const ENGAGE_QUEUE: &str = "rebound-engage";

/// The dead-letter queue of `engage` in the local SQS.
pub const ENGAGE_DEAD_LETTERS: &str = "rebound-engage-dead";

/// The queue of the stream records that `protect` failed to process, in the local SQS. It stays empty here.
pub const PROTECT_FAILURES: &str = "rebound-protect-failures";

/// The topic of decisions in the local SNS.
pub const DECISIONS_TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:rebound-decisions";

/// The name of the secret with Claude's key in the local Secrets Manager.
pub const API_KEYS_NAME: &str = "rebound/api-keys";

/// The default name of the secret with the operator's keys; `OPERATOR_KEYS_ARN` overrides it.
pub const OPERATOR_KEYS_NAME: &str = "rebound/operator-keys";

/// Default delivery delay of the local queue of opens and clicks. The stack's queue has 90 s.
pub const SETTLE: Duration = Duration::from_secs(2);

/// Options of the embedded AWS.
#[derive(Clone, Debug)]
pub struct LocalAwsOptions {
    /// The address of DynamoDB.
    pub dynamodb: SocketAddr,
    /// The file with the tables; queues and published messages are in a file beside it. `None`: all are in memory.
    pub data: Option<PathBuf>,
    /// Delivery delay of the queue of opens and clicks.
    pub settle: Duration,
}

impl LocalAwsOptions {
    /// Options for tables in memory, on any free port.
    pub fn in_memory() -> Self {
        Self { dynamodb: SocketAddr::from(([127, 0, 0, 1], 0)), data: None, settle: SETTLE }
    }
}

/// The local stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is in use, or can't be bound.
    #[error("can't listen on {0}: {1}; choose another address")]
    Listen(SocketAddr, io::Error),
    /// The embedded DynamoDB could not be started.
    #[error(transparent)]
    DynamoDb(#[from] EmbeddedDbError),
    /// The file with the queues and topics can't be opened.
    #[error("{0}: {1}; remove it to begin with empty queues")]
    Journal(PathBuf, JournalError),
    /// `template.yaml` is not usable.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The environment is invalid.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The events table's stream can't be read.
    #[error(transparent)]
    Feed(#[from] aws_local::feeder::FeedError),
    /// A queue can't be read.
    #[error(transparent)]
    Poll(#[from] aws_local::poller::PollError),
}

/// The embedded AWS, and the environment variables that point the functions at it.
#[derive(Debug)]
pub struct EmbeddedAws {
    /// The stub of Secrets Manager; `None` if the environment names another endpoint.
    pub secrets_manager: Option<LocalSecretsManager>,
    /// The stub of SNS; `None` if the environment names another endpoint.
    pub sns: Option<LocalSns>,
    /// The stub of SQS; `None` if the environment names another endpoint.
    pub sqs: Option<LocalSqs>,
    /// The stub of CloudFormation, Lambda and CloudWatch; `None` if the environment names another endpoint for one of them.
    pub control: Option<LocalControlPlane>,
    dynamodb: Option<EmbeddedDynamoDb>,
    /// The fault proxy between the functions and DynamoDB.
    proxy: Option<FaultProxy>,
    /// The fault proxy between the functions and SNS.
    sns_proxy: Option<FaultProxy>,
    variables: BTreeMap<String, String>,
    clients: AwsEnvironment,
}

impl EmbeddedAws {
    /// Starts the services that the environment does not name: if an `AWS_ENDPOINT_URL_…` is set, that endpoint is used instead of a stub.
    /// `variable` looks up an environment variable.
    ///
    /// # Errors
    /// An address is in use, or the database can't be opened.
    pub async fn start(
        options: &LocalAwsOptions,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StartError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let is_named = |name: &str| variable(name).is_some();
        let mut variables = identity(variable);
        let identity_variables = variables.clone();
        let mut or_default = |name: &str, default: String| {
            let value = variable(name).unwrap_or(default);
            variables.insert(name.to_owned(), value.clone());
            value
        };

        let mut tables = template()?.tables()?;
        for table in &mut tables {
            table.name = or_default(&table.variable, table.name.clone());
        }
        let dynamodb = match variable("AWS_ENDPOINT_URL_DYNAMODB") {
            Some(url) => {
                // Tables are created only in a local DynamoDB, which has none at first.
                if is_local(&url)
                    && let Err(error) = make_tables(&access(&identity_variables, &url), &tables).await
                {
                    tracing::warn!(%error, "the tables could not be created");
                }
                None
            }
            None => {
                let dynamodb = EmbeddedDynamoDb::start(options.dynamodb, options.data.as_deref()).await?;
                make_tables(&access(&identity_variables, &dynamodb.url()), &tables).await?;
                Some(dynamodb)
            }
        };
        or_default("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.as_ref().map(EmbeddedDynamoDb::url).unwrap_or_default());

        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listening = |error| StartError::Listen(any, error);
        let secrets_manager = match variable("AWS_ENDPOINT_URL_SECRETS_MANAGER") {
            Some(_) => None,
            None => {
                let stub = LocalSecretsManager::start().await.map_err(listening)?;
                let arn = or_default("WEBHOOK_SECRET_ARN", SECRET_NAME.to_owned());
                stub.put(&arn, &json!({ "RESEND_WEBHOOK_SECRET": LOCAL_SECRET }).to_string());
                // Without a key: the built-in rules decide, unless ANTHROPIC_API_KEY is set.
                stub.put(&or_default("API_KEYS_ARN", API_KEYS_NAME.to_owned()), "{}");
                stub.put(&or_default("OPERATOR_KEYS_ARN", OPERATOR_KEYS_NAME.to_owned()), "{}");
                Some(stub)
            }
        };
        or_default(
            "AWS_ENDPOINT_URL_SECRETS_MANAGER",
            secrets_manager.as_ref().map(LocalSecretsManager::url).unwrap_or_default(),
        );
        let journal = journal(options)?;
        let sns = match (variable("AWS_ENDPOINT_URL_SNS"), &journal) {
            (Some(_), _) => None,
            (None, Some(journal)) => Some(LocalSns::start_with(any, Arc::clone(journal)).await.map_err(listening)?),
            (None, None) => Some(LocalSns::start(any).await.map_err(listening)?),
        };
        or_default("AWS_ENDPOINT_URL_SNS", sns.as_ref().map(LocalSns::url).unwrap_or_default());
        or_default("ALERTS_TOPIC_ARN", ALERTS_TOPIC.to_owned());
        or_default("DECISIONS_TOPIC_ARN", DECISIONS_TOPIC.to_owned());

        let sqs = match variable("AWS_ENDPOINT_URL_SQS") {
            Some(_) => None,
            None => {
                let sqs = match journal {
                    Some(journal) => LocalSqs::start_with(any, options.settle, journal).await,
                    None => LocalSqs::start(any, options.settle).await,
                };
                let sqs = sqs.map_err(listening)?;
                set_up(&sqs, options)?;
                Some(sqs)
            }
        };
        let sqs_url = or_default("AWS_ENDPOINT_URL_SQS", sqs.as_ref().map(LocalSqs::url).unwrap_or_default());
        or_default("ENGAGE_QUEUE_URL", format!("{}/000000000000/{ENGAGE_QUEUE}", sqs_url.trim_end_matches('/')));

        let account = format!("{}/000000000000", sqs_url.trim_end_matches('/'));
        or_default("ENGAGE_DEAD_LETTERS_URL", format!("{account}/{ENGAGE_DEAD_LETTERS}"));
        or_default("PROTECT_FAILURES_URL", format!("{account}/{PROTECT_FAILURES}"));
        for function in ["receive", "protect", "engage"] {
            or_default(&format!("{}_FUNCTION", function.to_uppercase()), format!("{STACK_NAME}-{function}"));
        }
        let services = ["CLOUDFORMATION", "CLOUDWATCH", "LAMBDA"].map(|service| format!("AWS_ENDPOINT_URL_{service}"));
        let control = match services.iter().any(|name| is_named(name)) {
            true => None,
            false => Some(LocalControlPlane::start().await.map_err(listening)?),
        };
        for name in services {
            or_default(&name, control.as_ref().map(LocalControlPlane::url).unwrap_or_default());
        }

        if variable("CONSENT_KEYS_ARN").is_none() {
            or_default("CONSENT_KEY", LOCAL_CONSENT_KEY.to_owned());
        }
        or_default("SENDER_NAME", STACK_NAME.to_owned());
        variables.extend(PASSED_THROUGH.into_iter().filter_map(|name| Some((name.to_owned(), variable(name)?))));
        if let Some(control) = &control {
            control.set(|controls| controls.environment.clone_from(&variables));
        }
        let clients = AwsEnvironment::read(|name| variables.get(name).cloned()).map_err(EnvironmentError::from)?;
        Ok(Self { secrets_manager, sns, sqs, control, dynamodb, proxy: None, sns_proxy: None, variables, clients })
    }

    /// The environment variables of the functions.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Looks up one of these variables.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// The names of the five tables.
    pub fn tables(&self) -> TableNames {
        let Ok(tables) = TableNames::read(|name| Ok::<_, Infallible>(self.variable(name).unwrap_or_default()));
        tables
    }

    /// Endpoint, region and credentials of the DynamoDB.
    pub fn access(&self) -> Access {
        access(&self.variables, &self.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default())
    }

    /// SDK clients for this environment. They share their connections.
    pub fn clients(&self) -> &AwsEnvironment {
        &self.clients
    }

    /// Inserts a proxy with these faults between the functions and DynamoDB. Other clients use DynamoDB directly. Returns the proxy's URL.
    pub async fn insert_fault_proxy(&mut self, faults: Faults) -> Result<String, StartError> {
        let proxy = self.proxy_before("AWS_ENDPOINT_URL_DYNAMODB", Service::DynamoDb, faults).await?;
        Ok(self.proxy.insert(proxy).url())
    }

    /// Inserts a proxy with these faults between the functions and SNS. Returns the proxy's URL.
    pub async fn insert_sns_fault_proxy(&mut self, faults: Faults) -> Result<String, StartError> {
        let proxy = self.proxy_before("AWS_ENDPOINT_URL_SNS", Service::Sns, faults).await?;
        Ok(self.sns_proxy.insert(proxy).url())
    }

    async fn proxy_before(&self, variable: &str, service: Service, faults: Faults) -> Result<FaultProxy, StartError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let upstream = self.variable(variable).unwrap_or_default();
        let proxy = FaultProxy::start(upstream, any, service, faults).await;
        proxy.map_err(|error| StartError::Listen(any, error))
    }

    /// A variable with the value that the functions get.
    fn function_variable(&self, name: &str) -> Option<String> {
        let proxy = match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => &self.proxy,
            "AWS_ENDPOINT_URL_SNS" => &self.sns_proxy,
            _ => &None,
        };
        proxy.as_ref().map(FaultProxy::url).or_else(|| self.variable(name))
    }

    /// A receiver in this environment, built as in the function.
    pub async fn receiver(&self) -> Result<Receiver, StartError> {
        Ok(Receiver::from_environment(|name| self.function_variable(name)).await?)
    }

    /// The function `consent` in this environment, built as in the function.
    pub async fn consent(&self) -> Result<Consent, StartError> {
        Ok(Consent::from_environment(|name| self.function_variable(name)).await?)
    }

    /// Sets the origin of the unsubscribe links, `CONSENT_URL`, unless the environment names one.
    pub fn set_consent_url(&mut self, url: &str) {
        let variables = &mut self.variables;
        variables.entry("CONSENT_URL".to_owned()).or_insert_with(|| url.to_owned());
        if let Some(control) = &self.control {
            control.set(|controls| controls.environment.clone_from(variables));
        }
    }

    /// A protector in this environment, built as in the function.
    pub fn protector(&self) -> Result<Protector, StartError> {
        Ok(Protector::from_environment(|name| self.function_variable(name))?)
    }

    /// An engager in this environment, built as in the function.
    pub fn engager(&self) -> Result<Engager, StartError> {
        Ok(Engager::from_environment(|name| self.function_variable(name))?)
    }

    /// An actor in this environment, built as in the function, with Resend at this URL.
    pub fn actor(&self, resend: &ResendAccess) -> Result<Actor, StartError> {
        Ok(Actor::from_environment(|name| resend.variable(name).or_else(|| self.function_variable(name)))?)
    }

    /// Stops DynamoDB, to simulate an outage, and waits for its end. The tables are lost unless they are in a file.
    pub async fn stop_dynamodb(&mut self) {
        if let Some(dynamodb) = self.dynamodb.take() {
            dynamodb.stop().await;
        }
    }
}

/// Where Resend's API is, and the key to it.
#[derive(Clone)]
pub struct ResendAccess {
    /// The URL.
    pub url: String,
    /// The API key.
    pub key: String,
}

impl std::fmt::Debug for ResendAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ResendAccess({})", self.url)
    }
}

impl ResendAccess {
    /// Looks up a variable that points a function at Resend.
    pub fn variable(&self, name: &str) -> Option<String> {
        match name {
            "RESEND_BASE_URL" => Some(self.url.clone()),
            "RESEND_API_KEY" => Some(self.key.clone()),
            _ => None,
        }
    }
}

/// A DynamoDB at this URL, with the region and the credentials in these variables.
fn access(identity_variables: &BTreeMap<String, String>, dynamodb: &str) -> Access {
    let variable = |name: &str| identity_variables.get(name).cloned();
    let text = |name: &str| variable(name).unwrap_or_default();
    let token = variable("AWS_SESSION_TOKEN");
    let credentials = Credentials::from_keys(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"), token);
    Access { endpoint: dynamodb.to_owned(), region: text("AWS_REGION"), credentials }
}
