//! Fault proxies in front of DynamoDB, SNS, SQS and other APIs. They fail calls by a common plan.
//!
//! The embedded engine never conflicts, never throttles, and always responds. AWS and the network do not.

mod answers;
mod capacity;
mod half;
mod kinds;
mod random;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use tokio::sync::{RwLock, watch};

pub use self::capacity::{ByTable, Capacity};
use self::half::LateItem;
pub use self::half::{Half, HalfResponse};
pub use self::kinds::{Call, Fault, Service};
pub use self::random::{hanging, random};
use self::upstream::Upstream;
use super::server::Server;

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

type BeforeCall = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The fault plan and the record of calls. Clones share both, so several proxies have one plan and one count.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<FaultState>,
    killed: watch::Sender<bool>,
    /// Held by writes while they are made, and exclusively by a half-visible transaction, so that the state before it
    /// is known.
    writes: RwLock<()>,
}

struct FaultState {
    plan: Plan,
    /// Number of plans so far.
    plans: usize,
    /// Futures to await, each before the call with this index.
    before: BTreeMap<usize, BeforeCall>,
    /// Number of calls.
    came: usize,
    /// The calls. `None` if they are not recorded.
    calls: Option<Vec<Call>>,
    injected: BTreeMap<&'static str, u64>,
    counts_capacity: bool,
    capacity: ByTable,
    /// The items that are shown as they were before a transaction.
    late: Vec<LateItem>,
    /// The key attributes of each table.
    keys: BTreeMap<String, Vec<String>>,
}

impl Default for Faults {
    /// Creates a plan without faults.
    fn default() -> Self {
        let state = FaultState {
            plan: Box::new(|_| None),
            plans: 0,
            before: BTreeMap::new(),
            came: 0,
            calls: Some(Vec::new()),
            injected: BTreeMap::new(),
            counts_capacity: false,
            capacity: ByTable::new(),
            late: Vec::new(),
            keys: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                killed: watch::Sender::new(false),
                writes: RwLock::new(()),
            }),
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.state().calls).finish_non_exhaustive()
    }
}

impl Faults {
    /// Sets the plan of all later calls. Calls are counted from 0 again, and earlier kills are forgotten.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        let mut state = self.state();
        state.plan = Box::new(plan);
        state.plans += 1;
        state.before.clear();
        state.came = 0;
        state.calls.iter_mut().for_each(Vec::clear);
        state.injected.clear();
        state.late.clear();
        self.shared.killed.send_replace(false);
    }

    /// Runs `work` when the call with this index comes, and passes the call on after it. Other calls do not wait: a plan
    /// that waits would stop them all, also those of its work. A later plan forgets it.
    pub fn before(&self, index: usize, work: impl Future<Output = ()> + Send + 'static) {
        self.state().before.insert(index, Box::pin(work));
    }

    /// Returns the calls since the last plan.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone().unwrap_or_default()
    }

    /// Stops recording calls: a very long list would fill the memory.
    pub fn disable_call_log(&self) {
        self.state().calls = None;
    }

    /// Returns the number of calls since the last plan, and the number of failures by kind.
    pub fn counted(&self) -> (usize, BTreeMap<&'static str, u64>) {
        let state = self.state();
        (state.came, state.injected.clone())
    }

    /// Waits until a call got [`Fault::KillAfter`]: it is applied, and its caller waits for the response. Resolves
    /// immediately if that has already happened since the last plan.
    pub async fn killed(&self) {
        let _ = self.shared.killed.subscribe().wait_for(|killed| *killed).await;
    }

    /// Starts counting the consumed capacity from zero, or stops it.
    pub fn count_capacity(&self, counts: bool) {
        let mut state = self.state();
        if counts {
            state.capacity.clear();
        }
        state.counts_capacity = counts;
    }

    /// Returns the counted capacity. DynamoDB reports it only for applied calls; that of failed conditions is an
    /// estimate.
    pub fn capacity(&self) -> Capacity {
        let mut sum = Capacity::default();
        self.state().capacity.values().for_each(|cost| sum += *cost);
        sum
    }

    /// Returns the counted capacity by operation and table.
    pub fn capacity_by_table(&self) -> ByTable {
        self.state().capacity.clone()
    }

    fn state(&self) -> MutexGuard<'_, FaultState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the fault of the next call, the number of its plan, and the work before it.
    fn next(&self, service: Service, operation: &str) -> (Option<Fault>, usize, Option<BeforeCall>) {
        let mut state = self.state();
        let call = Call { index: state.came, service, operation: operation.to_owned() };
        let fault = (state.plan)(&call);
        let work = state.before.remove(&call.index);
        state.came += 1;
        if let Some(fault) = fault {
            *state.injected.entry(fault.as_str()).or_default() += 1;
        }
        if let Some(calls) = &mut state.calls {
            calls.push(call);
        }
        (fault, state.plans, work)
    }

    /// Returns the items that are late now.
    fn late(&self) -> Vec<LateItem> {
        let mut state = self.state();
        let now = Instant::now();
        state.late.retain(|late| late.until > now);
        state.late.clone()
    }

    fn kill(&self, plan: usize) {
        let state = self.state();
        if state.plans == plan {
            self.shared.killed.send_replace(true);
        }
    }
}

/// A proxy in front of one service. It responds to a `GET`, which no AWS service uses, with its statistics.
#[derive(Debug)]
pub struct FaultProxy {
    server: Server,
    faults: Faults,
}

impl FaultProxy {
    /// Starts a proxy in front of the URL `upstream`, on `address` (port 0: any free port).
    pub async fn start(upstream: String, address: SocketAddr, service: Service, faults: Faults) -> io::Result<Self> {
        let upstream = Arc::new(Upstream {
            client: crate::http_client(&upstream),
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

    /// URL of the proxy.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Calls [`Faults::plan`], for all proxies that share it.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.faults.plan(plan);
    }

    /// Calls [`Faults::before`], for all proxies that share it.
    pub fn before(&self, index: usize, work: impl Future<Output = ()> + Send + 'static) {
        self.faults.before(index, work);
    }

    /// Calls [`Faults::calls`], for all proxies that share it.
    pub fn calls(&self) -> Vec<Call> {
        self.faults.calls()
    }
}
