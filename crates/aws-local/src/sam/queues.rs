//! The queues, and the functions that receive their messages.

use std::time::Duration;

use serde_json::Value;

use super::events::events;
use super::{TemplateError, property, resources, variable_of};

/// A queue, as the template defines it
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queue.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDefinition {
    /// Name of the environment variable with its URL: `ENGAGE_QUEUE_URL` for the resource `EngageQueue`.
    pub variable: String,
    /// Delay of a message before it can be received.
    pub delay: Duration,
    /// Visibility timeout of a received message.
    pub visibility: Duration,
    /// Maximum number of receives before a message becomes a dead letter. `None` if it never does.
    pub max_receive_count: Option<usize>,
    /// The [`variable`](Self::variable) of the dead-letter queue.
    pub dead_letters: Option<String>,
}

/// A queue mapped to a function (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMapping {
    /// Its name in the template: `Opens`.
    pub name: String,
    /// The function's binary: `engage`.
    pub function: String,
    /// The queue's [`variable`](QueueDefinition::variable): `ENGAGE_QUEUE_URL`.
    pub queue: String,
    /// Maximum number of messages in an invocation.
    pub batch_size: usize,
    /// Time for which messages are collected for an invocation.
    pub window: Duration,
    /// Maximum number of concurrent invocations. `None` means the account's limit. If the template takes it from a
    /// parameter, this is the parameter's default.
    pub concurrency: Option<usize>,
    /// The parameter of [`concurrency`](Self::concurrency): `Concurrency`.
    pub concurrency_parameter: Option<String>,
    /// True if the function reports which messages failed.
    pub partial_failures: bool,
}

/// Reads the queues of a template.
pub(super) fn queues(template: &Value) -> Vec<QueueDefinition> {
    resources(template, "AWS::SQS::Queue").iter().map(|(id, resource)| queue(id, resource)).collect()
}

/// Reads the mappings of queues in a template.
pub(super) fn queue_mappings(template: &Value) -> Result<Vec<QueueMapping>, TemplateError> {
    events(template, "SQS", |name, function, properties| mapping(template, name, function, properties))
}

fn queue(id: &str, resource: &Value) -> QueueDefinition {
    let seconds = |name| property(id, resource, name).ok().and_then(Value::as_u64).map(Duration::from_secs);
    let redrive = property(id, resource, "RedrivePolicy").unwrap_or(&Value::Null);
    let target = redrive.get("deadLetterTargetArn").and_then(Value::as_str);
    QueueDefinition {
        variable: format!("{}_URL", variable_of(id)),
        delay: seconds("DelaySeconds").unwrap_or_default(),
        visibility: seconds("VisibilityTimeout").unwrap_or(Duration::from_secs(30)),
        max_receive_count: redrive.get("maxReceiveCount").and_then(count),
        dead_letters: target.map(url_variable),
    }
}

/// Converts a queue's ARN into the variable of its URL: `EngageQueue.Arn` → `ENGAGE_QUEUE_URL`.
fn url_variable(arn: &str) -> String {
    format!("{}_URL", variable_of(arn.split('.').next().unwrap_or_default()))
}

/// Reads a number. CloudFormation accepts a text with a number too.
fn count(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.parse().ok(),
        number => usize::try_from(number.as_u64()?).ok(),
    }
}

fn mapping(template: &Value, name: &str, function: &str, properties: &Value) -> Result<QueueMapping, TemplateError> {
    for property in ["FilterCriteria", "Enabled"] {
        match properties.get(property) {
            None | Some(Value::Bool(true)) => {}
            Some(value) => return Err(TemplateError::Unsupported(name.to_owned(), property, value.to_string())),
        }
    }
    let queue = properties.get("Queue").and_then(Value::as_str);
    let queue = queue.ok_or_else(|| TemplateError::Incomplete(name.to_owned(), "Queue"))?;
    let (concurrency, concurrency_parameter) = match properties.pointer("/ScalingConfig/MaximumConcurrency") {
        None => (None, None),
        Some(value) => {
            let (concurrency, parameter) = number_or_parameter(template, value)
                .ok_or_else(|| TemplateError::Unsupported(name.to_owned(), "MaximumConcurrency", value.to_string()))?;
            (Some(concurrency), parameter)
        }
    };
    let window = properties.get("MaximumBatchingWindowInSeconds").and_then(Value::as_u64).unwrap_or(0);
    let response_types = properties.get("FunctionResponseTypes").and_then(Value::as_array);
    Ok(QueueMapping {
        name: name.to_owned(),
        function: function.to_owned(),
        queue: url_variable(queue),
        batch_size: properties.get("BatchSize").and_then(count).unwrap_or(10).max(1),
        window: Duration::from_secs(window),
        concurrency,
        concurrency_parameter,
        partial_failures: response_types.is_some_and(|types| types.contains(&"ReportBatchItemFailures".into())),
    })
}

/// Reads a number, or the default of a parameter, with the parameter's name.
fn number_or_parameter(template: &Value, value: &Value) -> Option<(usize, Option<String>)> {
    if let Some(number) = count(value) {
        return Some((number, None));
    }
    let parameter = value.as_str()?;
    let default = template.get("Parameters")?.get(parameter)?.get("Default")?;
    Some((count(default)?, Some(parameter.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn with_event(properties: &str) -> Result<Vec<QueueMapping>, TemplateError> {
        let text = format!(
            "
Parameters:
  Concurrency: {{ Type: Number, Default: 5 }}
  AsText: {{ Type: String, Default: \"7\" }}
  Nothing: {{ Type: Number }}
Resources:
  EngageFunction:
    Type: AWS::Serverless::Function
    Metadata: {{ BuildProperties: {{ Binary: engage }} }}
    Properties:
      Events:
        Opens: {{ Type: SQS, Properties: {{ {properties} }} }}
        Tick: {{ Type: Schedule, Properties: {{ Schedule: rate(5 minutes) }} }}
"
        );
        queue_mappings(&parse(&text).unwrap())
    }

    #[test]
    fn a_mapping_is_read_with_all_that_it_says() {
        let mappings = with_event(
            "Queue: !GetAtt EngageQueue.Arn, BatchSize: 25, MaximumBatchingWindowInSeconds: 3, \
             FunctionResponseTypes: [ReportBatchItemFailures], \
             ScalingConfig: { MaximumConcurrency: !Ref Concurrency }",
        );
        let expected = QueueMapping {
            name: "Opens".to_owned(),
            function: "engage".to_owned(),
            queue: "ENGAGE_QUEUE_URL".to_owned(),
            batch_size: 25,
            window: Duration::from_secs(3),
            concurrency: Some(5),
            concurrency_parameter: Some("Concurrency".to_owned()),
            partial_failures: true,
        };
        assert_eq!(mappings.unwrap(), [expected]);
    }

    #[test]
    fn what_a_mapping_does_not_say_is_as_lambda_has_it() {
        let mapping = with_event("Queue: !GetAtt EngageQueue.Arn").unwrap().remove(0);
        assert_eq!((mapping.batch_size, mapping.window, mapping.partial_failures), (10, Duration::ZERO, false));
        assert_eq!((mapping.concurrency, mapping.concurrency_parameter), (None, None));
    }

    #[test]
    fn the_concurrency_is_a_number_or_the_default_of_a_parameter() {
        for (text, expected) in [
            ("12", Some((12, None))),
            ("!Ref AsText", Some((7, Some("AsText")))),
            ("!Ref Nothing", None),
            ("!Ref Nobody", None),
            ("!If [Some, 2, 3]", None),
        ] {
            let properties = format!("Queue: !GetAtt EngageQueue.Arn, ScalingConfig: {{ MaximumConcurrency: {text} }}");
            let read = with_event(&properties).map(|mut mappings| mappings.remove(0));
            let read = read.ok().map(|mapping| (mapping.concurrency.unwrap(), mapping.concurrency_parameter));
            assert_eq!(read, expected.map(|(number, name)| (number, name.map(str::to_owned))), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_done_locally_is_refused() {
        for properties in [
            "BatchSize: 10",
            "Queue: !GetAtt EngageQueue.Arn, Enabled: false",
            "Queue: !GetAtt EngageQueue.Arn, FilterCriteria: { Filters: [] }",
        ] {
            assert!(with_event(properties).is_err(), "{properties}");
        }
    }
}
