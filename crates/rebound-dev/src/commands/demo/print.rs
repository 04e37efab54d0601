//! The demo's output as text and as JSON.

use std::time::Duration;

use rebound::message::alert::{AlertKind, Severity};
use rebound::policy::limits::{BrakePolicy, Limit};
use rebound::store::suppressions::SuppressionItem;
use rebound::store::{Item, row};
use serde_json::json;

use super::contract::{self, fault, suppressed};
use super::emails::{LARGE, SMALL};
use super::environment::string;
use super::page::Page;
use super::protect::{self, CampaignReport};
use super::steps::Step;
use super::{Reports, print_consent, print_engage, print_followups};
use crate::output::{Cell, Color, Column, Table, count};

/// The next steps after the demo.
const NEXT: &str = "
Next: keep it running, and send events to it.
  make dev                      # the whole service in one process
In another terminal:
  make install                  # puts the command `rebound` into your path
  rebound tail --local          # webhooks, alerts and decisions, live
And in a third:
  rebound sample email.bounced --post http://127.0.0.1:9000/
  rebound suppressions list --local
`make deploy` deploys it to your AWS account.";

/// The whole output of the demo.
pub(super) fn page(reports: &Reports) -> Page {
    let mut page = Page::default();
    add_contract(&mut page, &reports.contract);
    add_protect(&mut page, &reports.protect);
    print_engage::engage(&mut page, &reports.engage);
    print_consent::consent(&mut page, &reports.consent);
    print_followups::followups(&mut page, &reports.followups);
    verdict(&mut page, &reports.faults);
    page
}

/// The responses of `receive`, and the rows that it stored.
fn add_contract(page: &mut Page, report: &contract::ContractReport) {
    page.say("receive: every request, its response, and the row that is stored.");
    let columns = [
        Column::text("request"),
        Column::number("status"),
        Column::text(""),
        Column::number("ms").least(2),
        Column::text("stored"),
        Column::number("bytes").least(1),
    ];
    page.table(Table::new(columns).with(report.steps.iter().map(|(step, seen)| {
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
    })));

    page.say("receive: the suppressed addresses, written in the same transaction as the event.");
    let mut items: Vec<&Item> = report.suppressions.iter().collect();
    items.sort_by_key(|item| string(item, "recipient"));
    let columns = [Column::text("recipient"), Column::text("suppressed because of"), Column::text("lifted")];
    page.table(Table::new(columns).with(items.into_iter().map(|item| {
        let known = SuppressionItem::from_item(item.clone()).suppression;
        let because: Vec<&str> = known.reasons().map(|reason| reason.as_str()).collect();
        let lifted = known.records.iter().filter(|(_, record)| record.lifted.is_some() && !record.suppresses());
        let lifted: Vec<&str> = lifted.map(|(reason, _)| reason.as_str()).collect();
        let color = if because.is_empty() { Color::Green } else { Color::Red };
        let because = if because.is_empty() { "(not suppressed)".to_owned() } else { because.join(", ") };
        [Cell::new(string(item, "recipient")), Cell::new(because).fg(color), Cell::new(lifted.join(", "))]
    })));

    let mut times: Vec<Duration> = report.steps.iter().map(|(_, seen)| seen.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    let (requests, rows) = (count(times.len(), "request"), count(stored(report), "row"));
    page.lines(format!("{requests}, median {median:.1} ms, {rows} stored.\n"));
}

fn stored(report: &contract::ContractReport) -> usize {
    report.steps.iter().filter(|(step, _)| step.is_first_to_be_stored()).count()
}

/// The policy's limits that pause a campaign, and the one that applies to the demo's campaign.
fn limits() -> String {
    let of = |limit: &Limit| {
        let rate = (limit.rate * 1e4).round() / 1e2;
        format!("{rate} % of {} or more delivered emails (at least {})", limit.of, count(limit.least, "complaint"))
    };
    let mut limits = BrakePolicy::default().complaint_limits;
    limits.sort_by_key(|limit| std::cmp::Reverse(limit.of));
    let limits: Vec<String> = limits.iter().map(of).collect();
    format!(
        "Complaints pause a campaign at {}. This campaign is small: the last limit applies.",
        limits.join(", and at ")
    )
}

/// The results of `protect`: counters, brakes, suppressions, alerts.
fn add_protect(page: &mut Page, report: &protect::ProtectReport) {
    page.say(format!(
        "protect, from the events table's stream: the state of campaign {LARGE} after each complaint, as your program reads it. {}",
        limits()
    ));
    let columns = [
        Column::text("after"),
        Column::number("delivered"),
        Column::number("bounced").least(2),
        Column::number("complained"),
        Column::text("status"),
        Column::number("volume"),
        Column::text("because").least(1),
    ];
    page.table(Table::new(columns).with(report.brake.iter().map(|campaign_report| {
        let reason = campaign_report.reason.split([';', '(']).next().unwrap_or_default().trim();
        [
            Cell::new(&campaign_report.after),
            Cell::new(campaign_report.delivered),
            Cell::new(campaign_report.bounced_hard),
            Cell::new(campaign_report.complained),
            status(campaign_report),
            Cell::new(campaign_report.volume),
            Cell::new(reason),
        ]
    })));

    page.say("A full mailbox: three soft bounces suppress the address for 30 days.");
    let columns = [Column::number("soft bounces"), Column::text("suppressed because of"), Column::text("until")];
    page.table(Table::new(columns).with(report.soft_bounces.iter().map(|known| {
        let because = if known.reasons.is_empty() { "(not suppressed)".to_owned() } else { known.reasons.join(", ") };
        [Cell::new(known.bounces), Cell::new(because), Cell::new(known.until.as_deref().unwrap_or_default())]
    })));

    page.say(
        "protect, as time passes without new events: both campaigns, and an email that was sent two hours ago and does not \
        arrive. A delayed email that is delivered causes no alert.",
    );
    let columns = [Column::text("later"), Column::text(LARGE), Column::text(SMALL), Column::text("alerts")];
    page.table(Table::new(columns).with(report.ticks.iter().map(|tick| {
        let [large, small] = [&tick.large, &tick.small].map(|campaign_report| {
            let text = format!("{} {}", campaign_report.status, campaign_report.volume);
            Cell::new(text).fg(color_of(&campaign_report.status))
        });
        [Cell::new(tick.later), large, small, Cell::new(tick.published.join("\n"))]
    })));

    page.say("Every alert that was published, in order.");
    let columns = [Column::text("severity"), Column::text("kind"), Column::text("title"), Column::text("id").least(1)];
    page.table(Table::new(columns).with(report.alerts.iter().map(|alert| {
        let color = match alert.severity {
            Severity::Info => Color::Green,
            Severity::Warning => Color::Yellow,
            Severity::Critical => Color::Red,
        };
        let id: String = alert.id.rsplit('-').next().unwrap_or_default().chars().take(8).collect();
        let severity = Cell::new(alert.severity.as_str()).fg(color);
        [severity, Cell::new(alert.kind.as_str()), Cell::new(&alert.title), Cell::new(id)]
    })));

    page.say("Many similar alerts are grouped in digests, and every complaint is in one alert.");
    let columns = [
        Column::text("campaign"),
        Column::number("complaints counted"),
        Column::number("single alerts"),
        Column::number("in digests"),
    ];
    page.table(Table::new(columns).with(report.complaint_alerts.iter().map(|alerts| {
        [
            alerts.campaign.clone(),
            alerts.counted.to_string(),
            alerts.one_by_one.to_string(),
            alerts.in_digests.to_string(),
        ]
    })));

    if let Some(alert) =
        report.alerts.iter().find(|alert| alert.kind == AlertKind::Brake && alert.severity == Severity::Critical)
    {
        page.say("The alert as an operator gets it by email:");
        page.quote(&alert.text);
    }

    page.say("The whole stream is delivered again, in other batches, some of them twice: nothing may change.");
    let columns = [
        Column::text("delivered again"),
        Column::number("shards"),
        Column::number("records"),
        Column::number("repeated"),
        Column::number("items changed"),
        Column::number("alerts"),
    ];
    page.table(Table::new(columns).with(report.redeliveries.iter().map(|again| {
        [
            again.when.to_owned(),
            again.shards.to_string(),
            again.records.to_string(),
            again.repeated.to_string(),
            format!("{} of {}", again.changed, again.items),
            again.published.to_string(),
        ]
    })));

    let queue = &report.queue;
    page.say(format!(
        "{} posted. {} of them are opens and clicks, which protect sent to the queue: {}. With the redeliveries it sent {}, of \
        which {} are different.",
        count(report.posted, "event"),
        queue.opens_and_clicks,
        count(queue.sent_at_first, "message"),
        queue.sent_in_the_end,
        queue.different
    ));
}

fn status(campaign_report: &CampaignReport) -> Cell {
    Cell::new(&campaign_report.status).fg(color_of(&campaign_report.status))
}

fn color_of(status: &str) -> Color {
    match status {
        "open" => Color::Green,
        "slowed" => Color::Yellow,
        _ => Color::Red,
    }
}

/// Adds the final result, and the next steps.
fn verdict(page: &mut Page, faults: &[String]) {
    if faults.is_empty() {
        page.say("Everything matches the contract.");
    } else {
        page.lines(format!("DOES NOT match the contract:\n- {}", faults.join("\n- ")));
    }
    page.lines(NEXT);
}

/// Prints everything as JSON.
pub(super) fn json(reports: &Reports) {
    let Reports { contract, protect, engage, consent, followups, faults } = reports;
    let request = |(step, seen): &(Step, contract::StepResult)| {
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
            "consent": consent,
            "followups": followups,
            "faults": faults,
            "ok": faults.is_empty(),
        })
    );
}
