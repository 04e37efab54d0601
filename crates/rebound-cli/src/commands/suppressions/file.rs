//! `import` and `export`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rebound::aws::CallError;
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::Note;
use rebound_cli::operate::scan::{Wanted, scan};
use rebound_cli::operate::suppressions::List;
use rebound_cli::operate::suppressions::export::{Format, WriteError, Writer, entries, is_recipients};
use rebound_cli::operate::suppressions::import::{self, Read, Report, Unreadable};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use rebound_dev::commands::Failure;
use rebound_dev::commands::values::unknown;
use rebound_dev::output;
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use super::new_file::NewFile;
use super::{from_resend, list, note};
use crate::commands::list_file::ListFile;
use crate::commands::place::PlaceArguments;

/// Take over a list: a CSV, JSON lines, bare addresses, or Resend's own list.
///
/// A CSV has a header (recipient, reason, at, until, detail, email_id); only `recipient`, or `email`, must be in it. JSON lines are as
/// `export` writes them.
/// Each entry is merged, so to import a list twice changes nothing. Whoever was lifted since is named, and stays lifted; --again
/// suppresses those again whom an operator lifted. A time of the future is refused.
/// Exits with 1 if a line can't be read, or somebody on the list is not suppressed; the others are taken over.
/// --from-resend takes over those whom Resend itself suppresses, as the reason `provider`.
#[derive(clap::Args)]
pub(crate) struct ImportArguments {
    /// The file, or - for standard input
    #[arg(required_unless_present = "from_resend")]
    file: Option<String>,
    /// Take over Resend's own list, with the key in RESEND_API_KEY or in the secret OperatorKeysArn
    #[arg(long, conflicts_with = "file")]
    from_resend: bool,
    /// Suppress those again whom an operator has lifted since
    #[arg(long)]
    again: bool,
    /// Why; it is kept
    #[arg(long = "reason", value_name = "TEXT", default_value = "import")]
    why: String,
    /// Who you are; it is kept
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// So many entries are merged together: no more than these are held in memory, however long a file is.
const TOGETHER: usize = 5_000;

/// So many refused lines are named in the JSON report.
const NAMED: usize = 1_000;

pub(super) async fn import(arguments: &ImportArguments) -> Result<ExitCode, Failure> {
    let note = note(arguments.by.as_deref(), &arguments.why)?;
    let by_hand = if arguments.again { LiftedByHand::Again } else { LiftedByHand::Stay };
    let file = arguments.file.as_deref().map(ListFile::open).transpose()?;
    let place = arguments.place.find().await?;
    let Some(file) = file else {
        return from_resend::import(&place, by_hand, arguments.json).await;
    };
    import_file(&list(&place), file, by_hand, &note, arguments.json).await
}

/// Imports a file, part by part.
async fn import_file(
    list: &List,
    mut file: ListFile,
    by_hand: LiftedByHand,
    note: &Note,
    json: bool,
) -> Result<ExitCode, Failure> {
    let progress = output::counting("entries");
    let bar = (*progress).clone();
    on_ctrl_c(move || {
        let at = bar.position();
        if at == 0 {
            return "Nothing was imported yet".to_owned();
        }
        format!("{at} entries were imported, and stay. Import the file again for the rest: that changes nothing else")
    });
    let (mut report, mut refused, mut is_noted) = (Report::default(), 0, false);
    let mut merge = async |part: Read| -> Result<(), Failure> {
        if !part.changes.is_empty() && !is_noted {
            import::keep_note(list, note).await?;
            is_noted = true;
        }
        let mut part = import::import_part(list, part, by_hand, note, || progress.inc(1)).await?;
        refused += part.unreadable.len();
        if !json {
            progress.suspend(|| part.unreadable.iter().for_each(say_unreadable));
        }
        part.unreadable.truncate(if json { NAMED.saturating_sub(report.unreadable.len()) } else { 0 });
        report.add(part);
        Ok(())
    };
    let mut part = Read::default();
    while let Some(line) = file.next()? {
        part.add(line, note.at);
        if part.changes.len() + part.unreadable.len() >= TOGETHER {
            merge(std::mem::take(&mut part)).await?;
        }
    }
    merge(part).await?;
    progress.finish_and_clear();
    let counts = file.counts()?;
    if json {
        let mut said = json!(report);
        if let Some(said) = said.as_object_mut() {
            said.insert("lines".to_owned(), json!(counts.lines));
            said.insert("refused".to_owned(), json!(refused));
        }
        println!("{said}");
    } else {
        print(&report, false);
        say_refused(refused, counts.lines);
    }
    let is_whole = refused == 0 && report.lifted.is_empty();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say_unreadable(unreadable: &Unreadable) {
    println!("line {}: {}", unreadable.line, output::shown(&unreadable.why));
}

fn say_refused(refused: usize, lines: u64) {
    match refused {
        0 => {}
        1 => println!("1 of {lines} lines was not read; mend it and import the file again: that changes nothing else"),
        refused => {
            println!(
                "{refused} of {lines} lines were not read; mend them and import the file again: that changes nothing else"
            );
        }
    }
}

/// How many of those who were lifted since are shown.
const MOST_LIFTED: usize = 20;

/// What became of a list.
pub(super) fn print(report: &Report, json: bool) {
    if json {
        println!("{}", json!(report));
        return;
    }
    println!("{} new or newer, {} known already", report.changed, report.unchanged);
    if report.forgotten > 0 {
        println!("{} of people who were forgotten, and stay so", report.forgotten);
    }
    for lifted in report.lifted.iter().take(MOST_LIFTED) {
        let (who, reason, at) = (output::shown(lifted.recipient.as_str()), lifted.reason, output::moment(lifted.at));
        let why = lifted.why.as_ref().map(|why| format!(": {}", output::shown(why))).unwrap_or_default();
        println!("not suppressed: {who}, whose {reason} was lifted at {at} by {}{why}", output::shown(&lifted.by));
    }
    if report.lifted.len() > MOST_LIFTED {
        println!("and {} more; --json names all of them", report.lifted.len() - MOST_LIFTED);
    }
    if report.lifted.iter().any(|lifted| lifted.why.is_some()) {
        println!("import it with --again to suppress those again whom an operator lifted");
    }
    report.unreadable.iter().for_each(say_unreadable);
    if !report.unreadable.is_empty() {
        println!(
            "{} lines were not read; mend them and import the file again: that changes nothing else",
            report.unreadable.len()
        );
    }
}

/// Write the list down: an entry for each address and reason, those that were lifted too.
///
/// It reads the whole table, which costs a read unit for each 4 KB of it. Who was forgotten is not in it.
#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
    format: Format,
    /// The file; without it, standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::JsonLines),
        _ => Err(unknown(text, ["csv", "jsonl"], "there are csv and jsonl")),
    }
}

pub(super) async fn export(arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let place = arguments.place.find().await?;
    let list = list(&place);
    let output = arguments.output.as_deref().map(NewFile::create).transpose()?;
    let to: Box<dyn Write> = match &output {
        Some(output) => Box::new(BufWriter::new(output.file.try_clone()?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = Writer::new(arguments.format, to);
    let progress = output::counting("items");
    let (mut written, mut forgotten) = (0, 0_usize);
    scan(&list.calls, &list.suppressions, &Wanted::default(), async |items, read| {
        progress.inc(read as u64);
        for item in items {
            forgotten += usize::from(!is_recipients(&item));
            for entry in entries(item) {
                writer.write(&entry)?;
                written += 1;
            }
        }
        Ok::<(), ExportError>(())
    })
    .await?;
    writer.finish()?;
    output.map_or(Ok(()), NewFile::keep)?;
    progress.finish_and_clear();
    // One of them is the key.
    let besides =
        if forgotten > 1 { format!("; {} who were forgotten are not in it", forgotten - 1) } else { String::new() };
    eprintln!("{written} entries at {}{besides}", UnixMillis::now().to_text());
    Ok(ExitCode::SUCCESS)
}

/// Why a list was not written.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Read(#[from] CallError),
    #[error(transparent)]
    Write(#[from] WriteError),
}
