//! `rebound check`: can these addresses receive email?

mod answers;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rebound::policy::suppression::MAX_TOPIC_ID;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::counters::Campaigns;
use rebound::store::suppressions::EmailKind;
use rebound::time::UnixMillis;
use rebound_cli::operate::check::check;
use rebound_cli::operate::lists::address::oddity;
use rebound_cli::operate::lists::{ListLine, Remark};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, sanitize};

use self::answers::{Answers, CheckedAddress};
use crate::commands::list_file::{ListFile, ReadingArguments};
use crate::commands::suppressions::why_no_address;
use crate::commands::target::TargetArguments;

/// Number of addresses that are looked up together, and so the maximum that is held in memory.
const LOOKUP_BATCH: usize = 10_000;

/// Check whether addresses can receive email, and show the reasons if not.
///
/// Exits with 0 if all addresses can receive email, with 1 if at least one must not, and with 2 if the check failed.
/// An invalid address counts as "no". A line of a file without an address also counts as "no", and is shown with its line number.
/// One call looks up 100 addresses, so tens of thousands take seconds.
/// The command needs the permission dynamodb:BatchGetItem on the suppressions table, and with --campaign dynamodb:GetItem on the campaigns table.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The addresses, such as ann@example.com or "Ann Lee <ann@example.com>"; - reads standard input
    addresses: Vec<String>,
    /// Also read addresses from this file: one per line, CSV or JSON lines; - is standard input. In a CSV, the addresses are read from the
    /// column that is named `recipient`, `email`, `address` or similar. Without column names, it is the column that contains addresses
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// The email is transactional: its recipient asked for it or needs it, such as a password reset. Unsubscribed and opted-out
    /// recipients can receive it
    #[arg(long)]
    transactional: bool,
    /// The email is about the topic with this id at Resend. Recipients who opted out of the topic must not receive it, unless it is
    /// transactional
    #[arg(long, value_name = "ID", value_parser = topic_id)]
    topic: Option<String>,
    /// Also check the brake of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Show every result. Without this flag, a list of more than 50 addresses shows only "no" results
    #[arg(long)]
    all: bool,
    /// Print one JSON object per address, one per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let mut asked: Vec<CheckedAddress> =
        arguments.addresses.iter().filter(|address| *address != "-").map(given).collect();
    // If no address and no file is named, the piped input is read.
    let is_piped = asked.is_empty() && arguments.file.is_none() && !std::io::stdin().is_terminal();
    let reads_input = is_piped || asked.len() < arguments.addresses.len();
    let files = arguments.file.as_deref().into_iter().chain(reads_input.then_some("-"));
    let mut files = files.map(|file| ListFile::open(file, &arguments.reading)).collect::<Result<Vec<_>, _>>()?;
    if asked.is_empty() && files.is_empty() {
        return Err("which address? Name addresses, or a file with --file FILE, or - for standard input".into());
    }
    let target = arguments.target.find().await?;
    let calls = target.calls(Duration::from_secs(6 * 3_600));
    let now = UnixMillis::now();
    let brake = match &arguments.campaign {
        Some(name) => {
            let campaign = Campaign::new(name).ok_or(
                "this is not a valid campaign name: 1 to 256 characters; Resend's tags allow letters, digits, - and _",
            )?;
            let state = Campaigns::new(calls.clone(), target.table("CAMPAIGNS_TABLE")).state(&campaign).await?;
            if state.is_none() {
                let all = target.command("campaigns");
                eprintln!(
                    "rebound: nothing was counted for a campaign {campaign} yet, so it has no brake; {all} lists the known campaigns"
                );
            }
            Some((campaign, state.map(|state| state.brake)))
        }
        None => None,
    };
    let email = EmailKind { transactional: arguments.transactional, topic: arguments.topic.as_deref() };
    let mut answers = Answers::new(arguments.all, arguments.json, email, brake);
    let progress = output::counting("addresses");
    let mut look = async |asked: &mut Vec<CheckedAddress>| -> Result<(), CommandError> {
        let recipients: Vec<Option<&Recipient>> = asked.iter().map(|asked| asked.read.as_ref().ok()).collect();
        let table = target.table("SUPPRESSIONS_TABLE");
        let found = check(&calls, table, &recipients, email, now, |done| progress.inc(done as u64)).await?;
        progress.suspend(|| asked.drain(..).zip(found).for_each(|(asked, answer)| answers.add(asked, answer)));
        Ok(())
    };
    for file in &mut files {
        file.describe(None);
        while let Some(line) = file.next()? {
            asked.push(listed(line));
            if asked.len() >= LOOKUP_BATCH {
                look(&mut asked).await?;
            }
        }
    }
    look(&mut asked).await?;
    progress.finish_and_clear();
    answers.finish();
    for file in &files {
        file.counts()?;
    }
    Ok(if answers.may_all_be_sent() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads a topic's id. A longer one is never stored, so nobody could be out of it.
fn topic_id(text: &str) -> Result<String, String> {
    match text.len() {
        1..=MAX_TOPIC_ID => Ok(text.to_owned()),
        _ => Err(format!("a topic's id has 1 to {MAX_TOPIC_ID} bytes; Resend shows it under Topics")),
    }
}

/// Reads an address of the command line.
fn given(text: &String) -> CheckedAddress {
    let read = Recipient::parse(text).ok_or_else(|| match Path::new(text).is_file() {
        true => format!("this is a file, not an address; to read it: --file {}", sanitize(text)),
        false if why_no_address(text).contains("several") => format!("it {}", why_no_address(text)),
        false => "this is not a valid email address".to_owned(),
    });
    let odd = read.as_ref().ok().and_then(oddity);
    CheckedAddress { written: Some(text.clone()), line: None, read, odd }
}

/// Converts a line of a file.
fn listed(line: ListLine) -> CheckedAddress {
    match line {
        ListLine::Entry { number, row } => {
            CheckedAddress { written: Some(row.written), line: Some(number), read: Ok(row.recipient), odd: row.odd }
        }
        ListLine::Refused(Remark { line, why }) => {
            CheckedAddress { written: None, line: Some(line), read: Err(why), odd: None }
        }
    }
}
