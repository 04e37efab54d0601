//! What the demo prints of verdicts and decisions.

use comfy_table::Color;
use rebound::message::decision::{Done, receipt};

use super::engage::Report;
use super::print::table;
use crate::output::Cell;

/// Who it was, what was decided, and one receipt.
pub(super) fn engage(reports: &[Report]) {
    if let Some(report) = reports.first() {
        println!("engage, from the queue: who opened or clicked, by the email's own timeline.");
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
        table(&["who", "what", "verdict", "because"], rows);
    }
    for report in reports {
        println!("engage: what is decided about campaign {}, by {}.", report.campaign, report.who_decides);
        let rows = report.decisions.iter().map(|decision| {
            let (done, color) = match &decision.done {
                Done::FollowupProposed => ("a follow-up is proposed".to_owned(), Color::Green),
                Done::EngagementLogged => ("the interest is told".to_owned(), Color::Green),
                Done::HandedToHuman => ("people are asked to look".to_owned(), Color::Yellow),
                Done::Nothing(why) => (format!("nothing: {why}"), Color::Reset),
            };
            [
                Cell::new(&decision.who),
                Cell::new(&decision.event),
                Cell::new(decision.chosen),
                Cell::new(&decision.reason),
                Cell::new(done).fg(color),
            ]
        });
        table(&["who", "event", "chosen", "because", "done"], rows);
    }
    let Some(report) = reports.last() else { return };
    if let Some(kept) = &report.receipt {
        println!("The receipt of one of them, as it is kept in the email's partition:\n");
        println!("    {}\n", receipt::told(kept).replace('\n', "\n    "));
    }
    println!(
        "{} opens and clicks, {} verdicts, {} decisions, {} published. Every message handed over once more: {} items changed, {} published.",
        report.opens_and_clicks,
        report.verdicts,
        report.decided,
        report.published,
        report.changed_by_repetition,
        report.published_by_repetition
    );
    println!();
}
