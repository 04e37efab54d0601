//! `rebound dev`: the whole service in one process.

mod arguments;
mod clock;
mod env_file;
mod workers;

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_local::dynamodb::EmbeddedDbError;
use aws_local::faults::{self, Faults};
use aws_local::feeder::over_http;
use aws_local::function_url;
use aws_local::server::Server;
use rebound::config::KeyLocation;
use rebound::engage::Engager;
use rebound::store::tables::TABLES;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

pub use self::arguments::Arguments;
use self::clock::{ClockFile, clock};
use self::env_file::EnvFile;
use self::workers::{Workers, work};
use crate::claude::ClaudeStub;
use crate::commands::{CommandError, variable};
use crate::resend::LocalResend;
use crate::runner::{
    Clock, act_invoker, engage_invoker, protect_invoker, serve_consent, serve_function_url, timeout_of,
};
use crate::stack::{EmbeddedAws, LocalAwsOptions, ResendAccess, StartError};
use crate::{CLOCK, FAULTS_URL, LOCAL_FILE, output};

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
    _clock_file: Option<ClockFile>,
    _work: Option<Workers>,
}

/// Runs the whole service until it is stopped.
pub async fn run(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    if arguments.aws_only {
        // Its output is an environment file.
        rebound::logging::init_to(variable, std::io::stderr);
    } else {
        rebound::logging::init(variable);
    }
    if !arguments.aws_only {
        EnvFile::check_unused(&arguments.env_file)?;
    }
    let settle = arguments.settle()?;
    let options = LocalAwsOptions { dynamodb: arguments.dynamodb, data: arguments.data.clone(), settle };
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
    let (clock, clock_file) = clock(arguments)?;
    let server = serve_function_url(arguments.listen, aws.receiver().await?, clock).await;
    let server = server.map_err(|error| explained(error, "--listen", None))?;
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
    let (resend, access) = resend(aws, clock, &format!("{}/", server.url())).await?;
    match (&resend, variable("RESEND_API_KEY")) {
        (None, _) => println!("Resend           {}, from the environment", access.url),
        (Some(resend), None) => {
            println!("Resend           {}  (a stub; GET it to read the accepted emails)", resend.url())
        }
        (Some(resend), Some(_)) => {
            println!("Resend           {}  (a stub, for follow-ups; commands use RESEND_API_KEY)", resend.url());
        }
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
    let act = act_invoker(Arc::new(aws.actor(&access)?), clock);
    let invoke = |function: &str| {
        Arc::clone(match function {
            "engage" => &engage,
            "act" => &act,
            _ => &protect,
        })
    };
    let work = work(aws, arguments, clock, invoke).await?;
    let mut more = format!("{CLOCK}={clock}\n");
    if resend.is_some() && variable("RESEND_API_KEY").is_none() {
        more.push_str(&format!("RESEND_BASE_URL={}\nRESEND_API_KEY={}\n", access.url, access.key));
    }
    if let Some(faults) = faults {
        more.push_str(&format!("{FAULTS_URL}={faults}\n"));
    }
    let env_file = EnvFile::write(&arguments.env_file, aws, &format!("{}/", server.url()), &more)?;
    Ok(Running {
        _function_url: Some(server),
        _consent: Some(consent),
        _env_file: Some(env_file),
        _resend: resend,
        _clock_file: clock_file,
        _work: Some(work),
    })
}

/// Resend: the one that `RESEND_BASE_URL` names, else a stub, which reports what it "sent" to the function URL `url`.
async fn resend(
    aws: &EmbeddedAws,
    clock: Clock,
    url: &str,
) -> Result<(Option<LocalResend>, ResendAccess), CommandError> {
    if let Some(url) = variable("RESEND_BASE_URL") {
        let key = variable("RESEND_API_KEY").unwrap_or_else(|| RESEND_KEY.to_owned());
        return Ok((None, ResendAccess { url, key }));
    }
    let resend = LocalResend::start(RESEND_KEY).await?;
    resend.follow_clock(move || clock.now());
    // A webhook signed with the secret of local runs is still accepted after `rebound connect`.
    resend.sign_with(crate::LOCAL_SECRET);
    let secret = variable("RESEND_WEBHOOK_SECRET");
    let secret = secret.as_deref().and_then(|secrets| secrets.split_whitespace().next());
    // With a Secrets Manager elsewhere, the secret is not known here.
    if let Some(secret) = secret.or(aws.secrets_manager.as_ref().map(|_| crate::LOCAL_SECRET)) {
        resend.report_to(url, secret);
    }
    let access = ResendAccess { url: resend.url(), key: RESEND_KEY.to_owned() };
    Ok((Some(resend), access))
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
    let receive = arguments.invoke.as_ref().map(|url| format!("{}/lambda-url/receive/", url.trim_end_matches('/')));
    let clock = Clock::new(1.0);
    let resend = match &receive {
        Some(url) => {
            let (resend, access) = resend(aws, clock, url).await?;
            for name in ["RESEND_BASE_URL", "RESEND_API_KEY"] {
                println!("{name}={}", access.variable(name).unwrap_or_default());
            }
            resend
        }
        None => None,
    };
    for (name, value) in not_from_the_shell(aws) {
        // An environment file, so nothing may be escaped.
        output::write_as_it_is(std::io::stdout(), &format!("{name}={value}\n"));
    }
    println!("REBOUND_LOCAL=ready");
    let work = match &arguments.invoke {
        Some(url) => {
            for_each_message(aws, |line| eprintln!("{line}"));
            Some(work(aws, arguments, clock, |function| over_http(url, function)).await?)
        }
        None => None,
    };
    let running = Running {
        _function_url: None,
        _consent: consent,
        _env_file: None,
        _resend: resend,
        _clock_file: None,
        _work: work,
    };
    Ok(running)
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
