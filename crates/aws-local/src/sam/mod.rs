//! Reads a SAM template, so that local runs and the stack have one definition.

mod events;
mod queues;

use std::time::Duration;

use serde_json::{Map, Value, json};

pub use self::events::{Mapping, Schedule};
pub use self::queues::{QueueDefinition, QueueMapping};
use super::pattern::PatternError;

/// The template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is not YAML.
    #[error("the template can't be read: {0}")]
    NotYaml(String),
    /// A property of a resource is missing.
    #[error("the template: {0} has no {1}")]
    Incomplete(String, &'static str),
    /// A property of a resource is not supported locally.
    #[error("the template: {0} has {1} = {2}, which is not supported locally")]
    Unsupported(String, &'static str, String),
    /// A filter of a mapping is not a supported pattern.
    #[error("the template: a filter of {0}: {1}")]
    Pattern(String, PatternError),
    /// No function has this binary.
    #[error("the template has no function {0}")]
    NoFunction(String),
}

/// A table, as the template defines it.
#[derive(Clone, Debug)]
pub struct TableDefinition {
    /// Name of the environment variable with the table's name: `EVENTS_TABLE` for the resource `EventsTable`.
    pub variable: String,
    /// Name of the table.
    pub name: String,
    /// Body of a `CreateTable` request, without the name.
    pub definition: Map<String, Value>,
    /// Name of the TTL attribute.
    pub ttl_attribute: Option<String>,
    /// True if point-in-time recovery is always on, and not only if a parameter enables it.
    pub always_recoverable: bool,
}

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    value: Value,
    stack: String,
}

impl Template {
    /// Parses a template's text. `stack` replaces `${AWS::StackName}`. Only the text of `!Ref`, `!GetAtt` and `!Sub` is
    /// kept.
    ///
    /// # Errors
    /// The text is not YAML.
    pub fn read(text: &str, stack: &str) -> Result<Self, TemplateError> {
        Ok(Self { value: parse(text)?, stack: stack.to_owned() })
    }

    /// The whole template.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the resources of one type, by their logical ids.
    pub fn resources(&self, kind: &str) -> Vec<(String, Value)> {
        resources(&self.value, kind)
    }

    /// Reads the tables.
    ///
    /// # Errors
    /// A table has no keys.
    pub fn tables(&self) -> Result<Vec<TableDefinition>, TemplateError> {
        self.resources("AWS::DynamoDB::Table").iter().map(|(id, resource)| table(id, resource, &self.stack)).collect()
    }

    /// Returns the timeout of a function, which is named by its binary.
    ///
    /// # Errors
    /// The template does not have the function, or not its timeout.
    pub fn function_timeout(&self, function: &str) -> Result<Duration, TemplateError> {
        let (id, resource) = functions(&self.value)
            .into_iter()
            .find(|(_, resource)| binary(resource) == Some(function))
            .ok_or_else(|| TemplateError::NoFunction(function.to_owned()))?;
        seconds(&id, resource.get("Properties").unwrap_or(&Value::Null), "Timeout")
    }

    /// Reads the mappings of streams to functions.
    ///
    /// # Errors
    /// A property of a mapping is missing, or not supported locally.
    pub fn mappings(&self) -> Result<Vec<Mapping>, TemplateError> {
        events::mappings(&self.value)
    }

    /// Reads the schedules.
    ///
    /// # Errors
    /// A schedule does not have the form `rate(5 minutes)`.
    pub fn schedules(&self) -> Result<Vec<Schedule>, TemplateError> {
        events::schedules(&self.value)
    }

    /// Reads the queues.
    pub fn queues(&self) -> Vec<QueueDefinition> {
        queues::queues(&self.value)
    }

    /// Reads the mappings of queues to functions. Its errors are those of [`Self::mappings`].
    pub fn queue_mappings(&self) -> Result<Vec<QueueMapping>, TemplateError> {
        queues::queue_mappings(&self.value)
    }
}

fn functions(template: &Value) -> Vec<(String, Value)> {
    resources(template, "AWS::Serverless::Function")
}

fn binary(function: &Value) -> Option<&str> {
    function.pointer("/Metadata/BuildProperties/Binary")?.as_str()
}

fn parse(text: &str) -> Result<Value, TemplateError> {
    serde_saphyr::from_str(text).map_err(|error| TemplateError::NotYaml(error.to_string()))
}

/// Returns the resources of one type, by their ids.
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

fn table(id: &str, resource: &Value, stack: &str) -> Result<TableDefinition, TemplateError> {
    let property = |name: &'static str| property(id, resource, name);
    let name = property("TableName")?.as_str().unwrap_or_default().replace("${AWS::StackName}", stack);
    let mut definition = Map::new();
    for same in ["BillingMode", "AttributeDefinitions", "KeySchema"] {
        definition.insert(same.to_owned(), property(same)?.clone());
    }
    if let Ok(stream) = property("StreamSpecification") {
        // CloudFormation enables a stream that is specified; the API needs an explicit flag.
        let view = stream.get("StreamViewType");
        definition.insert("StreamSpecification".to_owned(), json!({ "StreamEnabled": true, "StreamViewType": view }));
    }
    let ttl =
        property("TimeToLiveSpecification").ok().and_then(|ttl| ttl.get("AttributeName")?.as_str().map(str::to_owned));
    let recovery = resource.pointer("/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled");
    let always_recoverable = recovery == Some(&Value::Bool(true));
    Ok(TableDefinition { variable: variable_of(id), name, definition, ttl_attribute: ttl, always_recoverable })
}

/// Converts `EventsTable` into `EVENTS_TABLE`.
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

    const TEXT: &str = "
Resources:
  EventsTable:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub ${AWS::StackName}-events
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
      TimeToLiveSpecification: { AttributeName: expires_at, Enabled: true }
  WorkFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: work } }
    Properties: { Timeout: 7 }
";

    #[test]
    fn a_table_is_read_as_the_api_wants_it() {
        let template = Template::read(TEXT, "shop").unwrap();
        let [table] = <[TableDefinition; 1]>::try_from(template.tables().unwrap()).unwrap();
        assert_eq!((table.variable.as_str(), table.name.as_str()), ("EVENTS_TABLE", "shop-events"));
        assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
        assert!(!table.always_recoverable);
        let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
        assert_eq!(table.definition["StreamSpecification"], stream);
    }

    #[test]
    fn a_function_is_found_by_its_binary() {
        let template = Template::read(TEXT, "shop").unwrap();
        assert_eq!(template.function_timeout("work").unwrap(), Duration::from_secs(7));
        assert!(matches!(template.function_timeout("nobody"), Err(TemplateError::NoFunction(_))));
    }
}
