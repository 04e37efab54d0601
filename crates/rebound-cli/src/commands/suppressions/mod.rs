//! `rebound suppressions`: who must not be written to.

mod change;
mod file;
pub(crate) mod from_resend;
mod look;
mod new_file;
mod restore;

use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use rebound::policy::suppression::Reason;
use rebound::resend::recipient::Recipient;
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::AuditNote;
use rebound_cli::operate::suppressions::List;
use rebound_cli::operate::target::Target;
use rebound_dev::commands::values::unknown;
use rebound_dev::commands::{CommandError, variable};

/// List, show, add, remove, restore, import and export who must not be written to.
///
/// Every change by hand is kept, for 400 days, with who made it, when, and why.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(look::ListArguments),
    Show(look::ShowArguments),
    Add(change::AddArguments),
    Remove(change::RemoveArguments),
    Restore(restore::RestoreArguments),
    Import(file::ImportArguments),
    Export(file::ExportArguments),
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.command {
        Command::List(arguments) => look::list(arguments).await,
        Command::Show(arguments) => look::show(arguments).await,
        Command::Add(arguments) => change::add(arguments).await,
        Command::Remove(arguments) => change::remove(arguments).await,
        Command::Restore(arguments) => restore::restore(arguments).await,
        Command::Import(arguments) => file::import(arguments).await,
        Command::Export(arguments) => file::export(arguments).await,
    }
}

/// Who does something, and why.
#[derive(clap::Args)]
pub(crate) struct NoteArguments {
    /// Why; it is kept
    #[arg(long = "reason", value_name = "TEXT")]
    why: String,
    /// Who you are; it is kept
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl NoteArguments {
    pub(crate) fn note(&self) -> Result<AuditNote, CommandError> {
        note(self.by.as_deref(), &self.why)
    }
}

/// Who did it, where neither the command line nor the shell says: it is read as "by an operator".
const UNNAMED: &str = "an operator";

/// A note of whoever calls, as the shell names them, unless they name themselves.
pub(crate) fn note(by: Option<&str>, why: &str) -> Result<AuditNote, CommandError> {
    let named = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(variable).filter(|name| !name.trim().is_empty());
    let by = by.map(str::to_owned).or(named).unwrap_or_else(|| UNNAMED.to_owned());
    Ok(AuditNote::new(&by, why, UnixMillis::now())?)
}

pub(crate) fn list(place: &Target) -> List {
    List {
        calls: place.calls(Duration::from_secs(3_600)),
        suppressions: place.table("SUPPRESSIONS_TABLE").to_owned(),
        events: place.table("EVENTS_TABLE").to_owned(),
    }
}

/// The addresses of the command line.
pub(crate) fn recipients(addresses: &[String]) -> Result<Vec<Recipient>, CommandError> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for text in addresses {
        let recipient = recipient(text)?;
        if recipients.contains(&recipient) {
            eprintln!("rebound: {recipient} is named more than once, and taken once");
        } else {
            recipients.push(recipient);
        }
    }
    Ok(recipients)
}

/// One address of the command line.
pub(crate) fn recipient(text: &str) -> Result<Recipient, CommandError> {
    Recipient::parse(text).ok_or_else(|| format!("{text:?} {}", why_no_address(text)).into())
}

/// Why a text is no address, and how to write it.
pub(crate) fn why_no_address(text: &str) -> &'static str {
    let parts = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    if parts.len() > 1 && parts.iter().all(|part| Recipient::parse(part).is_some()) {
        "has several addresses: write them without quotes, separated by spaces"
    } else {
        "is no address; write it as ann@example.com"
    }
}

/// A reason by its name.
pub(crate) fn reason(name: &str) -> Result<Reason, String> {
    Reason::from_text(&name.trim().to_ascii_lowercase()).ok_or_else(|| {
        let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let all = format!("there are {}", known.join(", "));
        unknown(name, known, &all)
    })
}
