//! `rebound`: the operator's command.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod demo;
mod dev;
mod sample;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Receives every Resend webhook, makes it durable, and stops mail to addresses that must not get any.
#[derive(Parser)]
#[command(name = "rebound", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the whole service at work, in memory, on a sample of every event
    Demo(demo::Arguments),
    /// Run the whole service in this process, on an embedded AWS
    Dev(dev::Arguments),
    /// Sign a sample event now, and print it as Lambda's event, or post it
    Sample(sample::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Dev(arguments) => dev::run(&arguments).await,
        Command::Sample(arguments) => sample::run(&arguments).await,
    };
    result.unwrap_or_else(|error| {
        eprintln!("rebound: {error}");
        ExitCode::from(2)
    })
}

/// What any command may fail with; it is only ever printed.
type Failure = Box<dyn std::error::Error>;

/// An environment variable, if it is set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
