//! `rebound timeline`: the history of an email or an address.

use std::process::ExitCode;
use std::time::Duration;

use rebound::message::decision::Receipt;
use rebound::message::decision::receipt::render;
use rebound::resend::recipient::Recipient;
use rebound::time::UnixMillis;
use rebound_cli::operate::suppressions::List;
use rebound_cli::operate::target::flags::quoted;
use rebound_cli::operate::timeline::{TimelineEntry, of_address, of_email};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, Column, Table, count, moment, sanitize};
use serde_json::{Map, Value, json};

use crate::commands::suppressions;
use crate::commands::target::TargetArguments;
use crate::commands::time::{check_span, time};

/// Show the history of an email, or of an address, in order of time.
///
/// The history contains webhooks and their effects, verdicts, decisions, alerts, and changes by operators.
/// For an email, the command makes one Query. For an address, it reads the whole events table: one read unit per 4 KB.
/// Exits with 1 if nothing is stored.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Id of the email, from Resend
    #[arg(required_unless_present = "address")]
    email_id: Option<String>,
    /// Show the history of this address instead
    #[arg(long, value_name = "ADDRESS", conflicts_with = "email_id")]
    address: Option<String>,
    /// Only entries at this time or later, such as 2026-11-23T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixMillis>,
    /// Only entries before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixMillis>,
    /// Also print the full receipt of each decision: the record of how it was made
    #[arg(long)]
    receipts: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// Prefix of webhook ids, which Svix makes.
pub(crate) const WEBHOOK_ID: &str = "msg_";

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if let Some(address) = arguments.email_id.as_deref().filter(|id| Recipient::parse(id).is_some()) {
        let address = sanitize(address);
        let timeline = arguments.target.command(&format!("timeline --address {}", quoted(&address)));
        return Err(format!("{address} is an address, not the id of an email: {timeline}").into());
    }
    check_span(arguments.since, arguments.until)?;
    let recipient = arguments.address.as_deref().map(suppressions::recipient).transpose()?;
    let target = arguments.target.find().await?;
    let list = List { calls: target.calls(Duration::from_secs(6 * 3_600)), ..suppressions::list(&target) };
    let now = UnixMillis::now();
    let mut entries = match (&recipient, &arguments.email_id) {
        (Some(recipient), _) => {
            let progress = output::counting("rows read");
            let entries = of_address(&list, recipient, now, |rows| progress.inc(rows as u64)).await?;
            progress.finish_and_clear();
            entries
        }
        (None, email) => of_email(&list, email.as_deref().unwrap_or_default(), now).await?,
    };
    let is_known = !entries.is_empty();
    entries.retain(|entry| {
        arguments.since.is_none_or(|since| entry.at >= since) && arguments.until.is_none_or(|until| entry.at < until)
    });
    let active = match &recipient {
        Some(recipient) => {
            let (stored, is_forgotten) = list.find(recipient, list.forgotten_key().await?.as_ref()).await?;
            Some((stored.map(|stored| stored.active_reasons(now)).unwrap_or_default(), is_forgotten))
        }
        None => None,
    };
    if arguments.json {
        let active = active.map(|(active, is_forgotten)| json!({ "reasons": active, "forgotten": is_forgotten }));
        let entries: Vec<Value> = entries.iter().map(as_json).collect();
        let (email, address) = (&arguments.email_id, &recipient);
        println!("{:#}", json!({ "email_id": email, "address": address, "suppression": active, "entries": entries }));
    } else {
        print(arguments, &entries);
        if let (Some((active, is_forgotten)), Some(recipient)) = (active, &recipient) {
            match (active.is_empty(), is_forgotten) {
                (_, true) => println!("{recipient} is suppressed: it was forgotten on request."),
                (true, false) => println!("{recipient} can receive email."),
                (false, false) => {
                    let reasons: Vec<String> = active.iter().map(suppressions::reason_line).collect();
                    println!("{recipient} is suppressed: {}", reasons.join("; "));
                }
            }
        }
    }
    Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Converts an entry to JSON.
pub(crate) fn as_json(entry: &TimelineEntry) -> Value {
    let mut fields = Map::from_iter([
        ("at".to_owned(), json!(entry.at.to_text())),
        ("received_at".to_owned(), json!(entry.received_at.map(UnixMillis::to_text))),
        ("what".to_owned(), json!(entry.what)),
        ("about".to_owned(), json!(entry.about)),
        ("text".to_owned(), json!(entry.text)),
    ]);
    fields.extend(entry.fields.clone());
    fields.into()
}

fn print(arguments: &Arguments, entries: &[TimelineEntry]) {
    if entries.is_empty() {
        println!("Nothing is stored about it. Events are kept for RETENTION_DAYS days. Use the email id from Resend.");
        if arguments.email_id.as_deref().is_some_and(|id| id.starts_with(WEBHOOK_ID)) {
            println!(
                "An id that begins with {WEBHOOK_ID} is the id of a webhook (svix-id). The id of the email is in the body of the webhook, as email_id."
            );
        }
        return;
    }
    table(entries, arguments.address.is_some()).print();
    if !arguments.receipts {
        return;
    }
    for receipt in entries.iter().filter_map(|entry| entry.fields.get("receipt")) {
        if let Ok(receipt) = serde_json::from_value::<Receipt>(receipt.clone()) {
            println!("{}\n", render(&receipt));
        }
    }
}

fn table(entries: &[TimelineEntry], by_address: bool) -> Table {
    let mut before = None;
    let rows = entries.iter().map(|entry| {
        let since = before.map(|before: UnixMillis| gap(entry.at.0 - before.0)).unwrap_or_default();
        before = Some(entry.at);
        let mut row = vec![moment(entry.at), since, sanitize(&entry.what), sanitize(&entry.text)];
        if by_address {
            row.insert(2, sanitize(&entry.about));
        }
        row
    });
    let mut columns =
        vec![Column::text("when (UTC)"), Column::number("after").least(1), Column::text("what"), Column::text("")];
    if by_address {
        columns.insert(2, Column::text("email"));
    }
    Table::new(columns).with(rows)
}

/// Returns a time span as text, in its largest unit.
fn gap(millis: i64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        ..1 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeline_fits_every_width() {
        let entry = |at: &str, what: &str, text: &str| TimelineEntry {
            at: UnixMillis::parse(at).unwrap(),
            received_at: None,
            what: what.to_owned(),
            text: text.to_owned(),
            about: "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11".to_owned(),
            fields: Map::new(),
        };
        let entries = [
            entry("2026-11-23T13:05:00Z", "email.sent", "to ann@example.com: hello"),
            entry(
                "2026-11-23T13:05:09Z",
                "email.delivery_delayed",
                "ann@example.com: https://example.com/a/link/that/is/longer/than/any/line/of/the/narrowest/terminal/of/them",
            ),
            entry("2026-11-25T13:05:09Z", "decision", "about email.clicked by ann@example.com: Claude chose follow_up"),
        ];
        for by_address in [false, true] {
            assert_eq!(table(&entries, by_address).faults(), Vec::<String>::new());
        }
        assert_eq!((gap(86_400_000), gap(2 * 86_400_000)), ("1 day".to_owned(), "2 days".to_owned()));
    }
}
