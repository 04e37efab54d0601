//! `receive` next to the baseline: times, CPU, allocations, memory.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::BoxError;
use crate::aws_process::{AwsProcess, Variables};
use crate::events::Everyday;
use crate::figures::{Pair, ms, percentile};
use crate::function::{Function, Program};

/// Number of events in a turn. Small enough that the machine's speed is the same for both programs.
const TURN: usize = 250;

/// Number of events before the measurement begins.
const WARM: usize = 100;

/// The two programs: `receive`, and the baseline.
pub(crate) fn programs(binaries: &Path) -> [Program; 2] {
    ["receive", "bench-baseline"].map(|name| program(binaries, name))
}

/// One of the programs, or hello, which replaces `receive`.
pub(crate) fn program(binaries: &Path, name: &str) -> Program {
    Program { path: binaries.join(name), argument: None, function: "receive" }
}

/// Time per event, in milliseconds: medians over turns.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// Number of events that each program got.
    pub(crate) events: usize,
    /// Number of turns.
    pub(crate) turns: usize,
    /// Median response time.
    pub(crate) p50: Pair,
    /// 99th percentile of the response time.
    pub(crate) p99: Pair,
    /// CPU time.
    pub(crate) cpu: Pair,
}

/// Sends events to both programs, in turns.
pub(crate) async fn times(pair: &[Program; 2], variables: &Variables, events: usize) -> Result<Times, BoxError> {
    let everyday = Everyday::new()?;
    let functions = [Function::start(&pair[0], variables).await?.0, Function::start(&pair[1], variables).await?.0];
    for function in &functions {
        turn(function, &everyday, WARM).await?;
    }
    let turns = events.div_ceil(TURN);
    let progress = bar(2 * (turns * TURN) as u64, "events");
    let (mut p50, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..turns {
        let mut of_both = [[0.0; 3]; 2];
        // The first program alternates.
        for which in [number % 2, 1 - number % 2] {
            if let (Some(function), Some(measured)) = (functions.get(which), of_both.get_mut(which)) {
                *measured = turn(function, &everyday, TURN).await?;
                progress.inc(TURN as u64);
            }
        }
        let [receive, baseline] = of_both;
        p50.push([receive[0], baseline[0]]);
        p99.push([receive[1], baseline[1]]);
        cpu.push([receive[2], baseline[2]]);
    }
    progress.finish_and_clear();
    Ok(Times { events: turns * TURN, turns, p50: Pair::of(&p50), p99: Pair::of(&p99), cpu: Pair::of(&cpu) })
}

/// Runs a turn of one program: p50, p99 and CPU time per event.
async fn turn(function: &Function, everyday: &Everyday, events: usize) -> Result<[f64; 3], BoxError> {
    let before = function.cpu()?;
    let mut times = Vec::with_capacity(events);
    for _ in 0..events {
        times.push(ms(function.webhook(everyday.webhook()).await?));
    }
    let cpu = (function.cpu()? - before) / events as f64;
    Ok([percentile(&mut times, 50), percentile(&mut times, 99), cpu])
}

/// Allocations per event.
#[derive(Debug, Serialize)]
pub(crate) struct Allocations {
    /// Number of allocations.
    pub(crate) count: Pair,
    /// Number of bytes.
    pub(crate) bytes: Pair,
}

/// Counts the allocations per event, with the programs on a counting allocator.
pub(crate) async fn allocations(binaries: &Path, aws: &AwsProcess, events: usize) -> Result<Allocations, BoxError> {
    let receive = allocated(binaries, "receive", aws, events).await?;
    let baseline = allocated(binaries, "baseline", aws, events).await?;
    Ok(Allocations { count: Pair::of(&[[receive[0], baseline[0]]]), bytes: Pair::of(&[[receive[1], baseline[1]]]) })
}

/// Returns the number of allocations and bytes per event of one program.
async fn allocated(
    binaries: &Path,
    which: &'static str,
    aws: &AwsProcess,
    events: usize,
) -> Result<[f64; 2], BoxError> {
    let path = binaries.join("bench-allocations");
    let program = Program { path, argument: Some(which), function: "receive" };
    let (mut function, everyday) = (Function::start(&program, aws.variables()).await?.0, Everyday::new()?);
    turn(&function, &everyday, WARM).await?;
    let before = function.allocations().await?;
    turn(&function, &everyday, events).await?;
    let after = function.allocations().await?;
    Ok([(after[0] - before[0]) / events as f64, (after[1] - before[1]) / events as f64])
}

/// Resident memory after very many events.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryGrowth {
    /// Number of events.
    pub(crate) events: usize,
    /// Before the first event.
    pub(crate) first_mb: f64,
    /// After the last event.
    pub(crate) resident_mb: f64,
}

/// Sends `receive` very many events, and measures its memory afterwards.
pub(crate) async fn memory(program: &Program, variables: &Variables, events: usize) -> Result<MemoryGrowth, BoxError> {
    let everyday = Everyday::new()?;
    let function = Function::start(program, variables).await?.0;
    let first_mb = function.resident()?;
    let progress = bar(events as u64, "events, for receive's memory");
    for _ in 0..events {
        function.webhook(everyday.webhook()).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(MemoryGrowth { events, first_mb, resident_mb: function.resident()? })
}

/// A progress bar with its unit and the remaining time.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} {msg}, {eta} left");
    let bar = ProgressBar::new(length).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
