//! `make bench-price`: what a million webhooks of the everyday mix cost on AWS, from what the release binaries were seen to use.
//!
//! The three functions run as Lambda runs them, on the embedded AWS, at a steady rate, with the windows, the batches and the delays of
//! the template. Calls, units, invocations, processor time and bytes of log are counted; prices, and the times that a call to AWS and
//! an answer of Claude's take, are the only figures that are not measured here.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod beside;
mod bill;
mod function;
mod mix;
mod print;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_local::faults::{Capacity, FaultProxy, Faults, Service};
use aws_local::{feeder, function_url};
use clap::Parser;
use indicatif::ProgressBar;
use rebound::resend::signature::SigningSecret;
use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use rebound_dev::LOCAL_SECRET;
use rebound_dev::running::{feed, poll, queue_mappings};
use rebound_dev::stack::{EmbeddedAws, Options};

use self::beside::Beside;
use self::bill::{Bill, Used};
use self::function::Function;
use self::mix::Mix;

type Failure = Box<dyn Error>;

/// What a million webhooks of the everyday mix cost on AWS.
#[derive(Parser)]
struct Arguments {
    /// Where the release binaries are
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// How many webhooks are sent; what they use is multiplied to a million
    #[arg(long, default_value_t = 30_000)]
    events: usize,
    /// How many are sent in a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long a call to DynamoDB, SNS or SQS takes on AWS, in milliseconds: an assumption, for the time that a function is billed
    #[arg(long, default_value_t = 5.0)]
    call_ms: f64,
    /// How many webhooks are sent once more, with Claude, to see what asking costs; 0: none
    #[arg(long, default_value_t = 2_000)]
    asked: usize,
    /// How long Claude takes to answer, in milliseconds: an assumption
    #[arg(long, default_value_t = 2_000.0)]
    claude_ms: f64,
    /// The seed of the mix
    #[arg(long, default_value_t = 6)]
    seed: u64,
    /// Print the units of each operation on each table too
    #[arg(long, conflicts_with = "json")]
    tables: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A function with the proxies that count what it calls.
struct Counted {
    function: Arc<Function>,
    faults: Faults,
    _proxies: Vec<FaultProxy>,
}

impl Counted {
    /// Starts a function with these variables besides those of AWS.
    async fn start(
        name: &'static str,
        arguments: &Arguments,
        aws: &EmbeddedAws,
        more: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let faults = Faults::default();
        let mut variables = aws.variables().clone();
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut proxies = Vec::new();
        for (service, variable) in [
            (Service::DynamoDb, "AWS_ENDPOINT_URL_DYNAMODB"),
            (Service::Sns, "AWS_ENDPOINT_URL_SNS"),
            (Service::Sqs, "AWS_ENDPOINT_URL_SQS"),
        ] {
            let upstream = aws.variable(variable).unwrap_or_default();
            let proxy = FaultProxy::start(upstream, ([127, 0, 0, 1], 0).into(), service, faults.clone()).await?;
            variables.insert(variable.to_owned(), proxy.url());
            proxies.push(proxy);
        }
        let function = Arc::new(Function::start(name, &arguments.binaries.join(name), &variables).await?);
        // What it does at its start is not counted: once for each copy of it.
        faults.plan(|_| None);
        faults.count_capacity(true);
        Ok(Self { function, faults, _proxies: proxies })
    }

    fn used(&self) -> Result<Used, Failure> {
        let Capacity { read_units, write_units, refused_units } = self.faults.capacity();
        let of = |service| self.faults.calls().iter().filter(|call| call.service == service).count() as f64;
        Ok(Used {
            invocations: self.function.invocations() as f64,
            cpu_ms: self.function.cpu_ms()?,
            dynamodb_calls: of(Service::DynamoDb),
            write_units: write_units + refused_units,
            read_units,
            sns: of(Service::Sns),
            sqs: of(Service::Sqs),
            log_bytes: self.function.logged().bytes as f64,
            log_lines: self.function.logged().lines as f64,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let options = Options {
        data: Some(folder.path().join("price.db")),
        // As long as in the stack: what settles together is handed over together.
        settle: Duration::from_secs(90),
        ..Options::in_memory()
    };
    let aws = EmbeddedAws::start(&options, |_| None).await?;
    let receive = Counted::start("receive", &arguments, &aws, &[]).await?;
    let protect = Counted::start("protect", &arguments, &aws, &[]).await?;
    let engage = Counted::start("engage", &arguments, &aws, &[]).await?;
    let feeder = feed(&aws, feeder::Options::default(), |_| function::invoke(&protect.function)).await?;
    let pollers = poll(&aws, &queue_mappings(&aws)?, |_| function::invoke(&engage.function)).await?;

    let mix = Mix::new(arguments.seed, arguments.events)?;
    let took = send(&arguments, &mix, &receive.function).await?;
    settle(&feeder, &pollers).await;
    let used = [receive.used()?, protect.used()?, engage.used()?];
    if arguments.tables {
        for one in [&receive, &protect, &engage] {
            print::by_table(&one.faults.capacity_by_table()).print();
        }
    }
    let stored = beside::stored(&aws).await?;
    drop(pollers);
    let asking = beside::asking(&arguments, &aws, &receive, &feeder).await?;
    let bill = Bill::new(&mix, used, arguments.call_ms);
    let beside = Beside::new(&bill, mix.messages.len() as f64, stored, asking.as_ref(), &arguments);
    print::print(&arguments, &mix, took, &bill, &beside);
    Ok(())
}

/// Hands the webhooks to `receive`, at the rate. Answers how long that took.
async fn send(arguments: &Arguments, mix: &Mix, receive: &Function) -> Result<Duration, Failure> {
    let secret: SigningSecret = LOCAL_SECRET.parse()?;
    let progress = ProgressBar::new(mix.messages.len() as u64);
    let began = Instant::now();
    for (index, message) in mix.messages.iter().enumerate() {
        tokio::time::sleep_until((began + Duration::from_secs_f64(index as f64 / arguments.rate)).into()).await;
        let now = UnixMillis::now().seconds();
        let signed = SignedMessage::new(message.id.clone(), now, message.body.clone(), &secret);
        let event = function_url::event("POST", "/", &signed.headers, &signed.body);
        let answer = receive.invoke(event).await?;
        if answer.get("statusCode").and_then(serde_json::Value::as_u64) != Some(200) {
            return Err(format!("receive answered {answer}").into());
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(began.elapsed())
}

/// Waits until everything that follows is done.
async fn settle(feeder: &feeder::Feeder, pollers: &[aws_local::poller::Poller]) {
    let progress = ProgressBar::new_spinner().with_message("what follows: the stream's windows, and 90 s in the queue");
    progress.enable_steady_tick(Duration::from_millis(200));
    feeder.idle().await;
    for poller in pollers {
        poller.idle().await;
    }
    // What a decision brings about is in the stream once more, and nobody's.
    feeder.idle().await;
    progress.finish_and_clear();
}
