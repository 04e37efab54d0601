//! `rebound followups`: the follow-ups that Rebound sends.

mod json;
mod look;

use std::process::ExitCode;

use clap::Subcommand;
use rebound::policy::answer::may_name_an_address;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::resend::campaign::Campaign;
use rebound::store::followups::{FollowupRow, Switch, SwitchOf};
use rebound::time::UnixMillis;
use rebound_cli::operate::followups::{StopResult, find, line, stop_all, stop_one, store};
use rebound_dev::commands::CommandError;
use rebound_dev::output::sanitize;

use crate::commands::suppressions::{note, recipient};
use crate::commands::target::TargetArguments;
use crate::commands::time::time;

/// List, show and stop the follow-ups that Rebound sends; pause and resume sending.
///
/// A follow-up is `waiting`, `due` or `sending` until it is settled: then it is `sent`, `dropped` or `unknown`. Settled follow-ups are
/// listed for 30 days. The command reads no whole table.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(ListArguments),
    Show(ShowArguments),
    Reject(RejectArguments),
    Stop(StopArguments),
    Pause(PauseArguments),
    Resume(ResumeArguments),
}

/// List the follow-ups that are not settled yet, and those settled in the last 7 days.
#[derive(clap::Args)]
struct ListArguments {
    /// List the follow-ups settled since this time, at most 30 days ago [default: 7 days ago]
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixMillis>,
    /// Maximum number of settled follow-ups (the newest), and of follow-ups that are not settled
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: usize,
    /// Print one JSON object per follow-up, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Show a follow-up: its status, its history, and what last prevented its sending.
#[derive(clap::Args)]
struct ShowArguments {
    /// The follow-up's id: followup-…
    id: String,
    /// Print the row's attributes as JSON, with the request, the guards and the history
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Stop one follow-up.
///
/// Exits with 0 if it will not be sent, with 1 if it was sent already, and with 2 if Resend may have accepted it before.
#[derive(clap::Args)]
struct RejectArguments {
    /// The follow-up's id: followup-…
    id: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Stop all follow-ups to an address, except those that were sent already.
///
/// To prevent later ones, use `rebound suppressions add`.
/// Exits with 0 if none of them will be sent, with 1 if one was sent already, and with 2 if Resend may have accepted one.
#[derive(clap::Args)]
struct StopArguments {
    /// The address
    address: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Pause sending until you resume it. A follow-up that is not sent within 72 hours after it was due is dropped.
#[derive(clap::Args)]
struct PauseArguments {
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Resume sending after a pause.
#[derive(clap::Args)]
struct ResumeArguments {
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Options for the record of a change.
#[derive(clap::Args)]
struct WhoArguments {
    /// Why you make the change; stored with it
    #[arg(long = "reason", value_name = "TEXT", default_value = "")]
    why: String,
    /// Your name; stored with the change [default: the user of the shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.command {
        Command::List(arguments) => look::list_all(arguments).await,
        Command::Show(arguments) => look::show(arguments).await,
        Command::Reject(arguments) => reject(arguments).await,
        Command::Stop(arguments) => stop(arguments).await,
        Command::Pause(arguments) => pause(arguments).await,
        Command::Resume(arguments) => resume(arguments).await,
    }
}

async fn reject(arguments: &RejectArguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let store = store(&target);
    let note = arguments.who.note("rejected")?;
    let row = find(&store, &arguments.id).await?.ok_or_else(|| unknown_id(&arguments.id, &arguments.target))?;
    let (result, row) = stop_one(&store, row, &DropReason::Rejected, &note).await?;
    arguments.who.say(result, &row);
    Ok(ExitCode::from(result.code()))
}

async fn stop(arguments: &StopArguments) -> Result<ExitCode, CommandError> {
    let recipient = recipient(&arguments.address)?;
    let target = arguments.target.find().await?;
    let note = arguments.who.note("stopped")?;
    let results = stop_all(&store(&target), &recipient, &note).await?;
    for (result, row) in &results {
        arguments.who.say(*result, row);
    }
    if results.is_empty() && !arguments.who.json {
        println!(
            "There are no follow-ups to {recipient}. To prevent later ones: {}.",
            target.command("suppressions add")
        );
    }
    let worst = results.iter().map(|(result, _)| *result).max().unwrap_or(StopResult::Stopped);
    Ok(ExitCode::from(worst.code()))
}

async fn pause(arguments: &PauseArguments) -> Result<ExitCode, CommandError> {
    let of = switch_of(arguments.campaign.as_deref())?;
    if may_name_an_address(&arguments.who.why) {
        return Err(
            "the reason contains an address, or an @: it is stored for as long as the pause; write it without".into()
        );
    }
    let note = arguments.who.note("paused")?;
    let target = arguments.target.find().await?;
    let reason = if arguments.who.why.trim().is_empty() { String::new() } else { note.why };
    let switch = Switch { of, at: note.at, by: note.by, reason };
    store(&target).pause(&switch).await?;
    if arguments.who.json {
        println!("{}", json::switch(&switch.of, true));
    } else {
        let resume = match &switch.of {
            SwitchOf::All => "followups resume",
            SwitchOf::Campaign(_) => "followups resume --campaign NAME",
        };
        println!("{} Resume it with {}.", paused(&switch), target.command(resume));
    }
    Ok(ExitCode::SUCCESS)
}

async fn resume(arguments: &ResumeArguments) -> Result<ExitCode, CommandError> {
    let of = switch_of(arguments.campaign.as_deref())?;
    let target = arguments.target.find().await?;
    let store = store(&target);
    store.resume(&of).await?;
    if arguments.who.json {
        println!("{}", json::switch(&of, false));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} is not paused.", capital(&named(&of)));
    for other in store.switches().await? {
        println!("{}", paused(&other));
    }
    Ok(ExitCode::SUCCESS)
}

impl WhoArguments {
    fn note(&self, default: &str) -> Result<rebound_cli::operate::audit::AuditNote, CommandError> {
        note(self.by.as_deref(), if self.why.trim().is_empty() { default } else { &self.why })
    }

    fn say(&self, result: StopResult, row: &FollowupRow) {
        if self.json {
            println!("{}", line(row));
            return;
        }
        let (id, who) = (sanitize(&row.id), sanitize(&who(row)));
        match result {
            StopResult::Stopped => println!("{id} to {who} is not sent: {}", sanitize(&status(row))),
            StopResult::Sent => println!("{id} to {who} is sent already: it was too late"),
            StopResult::Unclear => {
                println!(
                    "{id} to {who} will not be sent again, but Resend may have accepted it before: {}",
                    sanitize(&status(row))
                );
            }
        }
    }
}

fn status(row: &FollowupRow) -> String {
    let state = &row.state;
    let word = state.status.as_str();
    match (&state.reason, state.sent_at, state.status) {
        (Some(reason), _, _) if state.is_unclear() => format!("{word}, {reason}; Resend may have accepted it"),
        (Some(reason), _, _) => format!("{word}, {reason}"),
        (None, Some(at), FollowupStatus::Sent) => format!("{word} at {}", at.to_text()),
        _ => word.to_owned(),
    }
}

fn who(row: &FollowupRow) -> String {
    row.recipient.as_ref().map_or_else(|| "a forgotten recipient".to_owned(), ToString::to_string)
}

fn unknown_id(id: &str, target: &TargetArguments) -> CommandError {
    format!(
        "there is no follow-up {:?} that waits, or was settled within 30 days; {} has their ids, and {} shows older ones",
        sanitize(id),
        target.command("followups list"),
        target.command("timeline")
    )
    .into()
}

fn switch_of(campaign: Option<&str>) -> Result<SwitchOf, CommandError> {
    match campaign {
        None => Ok(SwitchOf::All),
        Some(name) => Campaign::new(name)
            .map(SwitchOf::Campaign)
            .ok_or_else(|| format!("{:?} is not the name of a campaign", sanitize(name)).into()),
    }
}

fn named(of: &SwitchOf) -> String {
    match of {
        SwitchOf::All => "sending of all follow-ups".to_owned(),
        SwitchOf::Campaign(campaign) => format!("sending in campaign {}", sanitize(campaign.as_str())),
    }
}

fn paused(switch: &Switch) -> String {
    let because = if switch.reason.is_empty() { String::new() } else { format!(": {}", sanitize(&switch.reason)) };
    let (at, by) = (switch.at.to_text(), sanitize(&switch.by));
    format!("{} is paused since {at}, by {by}{because}.", capital(&named(&switch.of)))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
