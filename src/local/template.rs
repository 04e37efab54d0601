//! What `template.yaml` says, so that local runs and the stack have one definition.

use serde_json::{Map, Value, json};

const TEMPLATE: &str = include_str!("../../template.yaml");

/// What stands for `${AWS::StackName}` locally.
const STACK_NAME: &str = "rebound";

/// Why the template can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is not YAML.
    #[error("template.yaml can't be read: {0}")]
    NotYaml(String),
    /// A table lacks something.
    #[error("template.yaml: the table {0} has no {1}")]
    Incomplete(String, &'static str),
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
}

/// The tables of the template.
///
/// # Errors
/// The template is not YAML, or a table lacks its keys.
pub fn tables() -> Result<Vec<Table>, TemplateError> {
    let template: Value =
        serde_saphyr::from_str(TEMPLATE).map_err(|error| TemplateError::NotYaml(error.to_string()))?;
    let resources = template.get("Resources").and_then(Value::as_object);
    let is_table = |resource: &Value| resource.get("Type").and_then(Value::as_str) == Some("AWS::DynamoDB::Table");
    resources
        .into_iter()
        .flatten()
        .filter(|(_, resource)| is_table(resource))
        .map(|(id, resource)| table(id, resource))
        .collect()
}

fn table(id: &str, resource: &Value) -> Result<Table, TemplateError> {
    let property = |name: &'static str| {
        resource
            .get("Properties")
            .and_then(|properties| properties.get(name))
            .ok_or(TemplateError::Incomplete(id.to_owned(), name))
    };
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
    Ok(Table { variable: variable_of(id), name, definition, ttl_attribute: ttl })
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
}
