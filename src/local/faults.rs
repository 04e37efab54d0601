//! Proxies before DynamoDB, SNS, SQS and Claude that fail when they are told to, by one plan.
//!
//! The embedded engine is kind: it never conflicts, never throttles, always answers. AWS and the network are not.

mod answers;
mod capacity;
mod kinds;
mod random;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::watch;

pub use self::capacity::{ByTable, Capacity};
pub use self::kinds::{Call, Fault, Service};
pub use self::random::random;
use super::server::{HangUp, Reply, Server, json_response};

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// What happens to the calls, and which came by. Clones are the same: several proxies share one plan and one count.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    killed: watch::Sender<bool>,
}

struct State {
    plan: Plan,
    /// How many plans there were.
    plans: usize,
    /// How many calls came by.
    came: usize,
    /// Which, unless there would be too many.
    calls: Option<Vec<Call>>,
    injected: BTreeMap<&'static str, u64>,
    counts_capacity: bool,
    capacity: ByTable,
}

impl Default for Faults {
    /// Fails nothing until it is told to.
    fn default() -> Self {
        let state = State {
            plan: Box::new(|_| None),
            plans: 0,
            came: 0,
            calls: Some(Vec::new()),
            injected: BTreeMap::new(),
            counts_capacity: false,
            capacity: ByTable::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), killed: watch::Sender::new(false) }) }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.state().calls).finish_non_exhaustive()
    }
}

impl Faults {
    /// From now on, `plan` says what happens to each call. Calls are counted from 0 again, and nobody was killed.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        let mut state = self.state();
        state.plan = Box::new(plan);
        state.plans += 1;
        state.came = 0;
        state.calls.iter_mut().for_each(Vec::clear);
        state.injected.clear();
        self.shared.killed.send_replace(false);
    }

    /// The calls that came by since the last plan.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone().unwrap_or_default()
    }

    /// From now on keeps no list of the calls: of very many, it would fill the memory.
    pub fn keep_no_calls(&self) {
        self.state().calls = None;
    }

    /// How many calls came by since the last plan, and how many of them failed in which way.
    pub fn counted(&self) -> (usize, BTreeMap<&'static str, u64>) {
        let state = self.state();
        (state.came, state.injected.clone())
    }

    /// Waits until a call was [`Fault::KillAfter`]: it is applied then, and its caller waits for the answer. Resolves at once
    /// if that was before, but since the last plan.
    pub async fn killed(&self) {
        let _ = self.shared.killed.subscribe().wait_for(|killed| *killed).await;
    }

    /// From now on, counts what DynamoDB says that calls cost it, from zero; or counts no longer.
    pub fn count_capacity(&self, counts: bool) {
        let mut state = self.state();
        if counts {
            state.capacity.clear();
        }
        state.counts_capacity = counts;
    }

    /// What the calls cost that were counted. DynamoDB says it only of those that it applied, as calls are answered; what refused
    /// conditions cost is an estimate of its own.
    pub fn capacity(&self) -> Capacity {
        let mut sum = Capacity::default();
        self.state().capacity.values().for_each(|cost| sum += *cost);
        sum
    }

    /// The same, by operation and table.
    pub fn capacity_by_table(&self) -> ByTable {
        self.state().capacity.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next call, and by which plan.
    fn next(&self, service: Service, operation: &str) -> (Option<Fault>, usize) {
        let mut state = self.state();
        let call = Call { index: state.came, service, operation: operation.to_owned() };
        let fault = (state.plan)(&call);
        state.came += 1;
        if let Some(fault) = fault {
            *state.injected.entry(fault.as_str()).or_default() += 1;
        }
        if let Some(calls) = &mut state.calls {
            calls.push(call);
        }
        (fault, state.plans)
    }

    fn kill(&self, plan: usize) {
        let state = self.state();
        if state.plans == plan {
            self.shared.killed.send_replace(true);
        }
    }
}

/// A proxy before one service. To a `GET`, which none of the services knows but Claude's, it answers what it did so far.
#[derive(Debug)]
pub struct FaultProxy {
    server: Server,
    faults: Faults,
}

impl FaultProxy {
    /// Starts a proxy before `upstream`, a URL, on `address` (port 0: any free one).
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(upstream: String, address: SocketAddr, service: Service, faults: Faults) -> io::Result<Self> {
        let upstream = Arc::new(Upstream {
            client: crate::web::client_for(&upstream),
            url: upstream,
            service,
            faults: faults.clone(),
        });
        let server = Server::start(address, move |request| {
            let upstream = Arc::clone(&upstream);
            async move { upstream.answer(request).await }
        })
        .await?;
        Ok(Self { server, faults })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// [`Faults::plan`], for all proxies that share it.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.faults.plan(plan);
    }

    /// [`Faults::calls`], at all proxies that share them.
    pub fn calls(&self) -> Vec<Call> {
        self.faults.calls()
    }
}

/// What a proxy stands before.
struct Upstream {
    client: reqwest::Client,
    url: String,
    service: Service,
    faults: Faults,
}

impl Upstream {
    async fn answer(&self, request: Request<Bytes>) -> Reply {
        if request.method() == Method::GET && self.service != Service::Claude {
            let (calls, injected) = self.faults.counted();
            let counted = json!({ "calls": calls, "injected": injected });
            return Ok(json_response(StatusCode::OK, "application/json", counted.to_string()));
        }
        let operation = self.operation(&request);
        let (fault, plan) = self.faults.next(self.service, &operation);
        match fault {
            None => self.forward(request, &operation).await,
            Some(Fault::RefuseBefore) => Err(HangUp),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::LoseAnswer) => {
                self.forward(request, &operation).await?;
                Err(HangUp)
            }
            Some(Fault::KillAfter) => {
                self.forward(request, &operation).await?;
                self.faults.kill(plan);
                std::future::pending().await
            }
            Some(Fault::Slow(delay)) => {
                let reply = self.forward(request, &operation).await;
                tokio::time::sleep(delay).await;
                reply
            }
            Some(fault @ (Fault::Conflict | Fault::Throttle | Fault::ServerError | Fault::Invalid)) => {
                Ok(answers::of(self.service, fault, &operation, request.body()))
            }
        }
    }

    fn operation(&self, request: &Request<Bytes>) -> String {
        if self.service == Service::Sns {
            let mut form = form_urlencoded::parse(request.body());
            return form.find(|(name, _)| name == "Action").map(|(_, action)| action.into_owned()).unwrap_or_default();
        }
        if self.service == Service::Claude {
            return request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        }
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default().to_owned()
    }

    async fn forward(&self, request: Request<Bytes>, operation: &str) -> Reply {
        let (parts, mut body) = request.into_parts();
        let counts = self.service == Service::DynamoDb && self.faults.state().counts_capacity;
        if counts && let Some(asking) = capacity::ask(operation, &body) {
            body = asking;
        }
        let mut headers = parts.headers;
        headers.remove(HOST);
        headers.remove(CONTENT_LENGTH);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let asked = body.clone();
        let answer = self.client.request(parts.method, url).headers(headers).body(body);
        let answer = answer.send().await.map_err(|_| HangUp)?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| HangUp)?;
        if counts {
            let cost = match status.is_success() {
                true => capacity::answered(operation, &body),
                false => capacity::refused(operation, &asked, &body),
            };
            let mut state = self.faults.state();
            for (what, cost) in cost {
                *state.capacity.entry(what).or_default() += cost;
            }
        }
        for of_one_connection in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(of_one_connection);
        }
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
