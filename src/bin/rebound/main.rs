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
    /// Show the whole service at work, in memory, on a sample of every event
    Demo(demo::Arguments),
    /// Run the whole service in this process, on an embedded AWS
    Dev(dev::Arguments),
    /// Sign a sample event now, and print it as Lambda's event, or post it
    Sample(sample::Arguments),
    /// Say whether an address may be written to, and why not
    Check(check::Arguments),
    /// List, show, add, remove, import and export who must not be written to
    Suppressions(suppressions::Arguments),
    /// Tell everything that happened to an email, or to an address
    Timeline(timeline::Arguments),
    /// Show what became of a campaign's mail, and its brake
    Campaigns(campaigns::Arguments),
    /// Handle stored events again; what happened does not happen again
    Replay(replay::Arguments),
    /// Erase everything about an address, but that it must not be written to
    Forget(forget::Arguments),
    /// Register the webhook at Resend, put its secret in place, and take over who Resend suppresses
    Connect(connect::Arguments),
    /// Check whether everything works, and say what to do where it doesn't
    Doctor(doctor::Arguments),
    /// Send a campaign's signed webhooks, and chaos, to any Rebound, and check what it makes of them
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
