//! `rebound simulate`: sends the webhooks of a simulated campaign, with faults, and checks the results.

mod report;
mod signing;

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use rebound::resend::campaign::Campaign;
use rebound::time::UnixMillis;
use rebound_cli::operate::target::{Target, is_local};
use rebound_dev::commands::CommandError;
use rebound_dev::commands::values::{more_than_zero, nobody_at, url};
use rebound_dev::output;
use rebound_dev::progress::on_ctrl_c;
use rebound_dev::simulate::chaos::{self, Chaos, Request};
use rebound_dev::simulate::scenario::{MIN_SPAN, Scenario};
use rebound_dev::simulate::send::{SendError, SendOptions, Stopped, send};
use rebound_dev::simulate::used::{AlreadyUsed, used};
use rebound_dev::simulate::verify::{VerifyError, VerifyOptions, VerifyReport, verify};

use self::signing::Signing;
use crate::commands::target::TargetArguments;

/// Send the signed webhooks of a simulated campaign, with faults if you want, and check the results.
///
/// The campaign has realistic rates, order and timing: emails are sent, delivered, delayed, bounced, reported as spam, opened and clicked.
/// Some contacts unsubscribe and subscribe again. Some emails have several recipients, and one of these bounces.
/// The same seed makes the same campaign.
/// If the command can read the tables (--local, or credentials for the stack), it then checks that the results are correct:
/// each webhook is stored once, byte for byte; the right addresses are suppressed, and no others;
/// every count, brake, alert and verdict is correct; each follow-up that Rebound sends is sent once, and none to a recipient who complained or unsubscribed before.
/// Exits with 0 if everything is correct, with 1 if something is wrong, and with 2 if the check was not possible.
///
/// The rows stay in the tables as long as events are kept. All addresses are of example.com, and no email is sent.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// URL of the webhook
    #[arg(value_parser = url)]
    url: String,
    /// Number of emails in the campaign
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    emails: u32,
    /// Number of webhooks, instead of --emails; webhooks that --chaos repeats or forges do not count
    #[arg(long, value_name = "NUMBER", conflicts_with = "emails", value_parser = clap::value_parser!(u32).range(1..))]
    events: Option<u32>,
    /// Faults to cause, separated by commas, or all
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds())]
    chaos: Vec<String>,
    /// Name of the campaign; it must be new [default: made from the seed]
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Seed of the campaign; the same seed makes the same campaign [default: random]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Maximum number of requests per second [default: no limit]
    #[arg(long, value_name = "NUMBER", value_parser = more_than_zero)]
    rate: Option<f64>,
    /// Maximum number of concurrent requests
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Duration of the campaign in simulated time, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=1_440))]
    over: u64,
    /// Maximum time to wait for protect and engage after the last request, in seconds
    #[arg(long, visible_alias = "timeout", value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// Allow crashes of the functions during the run: an alert or decision may be published twice with the same id. Nothing else may be wrong
    #[arg(long, visible_alias = "crashes")]
    deaths: bool,
    /// Only send; do not check the tables
    #[arg(long)]
    no_verify: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Chaos::ALL.iter().map(|kind| kind.as_str()).chain(["all"]))
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let url = &arguments.url;
    if !arguments.deaths && !takes_connections(url).await {
        return Err(format!("nobody answers at {url}; {}", nobody_at(url)).into());
    }
    let at = arguments.target.at(url);
    let target = at.find().await;
    let signing = Signing::of(target.as_ref().ok(), url).await?;
    let chaos: Vec<Chaos> = Chaos::ALL
        .iter()
        .copied()
        .filter(|kind| arguments.chaos.iter().any(|name| name == "all" || name == kind.as_str()))
        .collect();
    let story = story(arguments, &chaos)?;
    match &target {
        Ok(target) => check_is_new(arguments, target, &story).await?,
        Err(error) if !arguments.no_verify => eprintln!("rebound: the tables cannot be checked afterwards: {error}"),
        Err(_) => {}
    }
    let requests = chaos::requests(&story, &chaos);

    let progress = output::progress(requests.len() as u64, "requests");
    let stays = stays(&story);
    let (bar, of, is_sent) = ((*progress).clone(), requests.len(), Arc::new(AtomicBool::new(false)));
    let all_sent = Arc::clone(&is_sent);
    on_ctrl_c(move || match all_sent.load(Ordering::SeqCst) {
        true => format!("All {of} requests were sent; the check of the tables did not finish. {stays}"),
        false => format!("{} of {of} requests were sent. {stays}", bar.position()),
    });
    let at_once = usize::from(arguments.at_once);
    let secret = signing.secret.clone();
    let (chaos, rate, deaths) = (chaos, arguments.rate, arguments.deaths);
    let sending = SendOptions { url: url.clone(), secret, chaos: chaos.clone(), at_once, rate, deaths };
    let sent = send(&story, &requests, &sending, || progress.inc(1)).await;
    progress.finish_and_clear();
    let sent = sent.map_err(|stopped| because(&stopped, &story, &signing, &at))?;
    is_sent.store(true, Ordering::SeqCst);

    // A `rebound dev` that was restarted during the run has new addresses.
    let target = match target {
        Ok(_) if arguments.deaths => at.find().await,
        target => target,
    };
    let findings = match target {
        _ if arguments.no_verify => Err("the tables were not checked (--no-verify)".to_owned()),
        Err(error) => Err(format!("the tables were not checked: {error}")),
        Ok(target) => check_tables(arguments, &target, &story, &requests, &chaos)
            .await
            .map_err(|error| format!("the check of the tables did not finish: {error}")),
    };
    report::print(arguments.json, &story, &sent, &findings);
    let is_right =
        sent.wrong_answers + sent.not_taken == 0 && findings.as_ref().is_ok_and(|findings| findings.is_right());
    Ok(match (is_right, &findings) {
        (true, _) => ExitCode::SUCCESS,
        (false, Err(_)) if sent.wrong_answers + sent.not_taken == 0 => {
            if arguments.no_verify {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(2)
            }
        }
        (false, _) => ExitCode::FAILURE,
    })
}

/// Returns false if no connection to the URL is possible. The response to the GET is ignored.
async fn takes_connections(url: &str) -> bool {
    let asked = rebound::web::client_for(url).get(url).timeout(Duration::from_secs(5)).send().await;
    !asked.is_err_and(|error| error.is_connect())
}

/// Checks the tables, and shows the progress.
async fn check_tables(
    arguments: &Arguments,
    target: &Target,
    story: &Scenario,
    requests: &[Request],
    chaos: &[Chaos],
) -> Result<VerifyReport, VerifyError> {
    let looking = VerifyOptions {
        patience: Duration::from_secs(arguments.patience),
        then: if target.is_local() { Duration::from_secs(3) } else { Duration::from_secs(75) },
        knows_verdicts: !chaos.contains(&Chaos::Shuffle),
        deaths: arguments.deaths,
        keeps_emails: !arguments.deaths,
    };
    let progress = RefCell::new(output::steps());
    let done = |what: &'static str, number: usize| {
        if what.is_empty() {
            return progress.borrow().inc(number as u64);
        }
        progress.borrow().finish_and_clear();
        let next = if number == 0 { output::steps() } else { output::progress(number as u64, what) };
        next.set_message(what);
        progress.replace(next);
    };
    let calls = target.calls(Duration::from_secs(6 * 3_600));
    let findings = verify(calls, target.variables(), story, requests, looking, done).await;
    progress.borrow().finish_and_clear();
    findings
}

/// Refuses a campaign that is already in the tables.
async fn check_is_new(arguments: &Arguments, target: &Target, story: &Scenario) -> Result<(), CommandError> {
    let known = used(&target.calls(Duration::from_secs(10)), target.variables(), story).await;
    let used = match known {
        Ok(used) => used,
        Err(_) if arguments.no_verify => return Ok(()),
        Err(error) => return Err(VerifyError::Table(error).into()),
    };
    let seed = || format!("the seed {} was used before; omit --seed, or choose another", story.seed);
    match used {
        None => Ok(()),
        Some(AlreadyUsed::Campaign) if arguments.campaign.is_none() => Err(seed().into()),
        Some(AlreadyUsed::Seed) => Err(seed().into()),
        Some(AlreadyUsed::Campaign) => Err(format!(
            "a campaign {} exists already, and the simulation would be counted for it; choose a new name, or omit --campaign",
            story.campaign
        )
        .into()),
    }
}

/// Describes the data that a simulation leaves in the tables.
fn stays(story: &Scenario) -> String {
    format!(
        "The accepted webhooks stay: rows, counts and suppressed addresses of example.com, under the campaign {}, as long as events are kept. The next run gets a new name",
        story.campaign
    )
}

/// Describes why sending stopped, what to do, and what stays in the tables.
fn because(stopped: &Stopped, story: &Scenario, signing: &Signing, target: &TargetArguments) -> String {
    let (why, doctor) = (&stopped.why, target.command("doctor"));
    let to_do = match why {
        SendError::Nobody(url) if stopped.taken > 0 && is_local(url) => "start `rebound dev` again".to_owned(),
        SendError::Nobody(url) => nobody_at(url).to_owned(),
        SendError::AnotherSecret(_) if signing.is_from_environment => {
            "RESEND_WEBHOOK_SECRET in this shell is not the function's: unset it, or set it to the function's"
                .to_owned()
        }
        SendError::AnotherSecret(_) => {
            format!("if the secret was changed just now, wait a minute; else run {doctor}")
        }
        SendError::NoSecret(_) => format!("run {}", target.command("connect")),
        SendError::Clock { .. } | SendError::NotRebound { .. } => String::new(),
        SendError::TakesNothing { .. } => format!("run {doctor}"),
    };
    let to_do = if to_do.is_empty() { to_do } else { format!("; {to_do}") };
    match stopped.taken {
        0 => format!("{why}{to_do}. Nothing was taken"),
        taken => format!("{why}{to_do}. {taken} webhooks were taken. {}", stays(story)),
    }
}

fn story(arguments: &Arguments, chaos: &[Chaos]) -> Result<Scenario, CommandError> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let name = arguments.campaign.clone().unwrap_or_else(|| format!("simulate-{seed:016x}"));
    let mut story = Scenario {
        seed,
        campaign: Campaign::new(&name).ok_or(
            "this is not a valid campaign name: 1 to 256 characters; Resend's tags allow letters, digits, - and _",
        )?,
        emails: arguments.emails,
        until: UnixMillis::now(),
        span: Duration::from_secs(arguments.over * 60).max(MIN_SPAN),
        scanners: chaos.contains(&Chaos::Scanners),
        nulls: chaos.contains(&Chaos::Nulls),
        unknown: chaos.contains(&Chaos::Unknown),
        unreadable: chaos.contains(&Chaos::Unreadable),
        retold: chaos.contains(&Chaos::Duplicates),
    };
    if let Some(events) = arguments.events {
        story.emails = story.emails_for(events as usize);
    }
    Ok(story)
}
