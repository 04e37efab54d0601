//! `restore`.

use std::process::ExitCode;

use rebound::time::UnixMillis;
use rebound_cli::operate::suppressions::restore::{RestoreMode, RestoreResult};
use rebound_dev::commands::CommandError;
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use super::{list, note};
use crate::commands::target::TargetArguments;
use crate::commands::time::{check_received, time};

/// Suppress addresses again after webhooks lifted their reasons, for example in a contact sync that resubscribed everybody.
///
/// The command restores a reason only if nothing changed it after the webhook. The reason comes back unchanged, with a note of the restore.
/// An address that was unsubscribed comes back as opted_out, so that the next sync does not lift it again.
/// Lifts are recorded for 35 days.
#[derive(clap::Args)]
pub(crate) struct RestoreArguments {
    /// Only reasons that were lifted by webhooks received at this time or later, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: UnixMillis,
    /// Only reasons that were lifted by webhooks received before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixMillis>,
    /// Show which addresses would be suppressed again, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Why you make the change; stored with it
    #[arg(long = "reason", value_name = "TEXT", default_value = "lifted by webhooks; undone")]
    why: String,
    /// Your name; stored with the change [default: the user of the shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(super) async fn restore(arguments: &RestoreArguments) -> Result<ExitCode, CommandError> {
    check_received(Some(arguments.since), arguments.until)?;
    let note = note(arguments.by.as_deref(), &arguments.why)?;
    let mode = if arguments.dry_run { RestoreMode::DryRun } else { RestoreMode::Restore };
    let target = arguments.target.find().await?;
    let (list, agenda) = (list(&target), target.table("AGENDA_TABLE"));
    let key = list.forgotten_key().await?;
    let until = arguments.until.unwrap_or(UnixMillis(i64::MAX));
    if mode == RestoreMode::Restore {
        on_ctrl_c(|| "The restored addresses stay suppressed. Run the command again for the rest".to_owned());
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
        println!("{restored} {done}, {unchanged} with nothing to undo, {forgotten} of forgotten addresses");
    }
    Ok(ExitCode::SUCCESS)
}
