//! The options of `rebound dev`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use aws_local::sam::TemplateError;

use crate::LOCAL_FILE;
use crate::stack::SETTLE;
use crate::template::template;

/// Run the whole service in this process, on an embedded AWS.
///
/// It uses the environment variables of the functions. If an AWS_ENDPOINT_URL_… is set, that endpoint is used instead of the embedded
/// one.
#[derive(clap::Args)]
pub struct Arguments {
    /// Address on which the function URL listens
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// Address on which the function URL of consent listens: the pages behind unsubscribe links
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS")]
    pub(super) consent: SocketAddr,
    /// Address on which the embedded DynamoDB listens
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub(super) dynamodb: SocketAddr,
    /// Store the tables in this file, and queues and published messages in a file beside it; without a file, all data is lost at the end
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// Delivery delay of the queue of opens and clicks, in seconds [default: 2; with --clock: 90 seconds of that clock]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    settle: Option<f64>,
    /// Maximum batching window of the stream's event source mappings, in seconds (60 in the stack)
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    pub(super) window: f64,
    /// Interval between two ticks of protect, in seconds (300 in the stack)
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS", value_parser = seconds)]
    pub(super) tick: f64,
    /// Speed of the clock of the functions, the queue and the stub of Resend: with 600, a day passes in two and a half
    /// minutes; a tick comes every 300 seconds of this clock, and act every 60
    #[arg(long, default_value_t = 1.0, value_name = "SPEED", value_parser = speed, conflicts_with = "tick")]
    pub(super) clock: f64,
    /// Deliver this fraction of the stream's batches again, some time later, as Lambda may
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction)]
    pub(super) redeliver: f64,
    /// Fraction of the functions' DynamoDB calls that fail: rejected, throttled, in conflict, slow, or done without a response
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction, conflicts_with = "aws_only")]
    pub(super) faults: f64,
    /// Fraction of each two minutes in which SNS does not respond, at their end
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = fraction, conflicts_with = "aws_only")]
    pub(super) sns_hangs: f64,
    /// Seed of the random numbers of --redeliver and --faults
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub(super) seed: u64,
    /// Use a local stub of Claude with fixed answers; without it, Claude decides if ANTHROPIC_API_KEY is set, else the built-in rules
    #[arg(long)]
    pub(super) claude_stub: bool,
    /// Write the environment for other commands to this file; they read it with --local=FILE
    #[arg(long, value_name = "FILE", default_value = LOCAL_FILE)]
    pub(super) env_file: PathBuf,
    /// Start only the embedded AWS, for functions that run in other processes, and print their environment
    #[arg(long)]
    pub(super) aws_only: bool,
    /// With --aws-only: invoke the functions at this URL, as `cargo lambda watch` serves them
    #[arg(long, value_name = "URL", requires = "aws_only", value_parser = crate::commands::values::url)]
    pub(super) invoke: Option<String>,
}

impl Arguments {
    /// Delivery delay of the queue of opens and clicks, in real time.
    pub(super) fn settle(&self) -> Result<Duration, TemplateError> {
        if let Some(settle) = self.settle {
            return Ok(Duration::from_secs_f64(settle));
        }
        let queues = template()?.queues();
        let delay = queues.iter().map(|queue| queue.delay).max().filter(|_| self.clock != 1.0);
        Ok(delay.map_or(SETTLE, |delay| delay.div_f64(self.clock)))
    }
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

fn number(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if range.contains(&number) { Ok(number) } else { Err(format!("must be from {} to {}", range.start(), range.end())) }
}
