//! `rebound demo`: runs the whole service in memory on real input, and checks it against the contract.

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

/// Run the whole service in memory, on a sample of every event, and check it against the contract.
///
/// Posts one signed sample of every event type to receive, then duplicates, forgeries and stale webhooks. Then protect processes the
/// stored events, with a campaign that gets complaints, delayed emails and soft bounces. The clock moves on by 8 days, and all events
/// are delivered again. Finally engage classifies opens and clicks, and decides about them. All output is read from the tables, the
/// topics and the queue. Exits with 1 if anything differs from the contract.
///
/// If ANTHROPIC_API_KEY is set, Claude decides, for a fraction of a cent. If not, the built-in rules decide about one campaign, and a local
/// stub of Claude about another.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Use only the local stub of Claude to decide
    #[arg(long)]
    claude_stub: bool,
    /// Use this DynamoDB instead of the embedded one: on this machine, without tables; region and credentials come from the shell
    #[arg(long, value_name = "URL")]
    dynamodb: Option<String>,
}

/// Runs the demo.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let (contract, protect, engage, faults) = everything(arguments.claude_stub, arguments.dynamodb.as_deref()).await?;
    if arguments.json {
        print::json(&contract, &protect, &engage, &faults);
    } else {
        print::page(&contract, &protect, &engage, &faults).print();
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs all parts in order. Returns their reports and the differences from the contract.
async fn everything(
    claude_stub: bool,
    dynamodb: Option<&str>,
) -> Result<(contract::ContractReport, protect::ProtectReport, Vec<engage::EngageReport>, Vec<String>), CommandError> {
    let mut env = DemoEnvironment::set(dynamodb).await?;
    let contract = contract::show(&mut env).await?;
    let protect = protect::show(&mut env).await?;
    let stub = ClaudeStub::start(([127, 0, 0, 1], 0).into()).await?;
    let deciders =
        match (claude_stub, crate::commands::variable("ANTHROPIC_API_KEY").is_some_and(|key| !key.is_empty())) {
            (true, _) => vec![DemoDecider::Stub(&stub)],
            (false, true) => vec![DemoDecider::Claude],
            (false, false) => vec![DemoDecider::Rules, DemoDecider::Stub(&stub)],
        };
    let mut engage = Vec::new();
    for who in deciders {
        engage.push(engage::show(&mut env, who).await?);
    }
    Ok((contract, protect, engage, std::mem::take(&mut env.faults)))
}
