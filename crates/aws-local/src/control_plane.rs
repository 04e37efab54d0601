//! The control-plane APIs that the operator's command uses: CloudFormation's outputs, Lambda's settings and event
//! source mappings, and CloudWatch's metrics. One server implements all three.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html>,
//! <https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html>

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ciborium::Value as Cbor;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::server::{Server, json_response};
use super::uuid;

/// An event source mapping of a stream or a queue to a function.
#[derive(Clone, Debug)]
pub struct MappingState {
    /// The function's name.
    pub function: String,
    /// `Enabled`, `Disabled` …
    pub state: String,
    /// Result of the last batch.
    pub last_result: String,
}

/// The state that the APIs return.
#[derive(Clone, Debug)]
pub struct ControlPlaneState {
    /// The stack's status. `None` if there is no such stack.
    pub stack_status: Option<String>,
    /// The stack's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The account's limit of concurrent executions.
    pub concurrency: i64,
    /// The event source mappings.
    pub mappings: Vec<MappingState>,
    /// The environment variables of the functions.
    pub environment: BTreeMap<String, String>,
    /// The values of each metric: time and value.
    pub metrics: BTreeMap<String, Vec<(Timestamp, f64)>>,
}

impl Default for ControlPlaneState {
    fn default() -> Self {
        let mapping = |function: &str| MappingState {
            function: function.to_owned(),
            state: "Enabled".to_owned(),
            last_result: "OK".to_owned(),
        };
        Self {
            stack_status: Some("CREATE_COMPLETE".to_owned()),
            outputs: BTreeMap::new(),
            concurrency: 1_000,
            mappings: vec![mapping("rebound-protect"), mapping("rebound-protect"), mapping("rebound-engage")],
            environment: BTreeMap::new(),
            metrics: BTreeMap::new(),
        }
    }
}

/// The server of the three APIs.
#[derive(Debug)]
pub struct LocalControlPlane {
    server: Server,
    state: Arc<Mutex<ControlPlaneState>>,
}

impl LocalControlPlane {
    /// Starts the server on a free port.
    pub async fn start() -> io::Result<Self> {
        let state = Arc::new(Mutex::new(ControlPlaneState::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request| {
            let reply = answer(&lock(&shared), &request);
            async move { Ok(reply) }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Changes the state that the APIs return.
    pub fn set(&self, change: impl FnOnce(&mut ControlPlaneState)) {
        change(&mut lock(&self.state));
    }
}

fn lock(state: &Mutex<ControlPlaneState>) -> MutexGuard<'_, ControlPlaneState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(state: &ControlPlaneState, request: &Request<Bytes>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_end_matches('/');
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    if path.ends_with("/operation/GetMetricStatistics") {
        return metric(state, request.body());
    }
    if path == "/2016-08-19/account-settings" {
        let limit =
            json!({ "ConcurrentExecutions": state.concurrency, "UnreservedConcurrentExecutions": state.concurrency });
        return ok(&json!({ "AccountLimit": limit, "AccountUsage": {} }));
    }
    if path == "/2015-03-31/event-source-mappings" {
        let wanted = query.get("FunctionName").map_or("", String::as_str);
        let of = state.mappings.iter().filter(|mapping| wanted.is_empty() || mapping.function == wanted);
        let mappings: Vec<Value> = of
            .map(|mapping| {
                json!({ "UUID": uuid(), "State": mapping.state, "LastProcessingResult": mapping.last_result, "FunctionArn": mapping.function })
            })
            .collect();
        return ok(&json!({ "EventSourceMappings": mappings }));
    }
    if path.starts_with("/2015-03-31/functions/") && path.ends_with("/configuration") {
        let name = path.split('/').nth(3).unwrap_or_default();
        return ok(&json!({ "FunctionName": name, "Environment": { "Variables": state.environment } }));
    }
    let form: BTreeMap<String, String> = form_urlencoded::parse(request.body()).into_owned().collect();
    match form.get("Action").map(String::as_str) {
        Some("DescribeStacks") => stack(state, form.get("StackName").map_or("", String::as_str)),
        _ => {
            json_response(StatusCode::NOT_FOUND, "application/json", "{\"message\":\"this stub does not support it\"}")
        }
    }
}

fn ok(body: &Value) -> Response<Full<Bytes>> {
    json_response(StatusCode::OK, "application/json", body.to_string())
}

fn stack(state: &ControlPlaneState, name: &str) -> Response<Full<Bytes>> {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let Some(status) = &state.stack_status else {
        let message = format!("Stack with id {} does not exist", escape(name));
        let error = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        return json_response(StatusCode::BAD_REQUEST, "text/xml", error);
    };
    let output = |(key, value): (&String, &String)| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{}</OutputValue></member>", escape(value))
    };
    let outputs: String = state.outputs.iter().map(output).collect();
    let body = format!(
        "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>{}</StackName>\
         <CreationTime>2026-11-01T00:00:00Z</CreationTime><StackStatus>{status}</StackStatus><Outputs>{outputs}</Outputs>\
         </member></Stacks></DescribeStacksResult></DescribeStacksResponse>",
        escape(name)
    );
    json_response(StatusCode::OK, "text/xml", body)
}

/// Responds in Smithy's RPC over CBOR, the protocol of CloudWatch's SDK
/// (<https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>).
fn metric(state: &ControlPlaneState, body: &Bytes) -> Response<Full<Bytes>> {
    let request: Cbor = ciborium::from_reader(body.as_ref()).unwrap_or(Cbor::Null);
    let field = |wanted: &str| {
        let fields = request.as_map()?;
        let found = fields.iter().find(|(name, _)| name.as_text() == Some(wanted))?;
        found.1.as_text().map(str::to_owned)
    };
    let name = field("MetricName").unwrap_or_default();
    let text = |text: &str| Cbor::Text(text.to_owned());
    let points = state.metrics.get(&name).into_iter().flatten().map(|(at, value)| {
        let at = Cbor::Tag(1, Box::new(Cbor::Float(at.as_millisecond() as f64 / 1_000.0)));
        Cbor::Map(vec![
            (text("Timestamp"), at),
            (text("Sum"), Cbor::Float(*value)),
            (text("Maximum"), Cbor::Float(*value)),
        ])
    });
    let answer = Cbor::Map(vec![(text("Label"), text(&name)), (text("Datapoints"), Cbor::Array(points.collect()))]);
    let mut body = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(&answer, &mut body);
    let mut response = json_response(StatusCode::OK, "application/cbor", body);
    let protocol = HeaderName::from_static("smithy-protocol");
    response.headers_mut().insert(protocol, HeaderValue::from_static("rpc-v2-cbor"));
    response
}
