//! `followups list` and `show`.

use std::process::ExitCode;

use rebound::resend::campaign::Campaign;
use rebound::store::followups::FollowupRow;
use rebound::time::{UnixMillis, days};
use rebound_cli::operate::followups::{find, line, list, store};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{Column, Table, sanitize};

use super::{ListArguments, ShowArguments, json, paused, status, unknown_id, who};

/// Days of settled follow-ups that `list` shows.
const LATELY_DAYS: u32 = 7;

pub(super) async fn list_all(arguments: &ListArguments) -> Result<ExitCode, CommandError> {
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

pub(super) async fn show(arguments: &ShowArguments) -> Result<ExitCode, CommandError> {
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

/// The table of follow-ups.
fn table_of(rows: impl Iterator<Item = Vec<String>>) -> Table {
    let columns = ["status", "at", "recipient", "campaign", "id", "reason"].map(Column::text);
    Table::new(columns).with(rows)
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
