//! Structured log lines on standard output, which Lambda sends to CloudWatch.
//!
//! With `LogFormat: JSON`, Lambda finds the level of a line by its fields `timestamp` (RFC 3339) and `level`. A line without a valid
//! `timestamp` counts as INFO, whatever its `level` says
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>).

use std::fmt;
use std::io::stdout;

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::time::UnixMillis;

/// Starts logging with the level in `AWS_LAMBDA_LOG_LEVEL` (default `INFO`), as JSON if `AWS_LAMBDA_LOG_FORMAT` is
/// `JSON`. A panic is logged with its location, but without its message, which may contain text from outside.
///
/// `variable` looks up an environment variable. Filters per module, as in `RUST_LOG`, would add half a megabyte of
/// regular expressions to the binary. Only the embedded DynamoDB must be quiet: it would warn of every failed
/// condition, and failed conditions are normal.
pub fn init(variable: impl Fn(&str) -> Option<String>) {
    if is_json(&variable) {
        std::panic::set_hook(Box::new(|panic| {
            let at = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(at, "panicked");
        }));
    }
    init_to(variable, stdout);
}

/// Starts logging as [`init`], with another writer, and without the panic hook.
pub fn init_to(variable: impl Fn(&str) -> Option<String>, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    dispatch(variable, writer).init();
}

/// Creates the log dispatcher, for a program that logs only in some places.
pub fn dispatch(
    variable: impl Fn(&str) -> Option<String>,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Dispatch {
    let level = variable("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt().with_writer(writer).with_max_level(level).with_target(false);
    let quiet = filter_fn(|metadata| !metadata.target().starts_with("dynoxide"));
    if is_json(&variable) {
        let lines = lines.with_timer(Clock).json().flatten_event(true).with_current_span(false).with_span_list(false);
        Dispatch::new(lines.finish().with(quiet))
    } else {
        Dispatch::new(lines.without_time().with_ansi(false).finish().with(quiet))
    }
}

fn is_json(variable: &impl Fn(&str) -> Option<String>) -> bool {
    variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"))
}

/// Time of a line: RFC 3339, UTC, milliseconds.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        line.write_str(&UnixMillis::now().to_text())
    }
}
