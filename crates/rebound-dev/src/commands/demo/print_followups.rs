//! The demo's output of follow-ups that are sent, and of those that are not.

use serde_json::Value;

use super::followups::FollowupReport;
use super::page::Page;
use crate::output::{Cell, Color, Column, Table};

/// Adds each step of the follow-ups, and the first email that was sent.
pub(super) fn followups(page: &mut Page, report: &FollowupReport) {
    page.say(
        "act, with FOLLOWUPS=send: four follow-ups, from their decisions until the next morning. Before each \
         request it looks once more for everything that may say no.",
    );
    let columns = [
        Column::text("UTC"),
        Column::text("what happens"),
        Column::text("recipient"),
        Column::text("status"),
        Column::text("because"),
    ];
    page.table(Table::new(columns).with(report.steps.iter().map(|step| {
        let color = match step.status {
            "sent" => Color::Green,
            "dropped" => Color::Red,
            _ => Color::Yellow,
        };
        [
            Cell::new(&step.at),
            Cell::new(step.what),
            Cell::new(&step.recipient),
            Cell::new(step.status).fg(color),
            Cell::new(&step.because),
        ]
    })));
    page.say(format!(
        "Resend accepted {} emails: to {}. The first one:",
        report.accepted.len(),
        report.accepted.join(" and ")
    ));
    page.quote(email(&report.request));
}

/// The email of a request, without the parts of it that nobody reads.
fn email(request: &Value) -> String {
    let text = |at: &str| request.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let link = text("/headers/List-Unsubscribe");
    let short = link.rsplit_once('/').map_or(link.to_owned(), |(origin, _)| format!("{origin}/TOKEN>"));
    let token = link.trim_matches(['<', '>']).rsplit('/').next().filter(|token| !token.is_empty());
    let body = text("/text");
    let body = token.map_or(body.to_owned(), |token| body.replace(token, "TOKEN"));
    let headers = [
        ("From", text("/from")),
        ("To", text("/to")),
        ("Subject", text("/subject")),
        ("In-Reply-To", text("/headers/In-Reply-To")),
        ("References", text("/headers/References")),
        ("List-Unsubscribe", &short),
        ("List-Unsubscribe-Post", text("/headers/List-Unsubscribe-Post")),
    ];
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{headers}\n{body}")
}
