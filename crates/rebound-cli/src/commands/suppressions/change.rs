//! `add` and `remove`.

use std::process::ExitCode;

use rebound::policy::suppression::Reason;
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::ActiveReason;
use rebound_cli::operate::lists::address::oddity;
use rebound_cli::operate::suppressions::{ChangeResult, ListChange};
use rebound_dev::commands::CommandError;
use rebound_dev::output::sanitize;
use serde_json::json;

use super::{NoteArguments, list, recipients};
use crate::commands::target::TargetArguments;

/// Suppress addresses: they must not get email until the reason is lifted.
///
/// The change is newer than everything that is stored, so it has priority. Exits with 1 if an address is not suppressed afterwards.
#[derive(clap::Args)]
pub(crate) struct AddArguments {
    /// The addresses
    #[arg(required = true)]
    addresses: Vec<String>,
    /// Kind of the reason: manual, opted_out, unsubscribed, complaint …
    #[arg(long = "as", value_name = "REASON", default_value = "manual", value_parser = super::reason)]
    reason: Reason,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    target: TargetArguments,
}

pub(super) async fn add(arguments: &AddArguments) -> Result<ExitCode, CommandError> {
    let (recipients, note) = (recipients(&arguments.addresses)?, arguments.note.note()?);
    if let Ok(named) = super::reason(&note.why)
        && named != arguments.reason
    {
        let (named, given) = (named.as_str(), arguments.reason.as_str());
        eprintln!(
            "rebound: --reason {named} is stored as a note, and the address is suppressed as {given}; the kind of reason is --as {named}"
        );
    }
    let target = arguments.target.find().await?;
    let list = list(&target);
    let key = list.forgotten_key().await?;
    let mut all_suppressed = true;
    for recipient in &recipients {
        if let Some(odd) = oddity(recipient) {
            eprintln!("{}: {odd}", sanitize(recipient.as_str()));
        }
        let done = list.add(recipient, arguments.reason, key.as_ref(), &note).await?;
        report(recipient, "added", &done, arguments.json);
        all_suppressed &= done.is_suppressed();
    }
    Ok(if all_suppressed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lift the reasons of addresses, so that they can receive email again.
///
/// An older bounce that arrives late changes nothing. A new bounce suppresses the address again.
/// Exits with 1 if one of the reasons to lift is still active.
/// Resend has its own suppression list: it does not send to the address until you remove it there too.
#[derive(clap::Args)]
pub(crate) struct RemoveArguments {
    /// The addresses
    #[arg(required = true)]
    addresses: Vec<String>,
    /// Lift only this reason; can be given several times
    #[arg(long, value_name = "REASON", value_parser = super::reason)]
    only: Vec<Reason>,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    target: TargetArguments,
}

pub(super) async fn remove(arguments: &RemoveArguments) -> Result<ExitCode, CommandError> {
    let (recipients, note) = (recipients(&arguments.addresses)?, arguments.note.note()?);
    let target = arguments.target.find().await?;
    let list = list(&target);
    let key = list.forgotten_key().await?;
    let mut all_lifted = true;
    for recipient in &recipients {
        let done = list.remove(recipient, &arguments.only, key.as_ref(), &note).await?;
        report(recipient, "lifted", &done, arguments.json);
        let is_wanted = |active: &&ActiveReason| {
            arguments.only.is_empty() || arguments.only.iter().any(|only| only.as_str() == active.reason)
        };
        all_lifted &= !done.active.iter().any(|active| is_wanted(&active));
        let left: Vec<&str> = done.active.iter().map(|active| active.reason.as_str()).collect();
        if !left.is_empty() && !arguments.json {
            println!("  still active: {}", left.join(", "));
        }
        let at_resend = [Reason::Provider, Reason::HardBounce, Reason::Complaint];
        if matches!(&done.outcome, ChangeResult::Changed(lifted) if lifted.iter().any(|reason| at_resend.contains(reason)))
        {
            eprintln!(
                "  Resend may still skip {recipient}: remove the address there too, under Suppressions, or with its API"
            );
        }
    }
    Ok(if all_lifted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(recipient: &Recipient, word: &str, done: &ListChange, json: bool) {
    let outcome = &done.outcome;
    let names = |reasons: &[Reason]| reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>();
    if json {
        let (outcome, reasons) = match outcome {
            ChangeResult::Changed(reasons) => (word, names(reasons)),
            ChangeResult::Unchanged => ("unchanged", Vec::new()),
            ChangeResult::Forgotten => ("forgotten", Vec::new()),
            ChangeResult::Restored => ("recalled", Vec::new()),
        };
        println!("{}", json!({ "recipient": recipient, "outcome": outcome, "reasons": reasons }));
        return;
    }
    match outcome {
        ChangeResult::Changed(reasons) => println!("{recipient}: {word} {}", names(reasons).join(", ")),
        ChangeResult::Unchanged => println!("{recipient}: nothing to change"),
        ChangeResult::Forgotten => println!("{recipient}: was forgotten and stays suppressed; nothing was changed"),
        ChangeResult::Restored => println!("{recipient}: was forgotten, and can now receive email again"),
    }
}
