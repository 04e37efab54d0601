//! `rebound demo`: the whole service at work, in memory, on real input, checked against the contract.

mod steps;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use comfy_table::{Cell, Color, Table, presets};
use rebound::local::stack::{EmbeddedAws, Options, serve_function_url};
use rebound::store::Item;
use rebound::store::row;
use rebound::store::suppressions::Stored;
use rebound::time::UnixMillis;
use serde_json::json;

use self::steps::Step;
use crate::Failure;

/// Show the whole service at work, in memory, on a sample of every event.
///
/// Posts one signed sample of every event type to the function, and then what the world sends besides: a duplicate, a
/// forgery, a stale one, and so on. Then it reads the tables back. Exits with 1 if anything is not as the contract says.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a step came to.
struct Seen {
    status: u16,
    answer: String,
    took: Duration,
    /// The rows that are stored under the step's message now.
    rows: Vec<Item>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // Nothing of the shell's environment: the demo is the same everywhere.
    let aws = EmbeddedAws::start(&Options::in_memory(), |_| None).await?;
    let server = serve_function_url("127.0.0.1:0".parse()?, aws.receiver().await?).await?;
    let steps = steps::all(UnixMillis::now().seconds())?;

    let client = reqwest::Client::new();
    let mut seen = Vec::new();
    for step in &steps {
        let started = Instant::now();
        let method = reqwest::Method::from_bytes(step.method.as_bytes())?;
        let request = step.message.request(&client, method, &server.url());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let answer = answer.text().await?;
        seen.push(Seen { status, answer, took: started.elapsed(), rows: Vec::new() });
    }

    let dynamodb = aws.clients()?.dynamodb();
    let rows = scan(&dynamodb, &aws.variable("EVENTS_TABLE").unwrap_or_default()).await?;
    let suppressions = scan(&dynamodb, &aws.variable("SUPPRESSIONS_TABLE").unwrap_or_default()).await?;
    for (step, seen) in steps.iter().zip(&mut seen) {
        let of_step = |row: &&Item| string(row, "event").rsplit('#').next() == Some(step.message.id.as_str());
        seen.rows = rows.iter().filter(of_step).cloned().collect();
    }

    let mut faults: Vec<String> = steps.iter().zip(&seen).filter_map(|(step, seen)| fault(step, seen)).collect();
    let expected_rows = steps.iter().filter(|step| step.is_first_to_be_stored()).count();
    if rows.len() != expected_rows {
        faults.push(format!("the events table holds {} rows, not {expected_rows}", rows.len()));
    }
    let suppressed = suppressed(&suppressions);
    if suppressed != steps::expected_suppressions() {
        faults.push(format!("the suppressions are not {:?}", steps::expected_suppressions()));
    }

    if arguments.json {
        print_json(&steps, &seen, &suppressed, &faults);
    } else {
        print_tables(&steps, &seen, &suppressions, &faults);
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is not as the contract says, if anything is.
fn fault(step: &Step, seen: &Seen) -> Option<String> {
    let what = &step.what;
    if seen.status != step.status || !step.answers(&seen.answer) {
        return Some(format!("{what}: answered {} {}, not {} {}", seen.status, seen.answer, step.status, step.answer));
    }
    match (step.stored_as, seen.rows.as_slice()) {
        (None, []) => None,
        (None, _) => Some(format!("{what}: something was stored")),
        (Some(kind), [row]) if string(row, "kind") != kind.as_str() => {
            Some(format!("{what}: stored as {}", string(row, "kind")))
        }
        (Some(_), [row]) if row::payload(row).as_deref() != Some(step.message.body.as_slice()) => {
            Some(format!("{what}: not stored byte for byte"))
        }
        (Some(_), [_]) => None,
        (Some(_), rows) => Some(format!("{what}: stored {} times", rows.len())),
    }
}

/// The reasons that stand, by recipient; recipients with none are listed with none.
fn suppressed(items: &[Item]) -> BTreeMap<String, Vec<&'static str>> {
    let reasons =
        |item: &Item| Stored::from_item(item.clone()).suppression.reasons().map(|reason| reason.as_str()).collect();
    items.iter().map(|item| (string(item, "recipient").to_owned(), reasons(item))).collect()
}

fn print_tables(steps: &[Step], seen: &[Seen], suppressions: &[Item], faults: &[String]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["came in", "answered", "", "ms", "stored", "bytes"]);
    for (step, seen) in steps.iter().zip(seen) {
        let answer: serde_json::Value = serde_json::from_str(&seen.answer).unwrap_or_default();
        let word =
            answer.get("status").or_else(|| answer.get("error")).and_then(|word| word.as_str()).unwrap_or_default();
        let short = word.split([';', ',']).next().unwrap_or_default().to_owned();
        let color = if fault(step, seen).is_none() { Color::Green } else { Color::Red };
        let stored = seen.rows.first().filter(|_| step.stored_as.is_some());
        table.add_row([
            Cell::new(&step.what),
            Cell::new(seen.status).fg(color),
            Cell::new(short).fg(color),
            Cell::new(format!("{:.1}", seen.took.as_secs_f64() * 1000.0)),
            Cell::new(stored.map_or("", |row| string(row, "kind"))),
            Cell::new(stored.map_or(String::new(), |row| row::item_size(row).to_string())),
        ]);
    }
    println!("{table}\n");

    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["recipient", "do not send, because", "lifted"]);
    let mut items: Vec<&Item> = suppressions.iter().collect();
    items.sort_by_key(|item| string(item, "recipient"));
    for item in items {
        let known = Stored::from_item(item.clone()).suppression;
        let because: Vec<String> = known.reasons().map(|reason| reason.as_str().to_owned()).collect();
        let lifted = known.records.iter().filter(|(_, record)| record.lifted.is_some() && !record.stands());
        let lifted: Vec<&str> = lifted.map(|(reason, _)| reason.as_str()).collect();
        let color = if because.is_empty() { Color::Green } else { Color::Red };
        let because = if because.is_empty() { "(nothing: send)".to_owned() } else { because.join(", ") };
        table.add_row([
            Cell::new(string(item, "recipient")),
            Cell::new(because).fg(color),
            Cell::new(lifted.join(", ")),
        ]);
    }
    println!("{table}\n");

    let mut times: Vec<Duration> = seen.iter().map(|seen| seen.took).collect();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0;
    println!(
        "{} requests, median {median:.1} ms, {} rows stored.",
        seen.len(),
        steps.iter().filter(|step| step.is_first_to_be_stored()).count()
    );
    if faults.is_empty() {
        println!("Everything is as the contract says.");
    } else {
        println!("NOT as the contract says:\n- {}", faults.join("\n- "));
    }
}

fn print_json(steps: &[Step], seen: &[Seen], suppressed: &BTreeMap<String, Vec<&str>>, faults: &[String]) {
    let requests: Vec<_> = steps
        .iter()
        .zip(seen)
        .map(|(step, seen)| {
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
        })
        .collect();
    println!(
        "{:#}",
        json!({ "requests": requests, "suppressions": suppressed, "faults": faults, "ok": faults.is_empty() })
    );
}

async fn scan(dynamodb: &aws_sdk_dynamodb::Client, table: &str) -> Result<Vec<Item>, Failure> {
    Ok(dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await?)
}

fn string<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value: &AttributeValue| value.as_s().ok()).map_or("", String::as_str)
}
