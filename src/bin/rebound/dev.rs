//! `rebound dev`: the whole service in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rebound::alert::Alert;
use rebound::local::dynamodb::SETTLE;
use rebound::local::feeder::{self, Chaos, Feeder, Invoke, over_http};
use rebound::local::running::{Clock, Ticking, feed, in_process, tick, timeout_of};
use rebound::local::server::Server;
use rebound::local::stack::{EmbeddedAws, Options, serve_function_url};

use crate::{Failure, variable};

/// Run the whole service in this process, on an embedded AWS.
///
/// It honours the environment variables of the functions. Where an AWS_ENDPOINT_URL_… is set, that one is used instead of the
/// embedded one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the function URL listens
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the embedded DynamoDB listens
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    dynamodb: SocketAddr,
    /// Keep the tables in this file; without it they are gone when this ends
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Seconds that an open or a click settles in the queue (90 in the stack)
    #[arg(long, default_value_t = SETTLE.as_secs_f64(), value_name = "SECONDS", value_parser = seconds)]
    settle: f64,
    /// The longest that the stream's mappings wait for a batch to fill, in seconds (60 in the stack)
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    window: f64,
    /// Seconds between two ticks (300 in the stack)
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    tick: f64,
    /// Let protect's clock run so many times as fast, so that a day passes while you wait; ticks keep their 300 seconds of it
    #[arg(long, default_value_t = 1.0, value_name = "SPEED", value_parser = speed, conflicts_with = "tick")]
    clock: f64,
    /// Deliver this fraction of the stream's batches once more, some time later, as Lambda may
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction)]
    redeliver: f64,
    /// Start only the embedded AWS, for functions that run elsewhere, and print their environment
    #[arg(long)]
    aws_only: bool,
    /// With --aws-only: feed the functions that are served here, as `cargo lambda watch` serves them
    #[arg(long, value_name = "URL", requires = "aws_only")]
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
    if range.contains(&number) { Ok(number) } else { Err(format!("from {} to {}", range.start(), range.end())) }
}

/// What runs until Ctrl-C.
struct Running {
    _function_url: Option<Server>,
    _feeder: Option<Feeder>,
    _ticking: Vec<Ticking>,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if arguments.aws_only {
        // What it prints is an environment file.
        rebound::logging::init_to(variable, std::io::stderr);
    } else {
        rebound::logging::init(variable);
    }
    // In a file even if it is only for a while: in memory, the engine's stream gets slower with every event.
    let folder = tempfile::tempdir()?;
    let data = arguments.data.clone().unwrap_or_else(|| folder.path().join("rebound.db"));
    let settle = Duration::from_secs_f64(arguments.settle);
    let options = Options { dynamodb: arguments.dynamodb, data: Some(data), settle };
    let aws = EmbeddedAws::start(&options, variable).await?;
    let _running =
        if arguments.aws_only { serve_elsewhere(&aws, arguments).await? } else { serve(&aws, arguments).await? };
    tokio::signal::ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// Everything in this process.
async fn serve(aws: &EmbeddedAws, arguments: &Arguments) -> Result<Running, Failure> {
    let server = serve_function_url(arguments.listen, aws.receiver().await?).await?;
    let address = |name: &str| aws.variable(name).unwrap_or_default();
    println!("function URL     {}/", server.url());
    println!("DynamoDB         {}", address("AWS_ENDPOINT_URL_DYNAMODB"));
    println!("SNS              {}  (GET it to see what was published)", address("AWS_ENDPOINT_URL_SNS"));
    println!("SQS              {}", address("AWS_ENDPOINT_URL_SQS"));
    println!("Secrets Manager  {}", address("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
    let tables = ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE"];
    println!("tables           {}", tables.map(address).join(" "));
    let secret = match (variable("RESEND_WEBHOOK_SECRET"), &aws.secrets_manager) {
        (Some(_), _) => "RESEND_WEBHOOK_SECRET, from the environment",
        (None, Some(_)) => rebound::local::LOCAL_SECRET,
        (None, None) => "the one that WEBHOOK_SECRET_ARN names",
    };
    println!("signing secret   {secret}");
    println!("\nIn another terminal: rebound sample email.bounced --post {}/", server.url());
    println!("Ctrl-C stops it.");
    for_each_alert(aws, |line| println!("{line}"));

    let clock = Clock::new(arguments.clock);
    let protect = in_process(Arc::new(aws.protector()?), clock, timeout_of("protect")?);
    let (feeder, ticking) = work(aws, arguments, clock, |_| Arc::clone(&protect)).await?;
    Ok(Running { _function_url: Some(server), _feeder: feeder, _ticking: ticking })
}

/// The embedded AWS only, for functions that run elsewhere.
async fn serve_elsewhere(aws: &EmbeddedAws, arguments: &Arguments) -> Result<Running, Failure> {
    // What the shell has, the functions have from the shell: a secret of its own is not to be copied to a file.
    for (name, value) in aws.variables().iter().filter(|(name, value)| variable(name).as_ref() != Some(*value)) {
        println!("{name}={value}");
    }
    println!("REBOUND_LOCAL=ready");
    let Some(url) = &arguments.invoke else {
        return Ok(Running { _function_url: None, _feeder: None, _ticking: Vec::new() });
    };
    for_each_alert(aws, |line| eprintln!("{line}"));
    let (feeder, ticking) = work(aws, arguments, Clock::new(1.0), |function| over_http(url, function)).await?;
    Ok(Running { _function_url: None, _feeder: feeder, _ticking: ticking })
}

/// Feeds the functions from the stream and by the clock. The stream of a DynamoDB that is somebody else's is not read here.
async fn work(
    aws: &EmbeddedAws,
    arguments: &Arguments,
    clock: Clock,
    invoke: impl Fn(&str) -> Invoke,
) -> Result<(Option<Feeder>, Vec<Ticking>), Failure> {
    let options = feeder::Options {
        longest_window: Some(Duration::from_secs_f64(arguments.window)),
        chaos: (arguments.redeliver > 0.0).then_some(Chaos { redeliver: arguments.redeliver, seed: 1 }),
        checkpoint: arguments.data.as_ref().map(|file| file.with_extension("stream")),
        ..feeder::Options::default()
    };
    let feeder = match feed(aws, options, |mapping| invoke(&mapping.function)).await {
        Ok(feeder) => Some(feeder),
        Err(error) if variable("AWS_ENDPOINT_URL_DYNAMODB").is_some() => {
            eprintln!("rebound: the stream is not fed to protect: {error}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let interval = (arguments.clock == 1.0).then(|| Duration::from_secs_f64(arguments.tick.max(0.05)));
    Ok((feeder, tick(clock, interval, invoke)?))
}

/// Says a line of each alert as it is published, for whoever watches.
fn for_each_alert(aws: &EmbeddedAws, say: impl Fn(&str) + Send + 'static) {
    let Some(mut published) = aws.sns.as_ref().map(rebound::local::sns::LocalSns::subscribe) else { return };
    tokio::spawn(async move {
        while let Ok(message) = published.recv().await {
            if let Ok(alert) = serde_json::from_str::<Alert>(&message.for_protocol("lambda")) {
                say(&format!("ALERT {:8} {:16} {}", alert.severity.as_str(), alert.kind.as_str(), alert.title));
            }
        }
    });
}
