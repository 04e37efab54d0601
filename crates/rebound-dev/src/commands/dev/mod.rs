//! `rebound dev`: the whole service in one process.

mod env_file;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_local::dynamodb::EmbeddedDbError;
use aws_local::faults::{self, Faults};
use aws_local::feeder::{self, Feeder, Invoke, RedeliveryOptions, over_http};
use aws_local::function_url;
use aws_local::poller::Poller;
use aws_local::server::Server;
use rebound::config::KeyLocation;
use rebound::engage::Engager;
use rebound::store::tables::TABLES;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use self::env_file::EnvFile;
use crate::claude::ClaudeStub;
use crate::commands::{CommandError, variable};
use crate::resend::LocalResend;
use crate::runner::{
    Clock, Scheduler, engage_invoker, feed, poll, protect_invoker, queue_mappings, serve_consent, serve_function_url,
    tick, timeout_of,
};
use crate::stack::{EmbeddedAws, LocalAwsOptions, SETTLE, StartError};
use crate::{FAULTS_URL, LOCAL_FILE, output};

/// Run the whole service in this process, on an embedded AWS.
///
/// It uses the environment variables of the functions. If an AWS_ENDPOINT_URL_… is set, that endpoint is used instead of the embedded
/// one.
#[derive(clap::Args)]
pub struct Arguments {
    /// Address on which the function URL listens
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Address on which the function URL of consent listens: the pages behind unsubscribe links
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS")]
    consent: SocketAddr,
    /// Address on which the embedded DynamoDB listens
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    dynamodb: SocketAddr,
    /// Store the tables in this file, and queues and published messages in a file beside it; without it, all data is lost at the end
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Delivery delay of the queue of opens and clicks, in seconds (90 in the stack)
    #[arg(long, default_value_t = SETTLE.as_secs_f64(), value_name = "SECONDS", value_parser = seconds)]
    settle: f64,
    /// Maximum batching window of the stream's event source mappings, in seconds (60 in the stack)
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    window: f64,
    /// Interval between two ticks, in seconds (300 in the stack)
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    tick: f64,
    /// Factor by which the clock of protect and engage is faster, so that a day passes in minutes; the interval of ticks stays 300 seconds on it
    #[arg(long, default_value_t = 1.0, value_name = "SPEED", value_parser = speed, conflicts_with = "tick")]
    clock: f64,
    /// Deliver this fraction of the stream's batches again, some time later, as Lambda may
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction)]
    redeliver: f64,
    /// Fraction of the functions' DynamoDB calls that fail: rejected, throttled, in conflict, slow, or done without a response
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction, conflicts_with = "aws_only")]
    faults: f64,
    /// Fraction of the time in which SNS does not respond, at the end of every two minutes
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction, conflicts_with = "aws_only")]
    sns_hangs: f64,
    /// Seed of the random numbers of --redeliver and --faults
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Use a local stub of Claude with fixed answers; without it, Claude decides if ANTHROPIC_API_KEY is set, else the built-in rules
    #[arg(long)]
    claude_stub: bool,
    /// Write the environment for other commands to this file (their --local=FILE)
    #[arg(long, value_name = "FILE", default_value = LOCAL_FILE)]
    env_file: PathBuf,
    /// Start only the embedded AWS, for functions that run in other processes, and print their environment
    #[arg(long)]
    aws_only: bool,
    /// With --aws-only: invoke the functions at this URL, as `cargo lambda watch` serves them
    #[arg(long, value_name = "URL", requires = "aws_only", value_parser = crate::commands::values::url)]
    invoke: Option<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.0..=86_400.0)
}

fn fraction(text: &str) -> Result<f64, String> {
    number(text, 0.0..=1.0)
}

fn speed(text: &str) -> Result<f64, String> {
    number(text, 1.0..=100_000.0)
}

fn number(text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if range.contains(&number) { Ok(number) } else { Err(format!("must be from {} to {}", range.start(), range.end())) }
}

/// Period of the times in which SNS does not respond.
const SNS_HANG_PERIOD: Duration = Duration::from_secs(120);

/// The API key of the Resend stub.
const RESEND_KEY: &str = "local";

/// The servers and workers that run until Ctrl-C.
struct Running {
    _function_url: Option<Server>,
    _consent: Option<Server>,
    _env_file: Option<EnvFile>,
    _resend: Option<LocalResend>,
    _work: Option<Workers>,
}

/// The workers that invoke the functions.
struct Workers {
    _feeder: Option<Feeder>,
    _pollers: Vec<Poller>,
    _ticking: Vec<Scheduler>,
}

/// Runs the whole service until it is stopped.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if arguments.aws_only {
        // Its output is an environment file.
        rebound::logging::init_to(variable, std::io::stderr);
    } else {
        rebound::logging::init(variable);
    }
    // In a file even without --data: in memory, the engine's stream gets slower with every event.
    let folder = tempfile::tempdir()?;
    let data = arguments.data.clone().unwrap_or_else(|| folder.path().join("rebound.db"));
    let settle = Duration::from_secs_f64(arguments.settle);
    let options = LocalAwsOptions { dynamodb: arguments.dynamodb, data: Some(data), settle };
    let claude = if arguments.claude_stub { Some(ClaudeStub::start(([127, 0, 0, 1], 0).into()).await?) } else { None };
    let variable = |name: &str| match (&claude, name) {
        (Some(claude), "ANTHROPIC_BASE_URL") => Some(claude.url()),
        // The stub gets no real key.
        (Some(_), "ANTHROPIC_API_KEY") => Some("local".to_owned()),
        _ => variable(name),
    };
    let started = EmbeddedAws::start(&options, variable).await;
    let mut aws = started.map_err(|error| explained(error, "--dynamodb", arguments.data.as_deref()))?;
    let faults = if arguments.faults > 0.0 {
        let faults = Faults::default();
        faults.disable_call_log();
        faults.plan(faults::random(arguments.faults, arguments.seed));
        Some(aws.insert_fault_proxy(faults).await?)
    } else {
        None
    };
    if arguments.sns_hangs > 0.0 {
        let hangs = Faults::default();
        hangs.disable_call_log();
        hangs.plan(faults::hanging(arguments.sns_hangs, SNS_HANG_PERIOD));
        aws.insert_sns_fault_proxy(hangs).await?;
    }
    let _running = if arguments.aws_only {
        serve_elsewhere(&mut aws, arguments).await?
    } else {
        serve(&mut aws, arguments, faults.as_deref()).await?
    };
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminated.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The error of a failed start, with the option that helps.
fn explained(error: StartError, address: &str, data: Option<&Path>) -> CommandError {
    match (&error, data) {
        (StartError::Listen(at, why) | StartError::DynamoDb(EmbeddedDbError::Listen(at, why)), _)
            if why.kind() == ErrorKind::AddrInUse =>
        {
            format!("something listens on {at} already, perhaps another `rebound dev`: stop it, or choose another address with {address}").into()
        }
        (StartError::DynamoDb(EmbeddedDbError::Database(why)), Some(file)) => {
            let file = file.display();
            format!("{file} can't be opened as a database: {why}; --data takes a file that `rebound dev` wrote, or a new one in a folder that exists").into()
        }
        _ => error.into(),
    }
}

/// Runs everything in this process.
async fn serve(aws: &mut EmbeddedAws, arguments: &Arguments, faults: Option<&str>) -> Result<Running, CommandError> {
    let server = serve_function_url(arguments.listen, aws.receiver().await?).await;
    let server = server.map_err(|error| explained(error, "--listen", None))?;
    let clock = Clock::new(arguments.clock);
    let consent = serve_consent(arguments.consent, aws.consent().await?, clock).await;
    let consent = consent.map_err(|error| explained(error, "--consent", None))?;
    aws.set_consent_url(&consent.url());
    let aws = &*aws;
    let address = |name: &str| aws.variable(name).unwrap_or_default();
    println!("function URL     {}/", server.url());
    println!("consent          {}  (`rebound unsubscribe-link` makes links)", consent.url());
    println!("DynamoDB         {}", address("AWS_ENDPOINT_URL_DYNAMODB"));
    if let Some(faults) = faults {
        let percent = arguments.faults * 100.0;
        println!("faults           in {percent} % of the functions' DynamoDB calls  (GET {faults} for their number)");
    }
    println!("SNS              {}  (GET it to read the published messages)", address("AWS_ENDPOINT_URL_SNS"));
    println!("SQS              {}", address("AWS_ENDPOINT_URL_SQS"));
    println!("Secrets Manager  {}", address("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
    let resend = match variable("RESEND_BASE_URL").or(variable("RESEND_API_KEY")) {
        Some(_) => None,
        None => Some(LocalResend::start(RESEND_KEY).await?),
    };
    if let Some(resend) = &resend {
        // A webhook signed with the secret of local runs is still accepted after `rebound connect`.
        resend.sign_with(crate::LOCAL_SECRET);
    }
    match &resend {
        Some(resend) => println!("Resend           {}  (a stub, for `rebound connect`)", resend.url()),
        None => println!("Resend           from the environment"),
    }
    println!("tables           {}", TABLES.map(|table| address(table.variable)).join(" "));
    let secret = match (variable("RESEND_WEBHOOK_SECRET"), &aws.secrets_manager) {
        (Some(_), _) => "RESEND_WEBHOOK_SECRET, from the environment",
        (None, Some(_)) => crate::LOCAL_SECRET,
        (None, None) => "from the secret WEBHOOK_SECRET_ARN",
    };
    println!("signing secret   {secret}");
    let engager = aws.engager()?;
    println!("Claude           {}", who_decides(&engager, arguments));
    let local = match arguments.env_file == Path::new(LOCAL_FILE) {
        true => "--local".to_owned(),
        false => format!("--local={}", arguments.env_file.display()),
    };
    println!("\nIn another terminal: rebound simulate {}/ {local}", server.url());
    println!("                     rebound sample email.bounced --post {}/", server.url());
    println!("Press Ctrl-C to stop.");
    for_each_message(aws, |line| println!("{line}"));

    let protect = protect_invoker(Arc::new(aws.protector()?), clock, timeout_of("protect")?);
    let engage = engage_invoker(Arc::new(engager), clock, timeout_of("engage")?);
    let invoke = |function: &str| Arc::clone(if function == "engage" { &engage } else { &protect });
    let work = work(aws, arguments, clock, invoke).await?;
    let mut more = format!("REBOUND_FUNCTION_URL={}/\n", server.url());
    if let Some(resend) = &resend {
        more.push_str(&format!("RESEND_BASE_URL={}\nRESEND_API_KEY={RESEND_KEY}\n", resend.url()));
    }
    if let Some(faults) = faults {
        more.push_str(&format!("{FAULTS_URL}={faults}\n"));
    }
    let env_file = EnvFile::write(&arguments.env_file, aws, more)?;
    Ok(Running {
        _function_url: Some(server),
        _consent: Some(consent),
        _env_file: Some(env_file),
        _resend: resend,
        _work: Some(work),
    })
}

/// The variables that are not set in the shell with the same value.
fn not_from_the_shell(aws: &EmbeddedAws) -> impl Iterator<Item = (&String, &String)> {
    aws.variables().iter().filter(|(name, value)| variable(name).as_ref() != Some(*value))
}

/// Runs only the embedded AWS, for functions in other processes.
async fn serve_elsewhere(aws: &mut EmbeddedAws, arguments: &Arguments) -> Result<Running, CommandError> {
    let consent = match &arguments.invoke {
        Some(url) => {
            let serving = function_url::serve(arguments.consent, over_http(url, "consent")).await;
            let taken = |error| explained(StartError::Listen(arguments.consent, error), "--consent", None);
            Some(serving.map_err(taken)?)
        }
        None => None,
    };
    if let Some(consent) = &consent {
        aws.set_consent_url(&consent.url());
    }
    for (name, value) in not_from_the_shell(aws) {
        // An environment file, so nothing may be escaped.
        output::write_as_it_is(std::io::stdout(), &format!("{name}={value}\n"));
    }
    println!("REBOUND_LOCAL=ready");
    let Some(url) = &arguments.invoke else {
        return Ok(Running { _function_url: None, _consent: consent, _env_file: None, _resend: None, _work: None });
    };
    for_each_message(aws, |line| eprintln!("{line}"));
    let work = work(aws, arguments, Clock::new(1.0), |function| over_http(url, function)).await?;
    Ok(Running { _function_url: None, _consent: consent, _env_file: None, _resend: None, _work: Some(work) })
}

/// The line about the maker of decisions: Claude, its stub, or the built-in rules.
fn who_decides(engager: &Engager, arguments: &Arguments) -> String {
    let config = engager.config();
    match &config.key {
        _ if arguments.claude_stub => "a local stub with fixed answers".to_owned(),
        KeyLocation::Environment(_) => {
            let budget = config.daily_budget.usd();
            format!("{} at {}, at most {budget} US dollars a day", config.model, config.base_url)
        }
        KeyLocation::Manager(arn) => {
            format!("with the key in the secret {arn}; without a key there, the built-in rules decide")
        }
        KeyLocation::None => {
            "not used: the built-in rules decide; set ANTHROPIC_API_KEY, or use --claude-stub".to_owned()
        }
    }
}

/// Starts the workers that invoke the functions: for the stream, the queue and the schedules. A stream or queue of another endpoint is
/// left out if it can't be read.
async fn work(
    aws: &EmbeddedAws,
    arguments: &Arguments,
    clock: Clock,
    invoke: impl Fn(&str) -> Invoke,
) -> Result<Workers, CommandError> {
    let options = feeder::FeederOptions {
        longest_window: Some(Duration::from_secs_f64(arguments.window)),
        chaos: (arguments.redeliver > 0.0)
            .then_some(RedeliveryOptions { redeliver: arguments.redeliver, seed: arguments.seed }),
        checkpoint: arguments.data.as_ref().map(|file| file.with_extension("stream")),
        ..feeder::FeederOptions::default()
    };
    let feeder = match feed(aws, options, |mapping| invoke(&mapping.function)).await {
        Ok(feeder) => Some(feeder),
        Err(error) if variable("AWS_ENDPOINT_URL_DYNAMODB").is_some() => {
            eprintln!("rebound: protect gets no stream records: {error}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let pollers = match poll(aws, &queue_mappings(aws)?, |mapping| invoke(&mapping.function)).await {
        Ok(pollers) => pollers,
        Err(error) if variable("AWS_ENDPOINT_URL_SQS").is_some() => {
            eprintln!("rebound: engage gets no queue messages: {error}");
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let interval = (arguments.clock == 1.0).then(|| Duration::from_secs_f64(arguments.tick.max(0.05)));
    Ok(Workers { _feeder: feeder, _pollers: pollers, _ticking: tick(clock, interval, invoke)? })
}

/// Prints a line for each alert and each decision when it is published.
fn for_each_message(aws: &EmbeddedAws, say: impl Fn(&str) + Send + 'static) {
    let Some(mut published) = aws.sns.as_ref().map(aws_local::sns::LocalSns::subscribe) else { return };
    tokio::spawn(async move {
        while let Ok(message) = published.recv().await {
            let Ok(published) = serde_json::from_str::<Value>(&message.for_protocol("lambda")) else { continue };
            let text = |name: &str| published.get(name).and_then(Value::as_str).unwrap_or_default();
            let (severity, kind, title) = (text("severity"), text("kind"), text("title"));
            let what = if published.get("followup").is_some() { "DECISION" } else { "ALERT   " };
            say(&format!("{what} {severity:8} {kind:16} {}", output::sanitize(title)));
        }
    });
}
