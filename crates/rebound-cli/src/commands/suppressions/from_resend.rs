//! Import of Resend's suppression list.

use std::process::ExitCode;

use rebound_cli::operate::connect::{changes, resend_of};
use rebound_cli::operate::suppressions::import::{ImportReport, ParsedList, Remark, import as merge};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use rebound_cli::operate::target::Target;
use rebound_cli::resend_api::{Listed, ResendError, Unread};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, count_were};
use rebound_dev::progress::on_ctrl_c;
use serde::Serialize;
use serde_json::json;

use super::{file, list, note};

/// Result of the import of Resend's list.
#[derive(Serialize)]
pub(crate) struct ResendImport {
    #[serde(flatten)]
    report: ImportReport,
    /// The reason for which the list was not read to its end. Absent if all of it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_short: Option<String>,
}

impl ResendImport {
    /// Returns true if every entry was imported.
    pub(crate) fn is_whole(&self) -> bool {
        self.report.unreadable.is_empty() && self.report.lifted.is_empty() && self.cut_short.is_none()
    }

    pub(crate) fn print(&self) {
        // The entries are not lines of a file, so they are printed here.
        file::print(&ImportReport { unreadable: Vec::new(), ..self.report.clone() }, false);
        let unreadable = &self.report.unreadable;
        for entry in unreadable {
            println!("{}", output::sanitize(&entry.why));
        }
        if !unreadable.is_empty() {
            println!(
                "{} not imported; check them at Resend, under Suppressions",
                count_were(unreadable.len(), "entry")
            );
        }
        if let Some(why) = &self.cut_short {
            println!("Resend's list was not read to its end: {}", output::sanitize(why));
        }
    }
}

/// `import --from-resend`.
pub(super) async fn import(target: &Target, by_hand: LiftedByHand, json: bool) -> Result<ExitCode, CommandError> {
    let imported = import_from_resend(target, by_hand).await?;
    if json {
        println!("{}", json!(imported));
    } else {
        imported.print();
    }
    Ok(if imported.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Imports the addresses that Resend suppresses.
pub(crate) async fn import_from_resend(target: &Target, by_hand: LiftedByHand) -> Result<ResendImport, CommandError> {
    let resend = resend_of(target).await?;
    let Listed { entries, unread, cut_short } = match resend.suppressions().await {
        Err(ResendError::NotFound(_)) => {
            return Err(
                "Resend does not offer its list to this team yet; its webhooks report each address that it skips from now on"
                    .into(),
            );
        }
        other => other?,
    };
    let note = note(None, "imported from Resend")?;
    let left_out = |entry: Unread| Remark { line: entry.place, why: entry.to_string() };
    let unreadable = unread.into_iter().map(left_out).collect();
    let read = ParsedList { entries: changes(entries, note.at), unreadable, ..ParsedList::default() };
    let progress = output::progress(read.entries.len() as u64, "entries");
    let bar = (*progress).clone();
    on_ctrl_c(move || {
        format!("{} of Resend's entries were imported and stay. Run the command again for the rest", bar.position())
    });
    let report = merge(&list(target), read, by_hand, &note, || progress.inc(1)).await;
    progress.finish_and_clear();
    Ok(ResendImport { report: report?, cut_short: cut_short.map(|why| why.to_string()) })
}
