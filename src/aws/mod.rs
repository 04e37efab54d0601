//! AWS: SDK clients, and the formats of requests and responses.
//!
//! - [`edge`]: the requests and responses of a public URL.
//! - [`stream`]: the invocation events of the events table's stream.
//! - [`topic`]: the topics of alerts and of decisions.
//! - [`queue`]: the queue that `engage` reads.
//! - [`secret`]: a value in Secrets Manager.
//! - [`backoff`]: pauses between tries.
//! - [`tables`]: the names of the tables.
//! - [`breaker`]: after a failed call, a service is not called again in the same invocation.
//!
//! The clients are configured from the environment variables that Lambda sets. The crate `aws-config` would also look
//! for profiles, roles and instance metadata that a function never has, and link clients for them.

pub mod backoff;
pub mod breaker;
pub mod edge;
mod error;
pub mod queue;
pub mod secret;
pub mod stream;
pub mod tables;
pub mod topic;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, tls};

pub use self::error::{CallError, describe, has_timed_out};

/// A DynamoDB item, as the SDK represents it.
pub type Item = HashMap<String, AttributeValue>;

/// The root certificates of Amazon's endpoints (<https://www.amazontrust.com/repository/>).
pub const AMAZON_ROOTS: &[u8] = include_bytes!("roots.pem");

/// Timeout of one try of a call. Several must fit into the 15 s that Resend waits for a response.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Timeout of a call with the SDK's own retries. Lambda's init phase has 10 s in total.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(4);

const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Shorter than the idle time after which AWS closes a connection: an execution environment that was frozen must not
/// write to a closed connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The services whose endpoint can be set, as in `AWS_ENDPOINT_URL_SNS`.
const SERVICES: [&str; 7] = ["CLOUDFORMATION", "CLOUDWATCH", "DYNAMODB", "LAMBDA", "SECRETS_MANAGER", "SNS", "SQS"];

/// Begins the configuration of a service's client: `client_config!(environment, aws_sdk_sns, "SNS")`. Each SDK crate
/// has its own configuration type, so the common part is a macro.
#[macro_export]
macro_rules! client_config {
    ($environment:expr, $sdk:ident, $service:literal) => {{
        let environment: &$crate::aws::AwsEnvironment = $environment;
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new(environment.region().to_owned()))
            .credentials_provider(environment.credentials().clone())
            .http_client(environment.http().clone())
            .timeout_config($crate::aws::timeouts());
        match environment.endpoint($service) {
            Some(url) => config.endpoint_url(url),
            None => config,
        }
    }};
}

/// Region, credentials and endpoints of the clients.
#[derive(Clone, Debug)]
pub struct AwsEnvironment {
    region: String,
    credentials: Credentials,
    endpoints: BTreeMap<&'static str, String>,
    http: SharedHttpClient,
}

/// An environment variable that Lambda sets is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} is not set; Lambda sets it, elsewhere set it yourself")]
pub struct MissingVariable(&'static str);

impl AwsEnvironment {
    /// Reads the region, the credentials and, if they are set, the endpoints. `variable` looks up an environment
    /// variable.
    ///
    /// # Errors
    /// The region or the credentials are not set.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, MissingVariable> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| variable(name).ok_or(MissingVariable(name));
        let endpoint =
            |service: &str| variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"));
        let region =
            variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).ok_or(MissingVariable("AWS_REGION"))?;
        let endpoints: BTreeMap<&'static str, String> =
            SERVICES.into_iter().filter_map(|service| Some((service, endpoint(service)?))).collect();
        let own_roots = variable("SSL_CERT_FILE").is_some();
        let roots = if own_roots || endpoints.values().any(|url| url.starts_with("https:")) {
            Roots::System
        } else {
            Roots::of_region(&region)
        };
        Ok(Self {
            region,
            credentials: Credentials::from_keys(
                needed("AWS_ACCESS_KEY_ID")?,
                needed("AWS_SECRET_ACCESS_KEY")?,
                variable("AWS_SESSION_TOKEN"),
            ),
            endpoints,
            http: http_client(roots),
        })
    }

    /// Creates a DynamoDB client without retries. [`store`](crate::store) retries: it knows which errors are transient,
    /// and how much time is left.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = client_config!(self, aws_sdk_dynamodb, "DYNAMODB").retry_config(RetryConfig::disabled());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// Creates a Secrets Manager client, with the SDK's own retries.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::from_conf(
            client_config!(self, aws_sdk_secretsmanager, "SECRETS_MANAGER").build(),
        )
    }

    /// Creates an SNS client without retries: a message that is published twice is delivered twice.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        let config = client_config!(self, aws_sdk_sns, "SNS").retry_config(RetryConfig::disabled());
        aws_sdk_sns::Client::from_conf(config.build())
    }

    /// Creates an SQS client, with the SDK's own retries.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::from_conf(client_config!(self, aws_sdk_sqs, "SQS").build())
    }
}

/// Parts for other clients with the same configuration: see [`client_config!`](crate::client_config).
impl AwsEnvironment {
    /// Region of every client.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Credentials of every client.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// HTTP client of every client.
    pub fn http(&self) -> &SharedHttpClient {
        &self.http
    }

    /// Endpoint of a service, as in `AWS_ENDPOINT_URL_SNS`. `None` means the default endpoint of AWS.
    pub fn endpoint(&self, service: &str) -> Option<&str> {
        self.endpoints.get(service).map(String::as_str)
    }
}

/// Creates an HTTP client that trusts the root certificates of this machine.
pub fn any_https() -> SharedHttpClient {
    http_client(Roots::System)
}

/// Root certificates that are trusted for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roots {
    /// Amazon's five, contained in this binary.
    Amazon,
    /// The installed ones, or those in `SSL_CERT_FILE`.
    System,
}

impl Roots {
    /// Amazon's certificates sign every endpoint in its commercial regions. Reading all installed ones, about 150,
    /// would take most of a cold start. The regions of other partitions have their own endpoints.
    fn of_region(region: &str) -> Self {
        let other_partitions = ["cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"];
        let elsewhere = other_partitions.iter().any(|prefix| region.starts_with(prefix));
        if elsewhere { Self::System } else { Self::Amazon }
    }
}

fn http_client(roots: Roots) -> SharedHttpClient {
    let builder = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).pool_idle_timeout(IDLE_TIMEOUT);
    let trust_store = TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    match (roots, TlsContext::builder().with_trust_store(trust_store).build()) {
        (Roots::Amazon, Ok(context)) => builder.tls_context(context).build_https(),
        (Roots::System, _) | (_, Err(_)) => builder.build_https(),
    }
}

/// Timeouts of a call and of each try.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    /// Published by Amazon: <https://www.amazontrust.com/repository/>.
    const FINGERPRINTS: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn the_roots_in_this_binary_are_the_five_that_amazon_publishes() {
        let pem = std::str::from_utf8(AMAZON_ROOTS).unwrap();
        let certificates = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
        let fingerprints: Vec<String> = certificates
            .map(|certificate| {
                let body: String = certificate.split("-----END").next().unwrap().split_whitespace().collect();
                let digest = Sha256::digest(STANDARD.decode(body).unwrap());
                hex::encode(digest)
            })
            .collect();
        assert_eq!(fingerprints, FINGERPRINTS);
    }

    #[test]
    fn only_commercial_regions_trust_amazons_roots_alone() {
        for region in ["eu-west-1", "us-east-1", "ap-southeast-2", "me-central-1", "il-central-1", "ca-west-1"] {
            assert_eq!(Roots::of_region(region), Roots::Amazon, "{region}");
        }
        for region in
            ["cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"]
        {
            assert_eq!(Roots::of_region(region), Roots::System, "{region}");
        }
    }
}
