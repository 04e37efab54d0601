//! `rebound followups`: the follow-ups that Rebound sends.

mod json;

use std::process::ExitCode;

use clap::Subcommand;
use rebound::policy::answer::may_name_an_address;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::resend::campaign::Campaign;
use rebound::store::followups::{FollowupRow, Switch, SwitchOf};
use rebound::time::{UnixMillis, days};
use rebound_cli::operate::followups::{StopResult, find, line, list, stop_all, stop_one, store};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{Column, Table, sanitize};

use crate::commands::suppressions::{note, recipient};
use crate::commands::target::TargetArguments;
use crate::commands::timeline::time;

/// Days of settled follow-ups that `list` shows.
const LATELY_DAYS: u32 = 7;

/// List, show, and stop the follow-ups that Rebound sends; pause and resume all sending.
///
/// Follow-ups are listed by their tasks, without a scan: those that wait or are due, and those settled within the last 30 days.
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

/// List the follow-ups: waiting, due and sending; and sent, dropped or unknown ones lately.
#[derive(clap::Args)]
struct ListArguments {
    /// Settled follow-ups since this time [default: 7 days ago]; their tasks are kept for 30 days
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixMillis>,
    /// At most this many settled ones, the newest, and as many that are not settled
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: usize,
    /// Print one JSON object per follow-up, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Show a follow-up: its status, its history, and what refused the last look.
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
/// Exit code 0: it is not sent. 1: too late, it is sent. 2: it is not sent any more, but Resend may have accepted it before.
#[derive(clap::Args)]
struct RejectArguments {
    /// The follow-up's id: followup-…
    id: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Stop all follow-ups to an address that are there now.
///
/// To prevent later ones, use `rebound suppressions add`.
/// Exit code 0: none of them is sent. 1: one was sent already. 2: Resend may have accepted one.
#[derive(clap::Args)]
struct StopArguments {
    /// The address
    address: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    target: TargetArguments,
}

/// Pause sending: nothing is sent until you resume it. Follow-ups that are not sent within 72 hours are dropped.
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

/// Resume sending.
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
    /// Why you do it; stored with it
    #[arg(long = "reason", value_name = "TEXT", default_value = "")]
    why: String,
    /// Your name; stored with it [default: the user of the shell]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    match &arguments.command {
        Command::List(arguments) => list_all(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Reject(arguments) => reject(arguments).await,
        Command::Stop(arguments) => stop(arguments).await,
        Command::Pause(arguments) => pause(arguments).await,
        Command::Resume(arguments) => resume(arguments).await,
    }
}

async fn list_all(arguments: &ListArguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let store = store(&target);
    let since = arguments.since.unwrap_or_else(|| UnixMillis::now().minus(days(LATELY_DAYS)));
    let rows = list(&store, since, arguments.limit).await?;
    if arguments.json {
        for row in &rows {
            println!("{}", line(row));
        }
        return Ok(ExitCode::SUCCESS);
    }
    for switch in store.switches().await? {
        println!("{}", paused(&switch));
    }
    if rows.is_empty() {
        println!("No follow-ups wait, and none was settled since {}.", since.to_text());
        return Ok(ExitCode::SUCCESS);
    }
    table_of(rows.iter().map(cells)).print();
    Ok(ExitCode::SUCCESS)
}

fn cells(row: &FollowupRow) -> Vec<String> {
    let state = &row.state;
    let reason = match (&state.reason, state.is_unclear()) {
        (Some(reason), true) => format!("{reason}, but it may have been accepted"),
        (Some(reason), false) => reason.to_string(),
        (None, _) => state.history.last().map(|line| line.why.clone()).unwrap_or_default(),
    };
    let at = if state.status.is_settled() { state.entry_at } else { state.not_before.max(state.entry_at) };
    [
        state.status.as_str().to_owned(),
        at.to_text(),
        who(row),
        row.campaign.as_ref().map(ToString::to_string).unwrap_or_default(),
        row.id.clone(),
        reason,
    ]
    .map(|cell| sanitize(&cell))
    .to_vec()
}

async fn show(arguments: &ShowArguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let store = store(&target);
    let row = find(&store, &arguments.id).await?.ok_or_else(|| unknown_id(&arguments.id, &arguments.target))?;
    if arguments.json {
        let item = store
            .attributes(&row.email_id, &row.id)
            .await?
            .ok_or_else(|| unknown_id(&arguments.id, &arguments.target))?;
        println!("{}", json::row(&item));
        return Ok(ExitCode::SUCCESS);
    }
    let state = &row.state;
    let say = |name: &str, text: &str| println!("{name:14}{}", sanitize(text));
    say("Follow-up", &row.id);
    say("Status", &status(&row));
    say("To", &who(&row));
    say("Campaign", row.campaign.as_ref().map_or("", Campaign::as_str));
    say("Email", &row.email_id);
    say("Decision", &row.decision);
    say("Not before", &state.not_before.to_text());
    if !state.status.is_settled() {
        say("Next look", &state.entry_at.to_text());
    }
    say("Tries", &format!("{}, refused {}", state.tries, state.refusals));
    if let Some(since) = state.open_since {
        say("Open since", &format!("{}: Resend may have accepted it since then", since.to_text()));
    }
    for id in state.resend_id.iter().chain(&state.also) {
        say("At Resend", id);
    }
    for guard in &row.guards {
        say("Refused by", &format!("{}: {}", guard.guard, guard.why));
    }
    for line in &state.history {
        let times = if line.times > 1 { format!(" ({} times)", line.times) } else { String::new() };
        say("History", &format!("{} {} by {}: {}{times}", line.at.to_text(), line.status.as_str(), line.by, line.why));
    }
    Ok(ExitCode::SUCCESS)
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
        println!("{} Resume it with {}.", paused(&switch), target.command("followups resume"));
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
                    "{id} to {who} is not sent any more, but Resend may have accepted it before: {}",
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

/// The table of follow-ups.
fn table_of(rows: impl Iterator<Item = Vec<String>>) -> Table {
    let columns = ["status", "at", "recipient", "campaign", "id", "reason"].map(Column::text);
    Table::new(columns).with(rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_followups_fits_every_width() {
        let id = format!("followup-{}", "0123456789abcdef".repeat(2));
        let row = [
            "dropped",
            "2026-11-23T13:05:00.000Z",
            "ann.lee.of.the.garden@example.com",
            "spring-bulbs",
            &id,
            "too_late",
        ];
        let rows = std::iter::repeat_with(|| row.map(str::to_owned)).take(3);
        assert_eq!(table_of(rows.map(Into::into)).faults(), Vec::<String>::new());
    }
}
