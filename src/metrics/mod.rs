//! Metrics for CloudWatch: lines on standard output that become metrics without an API call.
//!
//! - `catalogue`: all metrics, by name.
//! - `values`: measured values that are not written yet.
//! - `line`: the embedded metric format.
//! - `throttle`: the rate limit of lines.
//!
//! # Why types, reasons and kinds are in the names and not in dimensions
//!
//! A line can give a dimension only one value, so a dimension `Type` would need one line per type and minute. With
//! names, everything fits into one line. CloudWatch charges the same for both: 0.30 US dollars a month for each name
//! and combination of dimensions, by the hour, and only in hours in which it is written
//! (<https://aws.amazon.com/cloudwatch/pricing/>). The one dimension is the stack, so that two stacks in one account
//! don't mix. A line never contains external text: names are from the catalogue, the rest are numbers.
//!
//! # Why few lines
//!
//! `receive` runs once per webhook, and a line of half a kilobyte for each would cost more than the function. So each
//! execution environment collects values, and writes one line a minute. The first ten lines, and the first ones after a
//! quiet period, are written immediately, so that a small installation shows each event without delay:
//!
//! ```text
//!   webhooks     × × ×  ×  ×××××××××××××××××××××××××××××××××××××        ×
//!   lines        1 2 3  4  5 6 7 8 9 10          11          12     12' 13
//!                                     └─ a minute ─┴─ a minute ─┘    │
//!                                        what was gathered before the quiet, at the time at which it happened
//! ```
//!
//! The values of the last minute are lost when Lambda stops a busy execution environment. An extension could write them
//! (`lambda_runtime`'s feature `graceful-shutdown`), but costs one more request in each cold start, and more code.
//! Metrics are for dashboards and alarms; exact counts are in the tables. `protect` and `engage` work in batches, and
//! write one line for each batch with something to report.
//!
//! # Why no crate does it
//!
//! `metrics_cloudwatch_embedded` and `metrique` write a line for each invocation, and keep values in maps by name
//! behind a global recorder or a queue. `receive` must be small and start quickly: here, measuring is an addition in a
//! fixed array.

mod catalogue;
mod line;
mod throttle;
mod values;

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::catalogue::{Emitter, Metric, Unit};
pub use self::throttle::{LogThrottle, Refusals};
pub use self::values::MetricValues;
use crate::time::UnixMillis;

/// Namespace of all metrics.
pub const NAMESPACE: &str = "Rebound";

/// Name of the one dimension: the stack.
pub const DIMENSION: &str = "Stack";

/// Environment variable with the stack's name; the template sets it.
pub const STACK_VARIABLE: &str = "REBOUND_STACK";

/// Name of a stack whose variable is not set.
const UNNAMED: &str = "rebound";

/// Receiver of lines, one at a time, without the line break.
type Write = dyn Fn(&str) + Send + Sync;

/// Writer of metrics, or a writer that does nothing.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<Enabled>>);

struct Enabled {
    stack: String,
    write: Box<Write>,
    held: Mutex<Buffer>,
}

/// Values that an execution environment has collected.
#[derive(Default)]
struct Buffer {
    gathered: Option<Gathered>,
    pace: LogThrottle,
}

struct Gathered {
    first: UnixMillis,
    last: UnixMillis,
    numbers: MetricValues,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metrics").field(&self.0.as_ref().map(|on| &on.stack)).finish()
    }
}

impl Metrics {
    /// Creates a writer that does nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Creates a writer that calls `write` for each line, without its line break.
    pub fn new(stack: &str, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        // CloudFormation allows only these characters, so a stack's name can't break a line.
        let plain: String = stack.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(128).collect();
        let stack = if plain.is_empty() { UNNAMED.to_owned() } else { plain };
        Self(Some(Arc::new(Enabled { stack, write: Box::new(write), held: Mutex::default() })))
    }

    /// Creates a writer to standard output if `AWS_LAMBDA_FUNCTION_NAME` is set, as under Lambda or `cargo lambda
    /// watch`. Otherwise the writer does nothing. `variable` looks up an environment variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        match variable("AWS_LAMBDA_FUNCTION_NAME") {
            Some(name) if !name.is_empty() => Self::new(&variable(STACK_VARIABLE).unwrap_or_default(), to_stdout),
            _ => Self::off(),
        }
    }

    /// Collects the values of one webhook. They are written now, or with a later webhook at the end of the minute.
    pub(crate) fn gather(&self, now: UnixMillis, measure: impl FnOnce(&mut MetricValues)) {
        let Some(on) = &self.0 else { return };
        let lines = on.held.lock().unwrap_or_else(PoisonError::into_inner).gather(now, measure);
        for Gathered { last, numbers, .. } in lines.into_iter().flatten() {
            (on.write)(&line::line(&numbers, &on.stack, last));
        }
    }

    /// Writes the values of one invocation, if there are any.
    pub fn write(&self, now: UnixMillis, numbers: &MetricValues) {
        let Some(on) = &self.0 else { return };
        if !numbers.is_empty() {
            (on.write)(&line::line(numbers, &on.stack, now));
        }
    }
}

impl Buffer {
    /// Returns the lines to write now: the values of the past minute, and the new ones.
    fn gather(&mut self, now: UnixMillis, measure: impl FnOnce(&mut MetricValues)) -> [Option<Gathered>; 2] {
        let is_due =
            |gathered: &Gathered| now < gathered.first || now.0.saturating_sub(gathered.first.0) >= throttle::MINUTE;
        let before = if self.gathered.as_ref().is_some_and(is_due) { self.gathered.take() } else { None };
        if before.is_some() {
            // Collecting began when the rate limit was reached. A minute later one line is allowed, and this is it.
            self.pace.take(now);
        }
        // New values join values that wait for the end of their minute.
        let is_alone = self.gathered.is_none();
        let gathered =
            self.gathered.get_or_insert_with(|| Gathered { first: now, last: now, numbers: MetricValues::default() });
        gathered.last = now;
        measure(&mut gathered.numbers);
        let at_once = if is_alone && self.pace.take(now) { self.gathered.take() } else { None };
        [before, at_once]
    }
}

/// Writes with one call, so that no other line comes in between.
fn to_stdout(line: &str) {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    // If nobody reads the output, only metrics are lost.
    let _ = std::io::stdout().lock().write_all(&bytes);
}
