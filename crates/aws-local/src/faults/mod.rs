//! Proxies before DynamoDB, SNS, SQS and other APIs that fail when they are told to, by one plan.
//!
//! The embedded engine is kind: it never conflicts, never throttles, always answers. AWS and the network are not.

mod answers;
mod capacity;
mod half;
mod kinds;
mod random;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fmt, io};

use tokio::sync::{RwLock, watch};

pub use self::capacity::{ByTable, Capacity};
use self::half::Late;
pub use self::half::{Half, Told};
pub use self::kinds::{Call, Fault, Service};
pub use self::random::{hanging, random};
use self::upstream::Upstream;
use super::server::Server;

type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// What happens to the calls, and which came by. Clones are the same: several proxies share one plan and one count.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    killed: watch::Sender<bool>,
    /// Held by writes while they are made, and alone by a transaction that is shown half, so that what was before it is known.
    writes: RwLock<()>,
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
    /// The items that are shown as they were before a transaction.
    late: Vec<Late>,
    /// The names of each table's keys.
    keys: BTreeMap<String, Vec<String>>,
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
    /// From now on, `plan` says what happens to each call. Calls are counted from 0 again, and nobody was killed.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        let mut state = self.state();
        state.plan = Box::new(plan);
        state.plans += 1;
        state.came = 0;
        state.calls.iter_mut().for_each(Vec::clear);
        state.injected.clear();
        state.late.clear();
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

    /// The items that are late now.
    fn late(&self) -> Vec<Late> {
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

/// A proxy before one service. To a `GET`, which no service of AWS's knows, it answers what it did so far.
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
