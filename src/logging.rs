//! Structured log lines on standard output, which Lambda takes to CloudWatch.

use std::io::stdout;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging: at the level in `AWS_LAMBDA_LOG_LEVEL` (`INFO`), as JSON where `AWS_LAMBDA_LOG_FORMAT` is `JSON`.
///
/// `variable` looks an environment variable up. A filter for each module, as `RUST_LOG` has it, would cost half a megabyte
/// of regular expressions in the binary. The one crate that must be quiet is the embedded DynamoDB, which would warn of
/// every condition that fails, and conditions fail in good order.
pub fn init(variable: impl Fn(&str) -> Option<String>) {
    init_to(variable, stdout);
}

/// [`init`], with the lines written elsewhere.
pub fn init_to(variable: impl Fn(&str) -> Option<String>, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let level = variable("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt().with_writer(writer).with_max_level(level).with_target(false).without_time();
    let quiet = filter_fn(|metadata| !metadata.target().starts_with("dynoxide"));
    if variable("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).finish().with(quiet).init();
    } else {
        lines.with_ansi(false).finish().with(quiet).init();
    }
}
