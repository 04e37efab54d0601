//! `rebound`: the operator's command.

#![warn(clippy::print_stderr)]

#[macro_use]
extern crate rebound_dev;

mod commands;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use rebound_dev::commands::{demo, dev, sample, values};
use rebound_dev::output;

use crate::commands::hints::hint;
use crate::commands::target::TargetArguments;
use crate::commands::{
    campaigns, check, completions, connect, doctor, followups, forget, replay, simulate, suppressions, tail, timeline,
    unsubscribe_link,
};

/// The version, and the commit of the build.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REBOUND_COMMIT"), ")");

/// Stores every Resend webhook durably, and protects your sending: suppression list, campaign brakes, alerts.
#[derive(Parser)]
#[command(name = "rebound", version = VERSION)]
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
    Tail(tail::Arguments),
    Campaigns(campaigns::Arguments),
    Followups(followups::Arguments),
    Replay(replay::Arguments),
    Forget(forget::Arguments),
    Connect(connect::Arguments),
    Doctor(doctor::Arguments),
    UnsubscribeLink(unsubscribe_link::Arguments),
    Simulate(simulate::Arguments),
    Completions(completions::Arguments),
}

impl Command {
    /// Returns true if the command has the options that name a target.
    fn has_target(&self) -> bool {
        !matches!(self, Self::Demo(_) | Self::Dev(_) | Self::Sample(_))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    sigpipe::reset();
    if let Some(file) = values::misplaced_file(std::env::args()) {
        eprintln!("rebound: write the file of --local after an equals sign: --local={}", output::sanitize(&file));
        return ExitCode::from(2);
    }
    let parsed = Arguments::command().try_get_matches().and_then(|matches| {
        let arguments = Arguments::from_arg_matches(&matches)?;
        let target = arguments.command.has_target().then(|| TargetArguments::of(&matches)).flatten();
        Ok((arguments, target))
    });
    let (arguments, target) = match parsed {
        Ok(parsed) => parsed,
        // The error repeats the arguments, and these may come from outside.
        Err(error) if error.use_stderr() => {
            let given = std::env::args().map(|argument| output::sanitize(&argument));
            eprintln!("{}", Arguments::try_parse_from(given).err().unwrap_or(error).to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments).await,
        Command::Dev(arguments) => dev::run(&arguments).await,
        Command::Sample(arguments) => sample::run(&arguments).await,
        Command::Check(arguments) => check::run(&arguments).await,
        Command::Suppressions(arguments) => suppressions::run(&arguments).await,
        Command::Timeline(arguments) => timeline::run(&arguments).await,
        Command::Tail(arguments) => tail::run(&arguments).await,
        Command::Campaigns(arguments) => campaigns::run(&arguments).await,
        Command::Followups(arguments) => followups::run(&arguments).await,
        Command::Replay(arguments) => replay::run(&arguments).await,
        Command::Forget(arguments) => forget::run(&arguments).await,
        Command::Connect(arguments) => connect::run(&arguments).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
        Command::UnsubscribeLink(arguments) => unsubscribe_link::run(&arguments).await,
        Command::Simulate(arguments) => simulate::run(&arguments).await,
        Command::Completions(arguments) => completions::run(&arguments, Arguments::command()),
    };
    result.unwrap_or_else(|error| {
        let error = error.to_string();
        output::failed("rebound", &error, hint(&error, target.as_ref()).as_deref())
    })
}
