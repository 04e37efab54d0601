//! `make bench-micro`: what one verification, one event read, one answer of the policy and one verdict cost, built as the functions
//! are deployed.
//!
//! First the table of the harness, one line for each case; then verification next to the other crates, measured in turn. With
//! `--json` only the latter, a line of JSON for each case. What else is given goes to the harness: a filter, `--sample-count` and so on.

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
