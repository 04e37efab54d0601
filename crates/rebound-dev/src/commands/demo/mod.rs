//! `rebound demo`: runs the whole service in memory on real input, and checks it against the contract.

mod checks;
mod consent;
mod contract;
mod emails;
mod engage;
mod environment;
mod followups;
mod page;
mod print;
mod print_consent;
mod print_engage;
mod print_followups;
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
/// are delivered again. Then engage classifies opens and clicks, and decides about them. Then somebody unsubscribes with
/// one click, and a password reset may still be sent. Finally act sends follow-ups to a stub of Resend: one is sent,
/// one is dropped after a complaint, one after an opt-out between two tries, and one waits for the morning. All output is read from the tables, the
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
    let reports = everything(arguments.claude_stub, arguments.dynamodb.as_deref()).await?;
    if arguments.json {
        print::json(&reports);
    } else {
        print::page(&reports).print();
    }
    Ok(if reports.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The reports of all parts.
struct Reports {
    contract: contract::ContractReport,
    protect: protect::ProtectReport,
    engage: Vec<engage::EngageReport>,
    consent: consent::ConsentReport,
    followups: followups::FollowupReport,
    /// The differences from the contract.
    faults: Vec<String>,
}

/// Runs all parts in order.
async fn everything(claude_stub: bool, dynamodb: Option<&str>) -> Result<Reports, CommandError> {
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
    let consent = consent::show(&mut env).await?;
    let followups = followups::show(&mut env, &stub).await?;
    Ok(Reports { contract, protect, engage, consent, followups, faults: std::mem::take(&mut env.faults) })
}
