//! `make bench-price`: the AWS cost of a million webhooks of the everyday mix, from the measured usage of the release
//! binaries.
//!
//! The three functions run as on Lambda, on the embedded AWS, at a steady rate, with the template's windows, batches
//! and delays. Calls, units, invocations, CPU time and log bytes are counted. Only the prices, the duration of an AWS
//! call and the response time of Claude are not measured here.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod beside;
mod bill;
mod followups;
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
use rebound_dev::runner::{feed, poll, queue_mappings};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};

use self::beside::ExtraCosts;
use self::bill::{Bill, Used};
use self::function::Function;
use self::mix::Mix;

type BoxError = Box<dyn Error>;

/// AWS cost of a million webhooks of the everyday mix.
#[derive(Parser)]
struct Arguments {
    /// Folder of the release binaries
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// Number of webhooks to send; their usage is scaled to a million
    #[arg(long, default_value_t = 30_000)]
    events: usize,
    /// Number of webhooks per second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Duration of a call to DynamoDB, SNS or SQS on AWS, in milliseconds: an assumption, for the billed duration of a
    /// function
    #[arg(long, default_value_t = 5.0)]
    call_ms: f64,
    /// Number of webhooks that are sent again, with Claude, to measure its cost; 0: none
    #[arg(long, default_value_t = 2_000)]
    asked: usize,
    /// Response time of Claude, in milliseconds: an assumption
    #[arg(long, default_value_t = 2_000.0)]
    claude_ms: f64,
    /// Seed of the mix
    #[arg(long, default_value_t = 6)]
    seed: u64,
    /// Measure this many follow-ups that Rebound sends instead, and idle runs of `act`
    #[arg(long)]
    followups: Option<usize>,
    /// Print the units of each operation on each table too
    #[arg(long, conflicts_with = "json")]
    tables: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A function with the proxies that count its calls.
struct CountedFunction {
    function: Arc<Function>,
    faults: Faults,
    _proxies: Vec<FaultProxy>,
}

impl CountedFunction {
    /// Starts a function with these variables and those of AWS.
    async fn start(
        name: &'static str,
        arguments: &Arguments,
        aws: &EmbeddedAws,
        more: &[(&str, &str)],
    ) -> Result<Self, BoxError> {
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
        // Its start is not counted: it happens once per execution environment.
        faults.plan(|_| None);
        faults.count_capacity(true);
        Ok(Self { function, faults, _proxies: proxies })
    }

    fn used(&self) -> Result<Used, BoxError> {
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
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    if let Some(number) = arguments.followups {
        return followups::print(&arguments, &followups::measure(&arguments, number).await?);
    }
    let folder = tempfile::tempdir()?;
    let options = LocalAwsOptions {
        data: Some(folder.path().join("price.db")),
        // As long as in the stack: events that become due together are delivered together.
        settle: Duration::from_secs(90),
        ..LocalAwsOptions::in_memory()
    };
    let aws = EmbeddedAws::start(&options, |_| None).await?;
    let receive = CountedFunction::start("receive", &arguments, &aws, &[]).await?;
    let protect = CountedFunction::start("protect", &arguments, &aws, &[]).await?;
    let engage = CountedFunction::start("engage", &arguments, &aws, &[]).await?;
    let feeder = feed(&aws, feeder::FeederOptions::default(), |_| function::invoke(&protect.function)).await?;
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
    let beside = ExtraCosts::new(&bill, mix.messages.len() as f64, stored, asking.as_ref(), &arguments);
    print::print(&arguments, &mix, took, &bill, &beside);
    Ok(())
}

/// Sends the webhooks to `receive` at the rate. Returns the duration.
async fn send(arguments: &Arguments, mix: &Mix, receive: &Function) -> Result<Duration, BoxError> {
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

/// Waits until all effects are done.
async fn settle(feeder: &feeder::Feeder, pollers: &[aws_local::poller::Poller]) {
    let progress = ProgressBar::new_spinner().with_message("what follows: the stream's windows, and 90 s in the queue");
    progress.enable_steady_tick(Duration::from_millis(200));
    feeder.idle().await;
    for poller in pollers {
        poller.idle().await;
    }
    // Rows of decisions are in the stream too, and no mapping matches them.
    feeder.idle().await;
    progress.finish_and_clear();
}
