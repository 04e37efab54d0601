//! `rebound forget`: erasure on request.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use rebound::resend::recipient::Recipient;
use rebound_cli::operate::forget::{ForgetMode, RECOVERABLE_DAYS, forget, waiting_pushes};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, Column, Table};
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use crate::commands::suppressions::{NoteArguments, recipient};
use crate::commands::target::TargetArguments;

/// Erase everything about an address, in every table. The address stays suppressed.
///
/// The suppression is kept under a keyed hash. The address cannot be read from the hash, but `rebound check` still answers "no" for it.
/// A webhook about this address alone is emptied: its key stays, so that a redelivery is not stored or counted a second time.
/// A webhook that also names other addresses is kept, without this address.
/// The command reads all tables: one read unit per 4 KB. It can be interrupted and run again.
/// `rebound suppressions remove` ends the suppression.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address
    address: String,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Show what would be erased, and erase nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let recipient = recipient(&arguments.address)?;
    let note = arguments.note.note()?;
    let target = arguments.target.find().await?;
    let mode = if arguments.dry_run { ForgetMode::DryRun } else { ForgetMode::Forget };
    if mode == ForgetMode::Forget && !arguments.yes && !is_confirmed(&recipient, target.table("EVENTS_TABLE"))? {
        println!("Nothing was erased.");
        return Ok(ExitCode::FAILURE);
    }
    let tables = target.tables();
    let calls = target.calls(Duration::from_secs(6 * 3_600));
    let progress = output::counting("rows read");
    if mode == ForgetMode::Forget {
        on_ctrl_c(|| {
            "The address is partly erased, and already suppressed. Run the command again to erase the rest".to_owned()
        });
    }
    let contact_waits = !waiting_pushes(&calls, &tables, &recipient).await?.is_empty();
    let report = forget(&calls, &tables, &recipient, &note, mode, |rows| progress.inc(rows as u64)).await?;
    progress.finish_and_clear();
    if arguments.json {
        println!("{}", json!({ "dry_run": arguments.dry_run, "tables": report, "contact_left": contact_waits }));
        return Ok(ExitCode::SUCCESS);
    }
    table(report.iter().map(|(table, counts)| (*table, [counts.read, counts.deleted, counts.emptied, counts.cut])))
        .print();
    if arguments.dry_run {
        println!("Nothing was erased.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("The address is suppressed, and {} shows it.", target.command("check"));
    println!(
        "Tables with point-in-time recovery can restore the erased data for {RECOVERABLE_DAYS} days. After that it is gone."
    );
    if contact_waits {
        println!("The contact at Resend was to be unsubscribed, and is left as it is: unsubscribe or delete it there.");
    }
    println!(
        "Logs hold no addresses. Nothing was changed at Resend: it keeps emails and events for 30 days. Its contacts and"
    );
    println!(
        "suppressions stay until you remove them there. Alerts that were already sent stay with those who received them."
    );
    Ok(ExitCode::SUCCESS)
}

/// One row per table, with its row counts.
fn table<'a>(counts: impl IntoIterator<Item = (&'a str, [usize; 4])>) -> Table {
    let columns = [
        Column::text("table"),
        Column::number("rows read"),
        Column::number("deleted"),
        Column::number("emptied"),
        Column::number("redacted"),
    ];
    let row = |(table, numbers): (&str, [usize; 4])| {
        std::iter::once(table.to_owned()).chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>()
    };
    Table::new(columns).with(counts.into_iter().map(row))
}

/// Asks for confirmation at the terminal.
fn is_confirmed(recipient: &Recipient, events_table: &str) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask for confirmation; add --yes, or --dry-run to see what would be erased".into(),
        );
    }
    print!("Everything about {recipient} will be erased from {events_table} and the four other tables. Type yes: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_row_counts_fits_every_width() {
        let counts = [("rebound-events", [1_234_567, 12, 3, 4]), ("rebound-suppressions", [1, 0, 0, 0])];
        assert_eq!(table(counts).faults(), Vec::<String>::new());
    }
}
