//! The sources of invocations besides the function URL: the streams of tables, and schedules.

use std::time::Duration;

use serde_json::{Value, json};

use super::{TemplateError, binary, functions, variable_of};
use crate::pattern::Pattern;

/// A table's stream mapped to a function
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html>).
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Its name in the template: `Urgent`.
    pub name: String,
    /// The function's binary: `protect`.
    pub function: String,
    /// The environment variable that names the table: `EVENTS_TABLE`.
    pub table: String,
    /// Maximum number of records in an invocation.
    pub batch_size: usize,
    /// Time for which records are collected for an invocation.
    pub window: Duration,
    /// A record must match one of these. An empty list matches every record.
    pub filters: Vec<Pattern>,
    /// Maximum age of a record before it is dropped. `None` means as old as the stream keeps it.
    pub maximum_record_age: Option<Duration>,
    /// True if a batch is split in two when the function fails.
    pub bisect: bool,
    /// True if the function reports which records failed.
    pub partial_failures: bool,
}

impl Mapping {
    /// Returns true if a record of the stream matches this mapping.
    pub fn wants(&self, record: &Value) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(record))
    }
}

/// A function invoked by a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The function's binary: `protect`.
    pub function: String,
    /// Interval of the invocations.
    pub every: Duration,
    /// The event of each invocation.
    pub input: Value,
}

/// Reads the mappings of a template.
pub(super) fn mappings(template: &Value) -> Result<Vec<Mapping>, TemplateError> {
    events(template, "DynamoDB", mapping)
}

/// Reads the schedules of a template.
pub(super) fn schedules(template: &Value) -> Result<Vec<Schedule>, TemplateError> {
    events(template, "Schedule", schedule)
}

/// Reads the events of one type, of all functions.
pub(super) fn events<T>(
    template: &Value,
    kind: &str,
    read: impl Fn(&str, &str, &Value) -> Result<T, TemplateError>,
) -> Result<Vec<T>, TemplateError> {
    let mut found = Vec::new();
    for (id, resource) in functions(template) {
        let function = binary(&resource).ok_or_else(|| TemplateError::Incomplete(id.clone(), "Binary"))?;
        let events = resource.pointer("/Properties/Events").and_then(Value::as_object);
        for (name, event) in events.into_iter().flatten() {
            if event.get("Type").and_then(Value::as_str) == Some(kind) {
                found.push(read(name, function, event.get("Properties").unwrap_or(&Value::Null))?);
            }
        }
    }
    Ok(found)
}

fn mapping(name: &str, function: &str, properties: &Value) -> Result<Mapping, TemplateError> {
    let missing = |property| TemplateError::Incomplete(name.to_owned(), property);
    let unsupported =
        |property, value: &Value| Err(TemplateError::Unsupported(name.to_owned(), property, value.to_string()));
    // Properties that the feeder always or never implements.
    for (property, supported) in [
        ("StartingPosition", json!("TRIM_HORIZON")),
        ("MaximumRetryAttempts", json!(-1)),
        ("ParallelizationFactor", json!(1)),
    ] {
        match properties.get(property) {
            Some(value) if *value != supported => return unsupported(property, value),
            _ => {}
        }
    }
    let number = |property| properties.get(property).and_then(Value::as_u64);
    let stream = properties.get("Stream").and_then(Value::as_str).ok_or_else(|| missing("Stream"))?;
    let filters = properties.pointer("/FilterCriteria/Filters").and_then(Value::as_array);
    let filter = |filter: &Value| {
        let text = filter.get("Pattern").and_then(Value::as_str).ok_or_else(|| missing("Pattern"))?;
        Pattern::parse(text).map_err(|error| TemplateError::Pattern(name.to_owned(), error))
    };
    let response_types = properties.get("FunctionResponseTypes").and_then(Value::as_array);
    Ok(Mapping {
        name: name.to_owned(),
        function: function.to_owned(),
        table: variable_of(stream.split('.').next().unwrap_or_default()),
        batch_size: number("BatchSize").and_then(|size| usize::try_from(size).ok()).unwrap_or(100).max(1),
        window: Duration::from_secs(number("MaximumBatchingWindowInSeconds").unwrap_or(0)),
        filters: filters.into_iter().flatten().map(filter).collect::<Result<_, _>>()?,
        maximum_record_age: number("MaximumRecordAgeInSeconds").map(Duration::from_secs),
        bisect: properties.get("BisectBatchOnFunctionError").and_then(Value::as_bool).unwrap_or(false),
        partial_failures: response_types.is_some_and(|types| types.contains(&"ReportBatchItemFailures".into())),
    })
}

fn schedule(name: &str, function: &str, properties: &Value) -> Result<Schedule, TemplateError> {
    let text = |property| properties.get(property).and_then(Value::as_str);
    let unsupported = |property, value: &str| TemplateError::Unsupported(name.to_owned(), property, value.to_owned());
    let rate = text("Schedule").ok_or_else(|| TemplateError::Incomplete(name.to_owned(), "Schedule"))?;
    let input = text("Input").unwrap_or("{}");
    Ok(Schedule {
        function: function.to_owned(),
        every: every(rate).ok_or_else(|| unsupported("Schedule", rate))?,
        input: serde_json::from_str(input).map_err(|_| unsupported("Input", input))?,
    })
}

/// `rate(5 minutes)`.
fn every(rate: &str) -> Option<Duration> {
    let (number, unit) = rate.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_nothing_else() {
        assert_eq!(every("rate(1 minute)"), Some(Duration::from_secs(60)));
        assert_eq!(every("rate(2 hours)"), Some(Duration::from_secs(7_200)));
        assert_eq!(every("rate(1 day)"), Some(Duration::from_secs(86_400)));
        for other in ["cron(0 10 * * ? *)", "rate(minutes)", "rate(x minutes)", "5 minutes", "rate(5 fortnights)"] {
            assert_eq!(every(other), None, "{other}");
        }
    }
}
