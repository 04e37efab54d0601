//! `make bench` and `make bench-growth`: the release programs under a Runtime API of our own, on the embedded AWS in another process.
//!
//! - `elsewhere`: that other process, and the environment that it gives.
//! - `function`: a real program under the Runtime API, and what the kernel says of it.
//! - `events`: the webhook that `receive` gets; `mail`: what `protect` and `engage` get.
//! - `starts`, `receive`, `batches`, `sizes`: what is measured; `stored`: rows put into the table before.
//! - `growth`: the same with more and more events stored.
//! - `report`, `goals`: the one table.
//!
//! `receive` and the floor take turns, some hundred events each, so that both meet the machine in the same moods. Of absolute times
//! believe little; the ratios in one run are what counts.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod batches;
mod elsewhere;
mod events;
mod figures;
mod function;
mod goals;
mod growth;
mod mail;
mod receive;
mod report;
mod sizes;
mod starts;
mod stored;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

type Failure = Box<dyn Error>;

/// Measure the functions: receive next to the floor, the same runtime doing one bare PutItem; protect and engage by the batch.
#[derive(Parser)]
struct Bench {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the release binaries are
    #[arg(long, global = true, default_value = "target/release")]
    binaries: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Where the embedded DynamoDB keeps its file meanwhile; without it, in memory (/dev/shm) if there is room, else where temporary
    /// files go
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    table: report::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// How what an event costs receive grows with the events that are stored
    Growth(growth::Arguments),
    /// The embedded AWS, as this program starts it in another process
    #[command(hide = true)]
    Aws {
        /// Where its files go
        folder: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Bench::parse();
    if let Some(Command::Aws { folder }) = &arguments.command {
        return elsewhere::serve(folder).await;
    }
    let aws = elsewhere::Elsewhere::start(arguments.data.as_deref()).await?;
    match &arguments.command {
        Some(Command::Growth(growth)) => growth::run(&arguments.binaries, &aws, growth, arguments.json).await,
        _ => report::run(&arguments.binaries, &aws, &arguments.table, arguments.json).await,
    }
}
