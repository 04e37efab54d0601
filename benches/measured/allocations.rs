//! `receive`, or the baseline, unchanged but on a counting allocator.
//!
//! Each line on standard input is answered on standard error with the number of allocations so far, and their bytes. A
//! separate thread does that, so the handling of events is the same as in the real programs.

use std::alloc::System;
use std::io::stdin;

use lambda_runtime::Error;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[path = "baseline.rs"]
mod baseline;
#[path = "../../src/bin/receive.rs"]
mod receive;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Error> {
    let which = std::env::args().nth(1);
    std::thread::spawn(answer);
    match which.as_deref() {
        Some("receive") => receive::main(),
        Some("baseline") => baseline::main(),
        _ => Err("say which: bench-allocations receive, or bench-allocations baseline".into()),
    }
}

/// Writes the allocations so far for each line, until standard input ends. Allocates only for the first line.
fn answer() {
    let mut line = String::with_capacity(16);
    while stdin().read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        line.clear();
        let so_far = ALLOCATOR.stats();
        eprintln!("{} {}", so_far.allocations + so_far.reallocations, so_far.bytes_allocated);
    }
}
