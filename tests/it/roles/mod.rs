//! The roles of the template: each call that a function makes is allowed, and nothing that it never calls.

mod act;
mod followups;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::resources;

/// An action on an item, or on a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NeededAction {
    action: String,
    /// The resource's logical id in the template.
    resource: String,
    /// The partition key.
    key: String,
}

pub(crate) fn wanted(action: &str, resource: &str, key: &str) -> NeededAction {
    NeededAction { action: action.to_owned(), resource: resource.to_owned(), key: key.to_owned() }
}

/// The statements of a function's role.
pub(crate) struct Role(Vec<Value>);

impl Role {
    /// Reads the role with this logical id.
    pub(crate) fn of(id: &str) -> Self {
        let roles = resources("AWS::IAM::Role");
        let (_, role) = roles.into_iter().find(|(found, _)| found == id).unwrap();
        Self(role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap().clone())
    }

    /// Evaluates the role as IAM does: one statement must allow it, and none may deny it.
    pub(crate) fn allows(&self, wanted: &NeededAction) -> bool {
        let applies = |statement: &&Value| {
            resources_of(statement).contains(&wanted.resource)
                && all(&statement["Action"]).contains(&wanted.action)
                && conditions_hold(statement, &wanted.key)
        };
        let effects: Vec<&str> =
            self.0.iter().filter(applies).map(|statement| statement["Effect"].as_str().unwrap()).collect();
        effects.contains(&"Allow") && !effects.contains(&"Deny")
    }

    /// Checks that each of these actions is allowed.
    pub(crate) fn must_allow(&self, needed: &BTreeSet<NeededAction>) {
        for one in needed {
            assert!(self.allows(one), "{one:?}");
        }
    }

    /// Returns the permissions of DynamoDB and Secrets Manager that are not among these actions, by resource and by leading
    /// key.
    pub(crate) fn unused(&self, needed: &BTreeSet<NeededAction>) -> Vec<String> {
        let mut unused = Vec::new();
        for statement in self.0.iter().filter(|statement| statement["Effect"] == "Allow") {
            let keys = statement.pointer("/Condition").and_then(Value::as_object).map(|conditions| {
                conditions.values().flat_map(|keys| all(&keys["dynamodb:LeadingKeys"])).collect::<Vec<_>>()
            });
            let keys = keys.unwrap_or_else(|| vec!["*".to_owned()]);
            for action in all(&statement["Action"]) {
                if !["dynamodb:", "secretsmanager:"].iter().any(|service| action.starts_with(service)) {
                    continue;
                }
                for resource in resources_of(statement) {
                    for key in &keys {
                        let is_used = |one: &NeededAction| {
                            one.action == action && one.resource == resource && is_like(key, &one.key)
                        };
                        if !needed.iter().any(is_used) {
                            unused.push(format!("{action} on {resource}, {key}"));
                        }
                    }
                }
            }
        }
        unused
    }
}

fn resources_of(statement: &Value) -> Vec<String> {
    all(&statement["Resource"]).iter().map(|resource| resource.trim_end_matches(".Arn").to_owned()).collect()
}

fn all(value: &Value) -> Vec<String> {
    let texts = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// IAM's `*`.
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            let rest = text.strip_prefix(before);
            rest.is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && is_like(after, &rest[at..])))
        }
    }
}

/// Returns true if the conditions of a statement hold for one partition key.
fn conditions_hold(statement: &Value, key: &str) -> bool {
    let Some(conditions) = statement.get("Condition") else { return true };
    conditions.as_object().unwrap().iter().all(|(operator, keys)| {
        let values = all(&keys["dynamodb:LeadingKeys"]);
        match operator.split_once(':').unwrap().1 {
            "StringEquals" => values.iter().any(|value| value == key),
            "StringLike" => values.iter().any(|value| is_like(value, key)),
            "StringNotLike" => values.iter().all(|value| !is_like(value, key)),
            other => panic!("{other} is not known here"),
        }
    })
}

/// The table's logical id, and the name of its partition key.
fn table_of(name: &str) -> (String, &'static str) {
    let end = name.rsplit('-').next().unwrap();
    let key = match end {
        "events" => "email_id",
        "suppressions" | "recipients" => "recipient",
        "campaigns" => "campaign",
        "agenda" => "kind",
        other => panic!("{other} is no table"),
    };
    (format!("{}{}Table", end[..1].to_uppercase(), &end[1..]), key)
}

/// The actions of DynamoDB and Secrets Manager that these calls need
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>). `secrets` are the
/// names of secrets, with their logical ids.
pub(crate) fn needs(calls: &[(String, Value)], secrets: &[(&str, &str)]) -> BTreeSet<NeededAction> {
    calls.iter().flat_map(|(operation, body)| needs_of(operation, body, secrets)).collect()
}

fn needs_of(operation: &str, body: &Value, secrets: &[(&str, &str)]) -> Vec<NeededAction> {
    let of = |action: &str, item: &Value| {
        let (resource, name) = table_of(item["TableName"].as_str().unwrap());
        let key = match action {
            "Query" => &item["ExpressionAttributeValues"][":p"],
            _ => &item.get("Item").unwrap_or(&item["Key"])[name],
        };
        wanted(&format!("dynamodb:{action}"), &resource, key["S"].as_str().unwrap())
    };
    match operation {
        "SECRETS_MANAGER.GetSecretValue" => {
            let asked = body["SecretId"].as_str().unwrap();
            let (_, id) = secrets.iter().find(|(name, _)| *name == asked).unwrap_or_else(|| panic!("{asked}"));
            vec![wanted("secretsmanager:GetSecretValue", id, "")]
        }
        "DYNAMODB.TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap());
            let action = |part: &str| match part {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                part => format!("{part}Item"),
            };
            parts.map(|(part, item)| of(&action(part), item)).collect()
        }
        "DYNAMODB.BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().iter();
            let keys = tables.flat_map(|(table, asked)| {
                let (resource, name) = table_of(table);
                let keys = asked["Keys"].as_array().unwrap().iter();
                keys.map(move |key| wanted("dynamodb:BatchGetItem", &resource, key[name]["S"].as_str().unwrap()))
            });
            keys.collect()
        }
        "DYNAMODB.TransactGetItems" => {
            let items = body["TransactItems"].as_array().unwrap().iter();
            items.map(|item| of("GetItem", &item["Get"])).collect()
        }
        other => match other.strip_prefix("DYNAMODB.") {
            Some(action) => vec![of(action, body)],
            None => panic!("{other} is called"),
        },
    }
}
