//! The role of `act`.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::act::{ActActivity, Actor};
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound::store::text;
use rebound::time::{hours, minutes};
use rebound_dev::resend::{ResendBehaviour, SENDING_KEY};
use serde_json::{Value, json};

use super::{Role, needs, wanted};
use crate::support::act::{ActHarness, CONSENT_KEY, KEY, sent};
use crate::support::recorder::Recorder;

const ANN: &str = "ann@example.com";
const ACT_KEYS: &str = "rebound/act-keys";
const CONSENT_KEYS: &str = "rebound/consent-keys";

/// An actor as in the stack: its keys are in secrets.
fn actor(stage: &ActHarness, recorder: &Recorder) -> Actor {
    let at = |service: &str| recorder.variables()[&format!("AWS_ENDPOINT_URL_{service}")].clone();
    stage.actor_with(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", &at("DYNAMODB")),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &at("SECRETS_MANAGER")),
        ("RESEND_API_KEY", ""),
        ("ACT_KEYS_ARN", ACT_KEYS),
        ("CONSENT_KEY", ""),
        ("CONSENT_KEYS_ARN", CONSENT_KEYS),
    ])
}

/// The reactions to the next emails and contacts.
fn plan(stage: &ActHarness, behaviours: Vec<ResendBehaviour>) {
    let mut left = behaviours.into_iter();
    stage.resend.plan(move |_, path| {
        let is_asked = path == "/emails" || path.starts_with("/contacts");
        is_asked.then(|| left.next()).flatten()
    });
}

fn refusal(status: u16, name: &str) -> ResendBehaviour {
    ResendBehaviour::Error { status, name: name.to_owned(), message: "No.".to_owned() }
}

async fn opt_out(stage: &ActHarness, address: &str) {
    let due = format!("{}#{address}", stage.now().to_text());
    stage.put("AGENDA_TABLE", &[("kind", text("push")), ("due", text(due))]).await;
}

async fn forget(stage: &ActHarness, address: &str) {
    let key = ErasureKey::new([9; 32]).unwrap();
    let name = key.name_of(&Recipient::parse(address).unwrap());
    let bytes = AttributeValue::B(Blob::new(key.bytes()));
    stage.put("SUPPRESSIONS_TABLE", &[("recipient", text(KEY_ITEM)), ("key", bytes)]).await;
    let reasons = AttributeValue::Ss(vec!["forgotten".to_owned()]);
    stage.put("SUPPRESSIONS_TABLE", &[("recipient", text(name)), ("reasons", reasons)]).await;
}

/// Drops the follow-up of this email while its request is in flight.
async fn drop_in_flight(stage: &ActHarness, email_id: &str, id: &str) {
    let store = stage.store();
    loop {
        let row = store.find(email_id, id).await.unwrap().unwrap();
        if row.state.status == FollowupStatus::Sending {
            let at = stage.now();
            store.drop_followup(&row, DropReason::Rejected, "eva", "", Vec::new(), at).await.unwrap();
            // Its answer comes later, so its entry gets another time.
            stage.advance(Duration::from_secs(1));
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_role_allows_each_call_of_act() {
    let stage = ActHarness::start().await;
    let secrets = stage.aws.secrets_manager.as_ref().unwrap();
    secrets.put(ACT_KEYS, &json!({ "RESEND_API_KEY": KEY }).to_string());
    secrets.put(CONSENT_KEYS, &json!({ "CONSENT_KEY": CONSENT_KEY }).to_string());
    let recorder = Recorder::start(stage.aws.variables()).await;
    let act = actor(&stage, &recorder);

    // Sent; and what else is due: a contact, and an entry without a row.
    stage.decide("e1", ANN).await;
    opt_out(&stage, "nobody@example.com").await;
    let entry =
        [("kind", text("followup")), ("due", text("2026-11-24T00:00:00.000Z#followup-0")), ("id", text("followup-0"))];
    let entry = [entry.as_slice(), &[("email_id", text("e0")), ("status", text("due"))]].concat();
    stage.put("AGENDA_TABLE", &entry).await;
    let report = stage.run(&act).await;
    assert_eq!((sent(&report), report.count(|did| *did == ActActivity::Pushed)), (1, 1), "{report:?}");

    // Dropped, also while its request is in flight.
    stage.decide("e2", "bob@example.com").await;
    stage.suppress("bob@example.com").await;
    stage.decide("e3", "cem@example.com").await;
    forget(&stage, "cem@example.com").await;
    let report = stage.run(&act).await;
    assert_eq!(report.count(|did| matches!(did, ActActivity::Dropped(_))), 2, "{report:?}");
    let id = stage.decide("e4", "dee@example.com").await;
    plan(&stage, vec![ResendBehaviour::AnswerLate(Duration::from_millis(500))]);
    let (report, ()) = tokio::join!(stage.run(&act), drop_in_flight(&stage, "e4", &id));
    assert_eq!(sent(&report), 1, "{report:?}");

    // No clear answer, until it is unknown; a refusal of the email; and a contact for later.
    stage.decide("e5", "eve@example.com").await;
    stage.decide("e6", "fay@example.com").await;
    opt_out(&stage, "later@example.com").await;
    plan(&stage, vec![ResendBehaviour::Status(500), refusal(422, "validation_error"), ResendBehaviour::Status(503)]);
    let report = stage.run(&act).await;
    assert_eq!(report.count(|did| matches!(did, ActActivity::NotAccepted(_))), 2, "{report:?}");
    stage.advance(hours(24));
    let report = stage.run(&act).await;
    assert_eq!(report.count(|did| *did == ActActivity::Unknown), 1, "{report:?}");

    // Accepted after a refusal; and a key that is refused, or may only send.
    stage.decide("e7", "gus@example.com").await;
    assert_eq!(sent(&stage.run(&act).await), 1);
    secrets.put(ACT_KEYS, &json!({ "RESEND_API_KEY": SENDING_KEY }).to_string());
    opt_out(&stage, "ida@example.com").await;
    let act = actor(&stage, &recorder);
    let report = stage.run(&act).await;
    assert_eq!(report.count(|did| *did == ActActivity::PushRefused), 1, "{report:?}");
    stage.advance(minutes(10));
    stage.decide("e8", "hal@example.com").await;
    plan(&stage, vec![refusal(401, "invalid_api_key")]);
    let report = stage.run(&act).await;
    assert_eq!(report.count(|did| matches!(did, ActActivity::NotAccepted(_))), 1, "{report:?}");
    stage.none_twice("roles");

    let needed = needs(&recorder.take_calls(), &[(ACT_KEYS, "ActKeys"), (CONSENT_KEYS, "ConsentKeys")]);
    let role = Role::of("ActRole");
    role.must_allow(&needed);
    assert_eq!(role.unused(&needed), Vec::<String>::new(), "nothing is allowed that is never called");
    assert_eq!(recorder.eventual(), Vec::<Value>::new(), "every read is strongly consistent");
}

#[test]
fn act_can_not_lift_a_no_nor_a_pause_nor_read_the_list() {
    let [get, put, delete, update] = ["GetItem", "PutItem", "DeleteItem", "UpdateItem"];
    let role = Role::of("ActRole");
    for (action, resource, key, expected) in [
        (get, "SuppressionsTable", KEY_ITEM, true),
        (get, "SuppressionsTable", ANN, false),
        (put, "SuppressionsTable", ANN, false),
        (delete, "SuppressionsTable", ANN, false),
        ("ConditionCheckItem", "SuppressionsTable", ANN, true),
        ("ConditionCheckItem", "CampaignsTable", "spring", true),
        (get, "CampaignsTable", "spring", false),
        (put, "CampaignsTable", "spring", false),
        (update, "CampaignsTable", "spring", false),
        (put, "EventsTable", "e1", true),
        (delete, "EventsTable", "e1", false),
        (update, "EventsTable", "e1", false),
        ("Scan", "EventsTable", "", false),
        (delete, "RecipientsTable", ANN, false),
        (update, "AgendaTable", "lock", true),
        (put, "AgendaTable", "lock", false),
        (update, "AgendaTable", "handed_over", true),
        (delete, "AgendaTable", "handed_over", false),
        ("ConditionCheckItem", "AgendaTable", "switch", true),
        (put, "AgendaTable", "switch", false),
        (delete, "AgendaTable", "switch", false),
        (update, "AgendaTable", "switch", false),
        (delete, "AgendaTable", "publish", false),
        (delete, "AgendaTable", "brake", false),
    ] {
        let action = format!("dynamodb:{action}");
        assert_eq!(role.allows(&wanted(&action, resource, key)), expected, "{action} on {resource}, {key}");
    }
    for (secret, expected) in [
        ("ActKeys", true),
        ("ConsentKeys", true),
        ("ApiKeys", false),
        ("WebhookSecret", false),
        ("OperatorKeys", false),
    ] {
        assert_eq!(role.allows(&wanted("secretsmanager:GetSecretValue", secret, "")), expected, "{secret}");
    }
}
