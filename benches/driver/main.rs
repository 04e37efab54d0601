//! `make bench` and `make bench-growth`: the release binaries under our own Runtime API, on the embedded AWS in another
//! process.
//!
//! - `aws_process`: that other process, and the environment variables for it.
//! - `function`: a real binary under the Runtime API, with the kernel's statistics.
//! - `events`: the webhook for `receive`; `mail`: the events for `protect` and `engage`.
//! - `starts`, `receive`, `batches`, `sizes`: the measurements; `stored`: rows stored before.
//! - `growth`: the measurement with more and more stored events.
//! - `report`, `goals`: the result table.
//!
//! `receive` and the baseline take turns, some hundred events each, so that changes of the machine's speed affect both.
//! Absolute times are unreliable; compare the ratios within one run.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod aws_process;
mod batches;
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

type BoxError = Box<dyn Error>;

/// Measures the functions: receive next to the baseline, the same runtime doing one bare PutItem; protect and engage by
/// the batch.
#[derive(Parser)]
struct Bench {
    #[command(subcommand)]
    command: Option<Command>,
    /// Folder of the release binaries
    #[arg(long, global = true, default_value = "target/release")]
    binaries: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Folder for the file of the embedded DynamoDB. Default: in memory (/dev/shm) if there is enough space, else the
    /// folder for temporary files
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    table: report::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// Growth of receive's cost per event with the number of stored events
    Growth(growth::Arguments),
    /// The embedded AWS, as this program starts it in another process
    #[command(hide = true)]
    Aws {
        /// Folder for its files
        folder: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Bench::parse();
    if let Some(Command::Aws { folder }) = &arguments.command {
        return aws_process::serve(folder).await;
    }
    let aws = aws_process::AwsProcess::start(arguments.data.as_deref()).await?;
    match &arguments.command {
        Some(Command::Growth(growth)) => growth::run(&arguments.binaries, &aws, growth, arguments.json).await,
        _ => report::run(&arguments.binaries, &aws, &arguments.table, arguments.json).await,
    }
}
