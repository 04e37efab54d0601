//! `rebound-dev`: the commands that need no AWS account, built without its clients: `demo`, `dev`, `sample`.

#![warn(clippy::print_stderr)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rebound_dev::commands::{demo, dev, sample};
use rebound_dev::output;

/// Rebound on this machine. The command `rebound` has these commands, too, and all others.
#[derive(Parser)]
#[command(name = "rebound-dev", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Dev(dev::Arguments),
    Sample(sample::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    sigpipe::reset();
    let result = match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Dev(arguments) => dev::run(&arguments).await,
        Command::Sample(arguments) => sample::run(&arguments).await,
    };
    result.unwrap_or_else(|error| output::failed("rebound-dev", &error.to_string(), None))
}
