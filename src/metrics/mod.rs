//! What is measured, for CloudWatch: a line on standard output now and then, which becomes metrics without a call to any API.
//!
//! - `catalogue`: every metric, by name.
//! - `numbers`: what was measured and is not written yet.
//! - `line`: the embedded metric format.
//! - `pace`: how often a line may be written.
//!
//! # Why the names, and not dimensions, tell types, reasons and kinds apart
//!
//! A line can give a dimension one value only, so a dimension `Type` would want a line for each type of each minute. As names all of
//! it fits into one. CloudWatch takes the same for either: 0.30 US dollars a month for each name and combination of dimensions,
//! by the hour, and only in hours in which it is told (<https://aws.amazon.com/cloudwatch/pricing/>). The one dimension is the stack,
//! so that two in one account don't mix. Nothing from outside is ever in a line: names are from the catalogue, the rest are numbers.
//!
//! # Why few lines
//!
//! `receive` runs once for each webhook, and a line of half a kilobyte for each would cost more than the function. So each
//! sandbox gathers, and writes one line a minute; but the first ten at once, and again after it was quiet, so that in a small
//! Rebound each event is seen at once:
//!
//! ```text
//!   webhooks     × × ×  ×  ×××××××××××××××××××××××××××××××××××××        ×
//!   lines        1 2 3  4  5 6 7 8 9 10          11          12     12' 13
//!                                     └─ a minute ─┴─ a minute ─┘    │
//!                                        what was gathered before the quiet, at the time at which it happened
//! ```
//!
//! What a busy sandbox gathered in its last minute is lost when Lambda stops it: to be told of that takes an extension
//! (`lambda_runtime`'s feature `graceful-shutdown`), which is one more request in each cold start, and more to end. Metrics
//! are for looking and for alarms; what counts exactly is in the tables. `protect` and `engage` work in batches, and write one line
//! for each that has something to tell.
//!
//! # Why no crate does it
//!
//! `metrics_cloudwatch_embedded` and `metrique` write a line for each invocation, and keep what they measure in maps by name behind
//! a global recorder or a queue. `receive` is to be small and quick to start: here, measuring is an addition in a fixed array.

mod catalogue;
mod line;
mod numbers;
mod pace;

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::catalogue::{Emitter, Metric, Unit};
pub use self::numbers::{Numbers, Tally};
pub use self::pace::Pace;
use crate::time::UnixMillis;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Rebound";

/// The one dimension: which stack it is.
pub const DIMENSION: &str = "Stack";

/// The variable that names the stack; the template sets it.
pub const STACK_VARIABLE: &str = "REBOUND_STACK";

/// What a stack is called that is not named.
const UNNAMED: &str = "rebound";

/// Where lines go, one at a time, without the line break.
type Write = dyn Fn(&str) + Send + Sync;

/// Writes metrics, or doesn't.
#[derive(Clone, Default)]
pub struct Metrics(Option<Arc<On>>);

struct On {
    stack: String,
    write: Box<Write>,
    held: Mutex<Held>,
}

/// What a sandbox has gathered.
#[derive(Default)]
struct Held {
    gathered: Option<Gathered>,
    pace: Pace,
}

struct Gathered {
    first: UnixMillis,
    last: UnixMillis,
    numbers: Numbers,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metrics").field(&self.0.as_ref().map(|on| &on.stack)).finish()
    }
}

impl Metrics {
    /// Writes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Writes lines with `write`, each without its line break.
    pub fn new(stack: &str, write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        // As CloudFormation allows it: so it can hold nothing that breaks a line.
        let plain: String = stack.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(128).collect();
        let stack = if plain.is_empty() { UNNAMED.to_owned() } else { plain };
        Self(Some(Arc::new(On { stack, write: Box::new(write), held: Mutex::default() })))
    }

    /// To standard output where Lambda, or `cargo lambda watch`, runs the function: where `AWS_LAMBDA_FUNCTION_NAME` is set. Else off.
    /// `variable` looks an environment variable up.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        match variable("AWS_LAMBDA_FUNCTION_NAME") {
            Some(name) if !name.is_empty() => Self::new(&variable(STACK_VARIABLE).unwrap_or_default(), to_stdout),
            _ => Self::off(),
        }
    }

    /// Gathers what one webhook adds, and writes it now or within a minute of its successors.
    pub(crate) fn gather(&self, now: UnixMillis, measure: impl FnOnce(&mut Numbers)) {
        let Some(on) = &self.0 else { return };
        let lines = on.held.lock().unwrap_or_else(PoisonError::into_inner).gather(now, measure);
        for Gathered { last, numbers, .. } in lines.into_iter().flatten() {
            (on.write)(&line::line(&numbers, &on.stack, last));
        }
    }

    /// Writes what one invocation measured, if it is anything.
    pub(crate) fn write(&self, now: UnixMillis, tally: &Tally) {
        let Some(on) = &self.0 else { return };
        let numbers = tally.numbers();
        if !numbers.is_empty() {
            (on.write)(&line::line(&numbers, &on.stack, now));
        }
    }
}

impl Held {
    /// What is to be written now: what was gathered until a minute ago, and what has just come.
    fn gather(&mut self, now: UnixMillis, measure: impl FnOnce(&mut Numbers)) -> [Option<Gathered>; 2] {
        let is_due =
            |gathered: &Gathered| now < gathered.first || now.0.saturating_sub(gathered.first.0) >= pace::MINUTE;
        let before = if self.gathered.as_ref().is_some_and(is_due) { self.gathered.take() } else { None };
        if before.is_some() {
            // Gathering began when there was none left: a minute later there is one, and this is it.
            self.pace.take(now);
        }
        // While something is gathered, what comes waits with it for the end of its minute.
        let is_alone = self.gathered.is_none();
        let gathered =
            self.gathered.get_or_insert_with(|| Gathered { first: now, last: now, numbers: Numbers::default() });
        gathered.last = now;
        measure(&mut gathered.numbers);
        let at_once = if is_alone && self.pace.take(now) { self.gathered.take() } else { None };
        [before, at_once]
    }
}

/// One write, so that no other line comes into it.
fn to_stdout(line: &str) {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    // Where there is nobody to read it, nothing is lost but the metrics.
    let _ = std::io::stdout().lock().write_all(&bytes);
}
