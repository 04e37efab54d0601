//! The calls of `consent`, and its role in the template: each call is allowed, and nothing else is.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::consent::Consent;
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound_dev::stack::{EmbeddedAws, LocalAwsOptions};
use serde_json::{Value, json};

use super::{ANN, ConsentRequest, KEY, NOW, ask, link_of};
use crate::roles::{Role, needs, wanted};
use crate::support::recorder::Recorder;

const SECRET: &str = "rebound/consent-keys";

#[tokio::test]
async fn the_role_allows_each_call_of_consent() {
    let aws = EmbeddedAws::start(&LocalAwsOptions::in_memory(), |_| None).await.unwrap();
    aws.secrets_manager.as_ref().unwrap().put(SECRET, &json!({ "CONSENT_KEY": KEY }).to_string());
    let recorder = Recorder::start(aws.variables()).await;
    let variable = |name: &str| match name {
        "CONSENT_KEYS_ARN" => Some(SECRET.to_owned()),
        // The local stack has a key here, which would win over the secret.
        "CONSENT_KEY" => None,
        _ => recorder.variables().get(name).cloned(),
    };
    let consent = Consent::from_environment(variable).await.unwrap();
    let key = ErasureKey::new([9; 32]).unwrap();
    let forgets = async |address: &str| {
        let name = key.name_of(&Recipient::parse(address).unwrap());
        let table = aws.variable("SUPPRESSIONS_TABLE").unwrap();
        let put = |name: &str| {
            let put = aws.clients().dynamodb().put_item().table_name(&table);
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

    let (needed, role) = (needs(&recorder.take_calls(), &[(SECRET, "ConsentKeys")]), Role::of("ConsentRole"));
    role.must_allow(&needed);
    assert_eq!(role.unused(&needed), Vec::<String>::new(), "nothing is allowed that is never called");
    assert_eq!(recorder.eventual(), Vec::<Value>::new(), "every read is strongly consistent");
}

#[test]
fn consent_can_not_write_whom_somebody_forgot_nor_anything_else() {
    let (put, role) = ("dynamodb:PutItem", Role::of("ConsentRole"));
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
        assert_eq!(role.allows(&wanted(action, resource, key)), expected, "{action} on {resource}, {key}");
    }
}
