//! The demo's output of an opt-out.

use super::consent::ConsentReport;
use super::page::Page;
use crate::output::{Cell, Color, Column, Table};

/// Adds the requests to `consent`, and which emails may be sent after them.
pub(super) fn consent(page: &mut Page, report: &ConsentReport) {
    page.say(format!(
        "consent: the unsubscribe link of an email to {}, and what is stored after each request.",
        report.recipient
    ));
    let columns = [
        Column::text("request"),
        Column::number("status"),
        Column::text("page").least(1),
        Column::number("ms").least(2),
        Column::text("suppressed because of"),
    ];
    page.table(Table::new(columns).with(report.requests.iter().map(|request| {
        let color = if request.status == 200 { Color::Green } else { Color::Red };
        let because =
            if request.reasons.is_empty() { "(not suppressed)".to_owned() } else { request.reasons.join(", ") };
        [
            Cell::new(request.what),
            Cell::new(request.status).fg(color),
            Cell::new(&request.title),
            Cell::new(format!("{:.1}", request.ms)),
            Cell::new(because),
        ]
    })));

    page.say("What your program may send to this address now, by the rule that it reads the list with.");
    let columns = [Column::text("email"), Column::text("send?"), Column::text("because")];
    page.table(Table::new(columns).with(report.emails.iter().map(|email| {
        let (answer, color) = if email.may_send { ("yes", Color::Green) } else { ("no", Color::Red) };
        [Cell::new(email.email), Cell::new(answer).fg(color), Cell::new(email.because.join(", "))]
    })));
}
