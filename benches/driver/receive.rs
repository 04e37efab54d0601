//! `receive` next to the floor: times, CPU, allocations, memory.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::Failure;
use crate::elsewhere::{Elsewhere, Variables};
use crate::events::Everyday;
use crate::figures::{Pair, ms, percentile};
use crate::function::{Function, Program};

/// How many events a turn has. Short enough that both meet the machine in the same moods.
const TURN: usize = 250;

/// How many events each gets before anything is measured.
const WARM: usize = 100;

/// What can be measured next to each other: `receive`, and the floor.
pub(crate) fn programs(binaries: &Path) -> [Program; 2] {
    ["receive", "bench-floor"].map(|name| program(binaries, name))
}

/// One of them, or hello, which stands for `receive` too.
pub(crate) fn program(binaries: &Path, name: &str) -> Program {
    Program { path: binaries.join(name), argument: None, function: "receive" }
}

/// What an event takes, in milliseconds: medians over turns.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// How many events each got.
    pub(crate) events: usize,
    /// In how many turns.
    pub(crate) turns: usize,
    /// Half of them were answered by then.
    pub(crate) p50: Pair,
    /// Almost all.
    pub(crate) p99: Pair,
    /// CPU of each.
    pub(crate) cpu: Pair,
}

/// Hands both programs events, in turns.
pub(crate) async fn times(pair: &[Program; 2], variables: &Variables, events: usize) -> Result<Times, Failure> {
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
        // Now the one first, now the other.
        for which in [number % 2, 1 - number % 2] {
            if let (Some(function), Some(measured)) = (functions.get(which), of_both.get_mut(which)) {
                *measured = turn(function, &everyday, TURN).await?;
                progress.inc(TURN as u64);
            }
        }
        let [receive, floor] = of_both;
        p50.push([receive[0], floor[0]]);
        p99.push([receive[1], floor[1]]);
        cpu.push([receive[2], floor[2]]);
    }
    progress.finish_and_clear();
    Ok(Times { events: turns * TURN, turns, p50: Pair::of(&p50), p99: Pair::of(&p99), cpu: Pair::of(&cpu) })
}

/// A turn of one program: p50, p99 and CPU of an event.
async fn turn(function: &Function, everyday: &Everyday, events: usize) -> Result<[f64; 3], Failure> {
    let before = function.cpu()?;
    let mut times = Vec::with_capacity(events);
    for _ in 0..events {
        times.push(ms(function.webhook(everyday.webhook()).await?));
    }
    let cpu = (function.cpu()? - before) / events as f64;
    Ok([percentile(&mut times, 50), percentile(&mut times, 99), cpu])
}

/// What an event allocates.
#[derive(Debug, Serialize)]
pub(crate) struct Allocations {
    /// How often memory is asked for.
    pub(crate) count: Pair,
    /// How many bytes.
    pub(crate) bytes: Pair,
}

/// Counts what each event allocates, with the programs on an allocator that counts.
pub(crate) async fn allocations(binaries: &Path, aws: &Elsewhere, events: usize) -> Result<Allocations, Failure> {
    let receive = allocated(binaries, "receive", aws, events).await?;
    let floor = allocated(binaries, "floor", aws, events).await?;
    Ok(Allocations { count: Pair::of(&[[receive[0], floor[0]]]), bytes: Pair::of(&[[receive[1], floor[1]]]) })
}

/// How often one of them asks for memory for each event, and for how many bytes.
async fn allocated(binaries: &Path, which: &'static str, aws: &Elsewhere, events: usize) -> Result<[f64; 2], Failure> {
    let path = binaries.join("bench-allocations");
    let program = Program { path, argument: Some(which), function: "receive" };
    let (mut function, everyday) = (Function::start(&program, aws.variables()).await?.0, Everyday::new()?);
    turn(&function, &everyday, WARM).await?;
    let before = function.allocations().await?;
    turn(&function, &everyday, events).await?;
    let after = function.allocations().await?;
    Ok([(after[0] - before[0]) / events as f64, (after[1] - before[1]) / events as f64])
}

/// What is resident after very many events.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    /// How many.
    pub(crate) events: usize,
    /// Before the first of them.
    pub(crate) first_mb: f64,
    /// After the last.
    pub(crate) resident_mb: f64,
}

/// Hands `receive` very many events, only to see how large it is then.
pub(crate) async fn memory(program: &Program, variables: &Variables, events: usize) -> Result<Memory, Failure> {
    let everyday = Everyday::new()?;
    let function = Function::start(program, variables).await?.0;
    let first_mb = function.resident()?;
    let progress = bar(events as u64, "events, for receive's memory");
    for _ in 0..events {
        function.webhook(everyday.webhook()).await?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(Memory { events, first_mb, resident_mb: function.resident()? })
}

/// A bar that says what it counts, and how long it will take.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} {msg}, {eta} left");
    let bar = ProgressBar::new(length).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
