//! `make contract`: what Rebound's code assumes about Resend's API, held against the API itself. For whoever has a key.
//!
//! It sends a handful of emails, to Resend's own test address unless another is named. Each question becomes a line: what
//! is asked, what the code assumes, what was seen, and if that differs. The code's own client and its own reading of
//! answers are used, so what is compared is what `act` would do.
//!
//! - `questions`: the questions, in order.
//! - `session`: requests with a key.
//! - `received`: the headers of a received email, and what its signature covers.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod questions;
mod received;
mod session;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rebound::resend::api::BASE_URL;
use rebound_dev::output::{Cell, Color, Column, Table, sanitize};
use rebound_dev::resend::{LocalResend, SENDING_KEY};
use serde_json::json;

use self::questions::{Finding, Plan, Verdict, ask_all};

/// Resend's address that accepts every email and has no reader
/// (<https://resend.com/docs/dashboard/emails/send-test-emails>).
const TEST_ADDRESS: &str = "delivered@resend.dev";

/// Key of the local Resend.
const LOCAL_KEY: &str = "re_local";

/// Time between two requests. Resend allows a team ten a second.
const PAUSE: Duration = Duration::from_millis(300);

/// Compare what Rebound assumes about Resend's API with the API.
///
/// It sends about four emails, to a test address of Resend. Exits with 0 if nothing differs, with 1 if something does, and
/// with 2 if nothing could be asked.
#[derive(Parser)]
struct Arguments {
    /// Sender, of a domain that is verified at Resend: `Me <me@example.com>`
    #[arg(long, required_unless_present = "local")]
    from: Option<String>,
    /// Recipient of the emails
    #[arg(long, default_value = TEST_ADDRESS)]
    to: String,
    /// API key
    #[arg(long, env = "RESEND_API_KEY", hide_env_values = true, required_unless_present = "local")]
    key: Option<String>,
    /// Another API key of the same team: is a key of a request remembered for each API key, or for the team?
    #[arg(long, env = "RESEND_SECOND_API_KEY", hide_env_values = true)]
    second_key: Option<String>,
    /// An email that this command sent with `--to`, as it was received, with all its headers
    #[arg(long, value_name = "FILE")]
    received_email: Option<PathBuf>,
    /// Base URL of the API
    #[arg(long, env = "RESEND_BASE_URL", default_value = BASE_URL)]
    base_url: String,
    /// Ask the local Resend, which `make dev` and the tests use
    #[arg(long)]
    local: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let received = match &arguments.received_email {
        Some(file) => Some(String::from_utf8_lossy(&std::fs::read(file)?).into_owned()),
        None => None,
    };
    let mut plan = Plan {
        base_url: arguments.base_url,
        key: arguments.key.unwrap_or_default(),
        second_key: arguments.second_key,
        from: arguments.from.unwrap_or_else(|| "contract@shop.example".to_owned()),
        to: arguments.to,
        received,
        pause: PAUSE,
    };
    let local = if arguments.local { Some(LocalResend::start(LOCAL_KEY).await?) } else { None };
    if let Some(local) = &local {
        (plan.base_url, plan.key, plan.second_key) = (local.url(), LOCAL_KEY.to_owned(), Some(SENDING_KEY.to_owned()));
    }
    let findings = match ask_all(&plan).await {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(2));
        }
    };
    if arguments.json {
        println!("{:#}", json!({ "base_url": plan.base_url, "findings": findings }));
    } else {
        table(&findings).print();
        println!("{}", summary(&findings));
    }
    let differs = findings.iter().any(|finding| finding.verdict == Verdict::Differs);
    Ok(if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(findings: &[Finding]) -> Table {
    let rows = findings.iter().map(|finding| {
        let color = match finding.verdict {
            Verdict::Same => Color::Green,
            Verdict::Learned => Color::Yellow,
            Verdict::Differs => Color::Red,
            Verdict::NotAsked => Color::Grey,
        };
        [
            Cell::new(finding.asked),
            Cell::new(&finding.assumed),
            Cell::new(sanitize(&finding.seen)),
            Cell::new(finding.verdict.as_str()).fg(color),
        ]
    });
    let columns =
        [Column::text("asked"), Column::text("the code assumes"), Column::text("seen"), Column::text("result")];
    Table::new(columns).with(rows)
}

fn summary(findings: &[Finding]) -> String {
    let number = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    format!(
        "{} as assumed, {} learned (the code is right either way), {} differ, {} not asked.",
        number(Verdict::Same),
        number(Verdict::Learned),
        number(Verdict::Differs),
        number(Verdict::NotAsked)
    )
}
