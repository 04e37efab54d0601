//! `rebound check`: may I send?

mod answers;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::counters::Campaigns;
use rebound::time::UnixMillis;
use rebound_cli::operate::check::check;
use rebound_cli::operate::lists::address::oddity;
use rebound_cli::operate::lists::{Line, Remark};
use rebound_dev::commands::CommandError;
use rebound_dev::output::{self, sanitize};

pub(crate) use self::answers::reason;
use self::answers::{Answers, Asked};
use crate::commands::list_file::{ListFile, ReadingArguments};
use crate::commands::place::TargetArguments;
use crate::commands::suppressions::why_no_address;

/// So many addresses are looked up together: no more than these are held in memory, however long a file is.
const TOGETHER: usize = 10_000;

/// Say whether an address may be written to, and why not.
///
/// Exits with 0 if all of them may, with 1 if one may not, with 2 if it can't be found out. What is no address may not, nor may a line
/// of a file without one: it is named with its number.
/// Tens of thousands take seconds: a hundred are asked about in each call. It needs the permissions dynamodb:BatchGetItem on the table
/// of suppressions, and with --campaign dynamodb:GetItem on that of campaigns.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The addresses, such as ann@example.com or "Ann Lee <ann@example.com>"; - reads standard input
    addresses: Vec<String>,
    /// Read addresses from this file too, one a line, a CSV or JSON lines; - is standard input. The column is the one with a name such as
    /// `recipient`, `email` or `address`; where no line names columns, the one with an address in it
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Ask also whether this campaign may be sent
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Show every answer, however many there are, and not only those that are no
    #[arg(long)]
    all: bool,
    /// Print a JSON object for each address, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: TargetArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let mut asked: Vec<Asked> = arguments.addresses.iter().filter(|address| *address != "-").map(given).collect();
    // What is piped into it is asked about, where nothing else is.
    let is_piped = asked.is_empty() && arguments.file.is_none() && !std::io::stdin().is_terminal();
    let reads_input = is_piped || asked.len() < arguments.addresses.len();
    let files = arguments.file.as_deref().into_iter().chain(reads_input.then_some("-"));
    let mut files = files.map(|file| ListFile::open(file, &arguments.reading)).collect::<Result<Vec<_>, _>>()?;
    if asked.is_empty() && files.is_empty() {
        return Err("which address? Name some, or a file of them: --file FILE, or - for standard input".into());
    }
    let place = arguments.place.find().await?;
    let calls = place.calls(Duration::from_secs(6 * 3_600));
    let now = UnixMillis::now();
    let brake = match &arguments.campaign {
        Some(name) => {
            let campaign = Campaign::new(name).ok_or("that is no name of a campaign: it has 1 to 256 characters; Resend's tags have letters, digits, - and _")?;
            let state = Campaigns::new(calls.clone(), place.table("CAMPAIGNS_TABLE")).state(&campaign).await?;
            if state.is_none() {
                let all = place.command("campaigns");
                eprintln!(
                    "rebound: nothing was counted of a campaign {campaign} yet, so no brake is on; {all} lists those that there are"
                );
            }
            Some((campaign, state.map(|state| state.brake)))
        }
        None => None,
    };
    let mut answers = Answers::new(arguments.all, arguments.json, brake);
    let progress = output::counting("addresses");
    let mut look = async |asked: &mut Vec<Asked>| -> Result<(), CommandError> {
        let addresses: Vec<String> = asked.iter().filter_map(Asked::address).collect();
        let found = check(&calls, place.table("SUPPRESSIONS_TABLE"), &addresses, now, |done| progress.inc(done as u64));
        let mut found = found.await?.into_iter();
        progress.suspend(|| asked.drain(..).for_each(|asked| answers.add(asked, || found.next())));
        Ok(())
    };
    for file in &mut files {
        file.say_how(None);
        while let Some(line) = file.next()? {
            asked.push(listed(line));
            if asked.len() >= TOGETHER {
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

/// An address of the command line.
fn given(text: &String) -> Asked {
    let read = Recipient::parse(text).ok_or_else(|| match Path::new(text).is_file() {
        true => format!("it is no address, but a file; to read it: --file {}", sanitize(text)),
        false if why_no_address(text).contains("several") => format!("it {}", why_no_address(text)),
        false => "it is no address that mail could go to".to_owned(),
    });
    let odd = read.as_ref().ok().and_then(oddity);
    Asked { written: Some(text.clone()), line: None, read, odd }
}

/// A line of a file.
fn listed(line: Line) -> Asked {
    match line {
        Line::Entry { number, row } => {
            Asked { written: Some(row.written), line: Some(number), read: Ok(row.recipient), odd: row.odd }
        }
        Line::Refused(Remark { line, why }) => Asked { written: None, line: Some(line), read: Err(why), odd: None },
    }
}
