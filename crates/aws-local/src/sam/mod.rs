//! What `template.yaml` says, so that local runs and the stack have one definition.

mod events;
mod queues;
mod watched;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value, json};

pub use self::events::{Mapping, Schedule, mappings, schedules};
pub use self::queues::{Queue, QueueMapping, queue_mappings, queues};
pub use self::watched::{Alarm, Watched, alarms, on_dashboards};
use super::pattern::PatternError;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// What stands for `${AWS::StackName}` locally.
const STACK_NAME: &str = "rebound";

/// Why the template can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML.
    #[error("template.yaml can't be read: {0}")]
    NotYaml(String),
    /// A resource lacks something.
    #[error("template.yaml: {0} has no {1}")]
    Incomplete(String, &'static str),
    /// A resource has something that local runs can't do.
    #[error("template.yaml: {0} has {1} = {2}, which is not supported locally")]
    Unsupported(String, &'static str, String),
    /// A filter of a mapping is no pattern.
    #[error("template.yaml: a filter of {0}: {1}")]
    Pattern(String, PatternError),
    /// No function has that binary.
    #[error("template.yaml has no function {0}")]
    NoFunction(String),
}

/// A table as the template defines it.
#[derive(Clone, Debug)]
pub struct Table {
    /// The environment variable that names it: `EVENTS_TABLE` for the resource `EventsTable`.
    pub variable: String,
    /// Its name in a stack called `rebound`.
    pub name: String,
    /// The body of a `CreateTable` request, but for the name.
    pub definition: Map<String, Value>,
    /// The attribute that holds the time to live.
    pub ttl_attribute: Option<String>,
    /// True if the table can be recovered to any second in every stack, and not only where a parameter says so.
    pub always_recoverable: bool,
}

/// The tables of the template.
///
/// # Errors
/// The template is not YAML, or a table lacks its keys.
pub fn tables() -> Result<Vec<Table>, TemplateError> {
    resources(template()?, "AWS::DynamoDB::Table").iter().map(|(id, resource)| table(id, resource)).collect()
}

/// How long a function may run. A function is named by its binary.
///
/// # Errors
/// The template is not YAML, or does not have the function or its time limit.
pub fn function_timeout(function: &str) -> Result<Duration, TemplateError> {
    let (id, resource) = functions(template()?)
        .into_iter()
        .find(|(_, resource)| binary(resource) == Some(function))
        .ok_or_else(|| TemplateError::NoFunction(function.to_owned()))?;
    seconds(&id, resource.get("Properties").unwrap_or(&Value::Null), "Timeout")
}

fn functions(template: &Value) -> Vec<(String, Value)> {
    resources(template, "AWS::Serverless::Function")
}

fn binary(function: &Value) -> Option<&str> {
    function.pointer("/Metadata/BuildProperties/Binary")?.as_str()
}

/// The template, read once. Of `!Ref`, `!GetAtt` and `!Sub` only the text is left.
fn template() -> Result<&'static Value, TemplateError> {
    static READ: OnceLock<Value> = OnceLock::new();
    match READ.get() {
        Some(read) => Ok(read),
        None => {
            let read = parse(TEMPLATE)?;
            Ok(READ.get_or_init(|| read))
        }
    }
}

fn parse(text: &str) -> Result<Value, TemplateError> {
    serde_saphyr::from_str(text).map_err(|error| TemplateError::NotYaml(error.to_string()))
}

/// The resources of one type, by their ids.
fn resources(template: &Value, kind: &str) -> Vec<(String, Value)> {
    let resources = template.get("Resources").and_then(Value::as_object);
    let of_kind = |resource: &Value| resource.get("Type").and_then(Value::as_str) == Some(kind);
    resources
        .into_iter()
        .flatten()
        .filter(|(_, resource)| of_kind(resource))
        .map(|(id, resource)| (id.clone(), resource.clone()))
        .collect()
}

fn property<'a>(id: &str, resource: &'a Value, name: &'static str) -> Result<&'a Value, TemplateError> {
    let properties = resource.get("Properties").unwrap_or(&Value::Null);
    properties.get(name).ok_or(TemplateError::Incomplete(id.to_owned(), name))
}

fn seconds(id: &str, properties: &Value, name: &'static str) -> Result<Duration, TemplateError> {
    let seconds = properties.get(name).and_then(Value::as_u64);
    seconds.map(Duration::from_secs).ok_or(TemplateError::Incomplete(id.to_owned(), name))
}

fn table(id: &str, resource: &Value) -> Result<Table, TemplateError> {
    let property = |name: &'static str| property(id, resource, name);
    let name = property("TableName")?.as_str().unwrap_or_default().replace("${AWS::StackName}", STACK_NAME);
    let mut definition = Map::new();
    for same in ["BillingMode", "AttributeDefinitions", "KeySchema"] {
        definition.insert(same.to_owned(), property(same)?.clone());
    }
    if let Ok(stream) = property("StreamSpecification") {
        // CloudFormation takes a stream for enabled where it is specified; the API wants to be told.
        let view = stream.get("StreamViewType");
        definition.insert("StreamSpecification".to_owned(), json!({ "StreamEnabled": true, "StreamViewType": view }));
    }
    let ttl =
        property("TimeToLiveSpecification").ok().and_then(|ttl| ttl.get("AttributeName")?.as_str().map(str::to_owned));
    let recovery = resource.pointer("/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled");
    let always_recoverable = recovery == Some(&Value::Bool(true));
    Ok(Table { variable: variable_of(id), name, definition, ttl_attribute: ttl, always_recoverable })
}

/// `EventsTable` → `EVENTS_TABLE`.
fn variable_of(id: &str) -> String {
    let mut variable = String::new();
    for (index, letter) in id.chars().enumerate() {
        if index > 0 && letter.is_ascii_uppercase() {
            variable.push('_');
        }
        variable.push(letter.to_ascii_uppercase());
    }
    variable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_defines_the_five_tables_that_the_environment_names() {
        let tables = tables().unwrap();
        let variables: Vec<&str> = tables.iter().map(|table| table.variable.as_str()).collect();
        for variable in ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE"] {
            assert!(variables.contains(&variable), "{variable}");
        }
        let events = tables.iter().find(|table| table.variable == "EVENTS_TABLE").unwrap();
        assert_eq!(events.name, "rebound-events");
        assert_eq!(events.ttl_attribute.as_deref(), Some("expires_at"));
        assert_eq!(
            events.definition["StreamSpecification"],
            json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"})
        );
    }

    #[test]
    fn a_function_is_found_by_its_binary() {
        assert_eq!(function_timeout("receive").unwrap(), Duration::from_secs(10));
        assert_eq!(function_timeout("protect").unwrap(), Duration::from_secs(60));
        assert!(matches!(function_timeout("nobody"), Err(TemplateError::NoFunction(_))));
    }
}
