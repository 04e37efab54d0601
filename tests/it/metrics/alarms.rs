//! The metrics of alarms and dashboards.

use std::collections::BTreeMap;

use aws_local::sam::TemplateError;
use rebound_dev::template::template;
use serde_json::Value;

/// A metric, as the template names it: only the text of `!Ref`, `!GetAtt` and `!Sub`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatchedMetric {
    /// The alarm or the dashboard that uses it.
    pub(crate) by: String,
    /// The namespace, such as `AWS/Lambda`.
    pub(crate) namespace: String,
    /// The metric's name.
    pub(crate) name: String,
    /// The values of its dimensions, by name.
    pub(crate) dimensions: BTreeMap<String, String>,
    /// Its statistic: `Sum`, `Maximum`, `p99`.
    pub(crate) statistic: String,
}

/// An alarm of a metric.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    /// The resource's id.
    pub(crate) id: String,
    /// Its properties.
    pub(crate) properties: Value,
    /// Its metrics.
    pub(crate) watched: Vec<WatchedMetric>,
    /// The length of a period, in seconds: the longest one of several metrics.
    pub(crate) period: u64,
    /// Number of evaluated periods. `None` if it is a parameter.
    pub(crate) periods: Option<u64>,
}

/// Reads the metric alarms.
///
/// # Errors
/// The template is not YAML, or an alarm lacks a property.
pub(crate) fn alarms() -> Result<Vec<Alarm>, TemplateError> {
    template()?.resources("AWS::CloudWatch::Alarm").iter().map(|(id, resource)| alarm(id, resource)).collect()
}

/// Reads the metrics on the dashboards. A widget of alarms has none.
///
/// # Errors
/// The template is not YAML, or the body of a dashboard is not JSON.
pub(crate) fn on_dashboards() -> Result<Vec<WatchedMetric>, TemplateError> {
    let mut watched = Vec::new();
    for (id, resource) in template()?.resources("AWS::CloudWatch::Dashboard") {
        let body = property(&id, &resource, "DashboardBody")?.as_str().unwrap_or_default();
        let body: Value =
            serde_saphyr::from_str(&with_numbers(body)).map_err(|error| TemplateError::NotYaml(error.to_string()))?;
        let widgets = body.get("widgets").and_then(Value::as_array);
        for widget in widgets.into_iter().flatten() {
            let properties = widget.get("properties").unwrap_or(&Value::Null);
            let statistic = text(properties, "stat");
            let rows = properties.get("metrics").and_then(Value::as_array);
            let mut before: Vec<String> = Vec::new();
            for row in rows.into_iter().flatten() {
                let (row, mut metric) = on_dashboard(&id, row, &before)?;
                if metric.statistic.is_empty() {
                    metric.statistic.clone_from(&statistic);
                }
                watched.push(metric);
                before = row;
            }
        }
    }
    Ok(watched)
}

fn alarm(id: &str, resource: &Value) -> Result<Alarm, TemplateError> {
    let properties = resource.get("Properties").cloned().unwrap_or_default();
    let mut watched = Vec::new();
    let mut period = properties.get("Period").and_then(Value::as_u64).unwrap_or(0);
    if properties.get("MetricName").is_some() {
        watched.push(metric(id, &properties, &text(&properties, "Statistic")));
    }
    let queries = properties.get("Metrics").and_then(Value::as_array);
    for stat in queries.into_iter().flatten().filter_map(|query| query.get("MetricStat")) {
        watched.push(metric(id, stat.get("Metric").unwrap_or(&Value::Null), &text(stat, "Stat")));
        period = period.max(stat.get("Period").and_then(Value::as_u64).unwrap_or(0));
    }
    let periods = property(id, resource, "EvaluationPeriods")?.as_u64();
    Ok(Alarm { id: id.to_owned(), properties, watched, period, periods })
}

fn metric(by: &str, from: &Value, statistic: &str) -> WatchedMetric {
    let dimensions = from.get("Dimensions").and_then(Value::as_array);
    let dimension = |dimension: &Value| (text(dimension, "Name"), text(dimension, "Value"));
    WatchedMetric {
        by: by.to_owned(),
        namespace: text(from, "Namespace"),
        name: text(from, "MetricName"),
        dimensions: dimensions.into_iter().flatten().map(dimension).collect(),
        statistic: statistic.to_owned(),
    }
}

fn property<'a>(id: &str, resource: &'a Value, name: &'static str) -> Result<&'a Value, TemplateError> {
    let value = resource.get("Properties").and_then(|properties| properties.get(name));
    value.ok_or(TemplateError::Incomplete(id.to_owned(), name))
}

/// Reads a row of a widget: namespace, name, dimensions, options. `.` repeats the value of the previous row
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>).
fn on_dashboard(by: &str, row: &Value, before: &[String]) -> Result<(Vec<String>, WatchedMetric), TemplateError> {
    let parts = row.as_array().ok_or_else(|| TemplateError::Incomplete(by.to_owned(), "row of a metric"))?;
    let said: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
    let said: Vec<String> = said
        .iter()
        .enumerate()
        .map(
            |(index, part)| {
                if *part == "." { before.get(index).cloned().unwrap_or_default() } else { (*part).to_owned() }
            },
        )
        .collect();
    let [namespace, name, dimensions @ ..] = said.as_slice() else {
        return Err(TemplateError::Incomplete(by.to_owned(), "name of a metric"));
    };
    let dimensions = dimensions.chunks(2).filter_map(|pair| Some((pair.first()?.clone(), pair.get(1)?.clone())));
    let options = parts.last().filter(|part| part.is_object()).unwrap_or(&Value::Null);
    let watched = WatchedMetric {
        by: by.to_owned(),
        namespace: namespace.clone(),
        name: name.clone(),
        dimensions: dimensions.collect(),
        statistic: text(options, "stat"),
    };
    Ok((said, watched))
}

/// The body with a 1 for each parameter that is used as a number.
fn with_numbers(body: &str) -> String {
    let mut parts = body.split(":${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| match part.split_once('}') {
        Some((_, rest)) => format!("{all}:1{rest}"),
        None => format!("{all}:${{{part}"),
    })
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_widget_row_inherits_from_the_previous_one() {
        let (first, _) = on_dashboard("d", &json!(["N", "one", "D", "v", { "label": "1" }]), &[]).unwrap();
        let (_, second) = on_dashboard("d", &json!([".", "two", ".", ".", { "stat": "p50" }]), &first).unwrap();
        assert_eq!((second.namespace.as_str(), second.name.as_str()), ("N", "two"));
        assert_eq!(second.dimensions, [("D".to_owned(), "v".to_owned())].into());
        assert_eq!(second.statistic, "p50");
        assert!(on_dashboard("d", &json!(["N"]), &[]).is_err());
    }

    #[test]
    fn silence_combines_two_alarms_and_functions_know_their_stack() {
        let template = template().unwrap();
        let ids: Vec<String> = alarms().unwrap().into_iter().map(|alarm| alarm.id).collect();
        let together = template.resources("AWS::CloudWatch::CompositeAlarm");
        let [(_, resource)] = together.as_slice() else { panic!("{together:?}") };
        let properties = &resource["Properties"];
        assert_eq!(text(properties, "AlarmRule"), r#"ALARM("${SilentNow}") AND OK("${OftenQuiet}")"#);
        assert!(["SilentNow", "OftenQuiet"].iter().all(|part| ids.iter().any(|id| id == part)));
        assert_eq!(properties["AlarmActions"][0], "AlertsTopic");
        let stack = template.value().pointer("/Globals/Function/Environment/Variables/REBOUND_STACK");
        assert_eq!(stack.and_then(Value::as_str), Some("AWS::StackName"));
    }

    #[test]
    fn a_parameter_is_a_number_only_where_one_is_to_be() {
        assert_eq!(
            with_numbers(r#"{"value":${Some},"region":"${AWS::Region}"}"#),
            r#"{"value":1,"region":"${AWS::Region}"}"#
        );
    }
}
