//! `make bench-protect` and `make bench-latency`: the effects of stream events, on the embedded AWS in this process; and
//! `bench-stream followups`: follow-ups that are due at once.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod campaign;
mod followups;
mod latency;
mod protect;

use std::error::Error;

use clap::{Parser, Subcommand};

type BoxError = Box<dyn Error>;

/// Measures the effects of events from the events table's stream.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Cost of protect for each of very many delivered events of one campaign, in DynamoDB units and time
    Protect(protect::Arguments),
    /// Time from a complaint's POST to its alert, and from an opt-out's POST to its answer, in the service as `rebound dev` runs it
    Latency(latency::Arguments),
    /// Rate, time and cost of act with very many follow-ups that are due at once
    Followups(followups::Arguments),
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    match Arguments::parse().command {
        Command::Protect(arguments) => protect::run(&arguments).await,
        Command::Latency(arguments) => latency::run(&arguments).await,
        Command::Followups(arguments) => followups::run(&arguments).await,
    }
}
