//! `make bench`: the release binaries under a Runtime API of our own, against the embedded DynamoDB in this process.
//!
//! `receive` and the floor take turns, a few hundred events each, so that both meet the machine in the same moods. Of
//! absolute times believe little; the ratios in one run are what counts.

#![allow(clippy::print_stdout, reason = "a command prints")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Parser;
use comfy_table::{Table, presets};
use indicatif::ProgressBar;
use rebound::local::runtime_api::RuntimeApi;
use rebound::local::samples::{self, SignedMessage, new_message_id};
use rebound::local::stack::{EmbeddedAws, Options};
use rebound::local::{LOCAL_SECRET, function_url};
use rebound::signature::SigningSecret;
use rebound::time::UnixMillis;
use tokio::process::{Child, Command};

type Failure = Box<dyn Error>;

/// Linux counts a process's CPU time in these, on every machine that Rust's standard library supports.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// Measure `receive` next to the floor: the same runtime doing one bare PutItem.
#[derive(Parser)]
struct Arguments {
    /// Where the release binaries are
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// How many events each gets
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// How many starts are timed of each
    #[arg(long, default_value_t = 21)]
    starts: usize,
}

struct Function {
    name: &'static str,
    path: PathBuf,
    /// Before the API, so that it ends first and does not complain of the other's end.
    child: Child,
    api: RuntimeApi,
}

impl Function {
    async fn start(name: &'static str, path: &Path, aws: &EmbeddedAws) -> Result<(Self, Duration), Failure> {
        // The other two have what receive has.
        let api = RuntimeApi::start("receive").await?;
        let mut command = Command::new(path);
        // Not even PATH: what a function sees is what Lambda gives it.
        command.env_clear().envs(aws.variables()).envs(api.variables()).stdout(Stdio::null()).kill_on_drop(true);
        let spawned = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}; run `make bench`, which builds it", path.display()))?;
        let first_poll = tokio::time::timeout(Duration::from_secs(30), api.first_poll()).await?;
        Ok((Self { name, path: path.to_owned(), child, api }, first_poll - spawned))
    }

    /// CPU seconds so far, user and system.
    fn cpu(&self) -> Result<f64, Failure> {
        let stat = self.proc("stat")?;
        let after_name = stat.rsplit_once(')').ok_or("/proc stat")?.1;
        let ticks = |field: usize| after_name.split_whitespace().nth(field).unwrap_or_default().parse::<f64>();
        Ok((ticks(11)? + ticks(12)?) / CLOCK_TICKS_PER_SECOND)
    }

    /// Resident memory now, in MB.
    fn resident(&self) -> Result<f64, Failure> {
        let status = self.proc("status")?;
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("/proc status")?;
        Ok(kilobytes.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String, Failure> {
        let id = self.child.id().ok_or("the function has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }

    async fn invoke(&self, event: String) -> Result<Duration, Failure> {
        let started = Instant::now();
        let answer = self.api.invoke(event).await.ok_or("the function went away")?;
        let took = started.elapsed();
        let answer = answer.map_err(|error| String::from_utf8_lossy(&error).into_owned())?;
        let handled = String::from_utf8_lossy(&answer).contains(r#""statusCode":200"#);
        if handled {
            Ok(took)
        } else {
            Err(format!("{} answered {}", self.name, String::from_utf8_lossy(&answer)).into())
        }
    }
}

/// What is measured of a function that handled events.
#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    cpu_ms: f64,
    resident_mb: f64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let binary = |name: &str| arguments.binaries.join(name);
    // In a file, where the engine's writes don't get slower with each one: see `local::dynamodb`.
    let folder = tempfile::tempdir()?;
    let options = Options { data: Some(folder.path().join("bench.db")), ..Options::in_memory() };
    let aws = EmbeddedAws::start(&options, |_| None).await?;

    let mut starts: [(&'static str, Vec<Duration>); 3] =
        [("receive", vec![]), ("bench-floor", vec![]), ("bench-hello", vec![])];
    for _ in 0..arguments.starts {
        for (name, times) in &mut starts {
            times.push(Function::start(name, &binary(name), &aws).await?.1);
        }
    }

    let functions = [
        Function::start("receive", &binary("receive"), &aws).await?.0,
        Function::start("bench-floor", &binary("bench-floor"), &aws).await?.0,
    ];
    let mut measured = [Measured::default(), Measured::default()];
    let before = [functions[0].cpu()?, functions[1].cpu()?];
    let turn = 250;
    let progress = ProgressBar::new(2 * arguments.events as u64).with_message("events");
    for done in (0..arguments.events).step_by(turn) {
        for (function, measured) in functions.iter().zip(&mut measured) {
            for _ in 0..turn.min(arguments.events - done) {
                measured.times.push(function.invoke(everyday_event()?).await?);
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    for ((function, measured), before) in functions.iter().zip(&mut measured).zip(before) {
        measured.cpu_ms = (function.cpu()? - before) * 1000.0 / arguments.events as f64;
        measured.resident_mb = function.resident()?;
    }
    print(&arguments, &mut starts, &functions, &mut measured);
    Ok(())
}

/// A delivered email, the commonest event, as Lambda hands it over.
fn everyday_event() -> Result<String, Failure> {
    let body = String::from_utf8(samples::body("email.delivered").ok_or("no sample")?.to_vec())?;
    let email_id = format!("0b6f3d52-9c1e-4a77-8f0d-{:012x}", fastrand::u64(..1 << 48));
    let body = body.replace("0b6f3d52-9c1e-4a77-8f0d-5e2a41c97b36", &email_id);
    let secret: SigningSecret = LOCAL_SECRET.parse()?;
    let message = SignedMessage::new(new_message_id(), UnixMillis::now().seconds(), body, &secret);
    Ok(function_url::event("POST", "/", &message.headers, &message.body).to_string())
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times
        .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn print(
    arguments: &Arguments,
    starts: &mut [(&'static str, Vec<Duration>); 3],
    functions: &[Function; 2],
    measured: &mut [Measured; 2],
) {
    let megabytes = |path: &Path| {
        std::fs::metadata(path)
            .map_or_else(|_| "not built".to_owned(), |file| format!("{:.2}", file.len() as f64 / 1e6))
    };
    let [receive, floor] = measured;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["", "receive", "floor", "hello", "receive ÷ floor"]);
    let mut row = |what: &str, values: [f64; 2], hello: Option<f64>, digits: usize| {
        let show = |value: f64| format!("{value:.digits$}");
        table.add_row([
            what.to_owned(),
            show(values[0]),
            show(values[1]),
            hello.map(show).unwrap_or_default(),
            format!("{:.2}", values[0] / values[1]),
        ]);
    };
    let start = starts.each_mut().map(|(_, times)| percentile(times, 50));
    row(&format!("start to first poll, ms (median of {})", arguments.starts), [start[0], start[1]], Some(start[2]), 2);
    row("an event, p50, ms", [percentile(&mut receive.times, 50), percentile(&mut floor.times, 50)], None, 3);
    row("an event, p99, ms", [percentile(&mut receive.times, 99), percentile(&mut floor.times, 99)], None, 3);
    row("an event, CPU, ms", [receive.cpu_ms, floor.cpu_ms], None, 4);
    row(&format!("resident after {} events, MB", arguments.events), [receive.resident_mb, floor.resident_mb], None, 1);
    table.add_row([
        "binary, MB".to_owned(),
        megabytes(&functions[0].path),
        megabytes(&functions[1].path),
        megabytes(&arguments.binaries.join("bench-hello")),
    ]);
    table.add_row(["zip, MB".to_owned(), megabytes(Path::new("target/lambda/receive/bootstrap.zip"))]);
    println!("{table}");
}
