//! Times in flags: `--since` and `--until`.

use rebound::time::UnixMillis;
use rebound_dev::commands::CommandError;
use rebound_dev::output::moment;

/// Reads a time.
pub(crate) fn time(text: &str) -> Result<UnixMillis, String> {
    let day = format!("{text}T00:00:00Z");
    UnixMillis::parse(text)
        .or_else(|| UnixMillis::parse(&day))
        .ok_or_else(|| "write it as 2026-11-23, or 2026-11-23T13:05:00Z".to_owned())
}

/// Refuses an empty time span.
pub(crate) fn check_span(since: Option<UnixMillis>, until: Option<UnixMillis>) -> Result<(), CommandError> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => {
            let (since, until) = (moment(since), moment(until));
            Err(format!("--since {since} is not before --until {until}, so nothing lies between; swap them?").into())
        }
        _ => Ok(()),
    }
}

/// Refuses an empty time span, or one that begins in the future.
pub(crate) fn check_received(since: Option<UnixMillis>, until: Option<UnixMillis>) -> Result<(), CommandError> {
    match since {
        Some(since) if since > UnixMillis::now() => {
            Err(format!("--since {} (UTC) is in the future, so nothing can match", moment(since)).into())
        }
        _ => check_span(since, until),
    }
}
