//! The bill, as a table or as JSON.

use std::time::Duration;

use aws_local::faults::ByTable;
use rebound_dev::output::{Column, Table, count, paragraph};
use serde_json::json;

use crate::Arguments;
use crate::beside::ExtraCosts;
use crate::bill::{Bill, Line};
use crate::mix::Mix;

/// Maximum cost per million, in US dollars.
const GOAL: f64 = 1.28;

pub(crate) fn print(arguments: &Arguments, mix: &Mix, took: Duration, bill: &Bill, beside: &ExtraCosts) {
    let events = mix.messages.len() as f64;
    if arguments.json {
        let used = bill.used.map(|(name, used)| {
            json!({
                "function": name,
                "invocations": used.invocations,
                "cpu_ms": used.cpu_ms,
                "dynamodb_calls": used.dynamodb_calls,
                "write_units": used.write_units,
                "read_units": used.read_units,
                "sns": used.sns,
                "sqs": used.sqs,
                "log_bytes": used.log_bytes,
                "log_lines": used.log_lines,
            })
        });
        let lines = |lines: &[Line]| {
            let lines = lines.iter().map(|line| json!({ "what": line.what, "how": line.how, "usd": line.usd }));
            lines.collect::<Vec<_>>()
        };
        let stored = beside
            .stored
            .iter()
            .map(|(table, held)| ((*table).to_owned(), json!({ "items": held.items, "bytes": held.bytes })));
        let report = json!({
            "events": mix.messages.len(),
            "emails": mix.emails,
            "seconds": took.as_secs_f64(),
            "mix_percent": Bill::shares(mix).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "used": used,
            "for_a_million": lines(&bill.lines),
            "usd": bill.total,
            "goal_usd": GOAL,
            "stored": stored.collect::<serde_json::Map<_, _>>(),
            "beside": lines(&beside.lines),
        });
        println!("{report:#}");
        return;
    }
    let shares: Vec<String> =
        Bill::shares(mix).iter().map(|(name, percent)| format!("{percent:.1} % {name}")).collect();
    paragraph(&format!(
        "{} about {}, {:.0} a second: {}\n",
        count(mix.messages.len(), "webhook"),
        count(mix.emails, "email"),
        events / took.as_secs_f64(),
        shares.join(", ")
    ));
    for_each_webhook(bill, events).print();
    println!();

    let met = if bill.total <= GOAL { "met" } else { "not met" };
    let together = Line { what: "together".to_owned(), how: format!("at most {GOAL}: {met}"), usd: bill.total };
    of_lines("a million of them", bill.lines.iter().chain([&together])).print();
    println!();
    of_lines("beside it", &beside.lines).print();
    paragraph(&format!(
        "A call to AWS is taken to be {} ms, an answer of Claude's {} ms. All of Claude is at most CLAUDE_DAILY_BUDGET_USD a day: 1, unless \
         it is set. Not in it: what is paid by the month, whatever comes.",
        arguments.call_ms, arguments.claude_ms
    ));
}

/// The usage of each function per webhook.
fn for_each_webhook(bill: &Bill, events: f64) -> Table {
    let functions = ["receive", "protect", "engage"].map(Column::number);
    let mut table = Table::new(std::iter::once(Column::text("for each webhook")).chain(functions));
    let mut row = |what: &str, of: fn(&crate::bill::Used) -> f64| {
        let mut cells = vec![what.to_owned()];
        cells.extend(bill.used.iter().map(|(_, used)| format!("{:.4}", of(used) / events)));
        table.add(cells);
    };
    row("invocations", |used| used.invocations);
    row("CPU, ms", |used| used.cpu_ms);
    row("calls to DynamoDB", |used| used.dynamodb_calls);
    row("write units", |used| used.write_units);
    row("read units", |used| used.read_units);
    row("calls to SQS", |used| used.sqs);
    row("calls to SNS", |used| used.sns);
    row("log, bytes", |used| used.log_bytes);
    table
}

fn of_lines<'a>(what: &str, lines: impl IntoIterator<Item = &'a Line>) -> Table {
    let mut table = Table::new([Column::text(what), Column::text("how much"), Column::number("US dollars")]);
    for line in lines {
        table.add([line.what.clone(), line.how.clone(), format!("{:.4}", line.usd)]);
    }
    table
}

/// Returns the cost of a function's calls, by operation and table.
pub(crate) fn by_table(costs: &ByTable) -> Table {
    let mut table = Table::new([
        Column::text("operation"),
        Column::text("table"),
        Column::number("read units"),
        Column::number("write units"),
        Column::number("refused"),
    ]);
    for ((operation, name), cost) in costs {
        let units = [cost.read_units, cost.write_units, cost.refused_units].map(|units| format!("{units:.1}"));
        table.add([vec![operation.clone(), name.clone()], units.to_vec()].concat());
    }
    table
}

#[cfg(test)]
mod tests {
    use aws_local::faults::Capacity;

    use super::*;
    use crate::bill::Used;

    #[test]
    fn the_tables_of_the_bill_are_good_at_every_width() {
        let used = Used { log_bytes: 1_234_567.0, ..Used::default() };
        let lines = vec![Line {
            what: "engage: requests to Claude".to_owned(),
            how: "1,234 questions × (5,678 tokens × 0.25 + 91 in the answer × 1.25 a million), and no more than the budget".to_owned(),
            usd: 1.2345,
        }];
        let bill = Bill { lines, used: [("receive", used), ("protect", used), ("engage", used)], total: 1.2345 };
        assert_eq!(for_each_webhook(&bill, 1_000.0).faults(), Vec::<String>::new());
        assert_eq!(of_lines("a million of them", &bill.lines).faults(), Vec::<String>::new());
        let key = ("TransactWriteItems".to_owned(), "rebound-suppressions".to_owned());
        assert_eq!(by_table(&ByTable::from([(key, Capacity::default())])).faults(), Vec::<String>::new());
    }
}
