//! `make soak`: very many webhooks to a `rebound dev` that is killed repeatedly, with faults between it and its tables.
//! Then checks that nothing is lost, duplicated or wrong, and that its memory has not grown.

#![allow(clippy::print_stdout, reason = "a command prints")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails, fails"))]

mod followups;
mod memory;
mod report;
mod service;
mod watch;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use rebound::aws::AwsEnvironment;
use rebound::resend::campaign::Campaign;
use rebound::store::client::RetryClient;
use rebound::time::UnixMillis;
use rebound_dev::LOCAL_SECRET;
use rebound_dev::progress::on_ctrl_c;
use rebound_dev::resend::LocalResend;
use rebound_dev::simulate::chaos::{self, Chaos, Request};
use rebound_dev::simulate::scenario::Scenario;
use rebound_dev::simulate::send::{SendOptions, SendReport, send};
use rebound_dev::simulate::verify::{VerifyOptions, VerifyReport, verify};

use self::followups::FollowupResult;
use self::memory::Phase;
use self::service::{ServiceProcess, Setting};
use self::watch::{Observations, ServiceWatch};

type BoxError = Box<dyn Error>;

/// The API key of the stub of Resend.
const RESEND_KEY: &str = "soak";

/// Sends very many webhooks to `rebound dev` while it is killed repeatedly and its DynamoDB calls fail. Checks that
/// nothing is lost, duplicated or wrong, and that its memory does not grow.
///
/// It starts `rebound dev` as a separate process, on a file, and sends it the webhooks of `rebound simulate --chaos
/// all`. At random times it kills the process with SIGKILL and restarts it on the same file. In the last part the
/// process is not killed, so that it lives long enough to measure its memory; its calls still fail. At the end
/// everything is verified as `rebound simulate` does. Then the follow-ups that a stub of Claude decided are sent to a
/// stub of Resend, on a fast clock, while a third of the recipients unsubscribe: each is accepted at most once, and none
/// after a stop. Exits with 0 if nothing is lost, duplicated or wrong, else with 1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Number of webhooks, without those that chaos repeats or forges
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    events: usize,
    /// Average seconds between two kills; 0: no kills
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    kill_every: f64,
    /// Last fraction of the requests, without kills
    #[arg(long, value_name = "FRACTION", default_value_t = 0.34)]
    calm: f64,
    /// Fraction of the functions' DynamoDB calls that fail; some transactions become half visible
    #[arg(long, value_name = "FRACTION", default_value_t = 0.02)]
    faults: f64,
    /// Fraction of the time in which SNS does not respond, at the end of every two minutes
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25)]
    sns_hangs: f64,
    /// Fraction of the stream's batches that are delivered twice
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    redeliver: f64,
    /// Seconds that an open or a click waits in the queue: 90 as in the stack, so that the queue's other times are real
    /// too
    #[arg(long, value_name = "SECONDS", default_value_t = 90.0)]
    settle: f64,
    /// Maximum number of concurrent requests
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    at_once: usize,
    /// Seed of everything, including the times of the kills
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Seconds that protect and engage may take after the last response
    #[arg(long, value_name = "SECONDS", default_value_t = 1_800)]
    patience: u64,
    /// Folder for the tables and the log of `rebound dev`, which is kept; by default they are removed
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Path of the program `rebound`; by default the one next to this program
    #[arg(long, value_name = "FILE")]
    rebound: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The result.
struct SoakResult {
    sent: SendReport,
    findings: VerifyReport,
    recorded: Observations,
    followups: FollowupResult,
    bytes: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let scenario = scenario(&arguments)?;
    eprintln!(
        "{} emails make {} webhooks; the log of `rebound dev` is {}",
        scenario.emails,
        arguments.events,
        folder.join("dev.log").display()
    );
    let requests = chaos::requests(&scenario, Chaos::ALL);
    // Outside of the process that is killed, as Resend is.
    let resend = LocalResend::start(RESEND_KEY).await?;
    followups::make_unreliable(&resend, arguments.seed);
    let mut service = ServiceProcess::new(Setting {
        program: program(&arguments)?,
        folder: folder.clone(),
        faults: arguments.faults,
        sns_hangs: arguments.sns_hangs,
        redeliver: arguments.redeliver,
        settle: arguments.settle,
        seed: arguments.seed,
        resend: resend.url(),
        clock: 1.0,
        rate: 4.0,
    })?;
    service.start().await?;
    let watched = WatcherMessage {
        answered: AtomicUsize::new(0),
        phase: AtomicU8::new(Phase::Sending as u8),
        said: Mutex::default(),
    };
    let (own, is_temporary) = (folder.clone(), arguments.folder.is_none());
    let process = Arc::clone(&service.process);
    on_ctrl_c(move || match is_temporary {
        true => {
            // It may have been spared the signal, and would write into a folder that is gone.
            let id = process.load(Ordering::SeqCst);
            if id != 0 {
                let _ = std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
            let _ = std::fs::remove_dir_all(&own);
            "Nothing stays: its folder was a temporary one".to_owned()
        }
        false => format!("Its tables and its log stay, in {}; begin again with another folder", own.display()),
    });
    let watch = ServiceWatch::new(&arguments, requests.len(), &watched);
    let (url, env_file) = (service.url(), service.env_file());
    let (recorded, simulated) = {
        let mut watching = std::pin::pin!(watch.run(&mut service));
        let mut simulating =
            std::pin::pin!(simulate(&arguments, &scenario, &requests, url, env_file, &resend, &watched));
        tokio::select! {
            // Before the end, this finishes only if the process cannot be restarted.
            recorded = &mut watching => (recorded, Err("`rebound dev` is gone".into())),
            simulated = &mut simulating => {
                watched.enter(Phase::Over);
                (watching.await, simulated)
            }
        }
    };
    let (recorded, bytes) = (recorded?, service.bytes());
    let (sent, findings) = simulated?;
    let followups = followups::send(&arguments, &mut service, &resend).await?;
    service.stop().await;
    let outcome = SoakResult { sent, findings, recorded, followups, bytes };
    report::print(&arguments, &scenario, requests.len(), &outcome);
    Ok(if outcome.is_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl SoakResult {
    fn is_right(&self) -> bool {
        self.findings.is_right()
            && self.sent.wrong_answers + self.sent.not_taken == 0
            && self.recorded.own_deaths == 0
            && self.followups.faults.is_empty()
    }
}

/// Messages from the sender to the watcher.
struct WatcherMessage {
    answered: AtomicUsize,
    phase: AtomicU8,
    said: Mutex<String>,
}

impl WatcherMessage {
    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }
}

fn scenario(arguments: &Arguments) -> Result<Scenario, BoxError> {
    let campaign = Campaign::new(&format!("soak-{}", arguments.seed)).ok_or("that is no name for a campaign")?;
    let mut scenario = Scenario::with_everything(arguments.seed, campaign, 1, UnixMillis::now());
    scenario.emails = scenario.emails_for(arguments.events);
    Ok(scenario)
}

fn program(arguments: &Arguments) -> Result<PathBuf, BoxError> {
    let beside = std::env::current_exe()?.with_file_name("rebound-dev");
    let program = arguments.rebound.clone().unwrap_or(beside);
    if !program.is_file() {
        return Err(format!(
            "{} is not there: build it, as `make soak` does, or name it with --rebound",
            program.display()
        )
        .into());
    }
    Ok(program)
}

/// Runs `rebound simulate --chaos all --deaths`.
async fn simulate(
    arguments: &Arguments,
    scenario: &Scenario,
    requests: &[Request],
    url: String,
    env_file: PathBuf,
    resend: &LocalResend,
    watched: &WatcherMessage,
) -> Result<(SendReport, VerifyReport), BoxError> {
    let sending = SendOptions {
        url,
        secret: LOCAL_SECRET.parse()?,
        chaos: Chaos::ALL.to_vec(),
        at_once: arguments.at_once,
        rate: None,
        deaths: true,
    };
    let sent = send(scenario, requests, &sending, || _ = watched.answered.fetch_add(1, Ordering::SeqCst)).await?;
    watched.enter(Phase::Verifying);
    // Read now: the addresses of the stubs change with every start.
    let mut variables = rebound_dev::read_env_file(&env_file)?;
    variables.insert("RESEND_BASE_URL".to_owned(), resend.url());
    let aws = AwsEnvironment::read(|name| variables.get(name).cloned())?;
    let calls = RetryClient::new(aws.dynamodb(), tokio::time::Instant::now() + Duration::from_secs(6 * 3_600));
    let options = VerifyOptions {
        patience: Duration::from_secs(arguments.patience),
        then: Duration::from_secs(5),
        knows_verdicts: false,
        deaths: true,
        keeps_emails: true,
    };
    let done = |what: &'static str, number: usize| {
        if !what.is_empty() {
            let mut said = watched.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *said = if number == 0 { what.to_owned() } else { format!("{what} at {number} emails") };
        }
    };
    let findings = verify(calls, &variables, scenario, requests, options, done).await?;
    Ok((sent, findings))
}
