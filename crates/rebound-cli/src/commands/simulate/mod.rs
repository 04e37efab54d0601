//! `rebound simulate`: a campaign's webhooks, and chaos, to any Rebound.

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
use crate::commands::place::TargetArguments;

/// Send a campaign's signed webhooks, and chaos, to any Rebound, and check what it makes of them.
///
/// The campaign has realistic rates, order and timing: sent, delivered, delayed, bounced, complained, opened, clicked; contacts that
/// unsubscribe and come back; mails to several people of whom one bounces. Everything is made of a seed, so a run can be repeated.
/// Where it can read the tables (--local, or credentials for the stack), it then looks whether all of it is right: every
/// webhook stored once, byte for byte; exactly those suppressed who must be; every number and the brake; every alert, every verdict.
/// Exits with 0 if so, with 1 if something is wrong, with 2 if it could not be found out.
///
/// It leaves its rows in the tables, for as long as events are kept. Its addresses are of example.com, and nobody is written to.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The webhook's URL
    #[arg(value_parser = url)]
    url: String,
    /// How many emails the campaign has
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    emails: u32,
    /// As many emails as make so many webhooks, not counting those that chaos repeats or forges
    #[arg(long, value_name = "NUMBER", conflicts_with = "emails", value_parser = clap::value_parser!(u32).range(1..))]
    events: Option<u32>,
    /// What goes wrong on purpose, separated by commas, or all
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds())]
    chaos: Vec<String>,
    /// The campaign's name; it must be a new one
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// The seed that everything is made of; without one, a new one
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How many are sent in a second; without it, as many as are taken
    #[arg(long, value_name = "NUMBER", value_parser = more_than_zero)]
    rate: Option<f64>,
    /// How many are under way at once
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    /// Over how many minutes the campaign is spread, in the story's time
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=1_440))]
    over: u64,
    /// How many seconds what comes later is waited for: protect's work, engage's verdicts
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// The functions are being killed while it runs: what is published may come again, the very same. Everything else must be as ever
    #[arg(long)]
    deaths: bool,
    /// Only send
    #[arg(long)]
    no_verify: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: TargetArguments,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Chaos::ALL.iter().map(|kind| kind.as_str()).chain(["all"]))
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let url = &arguments.url;
    if !arguments.deaths && !takes_connections(url).await {
        return Err(format!("nobody answers at {url}; {}", nobody_at(url)).into());
    }
    let at = arguments.place.at(url);
    let place = at.find().await;
    let signing = Signing::of(place.as_ref().ok(), url).await?;
    let chaos: Vec<Chaos> = Chaos::ALL
        .iter()
        .copied()
        .filter(|kind| arguments.chaos.iter().any(|name| name == "all" || name == kind.as_str()))
        .collect();
    let story = story(arguments, &chaos)?;
    match &place {
        Ok(place) => is_new(arguments, place, &story).await?,
        Err(error) if !arguments.no_verify => eprintln!("rebound: the tables can't be looked at afterwards: {error}"),
        Err(_) => {}
    }
    let requests = chaos::requests(&story, &chaos);

    let progress = output::progress(requests.len() as u64, "requests");
    let stays = stays(&story);
    let (bar, of, is_sent) = ((*progress).clone(), requests.len(), Arc::new(AtomicBool::new(false)));
    let all_sent = Arc::clone(&is_sent);
    on_ctrl_c(move || match all_sent.load(Ordering::SeqCst) {
        true => format!("All {of} requests were sent, and the tables were not looked at to the end. {stays}"),
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

    // A Rebound that was started again meanwhile is reached elsewhere.
    let place = match place {
        Ok(_) if arguments.deaths => at.find().await,
        place => place,
    };
    let findings = match place {
        _ if arguments.no_verify => Err("as asked, the tables were not looked at".to_owned()),
        Err(error) => Err(format!("the tables were not looked at: {error}")),
        Ok(place) => look(arguments, &place, &story, &requests, &chaos)
            .await
            .map_err(|error| format!("the tables were not looked at to the end: {error}")),
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

/// Returns false if nobody takes a connection at a URL. What is answered to a GET is not looked at.
async fn takes_connections(url: &str) -> bool {
    let asked = rebound::claude::web::client_for(url).get(url).timeout(Duration::from_secs(5)).send().await;
    !asked.is_err_and(|error| error.is_connect())
}

/// Looks at the tables, and shows how far that is.
async fn look(
    arguments: &Arguments,
    place: &Target,
    story: &Scenario,
    requests: &[Request],
    chaos: &[Chaos],
) -> Result<VerifyReport, VerifyError> {
    let looking = VerifyOptions {
        patience: Duration::from_secs(arguments.patience),
        then: if place.is_local() { Duration::from_secs(3) } else { Duration::from_secs(75) },
        knows_verdicts: !chaos.contains(&Chaos::Shuffle),
        deaths: arguments.deaths,
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
    let calls = place.calls(Duration::from_secs(6 * 3_600));
    let findings = verify(calls, place.variables(), story, requests, looking, done).await;
    progress.borrow().finish_and_clear();
    findings
}

/// Refuses a campaign that the tables know already.
async fn is_new(arguments: &Arguments, place: &Target, story: &Scenario) -> Result<(), CommandError> {
    let known = used(&place.calls(Duration::from_secs(10)), place.variables(), story).await;
    let used = match known {
        Ok(used) => used,
        Err(_) if arguments.no_verify => return Ok(()),
        Err(error) => return Err(VerifyError::Table(error).into()),
    };
    let seed = || format!("the seed {} was used before; leave --seed out, or take another", story.seed);
    match used {
        None => Ok(()),
        Some(AlreadyUsed::Campaign) if arguments.campaign.is_none() => Err(seed().into()),
        Some(AlreadyUsed::Seed) => Err(seed().into()),
        Some(AlreadyUsed::Campaign) => Err(format!(
            "there is a campaign {} already, and what is simulated would be counted for it; choose a name that is new, or leave --campaign out",
            story.campaign
        )
        .into()),
    }
}

/// What a simulation leaves in the tables.
fn stays(story: &Scenario) -> String {
    format!(
        "What was taken stays: rows, counts and suppressed addresses of example.com, under the campaign {}, for as long as events are kept. The next run takes a name of its own",
        story.campaign
    )
}

/// Why sending was stopped, what to do, and what stays.
fn because(stopped: &Stopped, story: &Scenario, signing: &Signing, place: &TargetArguments) -> String {
    let (why, doctor) = (&stopped.why, place.command("doctor"));
    let to_do = match why {
        SendError::Nobody(url) if stopped.taken > 0 && is_local(url) => "start `rebound dev` again".to_owned(),
        SendError::Nobody(url) => nobody_at(url).to_owned(),
        SendError::AnotherSecret(_) if signing.is_from_environment => {
            "RESEND_WEBHOOK_SECRET in this shell is not the function's: unset it, or set it to the function's"
                .to_owned()
        }
        SendError::AnotherSecret(_) => {
            format!("if it was changed just now, wait a minute; else {doctor} looks further")
        }
        SendError::NoSecret(_) => format!("run {}", place.command("connect")),
        SendError::Clock { .. } | SendError::NotRebound { .. } => String::new(),
        SendError::TakesNothing { .. } => format!("{doctor} looks further"),
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
            "that is no name for a campaign: it has 1 to 256 characters; Resend's tags have letters, digits, - and _",
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
