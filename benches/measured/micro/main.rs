//! `make bench-micro`: the cost of one verification, one parsed event, one policy result and one verdict, built as the
//! functions are deployed.
//!
//! First the harness prints its table, one line per case. Then verification is compared with the other crates, in
//! turns. With `--json` only the comparison runs, and prints a line of JSON per case. Other arguments go to the
//! harness: a filter, `--sample-count` and so on.

#![allow(clippy::print_stdout, reason = "a command prints")]
#![allow(clippy::unwrap_used, reason = "what is measured is made here, and made right")]

mod compare;
mod deliveries;
mod events;
mod policy;
mod verdict;
mod verify;

use std::env::args;

fn main() {
    if args().any(|argument| argument == "--json") {
        return compare::print_json();
    }
    divan::Divan::from_args().run_benches();
    if args().len() == 1 {
        compare::print_summary();
    }
}
