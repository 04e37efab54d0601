//! `make bench-protect` and `make bench-latency`: what follows from the stream, on the embedded AWS in this process.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod campaign;
mod latency;
mod protect;

use std::error::Error;

use clap::{Parser, Subcommand};

type Failure = Box<dyn Error>;

/// Measure what follows from the events table's stream.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What protect costs for each of very many delivered events of one campaign, in DynamoDB's units and in time
    Protect(protect::Arguments),
    /// How long it takes from a complaint's POST to its alert, in the service as `rebound dev` runs it
    Latency(latency::Arguments),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Command::Protect(arguments) => protect::run(&arguments).await,
        Command::Latency(arguments) => latency::run(&arguments).await,
    }
}
