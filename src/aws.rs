//! SDK clients for a Lambda function.
//!
//! Configured from what Lambda itself sets in the environment. The crate `aws-config` would also look for profiles, roles
//! and instance metadata that a function never has, and link the clients for them.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};

/// How long one call may take. Several tries must fit into the time that Resend waits for an answer, 15 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How long one call may take with the SDK's own retries: init has 10 s in all.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Shorter than the idle time after which AWS hangs up: a sandbox thawed after a pause must not write to a dead connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the clients go and as whom.
#[derive(Clone, Debug)]
pub struct AwsEnvironment {
    region: String,
    credentials: Credentials,
    dynamodb_endpoint: Option<String>,
    secrets_manager_endpoint: Option<String>,
    http: SharedHttpClient,
}

/// Something that Lambda sets is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set; Lambda sets it, elsewhere set it yourself")]
pub struct NotSet(&'static str);

impl AwsEnvironment {
    /// Reads region, credentials and, where they are set, endpoints. `variable` looks one up.
    ///
    /// # Errors
    /// The region or the credentials are not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, NotSet> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| variable(name).ok_or(NotSet(name));
        let endpoint = |name: &str| variable(name).or_else(|| variable("AWS_ENDPOINT_URL"));
        Ok(Self {
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).ok_or(NotSet("AWS_REGION"))?,
            credentials: Credentials::from_keys(
                needed("AWS_ACCESS_KEY_ID")?,
                needed("AWS_SECRET_ACCESS_KEY")?,
                variable("AWS_SESSION_TOKEN"),
            ),
            dynamodb_endpoint: endpoint("AWS_ENDPOINT_URL_DYNAMODB"),
            secrets_manager_endpoint: endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            http: Builder::new()
                .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build_https(),
        })
    }

    /// A DynamoDB client that does not retry by itself: [`Writer`](crate::store::write::Writer) knows better which failures
    /// may pass, and how much time is left.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::disabled());
        let config = match &self.dynamodb_endpoint {
            Some(url) => config.endpoint_url(url),
            None => config,
        };
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// A Secrets Manager client, with the SDK's own retries.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(aws_sdk_secretsmanager::config::BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts());
        let config = match &self.secrets_manager_endpoint {
            Some(url) => config.endpoint_url(url),
            None => config,
        };
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }
}

/// What went wrong with a call, in words: the service's own code and message, else the error and its causes.
///
/// Never by `Debug`, as the SDK's `DisplayErrorContext` does it: that prints the raw answer, and with it, where an answer
/// can't be read, a secret or somebody's address into the log.
pub(crate) fn describe<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    if let Some(code) = error.as_service_error().and_then(ProvideErrorMetadata::code) {
        return format!("{code}: {}", error.message().unwrap_or("no message"));
    }
    let mut described = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        described.push_str(": ");
        described.push_str(&error.to_string());
        cause = error.source();
    }
    described
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}
