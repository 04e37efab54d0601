//! The work of protect and engage: their event source mappings, their lags, their failure queues, and the account's concurrency.

use rebound::policy::count::count;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_sqs::types::QueueAttributeName;
use rebound::aws::describe;
use rebound::time::{UnixMillis, days, hours};

use super::Check;
use super::external::ago;
use crate::operate::clients;
use crate::operate::target::Target;

const EVENTS: &str = "last event received";

/// Lag above which brakes and alerts are late: the threshold of the alarm ProtectIsBehind.
const MAX_LAG: Duration = Duration::from_secs(600);

/// Concurrency limit of a new account.
const NEW_ACCOUNT: i32 = 10;

/// The data points of a function's metric, the oldest first.
pub(super) async fn figures(
    target: &Target,
    function: &str,
    metric: &str,
    statistic: Statistic,
    (span, period): (Duration, i32),
    now: UnixMillis,
) -> Result<Vec<(UnixMillis, f64)>, String> {
    let function = Dimension::builder().name("FunctionName").value(function).build();
    let at = |moment: UnixMillis| aws_sdk_cloudwatch::primitives::DateTime::from_secs(moment.seconds());
    let asked = clients::cloudwatch(target.aws()).get_metric_statistics().namespace("AWS/Lambda").metric_name(metric);
    let asked = asked.dimensions(function).statistics(statistic.clone()).period(period);
    let asked = asked.start_time(at(now.minus(span))).end_time(at(now)).send().await;
    let points = asked.map_err(|error| describe(&error))?.datapoints.unwrap_or_default();
    let point = |point: aws_sdk_cloudwatch::types::Datapoint| {
        let value = if statistic == Statistic::Sum { point.sum } else { point.maximum }?;
        Some((UnixMillis(point.timestamp?.to_millis().ok()?), value))
    };
    let mut points: Vec<(UnixMillis, f64)> = points.into_iter().filter_map(point).collect();
    points.sort_by_key(|(at, _)| *at);
    Ok(points)
}

/// Checks when `receive` was last invoked: CloudWatch's hourly sums.
pub(super) async fn last_event(target: &Target, now: UnixMillis) -> Check {
    let function = match target.lookup("RECEIVE_FUNCTION").await {
        Ok(function) => function,
        Err(error) => return Check::not_checked(EVENTS, error.to_string()),
    };
    let spans = (days(14), 3_600);
    let points = match figures(target, &function, "Invocations", Statistic::Sum, spans, now).await {
        Ok(points) => points,
        Err(why) => return Check::not_checked(EVENTS, why),
    };
    let in_a_day: f64 = points.iter().filter(|(at, _)| *at >= now.minus(hours(24))).map(|(_, number)| number).sum();
    match points.iter().rev().find(|(_, number)| *number > 0.0) {
        Some((at, _)) => Check::ok(EVENTS, format!("{}; {} in 24 hours", ago(*at, now), count(in_a_day, "request"))),
        None if target.is_local() => Check::not_checked(EVENTS, "local runs have no metrics"),
        None => Check::warning(
            EVENTS,
            "none in 14 days",
            format!(
                "check that the webhook is registered ({}), send an email to delivered@resend.dev, and run the check again",
                target.command("connect")
            ),
        ),
    }
}

pub(super) async fn mappings(target: &Target, now: UnixMillis) -> Vec<Check> {
    let mut checks = Vec::new();
    for (variable, what, lags) in
        [("PROTECT_FUNCTION", "protect's mappings", true), ("ENGAGE_FUNCTION", "engage's mapping", false)]
    {
        checks.push(match target.lookup(variable).await {
            Ok(function) => mapping(target, &function, what, lags, now).await,
            Err(error) => Check::not_checked(what, error.to_string()),
        });
    }
    checks
}

async fn mapping(target: &Target, function: &str, what: &str, lags: bool, now: UnixMillis) -> Check {
    let asked = clients::lambda(target.aws()).list_event_source_mappings().function_name(function).send().await;
    let found = match asked {
        Ok(found) => found.event_source_mappings.unwrap_or_default(),
        Err(error) => return Check::not_checked(what, describe(&error)),
    };
    if found.is_empty() {
        return Check::fault(
            what,
            "there is no event source mapping, so the function is never invoked",
            "deploy the stack again",
        );
    }
    let off: Vec<&str> = found
        .iter()
        .filter_map(|mapping| mapping.state())
        .filter(|state| !matches!(*state, "Enabled" | "Creating" | "Updating" | "Enabling"))
        .collect();
    if !off.is_empty() {
        return Check::fault(
            what,
            format!("a mapping is {}", off.join(", ")),
            "enable it in Lambda, under the function's triggers",
        );
    }
    let is_well = |result: &&str| matches!(*result, "OK" | "No records processed" | "");
    let errors: Vec<&str> =
        found.iter().filter_map(|mapping| mapping.last_processing_result()).filter(|result| !is_well(result)).collect();
    if let Some(error) = errors.first() {
        return Check::warning(
            what,
            format!("the last batch: {error}"),
            "see the function's log; failed records are retried",
        );
    }
    if !lags {
        return Check::ok(what, format!("{} enabled", found.len()));
    }
    let lag = figures(target, function, "IteratorAge", Statistic::Maximum, (Duration::from_secs(900), 300), now).await;
    match lag.as_ref().map(|points| points.last()) {
        Ok(Some((_, age))) if *age > MAX_LAG.as_millis() as f64 => {
            let found =
                format!("events wait for {}, so brakes and alerts are late", count((age / 60_000.0).round(), "minute"));
            Check::fault(
                what,
                found,
                "see protect's log for errors, and its metric Throttles; it catches up automatically",
            )
        }
        Ok(Some((_, age))) => {
            Check::ok(what, format!("{} enabled, {} s behind at most", found.len(), (age / 1_000.0).round()))
        }
        Ok(None) => Check::ok(what, format!("{} enabled, no records recently", found.len())),
        Err(why) => Check::ok(what, format!("{} enabled; the lag is unknown: {why}", found.len())),
    }
}

pub(super) async fn dead_letters(target: &Target) -> Vec<Check> {
    let mut checks = Vec::new();
    let replay = target.command("replay --since … --until …");
    for (variable, what, to_do) in [
        (
            "PROTECT_FAILURES_URL",
            "what protect gave up",
            format!(
                "fix the cause that protect's log names; each queue message says which time range failed: {replay}, and then delete the messages"
            ),
        ),
        (
            "ENGAGE_DEAD_LETTERS_URL",
            "what engage gave up",
            "fix the cause that engage's log names, and start a redrive of the queue in SQS".to_owned(),
        ),
    ] {
        checks.push(match target.lookup(variable).await {
            Ok(url) => waiting(target, &url, what, &to_do).await,
            Err(error) => Check::not_checked(what, error.to_string()),
        });
    }
    checks
}

async fn waiting(target: &Target, url: &str, what: &str, to_do: &str) -> Check {
    let attribute = QueueAttributeName::ApproximateNumberOfMessages;
    let asked =
        target.aws().sqs().get_queue_attributes().queue_url(url).attribute_names(attribute.clone()).send().await;
    let number = match asked {
        Ok(answer) => answer.attributes.and_then(|attributes| attributes.get(&attribute)?.parse::<u64>().ok()),
        Err(error) => return Check::not_checked(what, describe(&error)),
    };
    match number.unwrap_or(0) {
        0 => Check::ok(what, "nothing"),
        number => Check::fault(what, count(number, "message"), to_do),
    }
}

pub(super) async fn concurrency(target: &Target) -> Check {
    let what = "the account's concurrency";
    let asked = clients::lambda(target.aws()).get_account_settings().send().await;
    let limit = match asked {
        Ok(settings) => settings.account_limit.map_or(0, |limit| limit.concurrent_executions),
        Err(error) => return Check::not_checked(what, describe(&error)),
    };
    let found = format!("{} may run concurrently", count(limit, "function"));
    if limit <= NEW_ACCOUNT {
        let to_do = "a campaign's webhooks can arrive faster than that, and the excess gets a 429 until Resend retries it: request 1,000 in Service Quotas, under AWS Lambda, Concurrent executions";
        return Check::warning(what, found, to_do);
    }
    Check::ok(what, found)
}
