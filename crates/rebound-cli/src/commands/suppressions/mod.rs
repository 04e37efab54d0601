//! `rebound suppressions`: the suppression list.

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

pub(crate) use self::look::reason_line;

/// List, show, add, remove, restore, import and export suppressed addresses.
///
/// Every change by an operator is recorded for 400 days: who made it, when, and why.
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

/// Options for the record of a change: who makes it, and why.
#[derive(clap::Args)]
pub(crate) struct NoteArguments {
    /// Why you make the change; stored with it
    #[arg(long = "reason", value_name = "TEXT")]
    why: String,
    /// Your name; stored with the change [default: the user of the shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl NoteArguments {
    pub(crate) fn note(&self) -> Result<AuditNote, CommandError> {
        note(self.by.as_deref(), &self.why)
    }
}

/// Name for the record if neither the command line nor the shell gives one. It is printed as "by an operator".
const UNNAMED: &str = "an operator";

/// Returns a note with the name from `by`, else the user of the shell.
pub(crate) fn note(by: Option<&str>, why: &str) -> Result<AuditNote, CommandError> {
    let named = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(variable).filter(|name| !name.trim().is_empty());
    let by = by.map(str::to_owned).or(named).unwrap_or_else(|| UNNAMED.to_owned());
    Ok(AuditNote::new(&by, why, UnixMillis::now())?)
}

pub(crate) fn list(target: &Target) -> List {
    List {
        calls: target.calls(Duration::from_secs(3_600)),
        suppressions: target.table("SUPPRESSIONS_TABLE").to_owned(),
        events: target.table("EVENTS_TABLE").to_owned(),
    }
}

/// Reads the addresses of the command line.
pub(crate) fn recipients(addresses: &[String]) -> Result<Vec<Recipient>, CommandError> {
    let mut recipients: Vec<Recipient> = Vec::new();
    for text in addresses {
        let recipient = recipient(text)?;
        if recipients.contains(&recipient) {
            eprintln!("rebound: {recipient} is named more than once, and used once");
        } else {
            recipients.push(recipient);
        }
    }
    Ok(recipients)
}

/// Reads one address of the command line.
pub(crate) fn recipient(text: &str) -> Result<Recipient, CommandError> {
    Recipient::parse(text).ok_or_else(|| format!("{text:?} {}", why_no_address(text)).into())
}

/// Explains why a text is not an address, and how to write it.
pub(crate) fn why_no_address(text: &str) -> &'static str {
    let parts = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    if parts.len() > 1 && parts.iter().all(|part| Recipient::parse(part).is_some()) {
        "has several addresses: write them without quotes, separated by spaces"
    } else {
        "is not an address; write it as ann@example.com"
    }
}

/// Reads the name of a reason.
pub(crate) fn reason(name: &str) -> Result<Reason, String> {
    Reason::from_text(&name.trim().to_ascii_lowercase()).ok_or_else(|| {
        let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let all = format!("there are {}", known.join(", "));
        unknown(name, known, &all)
    })
}
