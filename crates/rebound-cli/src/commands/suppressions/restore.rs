//! `restore`.

use std::process::ExitCode;

use rebound::time::UnixMillis;
use rebound_cli::operate::suppressions::restore::{RestoreMode, RestoreResult};
use rebound_dev::commands::CommandError;
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use super::{list, note};
use crate::commands::place::TargetArguments;
use crate::commands::timeline::{check_received, time};

/// Suppress again whom webhooks lifted since then: after a synchronization of contacts that resubscribed everybody.
///
/// It takes only what is still as the webhook left it. Each reason comes back as it was, with a note of it; who was unsubscribed comes back as
/// opted_out, so that the next synchronization does not lift them again. Lifts are known for 35 days.
#[derive(clap::Args)]
pub(crate) struct RestoreArguments {
    /// Only lifts by webhooks that were received from then on, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: UnixMillis,
    /// Only those that were received before
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixMillis>,
    /// Say who would be suppressed again, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Why; it is kept
    #[arg(long = "reason", value_name = "TEXT", default_value = "lifted by webhooks; undone")]
    why: String,
    /// Who you are; it is kept
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print a JSON object for each, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: TargetArguments,
}

pub(super) async fn restore(arguments: &RestoreArguments) -> Result<ExitCode, CommandError> {
    check_received(Some(arguments.since), arguments.until)?;
    let note = note(arguments.by.as_deref(), &arguments.why)?;
    let mode = if arguments.dry_run { RestoreMode::DryRun } else { RestoreMode::Restore };
    let place = arguments.place.find().await?;
    let (list, agenda) = (list(&place), place.table("AGENDA_TABLE"));
    let key = list.forgotten_key().await?;
    let until = arguments.until.unwrap_or(UnixMillis(i64::MAX));
    if mode == RestoreMode::Restore {
        on_ctrl_c(|| "Whoever was restored is suppressed, and stays so. Run it again: it does the rest".to_owned());
    }
    let (mut restored, mut unchanged, mut forgotten) = (0, 0, 0);
    for lift in list.lifts(agenda, arguments.since, until).await? {
        let recipient = &lift.recipient;
        let outcome = list.restore(agenda, &lift, key.as_ref(), &note, mode).await?;
        let (word, reason, count) = match outcome {
            RestoreResult::Suppressed(reason) => ("restored", Some(reason.as_str()), &mut restored),
            RestoreResult::Unchanged => ("unchanged", None, &mut unchanged),
            RestoreResult::Forgotten => ("forgotten", None, &mut forgotten),
        };
        *count += 1;
        if arguments.json {
            let reasons: Vec<&str> = reason.into_iter().collect();
            let dry_run = arguments.dry_run;
            println!("{}", json!({ "recipient": recipient, "outcome": word, "reasons": reasons, "dry_run": dry_run }));
            continue;
        }
        match (reason, arguments.dry_run) {
            (Some(reason), true) => println!("{recipient}: would be suppressed again: {reason}"),
            (Some(reason), false) => println!("{recipient}: suppressed again: {reason}"),
            (None, _) => {}
        }
    }
    if !arguments.json {
        let done = if arguments.dry_run { "would be restored" } else { "restored" };
        println!("{restored} {done}, {unchanged} with nothing to undo, {forgotten} of people who were forgotten");
    }
    Ok(ExitCode::SUCCESS)
}
