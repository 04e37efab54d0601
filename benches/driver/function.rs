//! A real binary under the small Runtime API, with the kernel's statistics.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_local::runtime_api::RuntimeApi;
use rebound_dev::runner::runtime_api;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use crate::BoxError;
use crate::aws_process::Variables;

/// Timeout of a start or an event.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Unit of CPU time on Linux, on every machine that Rust's standard library supports.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// A program that can be started.
#[derive(Clone)]
pub(crate) struct Program {
    /// Path of the program.
    pub(crate) path: PathBuf,
    /// Its argument.
    pub(crate) argument: Option<&'static str>,
    /// The template's function that it is, or replaces.
    pub(crate) function: &'static str,
}

/// A running function.
pub(crate) struct Function {
    path: PathBuf,
    /// Before the API, so that it ends first and does not report the API's end as an error.
    child: Child,
    counts: Option<(ChildStdin, Lines<BufReader<ChildStderr>>)>,
    api: RuntimeApi,
}

impl Function {
    /// Starts it. Returns the time until it requests its first event.
    pub(crate) async fn start(program: &Program, variables: &Variables) -> Result<(Self, Duration), BoxError> {
        let api = runtime_api(program.function).await?;
        let mut command = Command::new(&program.path);
        // Without PATH too: a function sees only the variables that Lambda sets.
        command.env_clear().envs(variables).envs(api.variables()).args(program.argument);
        command.stdout(Stdio::null()).kill_on_drop(true);
        if program.argument.is_some() {
            command.stdin(Stdio::piped()).stderr(Stdio::piped());
        }
        let spawned = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("{}: {error}; run `make bench`, which builds it", program.path.display()))?;
        let first_poll = tokio::time::timeout(TIMEOUT, api.first_poll());
        let first_poll = first_poll.await.map_err(|_| format!("{} asked for no event", program.path.display()))?;
        let counts = child.stdin.take().zip(child.stderr.take().map(|stderr| BufReader::new(stderr).lines()));
        Ok((Self { path: program.path.clone(), child, counts, api }, first_poll - spawned))
    }

    /// Sends it an event. Returns the time, and the response.
    pub(crate) async fn invoke(&self, event: String) -> Result<(Duration, String), BoxError> {
        let started = Instant::now();
        let answer = tokio::time::timeout(TIMEOUT, self.api.invoke(event)).await;
        let took = started.elapsed();
        let answer = answer.ok().flatten().ok_or_else(|| format!("{} answered nothing", self.path.display()))?;
        match answer {
            Ok(answer) => Ok((took, String::from_utf8_lossy(&answer).into_owned())),
            Err(error) => Err(format!("{} failed: {}", self.path.display(), String::from_utf8_lossy(&error)).into()),
        }
    }

    /// Sends it a webhook, and requires that it is stored.
    pub(crate) async fn webhook(&self, event: String) -> Result<Duration, BoxError> {
        let (took, answer) = self.invoke(event).await?;
        if answer.contains(r#""statusCode":200"#) {
            Ok(took)
        } else {
            Err(format!("{} answered {answer}", self.path.display()).into())
        }
    }

    /// CPU time so far in milliseconds, user and system; from the scheduler with nanoseconds if available.
    pub(crate) fn cpu(&self) -> Result<f64, BoxError> {
        if let Some(nanoseconds) = self.scheduled() {
            return Ok(nanoseconds as f64 / 1e6);
        }
        let stat = self.proc("stat")?;
        let after_name = stat.rsplit_once(')').ok_or("/proc stat")?.1;
        let ticks = |field: usize| after_name.split_whitespace().nth(field).unwrap_or_default().parse::<f64>();
        Ok((ticks(11)? + ticks(12)?) * 1_000.0 / CLOCK_TICKS_PER_SECOND)
    }

    /// Run time of its threads.
    fn scheduled(&self) -> Option<u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()?)).ok()?;
        let of_thread = |thread: std::fs::DirEntry| {
            let schedstat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            schedstat.split_whitespace().next()?.parse::<u64>().ok()
        };
        threads.flatten().map(of_thread).sum::<Option<u64>>().filter(|sum| *sum > 0)
    }

    /// Resident memory now, in MB.
    pub(crate) fn resident(&self) -> Result<f64, BoxError> {
        let status = self.proc("status")?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("/proc status")?;
        Ok(kilobytes.trim().trim_end_matches(" kB").parse::<f64>()? * 1_024.0 / 1e6)
    }

    /// Ends it, and waits for the end.
    pub(crate) async fn end(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }

    fn proc(&self, file: &str) -> Result<String, BoxError> {
        let id = self.child.id().ok_or_else(|| format!("{} has ended", self.path.display()))?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    /// Number and bytes of allocations so far, from a program that counts them.
    pub(crate) async fn allocations(&mut self) -> Result<[f64; 2], BoxError> {
        let (ask, lines) = self.counts.as_mut().ok_or("this program counts no allocations")?;
        ask.write_all(b"\n").await?;
        let line = lines.next_line().await?.ok_or("no answer about allocations")?;
        let (count, bytes) = line.split_once(' ').ok_or_else(|| format!("no count of allocations: {line}"))?;
        Ok([count.parse()?, bytes.parse()?])
    }
}
