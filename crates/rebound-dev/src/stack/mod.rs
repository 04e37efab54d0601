//! Everything together, in one process: DynamoDB, Secrets Manager, SNS, SQS, and the functions.

mod queues;
mod shell;

use std::collections::BTreeMap;
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
use rebound::aws::{AwsEnvironment, MissingVariable};
use rebound::config::EnvironmentError;
use rebound::engage::Engager;
use rebound::protect::Protector;
use rebound::receive::Receiver;
use serde_json::json;

use self::queues::{journal, set_up};
use self::shell::{PASSED_THROUGH, identity};
use crate::LOCAL_SECRET;
use crate::template::{STACK_NAME, template};

/// The name of the webhook secret in the local Secrets Manager.
pub const SECRET_NAME: &str = "rebound/webhook";

/// The topic of alerts in the local SNS.
pub const ALERTS_TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:rebound-alerts";

/// The queue of opens and clicks in the local SQS.
pub const ENGAGE_QUEUE: &str = "rebound-engage";

/// The queue of what `engage` could not handle, in the local SQS.
pub const ENGAGE_DEAD_LETTERS: &str = "rebound-engage-dead";

/// The queue of what `protect` could not do, in the local SQS. Nothing comes into it here.
pub const PROTECT_FAILURES: &str = "rebound-protect-failures";

/// The topic of decisions in the local SNS.
pub const DECISIONS_TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:rebound-decisions";

/// The name of the secret with Claude's key in the local Secrets Manager.
pub const API_KEYS_NAME: &str = "rebound/api-keys";

/// The secret that holds the operator's keys, unless `OPERATOR_KEYS_ARN` names another.
pub const OPERATOR_KEYS_NAME: &str = "rebound/operator-keys";

/// How long an open or a click settles locally, unless told otherwise. The stack's queue has 90 s.
pub const SETTLE: Duration = Duration::from_secs(2);

/// How the embedded AWS is to be started.
#[derive(Clone, Debug)]
pub struct LocalAwsOptions {
    /// Where DynamoDB listens.
    pub dynamodb: SocketAddr,
    /// The file that keeps the tables, and another beside it the queues and what was published; `None`: memory.
    pub data: Option<PathBuf>,
    /// How long an open or a click settles in the queue before `engage` sees it.
    pub settle: Duration,
}

impl LocalAwsOptions {
    /// In memory, on any free port.
    pub fn in_memory() -> Self {
        Self { dynamodb: SocketAddr::from(([127, 0, 0, 1], 0)), data: None, settle: SETTLE }
    }
}

/// Why the local stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or can't be bound.
    #[error("can't listen on {0}: {1}; choose another address")]
    Listen(SocketAddr, io::Error),
    /// The embedded DynamoDB could not be started.
    #[error(transparent)]
    DynamoDb(#[from] EmbeddedDbError),
    /// The file of queues and topics can't be opened.
    #[error("{0}: {1}; remove it to begin with empty queues")]
    Journal(PathBuf, JournalError),
    /// `template.yaml` can't be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The environment makes no sense.
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
    /// The stand-in for Secrets Manager; `None` where the environment names another.
    pub secrets_manager: Option<LocalSecretsManager>,
    /// The stand-in for SNS; `None` where the environment names another.
    pub sns: Option<LocalSns>,
    /// The stand-in for SQS; `None` where the environment names another.
    pub sqs: Option<LocalSqs>,
    /// The stand-in for CloudFormation, Lambda and CloudWatch; `None` where the environment names another of one of them.
    pub control: Option<LocalControlPlane>,
    dynamodb: Option<EmbeddedDynamoDb>,
    /// What stands between the functions and DynamoDB.
    proxy: Option<FaultProxy>,
    /// What stands between the functions and SNS.
    sns_proxy: Option<FaultProxy>,
    variables: BTreeMap<String, String>,
}

impl EmbeddedAws {
    /// Starts what the environment does not name already: where an `AWS_ENDPOINT_URL_…` is set, that one is used and no stand-in
    /// is started for it. `variable` looks a variable up.
    ///
    /// # Errors
    /// An address is taken, or the database can't be opened.
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
                // Somebody's own: no business of ours, unless it is a local one too, which begins without tables.
                if is_local(&url)
                    && let Err(error) = make_tables(&access(&identity_variables, &url), &tables).await
                {
                    tracing::warn!(%error, "no tables made");
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
                let stand_in = LocalSecretsManager::start().await.map_err(listening)?;
                let arn = or_default("WEBHOOK_SECRET_ARN", SECRET_NAME.to_owned());
                stand_in.put(&arn, &json!({ "RESEND_WEBHOOK_SECRET": LOCAL_SECRET }).to_string());
                // Without a key: the written rules decide, unless ANTHROPIC_API_KEY is set.
                stand_in.put(&or_default("API_KEYS_ARN", API_KEYS_NAME.to_owned()), "{}");
                stand_in.put(&or_default("OPERATOR_KEYS_ARN", OPERATOR_KEYS_NAME.to_owned()), "{}");
                Some(stand_in)
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

        variables.extend(PASSED_THROUGH.into_iter().filter_map(|name| Some((name.to_owned(), variable(name)?))));
        if let Some(control) = &control {
            control.set(|controls| controls.environment.clone_from(&variables));
        }
        Ok(Self { secrets_manager, sns, sqs, control, dynamodb, proxy: None, sns_proxy: None, variables })
    }

    /// The environment of a function that runs on it.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Looks one of those variables up.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    /// Its DynamoDB.
    pub fn access(&self) -> Access {
        access(&self.variables, &self.variable("AWS_ENDPOINT_URL_DYNAMODB").unwrap_or_default())
    }

    /// SDK clients for it.
    ///
    /// # Errors
    /// None: region and credentials have defaults here.
    pub fn clients(&self) -> Result<AwsEnvironment, MissingVariable> {
        AwsEnvironment::read(|name| self.variable(name))
    }

    /// From now on, what the functions ask of DynamoDB comes by a proxy, which does with it what `faults` say. Everybody else reaches
    /// it directly. It answers the proxy's URL.
    ///
    /// # Errors
    /// No port is free.
    pub async fn insert_fault_proxy(&mut self, faults: Faults) -> Result<String, StartError> {
        let proxy = self.proxy_before("AWS_ENDPOINT_URL_DYNAMODB", Service::DynamoDb, faults).await?;
        Ok(self.proxy.insert(proxy).url())
    }

    /// The same before SNS.
    ///
    /// # Errors
    /// No port is free.
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

    /// A variable as the functions see it.
    fn function_variable(&self, name: &str) -> Option<String> {
        let proxy = match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => &self.proxy,
            "AWS_ENDPOINT_URL_SNS" => &self.sns_proxy,
            _ => &None,
        };
        proxy.as_ref().map(FaultProxy::url).or_else(|| self.variable(name))
    }

    /// A receiver on it, wired as the function is.
    ///
    /// # Errors
    /// The environment makes no sense.
    pub async fn receiver(&self) -> Result<Receiver, StartError> {
        Ok(Receiver::from_environment(|name| self.function_variable(name)).await?)
    }

    /// A protector on it, wired as the function is.
    ///
    /// # Errors
    /// The environment makes no sense.
    pub fn protector(&self) -> Result<Protector, StartError> {
        Ok(Protector::from_environment(|name| self.function_variable(name))?)
    }

    /// An engager on it, wired as the function is.
    ///
    /// # Errors
    /// The environment makes no sense.
    pub fn engager(&self) -> Result<Engager, StartError> {
        Ok(Engager::from_environment(|name| self.function_variable(name))?)
    }

    /// Stops DynamoDB, as if it were out of reach, and waits until it is. The tables are gone with it, unless they are in a file.
    pub async fn stop_dynamodb(&mut self) {
        if let Some(dynamodb) = self.dynamodb.take() {
            dynamodb.stop().await;
        }
    }
}

/// A DynamoDB at this URL, for whoever these variables name.
fn access(identity_variables: &BTreeMap<String, String>, dynamodb: &str) -> Access {
    let variable = |name: &str| identity_variables.get(name).cloned();
    let text = |name: &str| variable(name).unwrap_or_default();
    let token = variable("AWS_SESSION_TOKEN");
    let credentials = Credentials::from_keys(text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"), token);
    Access { endpoint: dynamodb.to_owned(), region: text("AWS_REGION"), credentials }
}
