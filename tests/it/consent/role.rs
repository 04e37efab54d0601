//! The calls of `consent`, and its role in the template: each call is allowed, and nothing else is.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::consent::Consent;
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};

use super::{ANN, ConsentRequest, KEY, NOW, ask, link_of};
use crate::support::recorder::Recorder;
use crate::template::resources;

const SECRET: &str = "rebound/consent-keys";

/// An action on an item, or on a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct NeededAction {
    action: String,
    /// The resource's logical id in the template.
    resource: String,
    /// The partition key.
    key: String,
}

fn wanted(action: &str, resource: &str, key: &str) -> NeededAction {
    NeededAction { action: action.to_owned(), resource: resource.to_owned(), key: key.to_owned() }
}

fn statements() -> Vec<Value> {
    let roles = resources("AWS::IAM::Role");
    let (_, role) = roles.into_iter().find(|(id, _)| id == "ConsentRole").unwrap();
    role["Policies"][0]["PolicyDocument"]["Statement"].as_array().unwrap().clone()
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

/// Evaluates the role as IAM does: one statement must allow it, and none may deny it.
fn is_allowed(wanted: &NeededAction) -> bool {
    let applies = |statement: &&Value| {
        let resources = all(&statement["Resource"]);
        let resource = resources.iter().any(|resource| resource.trim_end_matches(".Arn") == wanted.resource);
        resource && all(&statement["Action"]).contains(&wanted.action) && conditions_hold(statement, &wanted.key)
    };
    let statements = statements();
    let effects: Vec<&str> =
        statements.iter().filter(applies).map(|statement| statement["Effect"].as_str().unwrap()).collect();
    effects.contains(&"Allow") && !effects.contains(&"Deny")
}

/// The actions that a call needs (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>).
fn needs((operation, body): &(String, Value)) -> Vec<NeededAction> {
    let key = |item: &Value| {
        let names = ["recipient", "email_id", "kind"];
        let table = item["TableName"].as_str().unwrap();
        let name = names[["suppressions", "events", "agenda"].iter().position(|end| table.ends_with(end)).unwrap()];
        let attributes = item.get("Item").unwrap_or(&item["Key"]);
        attributes[name]["S"].as_str().unwrap().to_owned()
    };
    let resource = |item: &Value| {
        let end = item["TableName"].as_str().unwrap().rsplit('-').next().unwrap().to_owned();
        format!("{}{}Table", end[..1].to_uppercase(), &end[1..])
    };
    let of = |action: &str, item: &Value| wanted(action, &resource(item), &key(item));
    match operation.as_str() {
        "SECRETS_MANAGER.GetSecretValue" => {
            assert_eq!(body["SecretId"], SECRET);
            vec![wanted("secretsmanager:GetSecretValue", "ConsentKeys", "")]
        }
        "DYNAMODB.GetItem" => vec![of("dynamodb:GetItem", body)],
        "DYNAMODB.TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().unwrap().iter().flat_map(|item| item.as_object().unwrap());
            let action =
                |part: &str| if part == "ConditionCheck" { "dynamodb:ConditionCheckItem" } else { "dynamodb:PutItem" };
            parts
                .map(|(part, body)| {
                    assert!(["Put", "ConditionCheck"].contains(&part.as_str()), "{part}");
                    of(action(part), body)
                })
                .collect()
        }
        other => panic!("consent calls {other}"),
    }
}

#[tokio::test]
async fn the_role_allows_each_call_of_consent() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    aws.secrets_manager.as_ref().unwrap().put(SECRET, &json!({ "CONSENT_KEY": KEY }).to_string());
    let recorder = Recorder::start(aws.variables()).await;
    let variable = |name: &str| match name {
        "CONSENT_KEYS_ARN" => Some(SECRET.to_owned()),
        _ => recorder.variables().get(name).cloned(),
    };
    let consent = Consent::from_environment(variable).await.unwrap();
    let key = ErasureKey::new([9; 32]).unwrap();
    let forgets = async |address: &str| {
        let name = key.name_of(&Recipient::parse(address).unwrap());
        let table = aws.variable("SUPPRESSIONS_TABLE").unwrap();
        let put = |name: &str| {
            let put = aws.clients().unwrap().dynamodb().put_item().table_name(&table);
            put.item("recipient", AttributeValue::S(name.to_owned()))
        };
        put(KEY_ITEM).item("key", AttributeValue::B(Blob::new(key.bytes()))).send().await.unwrap();
        put(&name).item("reasons", AttributeValue::Ss(vec!["forgotten".to_owned()])).send().await.unwrap();
    };
    let asks = async |address: &str| {
        let link = link_of(address);
        for asked in [ConsentRequest::get(&link), ConsentRequest::button(&link), ConsentRequest::one_click(&link)] {
            assert_eq!(ask(&consent, asked, NOW).await.status, 200, "{address}");
        }
    };
    asks(ANN).await;
    // Forgotten while the function runs; then with the key known. Addresses that begin like other keys are addresses.
    forgets("bob@example.com").await;
    for address in ["bob@example.com", "cem@example.com", "#1@example.com", "forgotten#1@example.com"] {
        asks(address).await;
    }
    ask(&consent, ConsentRequest::get("/u/x.y.z"), NOW).await;

    let calls = recorder.take_calls();
    let mut asked = BTreeMap::new();
    for needed in calls.iter().flat_map(needs) {
        assert!(is_allowed(&needed), "{needed:?}");
        *asked.entry((needed.action, needed.resource)).or_insert(0) += 1;
    }
    assert_eq!(recorder.eventual(), Vec::<Value>::new(), "every read is strongly consistent");
    // Nothing is allowed that is never called.
    for statement in statements().iter().filter(|statement| statement["Effect"] == "Allow" && statement["Sid"] != "Log")
    {
        for action in all(&statement["Action"]) {
            for resource in all(&statement["Resource"]) {
                let resource = resource.trim_end_matches(".Arn").to_owned();
                assert!(asked.contains_key(&(action.clone(), resource.clone())), "{action} on {resource}");
            }
        }
    }
}

#[test]
fn consent_can_not_write_whom_somebody_forgot_nor_anything_else() {
    let put = "dynamodb:PutItem";
    for (action, resource, key, expected) in [
        (put, "SuppressionsTable", ANN, true),
        (put, "SuppressionsTable", "#1@example.com", true),
        (put, "SuppressionsTable", KEY_ITEM, false),
        (put, "SuppressionsTable", "forgotten#61b55fab", false),
        ("dynamodb:GetItem", "SuppressionsTable", KEY_ITEM, true),
        ("dynamodb:ConditionCheckItem", "SuppressionsTable", "forgotten#61b55fab", true),
        ("dynamodb:DeleteItem", "SuppressionsTable", ANN, false),
        ("dynamodb:UpdateItem", "SuppressionsTable", ANN, false),
        ("dynamodb:Query", "SuppressionsTable", ANN, false),
        ("dynamodb:Scan", "SuppressionsTable", "", false),
        (put, "EventsTable", "audit#ann@example.com", true),
        (put, "EventsTable", "0b6f3d52-7a1e-4c55-9c1d-2f6f6f0a7c11", false),
        ("dynamodb:GetItem", "EventsTable", "audit#ann@example.com", false),
        (put, "AgendaTable", "push", true),
        (put, "AgendaTable", "switch", false),
        (put, "AgendaTable", "lock", false),
        (put, "RecipientsTable", ANN, false),
        (put, "CampaignsTable", "spring", false),
        ("secretsmanager:GetSecretValue", "ConsentKeys", "", true),
        ("secretsmanager:GetSecretValue", "WebhookSecret", "", false),
        ("secretsmanager:PutSecretValue", "ConsentKeys", "", false),
    ] {
        assert_eq!(is_allowed(&wanted(action, resource, key)), expected, "{action} on {resource}, {key}");
    }
}
