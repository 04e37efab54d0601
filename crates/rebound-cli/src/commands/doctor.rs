//! `rebound doctor`: is everything working?

use std::process::ExitCode;

use rebound::time::UnixMillis;
use rebound_cli::operate::doctor::{Check, CheckStatus, run_checks};
use rebound_cli::operate::target::TargetError;
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, Cell, Color, Column, Table, count, sanitize};
use serde_json::json;

use crate::commands::target::TargetArguments;

/// Check that everything works, and show what to do if not.
///
/// The command checks the credentials, the stack, the tables, the function URL and its signing secret. For the secret, it sends a correctly
/// signed but stale webhook, which is not stored.
/// It also checks the webhook at Resend, the Claude API key (at no cost), the time of the last event, the event source mappings and their lag,
/// the dead-letter queues, and the concurrency limit of the account. Where Rebound sends follow-ups, it checks their key, the last run, what
/// is overdue, and what holds them back. It changes nothing.
/// Exits with 0 if no check found a fault, with 1 if one did, and with 2 if no check was possible.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// URL of the webhook [default: the function URL of the target]
    #[arg(long, value_name = "URL", value_parser = rebound_dev::commands::values::url)]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let target = match arguments.target.find().await {
        Ok(target) => target,
        Err(error) if arguments.json => {
            let is_local = matches!(
                error,
                TargetError::DevIsGone { .. }
                    | TargetError::NobodyThere { .. }
                    | TargetError::NoLocal(..)
                    | TargetError::UnreadLocal(..)
                    | TargetError::NotLocal(..)
            );
            let name = if is_local { "rebound dev" } else { "credentials" };
            let check = json!({ "name": name, "verdict": "fault", "found": error.to_string(), "to_do": null });
            println!("{:#}", json!({ "checks": [check] }));
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    let progress = output::steps();
    progress.set_message("checking");
    let checks = run_checks(&target, arguments.url.as_deref(), UnixMillis::now()).await;
    progress.finish_and_clear();
    if arguments.json {
        println!("{:#}", json!({ "checks": checks }));
    } else {
        print(&checks);
    }
    let is = |verdict: CheckStatus| move |check: &Check| check.verdict == verdict;
    let looked_at =
        checks.iter().filter(|check| check.verdict != CheckStatus::NotChecked && check.name != "credentials").count();
    Ok(match (looked_at, checks.iter().any(is(CheckStatus::Fault))) {
        (0, _) => ExitCode::from(2),
        (_, true) => ExitCode::FAILURE,
        (_, false) => ExitCode::SUCCESS,
    })
}

fn print(checks: &[Check]) {
    table(checks).print();
    println!("{}", summary(checks));
}

/// Returns the number of checks per result, as one line.
fn summary(checks: &[Check]) -> String {
    let number = |verdict: CheckStatus| checks.iter().filter(|check| check.verdict == verdict).count();
    format!(
        "{} ok, {}, {}, {} not checked.",
        number(CheckStatus::Ok),
        count(number(CheckStatus::Warning), "warning"),
        count(number(CheckStatus::Fault), "fault"),
        number(CheckStatus::NotChecked)
    )
}

fn table(checks: &[Check]) -> Table {
    let rows = checks.iter().map(|check| {
        let colour = match check.verdict {
            CheckStatus::Ok => Color::Green,
            CheckStatus::NotChecked => Color::Grey,
            CheckStatus::Warning => Color::Yellow,
            CheckStatus::Fault => Color::Red,
        };
        let to_do = check.to_do.as_ref().map(|to_do| format!("\nTo do: {}", sanitize(to_do))).unwrap_or_default();
        [
            Cell::new(sanitize(&check.name)),
            Cell::new(check.verdict.as_str()).fg(colour),
            Cell::new(format!("{}{to_do}", sanitize(&check.found))),
        ]
    });
    Table::new([Column::text("check"), Column::text("result"), Column::text("details")]).with(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_checks_fits_every_width() {
        let check = |name: &str, verdict: CheckStatus, found: &str, to_do: Option<&str>| Check {
            name: name.to_owned(),
            verdict,
            found: found.to_owned(),
            to_do: to_do.map(str::to_owned),
        };
        let checks = [
            check("credentials", CheckStatus::Ok, "of the account 123456789012, in eu-west-1", None),
            check(
                "function URL",
                CheckStatus::Fault,
                "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/ does not answer within 15 s",
                Some("look at the log of receive: aws logs tail /aws/lambda/receive --since 10m"),
            ),
        ];
        assert_eq!(table(&checks).faults(), Vec::<String>::new());
        assert_eq!(summary(&checks), "1 ok, 0 warnings, 1 fault, 0 not checked.");
    }
}
