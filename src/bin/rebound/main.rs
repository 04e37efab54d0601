//! `rebound`: the operator's command.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod campaigns;
mod check;
mod connect;
mod demo;
mod dev;
mod doctor;
mod forget;
mod output;
mod place;
mod replay;
mod sample;
mod simulate;
mod suppressions;
mod timeline;

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
    Demo(demo::Arguments),
    Dev(dev::Arguments),
    Sample(sample::Arguments),
    Check(check::Arguments),
    Suppressions(suppressions::Arguments),
    Timeline(timeline::Arguments),
    Campaigns(campaigns::Arguments),
    Replay(replay::Arguments),
    Forget(forget::Arguments),
    Connect(connect::Arguments),
    Doctor(doctor::Arguments),
    Simulate(simulate::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    sigpipe::reset();
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Dev(arguments) => dev::run(&arguments).await,
        Command::Sample(arguments) => sample::run(&arguments).await,
        Command::Check(arguments) => check::run(&arguments).await,
        Command::Suppressions(arguments) => suppressions::run(&arguments).await,
        Command::Timeline(arguments) => timeline::run(&arguments).await,
        Command::Campaigns(arguments) => campaigns::run(&arguments).await,
        Command::Replay(arguments) => replay::run(&arguments).await,
        Command::Forget(arguments) => forget::run(&arguments).await,
        Command::Connect(arguments) => connect::run(&arguments).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
        Command::Simulate(arguments) => simulate::run(&arguments).await,
    };
    result.unwrap_or_else(|error| {
        let error = error.to_string();
        eprintln!("rebound: {error}");
        if let Some(hint) = output::hint(&error) {
            eprintln!("  {hint}");
        }
        ExitCode::from(2)
    })
}

/// What any command may fail with; it is only ever printed.
type Failure = Box<dyn std::error::Error>;

/// An environment variable, if it is set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
