//! `rebound check`: may I send?

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use rebound::campaign::Campaign;
use rebound::operate::addresses;
use rebound::operate::check::{Answer, check};
use rebound::policy::brake::{Brake, Status};
use rebound::recipient::Recipient;
use rebound::store::counters::Campaigns;
use rebound::store::suppressions::Standing;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use crate::Failure;
use crate::output::{self, moment, shown};
use crate::place::PlaceArguments;

/// So many answers are shown one by one; of more, those that are no.
const MANY: usize = 50;

/// Say whether an address may be written to, and why not.
///
/// Exits with 0 if all of them may, with 1 if one may not, with 2 if it can't be found out. What is no address may not.
/// Tens of thousands take seconds: a hundred are asked about in each call. It needs the permissions dynamodb:BatchGetItem on the table
/// of suppressions, and with --campaign dynamodb:GetItem on that of campaigns.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The addresses, such as ann@example.com or "Ann Lee <ann@example.com>"; - reads standard input
    addresses: Vec<String>,
    /// Read addresses from this file too, one a line, or a CSV with a column `email`, `address` or `recipient`; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
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
    place: PlaceArguments,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut asked: Vec<String> = arguments.addresses.iter().filter(|address| *address != "-").cloned().collect();
    // What is piped into it is asked about, where nothing else is.
    let is_piped = asked.is_empty() && arguments.file.is_none() && !std::io::stdin().is_terminal();
    let reads_input = is_piped || asked.len() < arguments.addresses.len();
    for file in arguments.file.as_deref().into_iter().chain(reads_input.then_some("-")) {
        asked.extend(addresses::read(&output::read(file)?));
    }
    if asked.is_empty() {
        return Err("which address? Name some, or a file of them: --file FILE, or - for standard input".into());
    }
    let place = arguments.place.find().await?;
    let calls = place.calls(Duration::from_secs(600));
    let now = UnixMillis::now();
    let brake = match &arguments.campaign {
        Some(name) => {
            let campaign = Campaign::new(name).ok_or("that is no name of a campaign")?;
            let state = Campaigns::new(calls.clone(), place.table("CAMPAIGNS_TABLE")).state(&campaign).await?;
            Some((campaign, state.map(|state| state.brake)))
        }
        None => None,
    };
    let progress = output::progress(asked.len() as u64, "addresses");
    let answers =
        check(&calls, place.table("SUPPRESSIONS_TABLE"), &asked, now, |done| progress.inc(done as u64)).await?;
    progress.finish_and_clear();

    let volume = brake.as_ref().and_then(|(_, brake)| brake.as_ref()).map_or(1.0, |brake| brake.volume);
    let refused = answers.iter().filter(|answer| !answer.may_send()).count();
    if arguments.json {
        for (address, answer) in asked.iter().zip(&answers) {
            println!("{}", as_json(address, answer, brake.as_ref()));
        }
    } else {
        print(arguments, &asked, &answers, brake.as_ref());
    }
    Ok(if refused == 0 && volume > 0.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(address: &str, answer: &Answer, brake: Option<&(Campaign, Option<Brake>)>) -> Value {
    let reasons: Vec<Value> = match answer {
        Answer::MayNot(standing) => standing.iter().map(reason_json).collect(),
        other => other.reasons().into_iter().map(|reason| json!({ "reason": reason })).collect(),
    };
    let volume = brake.map(|(_, brake)| brake.as_ref().map_or(1.0, |brake| brake.volume));
    let mut line = json!({
        "address": address,
        "recipient": Recipient::parse(address),
        "may_send": answer.may_send() && volume.is_none_or(|volume| volume > 0.0),
        "reasons": reasons,
    });
    if let (Some((campaign, brake)), Some(fields)) = (brake, line.as_object_mut()) {
        let status = brake.as_ref().map_or(Status::Open, |brake| brake.status);
        let reason = brake.as_ref().map(|brake| brake.reason.as_str());
        let campaign = json!({ "name": campaign, "status": status, "volume": volume, "reason": reason });
        fields.insert("campaign".to_owned(), campaign);
    }
    line
}

fn reason_json(standing: &Standing) -> Value {
    let time = |at: Option<UnixMillis>| at.map(UnixMillis::to_text);
    json!({
        "reason": standing.reason, "at": time(standing.at), "until": time(standing.until),
        "email_id": standing.email_id, "detail": standing.detail,
    })
}

fn print(arguments: &Arguments, asked: &[String], answers: &[Answer], brake: Option<&(Campaign, Option<Brake>)>) {
    let all: Vec<(&String, &Answer)> = asked.iter().zip(answers).collect();
    let refused: Vec<_> = all.iter().copied().filter(|(_, answer)| !answer.may_send()).collect();
    let shown_ones = if arguments.all || all.len() <= MANY { all.clone() } else { refused.clone() };
    if !shown_ones.is_empty() {
        let rows = shown_ones.into_iter().map(|(address, answer)| {
            let word = if answer.may_send() { "yes" } else { "no" };
            [shown(address).into(), output::verdict(word, answer.may_send()), why(answer).into()]
        });
        println!("{}", output::table(&["address", "may be written to", "why not"], rows));
    }
    if all.len() > 1 {
        println!("{} of {} may be written to, {} may not.", all.len() - refused.len(), all.len(), refused.len());
    }
    let Some((campaign, brake)) = brake else { return };
    match brake {
        None => println!("Campaign {campaign}: nothing stands against it."),
        Some(brake) => {
            let volume = match brake.status {
                Status::Open => "all of it may be sent".to_owned(),
                Status::Slowed => format!("send {} % of it at most", (brake.volume * 100.0).round()),
                Status::Paused => "send nothing".to_owned(),
            };
            println!("Campaign {campaign} is {}: {volume}. {}", brake.status.as_str(), shown(&brake.reason));
        }
    }
}

/// Why not, in words.
fn why(answer: &Answer) -> String {
    match answer {
        Answer::May => String::new(),
        Answer::NotAnAddress => "it is no address that mail could go to".to_owned(),
        Answer::Forgotten => "forgotten: erased on request, and must not get email of any kind".to_owned(),
        Answer::MayNot(standing) => standing.iter().map(reason).collect::<Vec<_>>().join("\n"),
    }
}

/// A reason in a line.
pub(crate) fn reason(standing: &Standing) -> String {
    let mut line = shown(&standing.reason);
    if let Some(at) = standing.at {
        line.push_str(&format!(" since {}", moment(at)));
    }
    if let Some(until) = standing.until {
        line.push_str(&format!(", until {}", moment(until)));
    }
    if let Some(detail) = &standing.detail {
        line.push_str(&format!(": {}", shown(detail)));
    }
    line
}
