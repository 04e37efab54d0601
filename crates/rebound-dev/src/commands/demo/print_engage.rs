//! The demo's output of verdicts and decisions.

use rebound::message::decision::{DecisionResult, receipt};

use super::engage::EngageReport;
use super::page::Page;
use crate::output::{Cell, Color, Column, Table, count};

/// Adds the verdicts, the decisions, and one receipt.
pub(super) fn engage(page: &mut Page, reports: &[EngageReport]) {
    if let Some(report) = reports.first() {
        page.say("engage, from the queue: the verdict about each open and click, from the email's timeline.");
        let columns = ["who", "what", "verdict", "because"].map(Column::text);
        let rows = report.judged.iter().map(|judged| {
            let color = match judged.verdict.as_str() {
                "human" => Color::Green,
                "machine" => Color::Red,
                _ => Color::Yellow,
            };
            [
                Cell::new(&judged.who),
                Cell::new(format!("{} after {} s", judged.what, judged.seconds)),
                Cell::new(format!("{} {}", judged.verdict, judged.score)).fg(color),
                Cell::new(judged.reasons.join("\n")),
            ]
        });
        page.table(Table::new(columns).with(rows));
    }
    for report in reports {
        page.say(format!("engage: the decisions about campaign {}, made by {}.", report.campaign, report.who_decides));
        let columns = [
            Column::text("who"),
            Column::text("event").least(1),
            Column::text("chosen"),
            Column::text("because"),
            Column::text("done"),
        ];
        let rows = report.decisions.iter().map(|decision| {
            let (done, color) = match &decision.done {
                DecisionResult::FollowupProposed => ("a follow-up is proposed and published".to_owned(), Color::Green),
                DecisionResult::FollowupScheduled => {
                    ("a follow-up is scheduled and published".to_owned(), Color::Green)
                }
                DecisionResult::EngagementLogged => {
                    ("the engagement is recorded and published".to_owned(), Color::Green)
                }
                DecisionResult::HandedToHuman => ("a person should look".to_owned(), Color::Yellow),
                DecisionResult::Nothing(why) => (format!("nothing: {why}"), Color::Reset),
            };
            [
                Cell::new(&decision.who),
                Cell::new(&decision.event),
                Cell::new(decision.chosen),
                Cell::new(&decision.reason),
                Cell::new(done).fg(color),
            ]
        });
        page.table(Table::new(columns).with(rows));
    }
    let Some(report) = reports.last() else { return };
    if let Some(kept) = &report.receipt {
        page.say("The receipt of one decision, as it is stored in the email's partition:");
        page.quote(receipt::render(kept));
    }
    page.say(format!(
        "{} opens and clicks, {}, {}, {} published. After every queue message was delivered again: {} changed, {} published.",
        report.opens_and_clicks,
        count(report.verdicts, "verdict"),
        count(report.decided, "decision"),
        report.published,
        count(report.changed_by_repetition, "item"),
        report.published_by_repetition
    ));
    page.lines("");
}
