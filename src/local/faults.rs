//! A proxy before DynamoDB that fails when it is told to.
//!
//! The embedded engine is kind: it never conflicts, never throttles, always answers. DynamoDB and the network are not.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use super::server::{HangUp, Reply, Server, json_response};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives: the connection is closed first.
    RefuseBefore,
    /// It is applied, and then the connection is closed without an answer.
    LoseAnswer,
    /// It is not applied, because another write is under way.
    Conflict,
    /// It is not applied, because of the table's throughput.
    Throttle,
    /// It is not applied, because of a fault of DynamoDB's own.
    ServerError,
    /// It is applied, and the answer comes this much later.
    Slow(Duration),
    /// It is not valid, says DynamoDB.
    Invalid,
}

/// A call that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// How many calls came before it.
    pub index: usize,
    /// `PutItem`, `TransactWriteItems` and so on.
    pub operation: String,
}

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

struct State {
    plan: Plan,
    calls: Vec<Call>,
}

/// The proxy.
pub struct FaultProxy {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy").field("server", &self.server).finish_non_exhaustive()
    }
}

impl FaultProxy {
    /// Starts a proxy before `upstream`, a URL, on `address` (port 0: any free one). It fails nothing until it is told to.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(upstream: String, address: SocketAddr) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State { plan: Box::new(|_| None), calls: Vec::new() }));
        let shared = Arc::clone(&state);
        let client = reqwest::Client::new();
        let server = Server::start(address, move |request| {
            let (client, upstream, shared) = (client.clone(), upstream.clone(), Arc::clone(&shared));
            async move {
                let target =
                    request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
                let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
                let fault = {
                    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let call = Call { index: state.calls.len(), operation };
                    let fault = (state.plan)(&call);
                    state.calls.push(call);
                    fault
                };
                answer(&client, &upstream, request, fault).await
            }
        })
        .await?;
        Ok(Self { server, state })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on, `plan` says what happens to each call. Calls are counted from 0 again.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { plan: Box::new(plan), calls: Vec::new() };
    }

    /// The calls that came by since the last plan.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }
}

async fn answer(client: &reqwest::Client, upstream: &str, request: Request<Bytes>, fault: Option<Fault>) -> Reply {
    let is_transaction =
        request.headers().get("x-amz-target").is_some_and(|target| target.as_bytes().ends_with(b"TransactWriteItems"));
    let error = |status, code: &str| {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "injected by the fault proxy" });
        Ok(json_response(status, CONTENT_TYPE, body.to_string()))
    };
    match fault {
        None => forward(client, upstream, request).await,
        Some(Fault::RefuseBefore) => Err(HangUp),
        Some(Fault::LoseAnswer) => {
            forward(client, upstream, request).await?;
            Err(HangUp)
        }
        Some(Fault::Slow(delay)) => {
            let reply = forward(client, upstream, request).await;
            tokio::time::sleep(delay).await;
            reply
        }
        Some(Fault::ServerError) => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Some(Fault::Invalid) => error(StatusCode::BAD_REQUEST, "ValidationException"),
        Some(Fault::Conflict) if is_transaction => Ok(cancelled(request.body(), "TransactionConflict")),
        Some(Fault::Throttle) if is_transaction => Ok(cancelled(request.body(), "ThrottlingError")),
        Some(Fault::Conflict) => error(StatusCode::BAD_REQUEST, "TransactionConflictException"),
        Some(Fault::Throttle) => error(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
    }
}

/// A transaction cancelled because of its last item.
fn cancelled(body: &[u8], code: &str) -> hyper::Response<http_body_util::Full<Bytes>> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let items = request.get("TransactItems").and_then(Value::as_array).map_or(1, Vec::len);
    let mut reasons = vec![json!({ "Code": "None" }); items.saturating_sub(1)];
    reasons.push(json!({ "Code": code, "Message": "injected by the fault proxy" }));
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": reasons,
    });
    json_response(StatusCode::BAD_REQUEST, CONTENT_TYPE, body.to_string())
}

async fn forward(client: &reqwest::Client, upstream: &str, request: Request<Bytes>) -> Reply {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    headers.remove(hyper::header::HOST);
    let answer = client.post(upstream).headers(headers).body(body).send().await.map_err(|_| HangUp)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|_| HangUp)?;
    Ok(json_response(status, CONTENT_TYPE, body))
}
