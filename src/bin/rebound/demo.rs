//! `rebound demo`: the whole service at work, in memory, on real input, checked against the contract.

mod checks;
mod contract;
mod mails;
mod print;
mod protect;
mod stage;
mod steps;

use std::process::ExitCode;

use self::stage::Stage;
use crate::Failure;

/// Show the whole service at work, in memory, on a sample of every event.
///
/// Posts one signed sample of every event type to the function, and then what the world sends besides: a duplicate, a
/// forgery, a stale one, and so on. Then it feeds what was stored to protect, with a campaign that people complain about, delayed
/// mails and soft bounces, lets the clock move on, and delivers everything again. All that it shows is read back from the tables,
/// the topic and the queue. Exits with 1 if anything is not as the contract says.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut stage = Stage::set().await?;
    let contract = contract::show(&mut stage).await?;
    let protect = protect::show(&mut stage).await?;
    if arguments.json {
        print::json(&contract, &protect, &stage.faults);
    } else {
        print::contract(&contract);
        print::protect(&protect);
        print::verdict(&stage.faults);
    }
    Ok(if stage.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
