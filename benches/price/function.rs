//! A function's release binary under the Runtime API, with its usage counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_local::feeder::Invoke;
use aws_local::runtime_api::RuntimeApi;
use rebound_dev::runner::runtime_api;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::BoxError;

/// Unit of CPU time on Linux, on every machine that Rust's standard library supports.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// Log output of a function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logged {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
}

#[derive(Debug, Default)]
struct Counters {
    invocations: AtomicU64,
    bytes: AtomicU64,
    lines: AtomicU64,
}

/// A running function.
pub(crate) struct Function {
    name: &'static str,
    /// Before the API, so that it ends first and does not report the API's end as an error.
    child: Child,
    api: RuntimeApi,
    counters: Arc<Counters>,
    cpu_before: f64,
}

impl Function {
    pub(crate) async fn start(
        name: &'static str,
        path: &Path,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, BoxError> {
        let api = runtime_api(name).await?;
        let mut command = Command::new(path);
        command.env_clear().envs(variables).envs(api.variables()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}; run `make bench-price`, which builds it", path.display()))?;
        let counters = Arc::new(Counters::default());
        if let Some(output) = child.stdout.take() {
            tokio::spawn(count(output, Arc::clone(&counters)));
        }
        tokio::time::timeout(Duration::from_secs(30), api.first_poll()).await?;
        let mut started = Self { name, child, api, counters, cpu_before: 0.0 };
        started.cpu_before = started.cpu()?;
        Ok(started)
    }

    /// Invokes it. Returns an error if the function reports one.
    pub(crate) async fn invoke(&self, event: Value) -> Result<Value, BoxError> {
        self.counters.invocations.fetch_add(1, Ordering::Relaxed);
        let answer = self.api.invoke(event.to_string()).await.ok_or_else(|| format!("{} went away", self.name))?;
        let answer = answer.map_err(|error| format!("{} failed: {}", self.name, String::from_utf8_lossy(&error)))?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(crate) fn invocations(&self) -> u64 {
        self.counters.invocations.load(Ordering::Relaxed)
    }

    pub(crate) fn logged(&self) -> Logged {
        let counters = &self.counters;
        Logged { bytes: counters.bytes.load(Ordering::Relaxed), lines: counters.lines.load(Ordering::Relaxed) }
    }

    /// CPU time since its first poll, user and system.
    pub(crate) fn cpu_ms(&self) -> Result<f64, BoxError> {
        Ok((self.cpu()? - self.cpu_before) * 1_000.0)
    }

    fn cpu(&self) -> Result<f64, BoxError> {
        let id = self.child.id().ok_or_else(|| format!("{} has ended", self.name))?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let after_name = stat.rsplit_once(')').ok_or("/proc stat")?.1;
        let ticks = |field: usize| after_name.split_whitespace().nth(field).unwrap_or_default().parse::<f64>();
        Ok((ticks(11)? + ticks(12)?) / CLOCK_TICKS_PER_SECOND)
    }
}

async fn count(output: ChildStdout, counters: Arc<Counters>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        counters.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
        counters.lines.fetch_add(1, Ordering::Relaxed);
    }
}

/// Creates an invoker for the event source mappings of the stream and the queue.
pub(crate) fn invoke(function: &Arc<Function>) -> Invoke {
    let function = Arc::clone(function);
    Arc::new(move |event| {
        let function = Arc::clone(&function);
        Box::pin(async move { function.invoke(event).await.map_err(|error| error.to_string()) })
    })
}
