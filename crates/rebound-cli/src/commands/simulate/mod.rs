//! `rebound simulate`: a campaign's webhooks, and chaos, to any Rebound.

mod report;

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use rebound::receive::secret as webhook_secret;
use rebound::resend::campaign::Campaign;
use rebound::resend::signature::{SigningSecret, SigningSecrets};
use rebound::time::UnixMillis;
use rebound_cli::operate::place::{Place, is_local};
use rebound_dev::commands::values::{more_than_zero, url};
use rebound_dev::commands::{Failure, variable};
use rebound_dev::simulate::chaos::{self, Chaos};
use rebound_dev::simulate::send::{Sending, send};
use rebound_dev::simulate::story::{LEAST_SPAN, Story};
use rebound_dev::simulate::verify::{Looking, verify};
use rebound_dev::{LOCAL_SECRET, output};

use crate::commands::place::PlaceArguments;

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
    place: PlaceArguments,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Chaos::ALL.iter().map(|kind| kind.as_str()).chain(["all"]))
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if is_local(&arguments.url) && !somebody_listens(&arguments.url).await {
        return Err(format!("nobody answers at {}; start `rebound dev` first, or again", arguments.url).into());
    }
    let at = arguments.place.at(&arguments.url);
    let place = at.find().await;
    let secret = secret(place.as_ref().ok(), &arguments.url).await?;
    let chaos: Vec<Chaos> = Chaos::ALL
        .iter()
        .copied()
        .filter(|kind| arguments.chaos.iter().any(|name| name == "all" || name == kind.as_str()))
        .collect();
    let story = story(arguments, &chaos)?;
    let requests = chaos::requests(&story, &chaos);

    let progress = output::progress(requests.len() as u64, "requests");
    let (url, at_once) = (arguments.url.clone(), usize::from(arguments.at_once));
    let sending = Sending { url, secret, chaos: chaos.clone(), at_once, rate: arguments.rate };
    let sent = send(&story, &requests, &sending, || progress.inc(1)).await;
    progress.finish_and_clear();

    // A Rebound that was started again meanwhile is reached elsewhere.
    let place = match place {
        Ok(_) if arguments.deaths => at.find().await,
        place => place,
    };
    let findings = match place {
        _ if arguments.no_verify => Err("as asked, the tables were not looked at".to_owned()),
        Err(error) => Err(format!("the tables were not looked at: {error}")),
        Ok(place) => {
            let looking = Looking {
                patience: Duration::from_secs(arguments.patience),
                then: if place.is_near() { Duration::from_secs(3) } else { Duration::from_secs(75) },
                knows_verdicts: !chaos.contains(&Chaos::Shuffle),
                deaths: arguments.deaths,
            };
            let progress = RefCell::new(output::progress(0, ""));
            let done = |what: &'static str, number: usize| {
                if what.is_empty() {
                    progress.borrow().inc(number as u64);
                } else {
                    progress.borrow().finish_and_clear();
                    let next = if number == 0 { output::counting(what) } else { output::progress(number as u64, what) };
                    progress.replace(next);
                }
            };
            let findings = verify(
                place.calls(Duration::from_secs(6 * 3_600)),
                place.variables(),
                &story,
                &requests,
                looking,
                done,
            )
            .await;
            progress.borrow().finish_and_clear();
            Ok(findings?)
        }
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

/// Tells whether a connection to a URL of this machine is taken.
async fn somebody_listens(url: &str) -> bool {
    let addresses = reqwest::Url::parse(url).ok().and_then(|url| url.socket_addrs(|| None).ok()).unwrap_or_default();
    let connect = tokio::net::TcpStream::connect(addresses.as_slice());
    tokio::time::timeout(Duration::from_secs(2), connect).await.is_ok_and(|connected| connected.is_ok())
}

fn story(arguments: &Arguments, chaos: &[Chaos]) -> Result<Story, Failure> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let name = arguments.campaign.clone().unwrap_or_else(|| format!("simulate-{seed:016x}"));
    let mut story = Story {
        seed,
        campaign: Campaign::new(&name).ok_or("that is no name for a campaign")?,
        emails: arguments.emails,
        until: UnixMillis::now(),
        span: Duration::from_secs(arguments.over * 60).max(LEAST_SPAN),
        scanners: chaos.contains(&Chaos::Scanners),
        nulls: chaos.contains(&Chaos::Nulls),
        unknown: chaos.contains(&Chaos::Unknown),
        unreadable: chaos.contains(&Chaos::Unreadable),
        retold: chaos.contains(&Chaos::Duplicates),
    };
    if let Some(events) = arguments.events {
        story.emails = story.emails_of(events as usize);
    }
    Ok(story)
}

/// The secret to sign with: the environment's, else that of the place, else that of local runs.
async fn secret(place: Option<&Place>, url: &str) -> Result<SigningSecret, Failure> {
    if let Some(text) = variable("RESEND_WEBHOOK_SECRET") {
        text.parse::<SigningSecrets>()?;
        return Ok(text.split_whitespace().next().unwrap_or_default().parse()?);
    }
    let Some(place) = place else {
        if is_local(url) {
            return Ok(LOCAL_SECRET.parse()?);
        }
        return Err("which signing secret? Set RESEND_WEBHOOK_SECRET, or name the stack and its credentials".into());
    };
    let arn = match place.named("WEBHOOK_SECRET_ARN").await {
        Ok(arn) => arn,
        Err(_) if is_local(url) => return Ok(LOCAL_SECRET.parse()?),
        Err(error) => return Err(error.into()),
    };
    let source = webhook_secret::from_manager(place.aws().secrets_manager(), arn, Duration::from_secs(60)).await;
    let secret = source.known().and_then(|secrets| secrets.first().cloned());
    let unread = if place.is_near() {
        "the signing secret can't be read from `rebound dev`, which has stopped or was started again: start it again, and look at its file (--local=FILE)".to_owned()
    } else {
        let doctor = place.command("doctor");
        format!("the signing secret can't be read from Secrets Manager; set RESEND_WEBHOOK_SECRET, or see {doctor}")
    };
    Ok(secret.ok_or(unread)?)
}
