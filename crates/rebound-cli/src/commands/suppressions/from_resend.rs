//! Resend's own list.

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

/// The result of taking over Resend's list.
#[derive(Serialize)]
pub(crate) struct TakenOver {
    #[serde(flatten)]
    report: ImportReport,
    /// The reason for which the list was not read to its end. Absent if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_short: Option<String>,
}

impl TakenOver {
    /// Returns true if every entry was taken over.
    pub(crate) fn is_whole(&self) -> bool {
        self.report.unreadable.is_empty() && self.report.lifted.is_empty() && self.cut_short.is_none()
    }

    pub(crate) fn print(&self) {
        // Its entries are no lines of a file.
        file::print(&ImportReport { unreadable: Vec::new(), ..self.report.clone() }, false);
        let unreadable = &self.report.unreadable;
        for entry in unreadable {
            println!("{}", output::sanitize(&entry.why));
        }
        if !unreadable.is_empty() {
            println!("{} left out; look at Resend, under Suppressions", count_were(unreadable.len(), "entry"));
        }
        if let Some(why) = &self.cut_short {
            println!("Resend's list was not read to its end: {}", output::sanitize(why));
        }
    }
}

/// `import --from-resend`.
pub(super) async fn import(place: &Target, by_hand: LiftedByHand, json: bool) -> Result<ExitCode, CommandError> {
    let taken = take_over(place, by_hand).await?;
    if json {
        println!("{}", json!(taken));
    } else {
        taken.print();
    }
    Ok(if taken.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes over whom Resend suppresses.
pub(crate) async fn take_over(place: &Target, by_hand: LiftedByHand) -> Result<TakenOver, CommandError> {
    let resend = resend_of(place).await?;
    let Listed { entries, unread, cut_short } = match resend.suppressions().await {
        Err(ResendError::NotFound(_)) => {
            return Err(
                "Resend does not offer its list to this team yet; what it skips from now on is told by its webhooks"
                    .into(),
            );
        }
        other => other?,
    };
    let note = note(None, "taken over from Resend")?;
    let left_out = |entry: Unread| Remark { line: entry.place, why: entry.to_string() };
    let unreadable = unread.into_iter().map(left_out).collect();
    let read = ParsedList { entries: changes(entries, note.at), unreadable, ..ParsedList::default() };
    let progress = output::progress(read.entries.len() as u64, "entries");
    let bar = (*progress).clone();
    on_ctrl_c(move || {
        format!("{} of Resend's entries were imported, and stay. Run it again: it does the rest", bar.position())
    });
    let report = merge(&list(place), read, by_hand, &note, || progress.inc(1)).await;
    progress.finish_and_clear();
    Ok(TakenOver { report: report?, cut_short: cut_short.map(|why| why.to_string()) })
}
