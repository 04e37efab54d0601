//! A line of the embedded metric format
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
//!
//! ```text
//! {"level":"INFO","timestamp":"2026-11-23T13:30:00.000Z",
//!  "_aws":{"Timestamp":1795440600000,"CloudWatchMetrics":[{"Namespace":"Rebound","Dimensions":[["Stack"]],
//!          "Metrics":[{"Name":"Accepted","Unit":"Count"}, …]}]},
//!  "Stack":"rebound","Accepted":3, …}
//! ```
//!
//! Lambda's JSON logs pass a JSON line through unchanged. Lambda reads its `level` to apply `ApplicationLogLevel`
//! (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>), so a level above `INFO`
//! turns the metrics off.

use std::fmt::Write as _;

use super::catalogue::Metric;
use super::values::MetricValues;
use super::{DIMENSION, NAMESPACE};
use crate::time::UnixMillis;

/// Returns the line with these numbers and their time. `stack` contains only letters, digits and hyphens.
pub(super) fn line(numbers: &MetricValues, stack: &str, at: UnixMillis) -> String {
    let (mut definitions, mut values) = (String::new(), String::new());
    let mut tell = |metric: Metric, value: &str| {
        let name = metric.name();
        let unit = metric.unit().as_str().map(|unit| format!(",\"Unit\":\"{unit}\"")).unwrap_or_default();
        let comma = if definitions.is_empty() { "" } else { "," };
        // Writing to a string never fails, here and below.
        let _ = write!(definitions, "{comma}{{\"Name\":\"{name}\"{unit}}}");
        let _ = write!(values, ",\"{name}\":{value}");
    };
    for (metric, value) in numbers.values() {
        tell(metric, &value.to_string());
    }
    if let Some(latency) = distribution(numbers) {
        tell(Metric::AcknowledgeLatency, &latency);
    }
    format!(
        "{{\"level\":\"INFO\",\"timestamp\":\"{}\",\"_aws\":{{\"Timestamp\":{},\"CloudWatchMetrics\":[{{\"Namespace\":\"{NAMESPACE}\",\
         \"Dimensions\":[[\"{DIMENSION}\"]],\"Metrics\":[{definitions}]}}]}},\"{DIMENSION}\":\"{stack}\"{values}}}",
        at.to_text(),
        at.0,
    )
}

/// Returns the latencies, each value with its count, so that CloudWatch can compute percentiles. The specification
/// shows a list of at most 100 values. AWS's own exporters write more of them in this form:
/// <https://github.com/open-telemetry/opentelemetry-collector-contrib/pull/22626>.
fn distribution(numbers: &MetricValues) -> Option<String> {
    let (mut values, mut counts) = (String::new(), String::new());
    let (mut count, mut sum, mut least, mut most) = (0_u64, 0.0, None, 0.0);
    for (value, times) in numbers.latency() {
        let comma = if count == 0 { "" } else { "," };
        let _ = write!(values, "{comma}{value}");
        let _ = write!(counts, "{comma}{times}");
        count += u64::from(times);
        sum += value * f64::from(times);
        least = least.or(Some(value));
        most = value;
    }
    let least = least?;
    if count == 1 {
        return Some(most.to_string());
    }
    Some(format!(
        "{{\"Values\":[{values}],\"Counts\":[{counts}],\"Min\":{least},\"Max\":{most},\"Count\":{count},\"Sum\":{sum}}}"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_line_is_as_the_specification_shows_it() {
        let mut numbers = MetricValues::default();
        numbers.add(Metric::Accepted, 3.0);
        numbers.set(Metric::ClaudeSpentToday, 0.000_15);
        for ms in [4, 4, 9] {
            numbers.acknowledged(Duration::from_millis(ms));
        }
        let record: Value = serde_json::from_str(&line(&numbers, "rebound", UnixMillis(1_795_440_600_000))).unwrap();
        let metrics = json!([
            { "Name": "Accepted", "Unit": "Count" },
            { "Name": "ClaudeSpentToday" },
            { "Name": "AcknowledgeLatency", "Unit": "Milliseconds" },
        ]);
        let directive = json!({ "Namespace": "Rebound", "Dimensions": [["Stack"]], "Metrics": metrics });
        let latency = json!({ "Values": [4, 9], "Counts": [2, 1], "Min": 4, "Max": 9, "Count": 3, "Sum": 17 });
        let expected = json!({
            "level": "INFO",
            "timestamp": "2026-11-23T13:30:00.000Z",
            "_aws": { "Timestamp": 1_795_440_600_000_i64, "CloudWatchMetrics": [directive] },
            "Stack": "rebound",
            "Accepted": 3,
            "ClaudeSpentToday": 0.000_15,
            "AcknowledgeLatency": latency,
        });
        assert_eq!(record, expected);
    }

    #[test]
    fn one_latency_is_a_number() {
        let mut numbers = MetricValues::default();
        numbers.acknowledged(Duration::from_millis(7));
        assert_eq!(distribution(&numbers).as_deref(), Some("7"));
        assert_eq!(distribution(&MetricValues::default()), None);
    }

    #[test]
    fn a_line_with_every_metric_is_far_below_the_size_limit() {
        let mut numbers = MetricValues::default();
        for metric in Metric::ALL {
            numbers.add(*metric, 1_234_567.891);
        }
        for ms in 0..60_000 {
            numbers.acknowledged(Duration::from_millis(ms));
        }
        let line = line(&numbers, &"s".repeat(128), UnixMillis(1_795_440_600_000));
        assert!(line.len() < 8_000, "{} bytes; an event of a log may have 256 KB", line.len());
        let record: Value = serde_json::from_str(&line).unwrap();
        assert!(record["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len() <= 100);
    }
}
