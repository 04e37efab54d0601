//! An AWS stub that responds immediately, in this thread, without a network.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::Value;

/// Response of AWS to every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwsBehaviour {
    /// Every call succeeds, and all tables are empty.
    Obliging,
    /// Every call is denied, which is transient.
    Denying,
    /// Every call is invalid.
    Objecting,
}

impl AwsBehaviour {
    /// Chooses the mood for an input: always the same one.
    pub(super) const fn met_by(bytes: &[u8]) -> Self {
        match bytes.len() % 4 {
            0 | 1 => Self::Obliging,
            2 => Self::Denying,
            _ => Self::Objecting,
        }
    }
}

/// The clients, and the recorded calls.
pub(super) struct Aws {
    pub(super) dynamodb: aws_sdk_dynamodb::Client,
    pub(super) sns: aws_sdk_sns::Client,
    pub(super) sqs: aws_sdk_sqs::Client,
    wire: Wire,
}

impl Aws {
    pub(super) fn new() -> Self {
        let wire = Wire::default();
        let connector = SharedHttpConnector::new(wire.clone());
        let http: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::Config::builder()
                        .behavior_version(BehaviorVersion::latest())
                        .region(Region::from_static("eu-west-1"))
                        .credentials_provider(Credentials::new("key", "secret", None, None, "fuzzing"))
                        .http_client(http.clone())
                        .retry_config(RetryConfig::disabled())
                        .build(),
                )
            };
        }
        Self { dynamodb: client!(aws_sdk_dynamodb), sns: client!(aws_sdk_sns), sqs: client!(aws_sdk_sqs), wire }
    }

    /// Clears the recorded calls, and sets the mood.
    pub(super) fn begin(&self, mood: AwsBehaviour) {
        let mut state = self.wire.0.lock().expect("no call panics");
        *state = AwsState { mood, calls: Vec::new() };
    }

    /// Returns the recorded calls: the JSON of each call to DynamoDB, with its name.
    pub(super) fn calls(&self) -> Vec<(String, Value)> {
        self.wire.0.lock().expect("no call panics").calls.clone()
    }
}

#[derive(Clone, Debug, Default)]
struct Wire(Arc<Mutex<AwsState>>);

#[derive(Debug)]
struct AwsState {
    mood: AwsBehaviour,
    calls: Vec<(String, Value)>,
}

impl Default for AwsState {
    fn default() -> Self {
        Self { mood: AwsBehaviour::Obliging, calls: Vec::new() }
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().expect("no call panics");
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (service, name) = target.split_once('.').unwrap_or(("SNS", "Publish"));
        if service.starts_with("DynamoDB") {
            let body = request.body().bytes().expect("a call is in memory");
            state.calls.push((name.to_owned(), serde_json::from_slice(body).expect("a call is JSON")));
        }
        let (status, body) = answer(service, state.mood);
        let status = status.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.into())))
    }
}

fn answer(service: &str, mood: AwsBehaviour) -> (u16, &'static str) {
    match (service, mood) {
        ("SNS", AwsBehaviour::Obliging) => {
            (200, "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>")
        }
        ("SNS", AwsBehaviour::Denying) => {
            (403, "<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>")
        }
        ("SNS", AwsBehaviour::Objecting) => {
            (400, "<ErrorResponse><Error><Code>InvalidParameter</Code></Error></ErrorResponse>")
        }
        ("AmazonSQS", AwsBehaviour::Obliging) => (200, r#"{"Successful":[],"Failed":[]}"#),
        (_, AwsBehaviour::Obliging) => (200, "{}"),
        (_, AwsBehaviour::Denying) => (400, r#"{"__type":"AccessDeniedException"}"#),
        (_, AwsBehaviour::Objecting) => (400, r#"{"__type":"ValidationException"}"#),
    }
}

/// Runs a future that waits only for this AWS.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}
