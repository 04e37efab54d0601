//! `rebound forget`: erasure on request.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use rebound::resend::recipient::Recipient;
use rebound_cli::operate::forget::{ForgetMode, ForgetTables, RECOVERABLE_DAYS, forget};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, Column, Table};
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use crate::commands::place::TargetArguments;
use crate::commands::suppressions::{NoteArguments, recipient};

/// Erase everything about an address, in every table, but that it must not get email of any kind.
///
/// That stays under a keyed hash, from which the address can't be read, and which `check` knows. Webhooks about the address alone
/// are emptied: only their keys stay, so that the same message, sent again, is not stored or counted again. Out of what is about
/// others too, the address is cut. It reads all tables, which costs a read unit for each 4 KB of them, and may be broken off
/// and run again. `rebound suppressions remove` lets the address be written to again.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The address
    address: String,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Say what would be erased, and erase nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    place: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let recipient = recipient(&arguments.address)?;
    let note = arguments.note.note()?;
    let place = arguments.place.find().await?;
    let mode = if arguments.dry_run { ForgetMode::DryRun } else { ForgetMode::Forget };
    if mode == ForgetMode::Forget && !arguments.yes && !is_sure(&recipient, place.table("EVENTS_TABLE"))? {
        println!("Nothing was erased.");
        return Ok(ExitCode::FAILURE);
    }
    let tables = ForgetTables::of(&place);
    let calls = place.calls(Duration::from_secs(6 * 3_600));
    let progress = output::counting("rows read");
    if mode == ForgetMode::Forget {
        on_ctrl_c(|| {
            "The address is erased in part, and must not be written to already. Run it again: it does the rest"
                .to_owned()
        });
    }
    let report = forget(&calls, &tables, &recipient, &note, mode, |rows| progress.inc(rows as u64)).await?;
    progress.finish_and_clear();
    if arguments.json {
        println!("{}", json!({ "dry_run": arguments.dry_run, "tables": report }));
        return Ok(ExitCode::SUCCESS);
    }
    table(report.iter().map(|(table, counts)| (*table, [counts.read, counts.deleted, counts.emptied, counts.cut])))
        .print();
    if arguments.dry_run {
        println!("Nothing was erased.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("The address must not be written to, and {} says so.", place.command("check"));
    println!(
        "What was there can be brought back from point-in-time recovery, where a table has it, for {RECOVERABLE_DAYS} days, and is gone then."
    );
    println!(
        "Logs hold no addresses. At Resend nothing was changed: it keeps mails and events for 30 days, and its contacts"
    );
    println!("and its suppressions until you remove them there. Who gets the alerts has those that were sent.");
    Ok(ExitCode::SUCCESS)
}

/// A row for each table, with the numbers of its rows.
fn table<'a>(counts: impl IntoIterator<Item = (&'a str, [usize; 4])>) -> Table {
    let columns = [
        Column::text("table"),
        Column::number("rows read"),
        Column::number("deleted"),
        Column::number("emptied"),
        Column::number("address cut out"),
    ];
    let row = |(table, numbers): (&str, [usize; 4])| {
        std::iter::once(table.to_owned()).chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>()
    };
    Table::new(columns).with(counts.into_iter().map(row))
}

/// Asks whoever sits at the terminal.
fn is_sure(recipient: &Recipient, events_table: &str) -> Result<bool, CommandError> {
    if !std::io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask at; add --yes if you are sure, or --dry-run to see what would be erased"
                .into(),
        );
    }
    print!(
        "Everything about {recipient} will be erased, from {events_table} and the four tables beside it. Type yes: "
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_tables_is_good_at_every_width() {
        let counts = [("rebound-events", [1_234_567, 12, 3, 4]), ("rebound-suppressions", [1, 0, 0, 0])];
        assert_eq!(table(counts).faults(), Vec::<String>::new());
    }
}
