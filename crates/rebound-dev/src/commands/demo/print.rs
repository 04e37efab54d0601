//! What the demo prints.

use std::time::Duration;

use comfy_table::Color;
use rebound::message::alert::{Kind, Severity};
use rebound::store::suppressions::Stored;
use rebound::store::{Item, row};
use serde_json::json;

use super::contract::{self, fault, suppressed};
use super::engage;
use super::mails::{LARGE, SMALL};
use super::protect::{self, Standing};
use super::stage::string;
use super::steps::Step;
use crate::output::{self, Cell};

/// How wide a table may be whose texts may be long.
const WIDE: u16 = 130;

pub(super) fn table<C: Into<Cell>>(header: &[&str], rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>) {
    output::table_of_width(Some(WIDE), header, rows);
    println!();
}

/// What `receive` answered and stored.
pub(super) fn contract(report: &contract::Report) {
    println!("receive: every request, and what is stored because of it.");
    let rows = report.steps.iter().map(|(step, seen)| {
        let answer: serde_json::Value = serde_json::from_str(&seen.answer).unwrap_or_default();
        let word =
            answer.get("status").or_else(|| answer.get("error")).and_then(|word| word.as_str()).unwrap_or_default();
        let short = word.split([';', ',']).next().unwrap_or_default().to_owned();
        let color = if fault(step, seen).is_none() { Color::Green } else { Color::Red };
        let stored = seen.rows.first().filter(|_| step.stored_as.is_some());
        [
            Cell::new(&step.what),
            Cell::new(seen.status).fg(color),
            Cell::new(short).fg(color),
            Cell::new(format!("{:.1}", seen.took.as_secs_f64() * 1000.0)),
            Cell::new(stored.map_or("", |row| string(row, "kind"))),
            Cell::new(stored.map_or(String::new(), |row| row::item_size(row).to_string())),
        ]
    });
    table(&["came in", "answered", "", "ms", "stored", "bytes"], rows);

    println!("receive: who must not be written to any more, in the same transaction.");
    let mut items: Vec<&Item> = report.suppressions.iter().collect();
    items.sort_by_key(|item| string(item, "recipient"));
    let rows = items.into_iter().map(|item| {
        let known = Stored::from_item(item.clone()).suppression;
        let because: Vec<&str> = known.reasons().map(|reason| reason.as_str()).collect();
        let lifted = known.records.iter().filter(|(_, record)| record.lifted.is_some() && !record.stands());
        let lifted: Vec<&str> = lifted.map(|(reason, _)| reason.as_str()).collect();
        let color = if because.is_empty() { Color::Green } else { Color::Red };
        let because = if because.is_empty() { "(nothing: send)".to_owned() } else { because.join(", ") };
        [Cell::new(string(item, "recipient")), Cell::new(because).fg(color), Cell::new(lifted.join(", "))]
    });
    table(&["recipient", "do not send, because", "lifted"], rows);

    let mut times: Vec<Duration> = report.steps.iter().map(|(_, seen)| seen.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!("{} requests, median {median:.1} ms, {} rows stored.\n", times.len(), stored(report));
}

fn stored(report: &contract::Report) -> usize {
    report.steps.iter().filter(|(step, _)| step.is_first_to_be_stored()).count()
}

/// What `protect` made of it.
pub(super) fn protect(report: &protect::Report) {
    println!("protect, from the events table's stream: campaign {LARGE}, as a sender reads it after each complaint.");
    let rows = report.brake.iter().map(|standing| {
        let reason = standing.reason.split([';', '(']).next().unwrap_or_default().trim();
        [
            Cell::new(&standing.after),
            Cell::new(standing.delivered),
            Cell::new(standing.bounced_hard),
            Cell::new(standing.complained),
            status(standing),
            Cell::new(standing.volume),
            Cell::new(reason),
        ]
    });
    table(&["after", "delivered", "bounced", "complained", "status", "volume", "because"], rows);

    println!("A mailbox that is full: three soft bounces suppress it for 30 days.");
    let rows = report.soft_bounces.iter().map(|known| {
        let because = if known.reasons.is_empty() { "(nothing: send)".to_owned() } else { known.reasons.join(", ") };
        [Cell::new(known.bounces), Cell::new(because), Cell::new(known.until.as_deref().unwrap_or_default())]
    });
    table(&["soft bounces", "do not send, because", "until"], rows);

    println!(
        "protect, by its clock: what becomes of both campaigns, and of a mail that was sent two hours before, if nothing"
    );
    println!("more comes in. A mail that was delayed and then arrived is never mentioned.");
    let rows = report.ticks.iter().map(|tick| {
        let [large, small] = [&tick.large, &tick.small].map(|standing| {
            let text = format!("{} {}", standing.status, standing.volume);
            Cell::new(text).fg(color_of(&standing.status))
        });
        [Cell::new(tick.later), large, small, Cell::new(tick.published.join("\n"))]
    });
    table(&["later", LARGE, SMALL, "told"], rows);

    println!("Every alert that was published, in order.");
    let rows = report.alerts.iter().map(|alert| {
        let color = match alert.severity {
            Severity::Info => Color::Green,
            Severity::Warning => Color::Yellow,
            Severity::Critical => Color::Red,
        };
        let id: String = alert.id.rsplit('-').next().unwrap_or_default().chars().take(8).collect();
        let severity = Cell::new(alert.severity.as_str()).fg(color);
        [severity, Cell::new(alert.kind.as_str()), Cell::new(&alert.title), Cell::new(id)]
    });
    table(&["severity", "kind", "title", "id"], rows);

    println!("No storm, and no complaint is missing.");
    let rows = report.told.iter().map(|told| {
        [told.campaign.clone(), told.counted.to_string(), told.one_by_one.to_string(), told.in_digests.to_string()]
    });
    table(&["campaign", "complaints counted", "told one by one", "told in digests"], rows);

    if let Some(alert) =
        report.alerts.iter().find(|alert| alert.kind == Kind::Brake && alert.severity == Severity::Critical)
    {
        println!("As a person gets it:\n    {}\n", alert.text.replace('\n', "\n    "));
    }

    println!("The whole stream again, in other batches, some of them twice: nothing may change.");
    let rows = report.redeliveries.iter().map(|again| {
        [
            again.when.to_owned(),
            again.shards.to_string(),
            again.records.to_string(),
            again.repeated.to_string(),
            format!("{} of {}", again.changed, again.items),
            again.published.to_string(),
        ]
    });
    table(&["delivered again", "shards", "records", "and repeated", "items changed", "alerts"], rows);

    let queue = &report.queue;
    println!(
        "{} events posted. {} opens and clicks, handed on to the queue: {} messages, and with the redeliveries {}, of which {} differ.",
        report.posted, queue.opens_and_clicks, queue.sent_at_first, queue.sent_in_the_end, queue.different
    );
}

fn status(standing: &Standing) -> Cell {
    Cell::new(&standing.status).fg(color_of(&standing.status))
}

fn color_of(status: &str) -> Color {
    match status {
        "open" => Color::Green,
        "slowed" => Color::Yellow,
        _ => Color::Red,
    }
}

/// Whether everything is as it should be.
pub(super) fn verdict(faults: &[String]) {
    if faults.is_empty() {
        println!("Everything is as the contract says.");
    } else {
        println!("NOT as the contract says:\n- {}", faults.join("\n- "));
    }
}

/// All of it, for programs.
pub(super) fn json(
    contract: &contract::Report,
    protect: &protect::Report,
    engage: &[engage::Report],
    faults: &[String],
) {
    let request = |(step, seen): &(Step, contract::Seen)| {
        json!({
            "what": step.what,
            "id": step.message.id,
            "status": seen.status,
            "answer": serde_json::from_str::<serde_json::Value>(&seen.answer).unwrap_or_default(),
            "ms": seen.took.as_secs_f64() * 1000.0,
            "stored": step.stored_as.and_then(|_| seen.rows.first()).map(|row| json!({
                "email_id": string(row, "email_id"),
                "event": string(row, "event"),
                "kind": string(row, "kind"),
                "bytes": row::item_size(row),
            })),
        })
    };
    let requests: Vec<_> = contract.steps.iter().map(request).collect();
    println!(
        "{:#}",
        json!({
            "requests": requests,
            "suppressions": suppressed(&contract.suppressions),
            "protect": protect,
            "engage": engage,
            "faults": faults,
            "ok": faults.is_empty(),
        })
    );
}
