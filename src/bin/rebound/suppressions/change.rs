//! `add` and `remove`.

use std::process::ExitCode;

use rebound::operate::suppressions::Outcome;
use rebound::policy::suppression::Reason;
use rebound::recipient::Recipient;
use serde_json::json;

use super::{NoteArguments, list, recipients};
use crate::Failure;
use crate::place::PlaceArguments;

/// Suppress addresses: nothing may be sent to them until that is lifted.
#[derive(clap::Args)]
pub(crate) struct AddArguments {
    /// The addresses
    #[arg(required = true)]
    addresses: Vec<String>,
    /// The kind of reason: manual, opted_out, unsubscribed, complaint …
    #[arg(long = "as", value_name = "REASON", default_value = "manual", value_parser = super::reason)]
    reason: Reason,
    /// Print a JSON object for each, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(super) async fn add(arguments: &AddArguments) -> Result<ExitCode, Failure> {
    let (recipients, note) = (recipients(&arguments.addresses)?, arguments.note.note()?);
    let place = arguments.place.find().await?;
    let list = list(&place);
    let key = list.forgotten_key().await?;
    for recipient in &recipients {
        let outcome = list.add(recipient, arguments.reason, key.as_ref(), &note).await?;
        say(recipient, "added", &outcome, arguments.json);
    }
    Ok(ExitCode::SUCCESS)
}

/// Lift what stands against addresses, so that they may be written to again.
///
/// What is lifted is told from what comes later by time: an older bounce that arrives late changes nothing, a new one suppresses again.
/// Resend keeps a list of its own: what is lifted here is still skipped there, until it is removed there too.
#[derive(clap::Args)]
pub(crate) struct RemoveArguments {
    /// The addresses
    #[arg(required = true)]
    addresses: Vec<String>,
    /// Lift only this reason; may be given several times
    #[arg(long, value_name = "REASON", value_parser = super::reason)]
    only: Vec<Reason>,
    /// Print a JSON object for each, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    note: NoteArguments,
    #[command(flatten)]
    place: PlaceArguments,
}

pub(super) async fn remove(arguments: &RemoveArguments) -> Result<ExitCode, Failure> {
    let (recipients, note) = (recipients(&arguments.addresses)?, arguments.note.note()?);
    let place = arguments.place.find().await?;
    let list = list(&place);
    let key = list.forgotten_key().await?;
    for recipient in &recipients {
        let outcome = list.remove(recipient, &arguments.only, key.as_ref(), &note).await?;
        say(recipient, "lifted", &outcome, arguments.json);
        let left = list.find(recipient, key.as_ref()).await?.0.unwrap_or_default().standing(note.at);
        let left: Vec<&str> = left.iter().map(|standing| standing.reason.as_str()).collect();
        if !left.is_empty() && !arguments.json {
            println!("  still stands: {}", left.join(", "));
        }
        let at_resend = [Reason::Provider, Reason::HardBounce, Reason::Complaint];
        if matches!(&outcome, Outcome::Changed(lifted) if lifted.iter().any(|reason| at_resend.contains(reason))) {
            eprintln!("  Resend may still skip {recipient}: remove it there too, under Suppressions, or by its API");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(recipient: &Recipient, done: &str, outcome: &Outcome, json: bool) {
    let names = |reasons: &[Reason]| reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>();
    if json {
        let (word, reasons) = match outcome {
            Outcome::Changed(reasons) => (done, names(reasons)),
            Outcome::Unchanged => ("unchanged", Vec::new()),
            Outcome::Forgotten => ("forgotten", Vec::new()),
            Outcome::Recalled => ("recalled", Vec::new()),
        };
        println!("{}", json!({ "recipient": recipient, "outcome": word, "reasons": reasons }));
        return;
    }
    match outcome {
        Outcome::Changed(reasons) => println!("{recipient}: {done} {}", names(reasons).join(", ")),
        Outcome::Unchanged => println!("{recipient}: nothing to change"),
        Outcome::Forgotten => println!("{recipient}: was forgotten, and is not written to; nothing was added"),
        Outcome::Recalled => println!("{recipient}: was forgotten, and may be written to again"),
    }
}
