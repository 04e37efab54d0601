//! The bill: usage at AWS's list prices, for a million webhooks.

use crate::mix::{Mix, MixClass};

/// A million, the unit of the prices.
pub(crate) const MILLION: f64 = 1e6;

/// US dollars per million requests to Lambda (<https://aws.amazon.com/lambda/pricing/>, arm64, first tier, here and
/// below).
pub(crate) const REQUESTS: f64 = 0.20;

/// US dollars per GB-second of memory.
const GB_SECOND: f64 = 0.000_013_333_4;

/// Memory of each function in the template, in GB.
const MEMORY_GB: f64 = 0.25;

/// US dollars per million write units on demand (<https://aws.amazon.com/dynamodb/pricing/on-demand/>).
pub(crate) const WRITE_UNITS: f64 = 0.625;

/// US dollars per million read units.
pub(crate) const READ_UNITS: f64 = 0.125;

/// US dollars per million requests to SQS (<https://aws.amazon.com/sqs/pricing/>).
const SQS: f64 = 0.40;

/// US dollars per million publications of SNS, of at most 64 KB each (<https://aws.amazon.com/sns/pricing/>).
const SNS: f64 = 0.50;

/// US dollars per GB of ingested logs (<https://aws.amazon.com/cloudwatch/pricing/>).
const LOG_GB: f64 = 0.50;

/// Bytes that CloudWatch Logs adds to each line
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).
const LOG_LINE: f64 = 26.0;

/// Total usage of a function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) invocations: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) dynamodb_calls: f64,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
    pub(crate) sns: f64,
    pub(crate) sqs: f64,
    pub(crate) log_bytes: f64,
    pub(crate) log_lines: f64,
}

impl Used {
    /// Number of sequential calls to AWS.
    fn calls(&self) -> f64 {
        self.dynamodb_calls + self.sns + self.sqs
    }
}

/// A line of the bill.
pub(crate) struct Line {
    pub(crate) what: String,
    /// Amount and unit.
    pub(crate) how: String,
    pub(crate) usd: f64,
}

/// The bill for a million webhooks.
pub(crate) struct Bill {
    pub(crate) lines: Vec<Line>,
    pub(crate) used: [(&'static str, Used); 3],
    /// Sum in US dollars.
    pub(crate) total: f64,
}

impl Bill {
    pub(crate) fn new(mix: &Mix, used: [Used; 3], call_ms: f64) -> Self {
        let factor = MILLION / mix.messages.len() as f64;
        let [receive, protect, engage] = used;
        let names = ["receive", "protect", "engage"];
        let mut lines: Vec<Line> =
            names.iter().zip(used).flat_map(|(name, one)| of_function(name, &one, factor, call_ms)).collect();
        let mut line = |what: &str, how: String, usd: f64| lines.push(Line { what: what.to_owned(), how, usd });
        // Lambda's own calls to the queue: receiving a batch, and deleting it.
        let sqs = (protect.sqs + engage.sqs + 2.0 * engage.invocations) * factor;
        line("the queue", format!("{sqs:.0} requests × {SQS:.2} a million"), sqs * SQS / MILLION);
        let sns = (protect.sns + engage.sns) * factor;
        line("the topics", format!("{sns:.0} publications × {SNS:.2} a million"), sns * SNS / MILLION);
        let logs = (receive, protect, engage);
        let bytes = |one: &Used| one.log_bytes + one.log_lines * LOG_LINE;
        let gb = (bytes(&logs.0) + bytes(&logs.1) + bytes(&logs.2)) * factor / 1e9;
        line("logs and metrics", format!("{:.1} MB × {LOG_GB:.2} a GB", gb * 1e3), gb * LOG_GB);
        let total = lines.iter().map(|line| line.usd).sum();
        let [first, second, third] = names;
        Self { lines, used: [(first, receive), (second, protect), (third, engage)], total }
    }

    /// Cost of one function, in US dollars.
    pub(crate) fn of(&self, function: &str) -> f64 {
        let lines = self.lines.iter().filter(|line| line.what.starts_with(&format!("{function}:")));
        lines.map(|line| line.usd).sum()
    }

    /// Shares of the webhooks that were sent, in percent.
    pub(crate) fn shares(mix: &Mix) -> Vec<(&'static str, f64)> {
        MixClass::ALL.iter().map(|class| (class.as_str(), mix.share(*class) * 100.0)).collect()
    }
}

/// Cost of one function: its usage multiplied by `factor`.
pub(crate) fn of_function(name: &str, used: &Used, factor: f64, call_ms: f64) -> [Line; 3] {
    let line = |what: &str, how: String, usd: f64| Line { what: format!("{name}: {what}"), how, usd };
    let requests = used.invocations * factor;
    let cpu = used.cpu_ms / used.invocations;
    let calls = used.calls() / used.invocations;
    // Lambda bills whole milliseconds.
    let billed = (cpu + calls * call_ms).ceil();
    let (writes, reads) = (used.write_units * factor, used.read_units * factor);
    [
        line("invocations", format!("{requests:.0} × {REQUESTS:.2} a million"), requests * REQUESTS / MILLION),
        line(
            "time",
            format!("{requests:.0} × {billed:.0} ms ({cpu:.2} of CPU, {calls:.1} calls) × 256 MB"),
            seconds(requests * billed / 1_000.0),
        ),
        line(
            "DynamoDB",
            format!("{writes:.0} write units × {WRITE_UNITS} + {reads:.0} read units × {READ_UNITS}"),
            (writes * WRITE_UNITS + reads * READ_UNITS) / MILLION,
        ),
    ]
}

/// Cost of this many seconds of a function, in US dollars.
pub(crate) fn seconds(seconds: f64) -> f64 {
    seconds * MEMORY_GB * GB_SECOND
}
