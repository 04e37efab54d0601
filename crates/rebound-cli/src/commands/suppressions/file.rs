//! `import` and `export`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rebound::aws::CallError;
use rebound::policy::suppression::Reason;
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::AuditNote;
use rebound_cli::operate::scan::{ScanFilter, scan};
use rebound_cli::operate::suppressions::List;
use rebound_cli::operate::suppressions::export::{Format, ListWriteError, ListWriter, entries, is_recipients};
use rebound_cli::operate::suppressions::import::{self, ImportReport, ParsedList, Remark};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use rebound_cli::operate::suppressions::meaning::Meaning;
use rebound_dev::commands::CommandError;
use rebound_dev::commands::values::unknown;
use rebound_dev::output::{self, count, count_were};
use rebound_dev::progress::on_ctrl_c;
use serde_json::json;

use super::new_file::NewFile;
use super::{from_resend, list, note};
use crate::commands::list_file::{ListFile, ReadingArguments};
use crate::commands::target::TargetArguments;

/// Import a list: a CSV, JSON lines, bare addresses, or Resend's suppression list.
///
/// The command prints how it reads the file. It detects the exports of SendGrid, Mailgun, Postmark, SES, Mailchimp and Resend.
/// Any other CSV has a header (recipient, reason, at, until, detail, email_id); only `recipient`, or `email`, is required.
/// Commas, semicolons or tabs may separate the cells. The encoding may be UTF-8, UTF-16 or Windows-1252. JSON lines have the format of `export`.
/// A time may be 2026-11-23, 2026-11-23T13:05:00Z, or seconds or milliseconds since 1970; without a time zone it is UTC. A time in the future is
/// refused.
///
/// Entries are merged, so a second import of the same list changes nothing. If a reason was lifted after the time in the list, it stays
/// lifted, and the command names the address. --again also suppresses addresses whose reason an operator lifted.
///
/// Exits with 1 if a line can't be read, or if an address on the list is not suppressed. All other lines are imported.
/// --from-resend imports Resend's suppression list, with the reason `provider`.
#[derive(clap::Args)]
pub(crate) struct ImportArguments {
    /// The file, or - for standard input
    #[arg(required_unless_present = "from_resend")]
    file: Option<String>,
    /// Import Resend's suppression list, with the key in RESEND_API_KEY or in the secret OperatorKeysArn
    #[arg(long, conflicts_with = "file")]
    from_resend: bool,
    /// Suppress every address on the list for this reason, and ignore the reasons in the list
    #[arg(long = "as", value_name = "REASON", value_parser = super::reason, conflicts_with = "from_resend")]
    only: Option<Reason>,
    /// Column with the time of the suppression, if the detected one is wrong
    #[arg(long, value_name = "COLUMN", conflicts_with = "from_resend")]
    time_column: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Also suppress addresses whose reason an operator has lifted since
    #[arg(long)]
    again: bool,
    /// Why you make the change; stored with it
    #[arg(long = "reason", value_name = "TEXT", default_value = "import")]
    why: String,
    /// Your name; stored with the change [default: the user of the shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Number of entries that are merged together, and so the maximum that is held in memory.
const MERGE_BATCH: usize = 5_000;

/// Maximum number of refused lines that the JSON report names.
const MAX_JSON_NAMED: usize = 1_000;

pub(super) async fn import(arguments: &ImportArguments) -> Result<ExitCode, CommandError> {
    let note = note(arguments.by.as_deref(), &arguments.why)?;
    let by_hand = if arguments.again { LiftedByHand::Again } else { LiftedByHand::Stay };
    let open = |file: &str| ListFile::open(file, &arguments.reading);
    let file = arguments.file.as_deref().map(open).transpose()?;
    let meaning = |file: &ListFile| file.meaning(arguments.only, arguments.time_column.clone());
    let meaning = file.as_ref().map(meaning).transpose()?;
    let target = arguments.target.find().await?;
    let Some((file, meaning)) = file.zip(meaning) else {
        return from_resend::import(&target, by_hand, arguments.json).await;
    };
    import_file(&list(&target), file, &meaning, by_hand, &note, arguments.json).await
}

/// Imports a file, part by part.
async fn import_file(
    list: &List,
    mut file: ListFile,
    meaning: &Meaning,
    by_hand: LiftedByHand,
    note: &AuditNote,
    json: bool,
) -> Result<ExitCode, CommandError> {
    let how = file.describe(Some(meaning));
    let progress = output::counting("entries");
    let bar = (*progress).clone();
    on_ctrl_c(move || {
        let at = bar.position();
        if at == 0 {
            return "Nothing was imported yet".to_owned();
        }
        format!(
            "{} imported and stay. Import the file again for the rest: imported entries do not change",
            count_were(at, "entry")
        )
    });
    let (mut report, mut refused, mut odd, mut is_noted) = (ImportReport::default(), 0, 0, false);
    let mut merge = async |part: ParsedList| -> Result<(), CommandError> {
        if !part.entries.is_empty() && !is_noted {
            import::keep_note(list, note).await?;
            is_noted = true;
        }
        let mut part = import::import_part(list, part, by_hand, note, || progress.inc(1)).await?;
        if !json {
            let shown = part.odd.iter().take(MAX_ODD_NAMED.saturating_sub(odd));
            progress.suspend(|| part.unreadable.iter().chain(shown).for_each(say_remark));
        }
        refused += part.unreadable.len();
        odd += part.odd.len();
        part.unreadable.truncate(if json { MAX_JSON_NAMED.saturating_sub(report.unreadable.len()) } else { 0 });
        part.odd.truncate(if json { MAX_JSON_NAMED.saturating_sub(report.odd.len()) } else { 0 });
        report.add(part);
        Ok(())
    };
    let mut part = ParsedList::default();
    while let Some(line) = file.next()? {
        part.add(line, meaning, note.at);
        if part.len() >= MERGE_BATCH {
            merge(std::mem::take(&mut part)).await?;
        }
    }
    merge(part).await?;
    progress.finish_and_clear();
    let counts = file.counts()?;
    if report.entries() == 0 && refused == 0 {
        return Err(
            format!("the list suppresses no address ({}); --as suppresses all of them", left_out(&report)).into()
        );
    }
    if json {
        let mut said = json!(report);
        if let Some(said) = said.as_object_mut() {
            said.insert("lines".to_owned(), json!(counts.lines));
            said.insert("refused".to_owned(), json!(refused));
            said.insert("odd_lines".to_owned(), json!(odd));
            said.insert("entries".to_owned(), json!(report.entries()));
            said.insert("read_as".to_owned(), json!(how));
        }
        println!("{said}");
    } else {
        print(&report, false);
        say_odd(odd);
        say_refused(refused, counts.lines);
    }
    let is_whole = refused == 0 && report.lifted.is_empty();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say_remark(remark: &Remark) {
    println!("line {}: {}", remark.line, output::sanitize(&remark.why));
}

/// Maximum number of unusual lines that are named.
const MAX_ODD_NAMED: usize = 20;

fn say_odd(odd: usize) {
    match odd {
        0 => {}
        1 => println!("1 address looks wrong, and was imported unchanged; check it, and remove it if it is mistyped"),
        odd => {
            let named = if odd > MAX_ODD_NAMED {
                format!(" (the first {MAX_ODD_NAMED} are named; --json names more)")
            } else {
                String::new()
            };
            println!(
                "{odd} addresses look wrong, and were imported unchanged{named}; check them, and remove those that are mistyped"
            );
        }
    }
}

/// Returns the statuses of the skipped lines, with their counts.
fn left_out(report: &ImportReport) -> String {
    let words: Vec<String> = report.left_out.iter().map(|(word, number)| format!("{word}: {number}")).collect();
    words.join(", ")
}

fn say_refused(refused: usize, lines: u64) {
    match refused {
        0 => {}
        1 => println!(
            "1 of {lines} lines was not read; correct it and import the file again: imported entries do not change"
        ),
        refused => {
            println!(
                "{refused} of {lines} lines were not read; correct them and import the file again: imported entries do not change"
            );
        }
    }
}

/// Maximum number of lifted addresses that are shown.
const MAX_LIFTED_SHOWN: usize = 20;

/// Prints the report of an import.
pub(super) fn print(report: &ImportReport, json: bool) {
    if json {
        println!("{}", json!(report));
        return;
    }
    let entries = report.entries();
    let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    println!("{entries}: {} new or newer, {} known already", report.changed, report.unchanged);
    if !report.left_out.is_empty() {
        println!("skipped, because this status suppresses nobody: {}", left_out(report));
    }
    if report.forgotten > 0 {
        println!("{} of forgotten addresses: they stay suppressed", report.forgotten);
    }
    for lifted in report.lifted.iter().take(MAX_LIFTED_SHOWN) {
        let (who, reason, at) = (output::sanitize(lifted.recipient.as_str()), lifted.reason, output::moment(lifted.at));
        let why = lifted.why.as_ref().map(|why| format!(": {}", output::sanitize(why))).unwrap_or_default();
        println!("not suppressed: {who}, whose {reason} was lifted at {at} by {}{why}", output::sanitize(&lifted.by));
    }
    if report.lifted.len() > MAX_LIFTED_SHOWN {
        println!("and {} more; --json names all of them", report.lifted.len() - MAX_LIFTED_SHOWN);
    }
    if report.lifted.iter().any(|lifted| lifted.why.is_some()) {
        println!("import the list with --again to also suppress addresses that an operator lifted");
    }
    report.unreadable.iter().for_each(say_remark);
    if !report.unreadable.is_empty() {
        println!(
            "{} not read; correct the file and import it again: imported entries do not change",
            count_were(report.unreadable.len(), "line")
        );
    }
}

/// Write the suppression list: one entry per address and reason, including lifted reasons.
///
/// The command reads the whole table: one read unit per 4 KB. Forgotten addresses are not in the list.
#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    /// Format: csv or jsonl
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
    format: Format,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArguments,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::JsonLines),
        _ => Err(unknown(text, ["csv", "jsonl"], "there are csv and jsonl")),
    }
}

pub(super) async fn export(arguments: &ExportArguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let list = list(&target);
    let output = arguments.output.as_deref().map(NewFile::create).transpose()?;
    let to: Box<dyn Write> = match &output {
        Some(output) => Box::new(BufWriter::new(output.file.try_clone()?)),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut writer = ListWriter::new(arguments.format, to);
    let progress = output::counting("items");
    let (mut written, mut forgotten) = (0, 0_usize);
    scan(&list.calls, &list.suppressions, &ScanFilter::default(), async |items, read| {
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
    // One of these items is the key of the hashes.
    let besides =
        if forgotten > 1 { format!("; {} forgotten addresses are not included", forgotten - 1) } else { String::new() };
    eprintln!("{} at {}{besides}", count(written, "entry"), UnixMillis::now().to_text());
    Ok(ExitCode::SUCCESS)
}

/// A failed export.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    ParsedList(#[from] CallError),
    #[error(transparent)]
    Write(#[from] ListWriteError),
}
