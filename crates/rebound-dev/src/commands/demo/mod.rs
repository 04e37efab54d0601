//! `rebound demo`: the whole service at work, in memory, on real input, checked against the contract.

mod checks;
mod contract;
mod emails;
mod engage;
mod environment;
mod page;
mod print;
mod print_engage;
mod protect;
mod steps;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use self::engage::DemoDecider;
use self::environment::DemoEnvironment;
use crate::claude::ClaudeStub;
use crate::commands::CommandError;

/// Show the whole service at work, in memory, on a sample of every event.
///
/// Posts one signed sample of every event type to the function, and then what the world sends besides: a duplicate, a
/// forgery, a stale one, and so on. Then it feeds what was stored to protect, with a campaign that people complain about, delayed
/// mails and soft bounces, lets the clock move on, and delivers everything again. At last it lets engage judge who opened and clicked,
/// and decide. All that it shows is read back from the tables, the topics and the queue. Exits with 1 if anything is not as the
/// contract says.
///
/// With ANTHROPIC_API_KEY set, Claude decides, for a fraction of a cent. Without it, the written rules do, and then, with other mails, a
/// local stand-in for Claude, so that the whole way is seen.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Ask the local stand-in for Claude, and nobody else
    #[arg(long)]
    claude_stub: bool,
    /// Use this DynamoDB on this machine, which has no tables yet, instead of the embedded one; region and credentials are the shell's
    #[arg(long, value_name = "URL")]
    dynamodb: Option<String>,
}

/// Runs the demo.
///
/// # Errors
/// It says what went wrong.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (contract, protect, engage, faults) = everything(arguments.claude_stub, arguments.dynamodb.as_deref()).await?;
    if arguments.json {
        print::json(&contract, &protect, &engage, &faults);
    } else {
        print::page(&contract, &protect, &engage, &faults).print();
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is shown, one part after another, and what is not as it should be.
async fn everything(
    claude_stub: bool,
    dynamodb: Option<&str>,
) -> Result<(contract::ContractReport, protect::ProtectReport, Vec<engage::EngageReport>, Vec<String>), CommandError> {
    let mut env = DemoEnvironment::set(dynamodb).await?;
    let contract = contract::show(&mut env).await?;
    let protect = protect::show(&mut env).await?;
    let stand_in = ClaudeStub::start(([127, 0, 0, 1], 0).into()).await?;
    let deciders =
        match (claude_stub, crate::commands::variable("ANTHROPIC_API_KEY").is_some_and(|key| !key.is_empty())) {
            (true, _) => vec![DemoDecider::StandIn(&stand_in)],
            (false, true) => vec![DemoDecider::Claude],
            (false, false) => vec![DemoDecider::Rules, DemoDecider::StandIn(&stand_in)],
        };
    let mut engage = Vec::new();
    for who in deciders {
        engage.push(engage::show(&mut env, who).await?);
    }
    Ok((contract, protect, engage, std::mem::take(&mut env.faults)))
}
