//! Common helpers of the tests: an engine with a template's tables, and SDK clients.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_local::dynamodb::{EmbeddedDynamoDb, make_tables};
use aws_local::dynamodb_api::Access;
use aws_local::sam::{Mapping, Template};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};

pub(crate) const EVENTS: &str = "app-events";
pub(crate) const SUPPRESSIONS: &str = "app-suppressions";

/// An engine with its address and credentials.
pub(crate) struct Engine {
    pub(crate) engine: EmbeddedDynamoDb,
    pub(crate) access: Access,
    pub(crate) client: aws_sdk_dynamodb::Client,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::at(any_port(), None).await
    }

    pub(crate) async fn at(address: SocketAddr, data: Option<&Path>) -> Self {
        let engine = EmbeddedDynamoDb::start(address, data).await.unwrap();
        let credentials = Credentials::from_keys("local", "local", None);
        let access = Access { endpoint: engine.url(), region: "eu-west-1".to_owned(), credentials };
        make_tables(&access, &template().tables().unwrap()).await.unwrap();
        let client = dynamodb(engine.url());
        Self { engine, access, client }
    }
}

pub(crate) fn template() -> Template {
    Template::read(include_str!("template.yaml"), "app").unwrap()
}

pub(crate) fn mappings() -> Vec<Mapping> {
    template().mappings().unwrap()
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn dynamodb(url: String) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::from_keys("local", "local", None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// Waits until `condition` holds, for at most ten seconds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..1_200 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within a minute");
}
