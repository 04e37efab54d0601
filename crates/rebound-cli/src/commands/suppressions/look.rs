//! `list` and `show`.

use std::process::ExitCode;

use rebound::aws::CallError;
use rebound::policy::suppression::{Reason, TopicState};
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::{ActiveReason, EmailKind, SendCheck, SuppressionItem};
use rebound::time::UnixMillis;
use rebound_cli::operate::audit::{self, AuditEntry};
use rebound_cli::operate::scan::{ScanFilter, scan};
use rebound_cli::operate::suppressions::export::is_recipients;
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, Column, Table, count, moment, sanitize};
use serde_json::json;

use super::{list as list_of, recipients};
use crate::commands::target::TargetArguments;

/// Returns an active reason as one line of text.
pub(crate) fn reason_line(active: &ActiveReason) -> String {
    let mut line = sanitize(&active.reason);
    if let Some(at) = active.at {
        line.push_str(&format!(" since {}", moment(at)));
    }
    if let Some(until) = active.until {
        line.push_str(&format!(", until {}", moment(until)));
    }
    if let Some(detail) = &active.detail {
        line.push_str(&format!(": {}", sanitize(detail)));
    }
    line
}

/// List the suppressed addresses.
///
/// The command reads the whole table: one read unit per 4 KB.
#[derive(clap::Args)]
pub(crate) struct ListArguments {
    /// Only addresses for which this reason is active
    #[arg(long, value_name = "REASON", value_parser = super::reason)]
    reason: Option<Reason>,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(super) async fn list(arguments: &ListArguments) -> Result<ExitCode, CommandError> {
    let target = arguments.target.find().await?;
    let (list, now) = (list_of(&target), UnixMillis::now());
    let progress = output::counting("items read");
    let mut found = Vec::new();
    let mut forgotten = 0;
    let wanted = ScanFilter { filter: Some("attribute_exists(reasons)".to_owned()), ..ScanFilter::default() };
    scan(&list.calls, &list.suppressions, &wanted, async |items, read| {
        progress.inc(read as u64);
        for item in items {
            if !is_recipients(&item) {
                forgotten += 1;
                continue;
            }
            let recipient = item.get("recipient").and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
            let active = SuppressionItem::from_item(item).active_reasons(now);
            let wanted = |reason: &Reason| active.iter().any(|active| active.reason == reason.as_str());
            if !active.is_empty() && arguments.reason.as_ref().is_none_or(wanted) {
                found.push((recipient, active));
            }
        }
        Ok::<(), CallError>(())
    })
    .await?;
    progress.finish_and_clear();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    if arguments.json {
        for (recipient, active) in &found {
            println!("{}", json!({ "recipient": recipient, "reasons": active }));
        }
        return Ok(ExitCode::SUCCESS);
    }
    table(&found).print();
    let besides = if forgotten > 0 { format!(", and {forgotten} more that were forgotten") } else { String::new() };
    println!("{}{besides}", count(found.len(), "address"));
    Ok(ExitCode::SUCCESS)
}

fn table(found: &[(String, Vec<ActiveReason>)]) -> Table {
    let rows = found.iter().map(|(recipient, active)| {
        [sanitize(recipient), active.iter().map(reason_line).collect::<Vec<_>>().join("\n")]
    });
    Table::new([Column::text("suppressed address"), Column::text("reasons")]).with(rows)
}

/// Show everything that is stored about addresses: reasons, topics, and changes by operators.
#[derive(clap::Args)]
pub(crate) struct ShowArguments {
    /// The addresses
    #[arg(required = true)]
    addresses: Vec<String>,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(super) async fn show(arguments: &ShowArguments) -> Result<ExitCode, CommandError> {
    let recipients = recipients(&arguments.addresses)?;
    let target = arguments.target.find().await?;
    let (list, now) = (list_of(&target), UnixMillis::now());
    let key = list.forgotten_key().await?;
    for recipient in &recipients {
        let (stored, is_forgotten) = list.find(recipient, key.as_ref()).await?;
        let mut done = audit::entries(&list.calls, &list.events, recipient.as_str()).await?;
        if let Some(key) = key.as_ref().filter(|_| is_forgotten) {
            done.extend(audit::entries(&list.calls, &list.events, &key.name_of(recipient)).await?);
        }
        if arguments.json {
            println!("{}", as_json(recipient, stored.as_ref(), is_forgotten, &done, now));
        } else {
            print(recipient, stored.as_ref(), is_forgotten, &done, now);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(
    recipient: &Recipient,
    stored: Option<&SuppressionItem>,
    is_forgotten: bool,
    done: &[AuditEntry],
    now: UnixMillis,
) -> serde_json::Value {
    let active = stored.map(|stored| stored.active_reasons(now)).unwrap_or_default();
    let record = |(reason, record): (&Reason, &rebound::policy::suppression::ReasonState)| {
        let suppressed = record.suppressed.as_ref();
        let fields = json!({
            "stands": record.suppresses(),
            "at": suppressed.map(|(said, _)| said.at),
            "message_id": suppressed.map(|(said, _)| said.message.as_str()),
            "email_id": suppressed.and_then(|(_, details)| details.email_id.as_deref()),
            "detail": suppressed.and_then(|(_, details)| details.detail.as_deref()),
            "until": suppressed.and_then(|(_, details)| details.until),
            "lifted_at": record.lifted.as_ref().map(|said| said.at),
            "lifted_by": record.lifted.as_ref().map(|said| said.message.as_str()),
        });
        (reason.as_str().to_owned(), fields)
    };
    let topic = |(topic, state): (&String, &TopicState)| {
        let fields = json!({
            "out": state.is_out(),
            "out_at": state.opted_out.as_ref().map(|stamp| stamp.at),
            "out_by": state.opted_out.as_ref().map(|stamp| stamp.message.as_str()),
            "in_at": state.opted_in.as_ref().map(|stamp| stamp.at),
            "in_by": state.opted_in.as_ref().map(|stamp| stamp.message.as_str()),
        });
        (topic.clone(), fields)
    };
    let topics: serde_json::Map<_, _> =
        stored.into_iter().flat_map(|stored| stored.suppression.topics.iter()).map(topic).collect();
    let records: serde_json::Map<_, _> =
        stored.into_iter().flat_map(|stored| stored.suppression.records.iter()).map(record).collect();
    json!({
        "recipient": recipient,
        "may_send": active.is_empty() && !is_forgotten,
        "may_send_transactional": may_send_transactional(stored, is_forgotten, now),
        "forgotten": is_forgotten,
        "reasons": active,
        "records": records,
        "topics": topics,
        "audit": done,
    })
}

fn may_send_transactional(stored: Option<&SuppressionItem>, is_forgotten: bool, now: UnixMillis) -> bool {
    let email = EmailKind { transactional: true, ..EmailKind::default() };
    SendCheck::of(stored, is_forgotten, email, now).may_send()
}

fn print(
    recipient: &Recipient,
    stored: Option<&SuppressionItem>,
    is_forgotten: bool,
    done: &[AuditEntry],
    now: UnixMillis,
) {
    let active = stored.map(|stored| stored.active_reasons(now)).unwrap_or_default();
    let verdict = match (is_forgotten, active.is_empty()) {
        (true, _) => "is suppressed: it was forgotten on request",
        (false, false) if may_send_transactional(stored, is_forgotten, now) => {
            "is suppressed; transactional email can be sent"
        }
        (false, false) => "is suppressed",
        (false, true) => "can receive email",
    };
    println!("{} {verdict}", sanitize(recipient.as_str()));
    for active in &active {
        let email = active.email_id.as_ref().map(|email| format!(" (email {})", sanitize(email))).unwrap_or_default();
        println!("  {}{email}", reason_line(active));
    }
    let lifted = stored.into_iter().flat_map(|stored| stored.suppression.records.iter());
    for (reason, record) in lifted.filter(|(_, record)| !record.suppresses()) {
        if let Some(lifted) = &record.lifted {
            println!("  {} was lifted at {}", reason.as_str(), moment(lifted.at));
        }
    }
    for (topic, state) in stored.into_iter().flat_map(|stored| stored.suppression.topics.iter()) {
        let topic = sanitize(topic);
        match (&state.opted_out, &state.opted_in) {
            (Some(stamp), _) if state.is_out() => println!("  opted out of the topic {topic} at {}", moment(stamp.at)),
            (_, Some(stamp)) => println!("  opted in to the topic {topic} at {}", moment(stamp.at)),
            _ => {}
        }
    }
    for done in done {
        let reasons = if done.reasons.is_empty() { String::new() } else { format!(" {}", done.reasons.join(", ")) };
        let (action, by, why) = (sanitize(&done.action), sanitize(&done.by), sanitize(&done.why));
        println!("  {}: {action}{}, by {by}: {why}", moment(done.at), sanitize(&reasons));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_fits_every_width() {
        let active = ActiveReason {
            reason: "hard_bounce".to_owned(),
            at: UnixMillis::parse("2026-11-23T13:05:00Z"),
            until: UnixMillis::parse("2026-12-23T13:05:00Z"),
            email_id: Some("0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11".to_owned()),
            detail: Some("smtp; 550 5.1.1 The email account that you tried to reach does not exist".to_owned()),
        };
        let long = format!("{}@{}.example.com", "somebody.with.a.long.name".repeat(2), "sub.domain.".repeat(6));
        let found = [("ann@example.com".to_owned(), vec![active.clone(), active.clone()]), (long, vec![active])];
        assert_eq!(table(&found).faults(), Vec::<String>::new());
    }
}
