//! The roles of `engage` and `protect`, in what they do about follow-ups that Rebound sends.

use std::collections::BTreeSet;
use std::sync::Arc;

use rebound::engage::Engager;
use rebound::message::decision::DecisionResult;
use rebound::policy::followup::sending::{DropReason, FollowupStatus};
use rebound::protect::Protector;
use rebound::receive::Receiver;
use rebound::time::{hours, minutes};
use serde_json::{Value, json};

use super::{NeededAction, Role, needs, wanted};
use crate::engage::{EngageHarness, MINUTE, SENDING, StagedEmail, after};
use crate::support::act::ActHarness;
use crate::support::protect::{deliver, receive, record, signed, soon};
use crate::support::recorder::Recorder;

/// The calls to DynamoDB and Secrets Manager since the last use of the recorder.
fn stored(recorder: &Recorder) -> BTreeSet<NeededAction> {
    let mut calls = recorder.take_calls();
    calls.retain(|(operation, _)| !["SNS.", "SQS."].iter().any(|service| operation.starts_with(service)));
    needs(&calls, &[])
}

#[tokio::test]
async fn the_role_of_engage_allows_to_schedule_a_follow_up() {
    let mut stage = EngageHarness::with(&SENDING).await;
    let recorder = Recorder::start(stage.aws.variables()).await;
    let claude = stage.claude.url();
    // As in the stack: the key of the links is in a secret, which engage may not read.
    let engager = Engager::from_environment(|name| match name {
        "ANTHROPIC_BASE_URL" => Some(claude.clone()),
        "CONSENT_KEY" => None,
        "CONSENT_KEYS_ARN" => Some("rebound/consent-keys".to_owned()),
        _ => {
            let set = SENDING.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            set.or_else(|| recorder.variables().get(name).cloned())
        }
    });
    stage.engager = Arc::new(engager.unwrap());
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.happens(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    assert_eq!(stage.receipt().await.done, DecisionResult::FollowupScheduled);

    let (needed, role) = (stored(&recorder), Role::of("EngageRole"));
    assert!(needed.contains(&wanted("dynamodb:PutItem", "AgendaTable", "followup")), "{needed:?}");
    role.must_allow(&needed);
    for (action, resource, key) in [
        ("dynamodb:PutItem", "AgendaTable", "switch"),
        ("dynamodb:PutItem", "AgendaTable", "publish"),
        ("dynamodb:DeleteItem", "AgendaTable", "followup"),
        ("dynamodb:PutItem", "SuppressionsTable", "ann@example.com"),
        ("secretsmanager:GetSecretValue", "ConsentKeys", ""),
        ("secretsmanager:GetSecretValue", "ActKeys", ""),
    ] {
        assert!(!role.allows(&wanted(action, resource, key)), "{action} on {resource}, {key}");
    }
}

/// A webhook of a follow-up that was sent.
async fn reports(stage: &ActHarness, protector: &Protector, resend_id: &str, tags: Value) {
    let receiver = Arc::new(Receiver::from_environment(|name| stage.aws.variable(name)).await.unwrap());
    let data =
        json!({ "email_id": resend_id, "to": ["ann@example.com"], "created_at": stage.now().to_text(), "tags": tags });
    let message = signed(&format!("m-{resend_id}"), "email.sent", 0, &data);
    assert_eq!(receive(&receiver, &message, crate::support::protect::NOW).await, 200);
    let rows = stage.scan("EVENTS_TABLE").await;
    let row = rows.iter().find(|row| row["event"].as_s().unwrap().contains(&message.id)).unwrap();
    deliver(protector, &[record(row)], stage.now()).await;
}

#[tokio::test]
async fn the_role_of_protect_allows_what_it_does_about_follow_ups() {
    let stage = ActHarness::start().await;
    let recorder = Recorder::start(stage.aws.variables()).await;
    let protector = Protector::from_environment(|name| recorder.variables().get(name).cloned()).unwrap();
    let id = stage.decide("e1", "ann@example.com").await;
    let row = stage.row().await;
    let at = stage.now();
    stage.store().drop_followup(&row, DropReason::Rejected, "eva", "", Vec::new(), at).await.unwrap();
    // It was sent all the same: its place is taken again. Then a second id, with an alert.
    for resend_id in ["r1", "r2"] {
        reports(&stage, &protector, resend_id, json!({ "followup_of": "e1", "followup": id })).await;
    }
    assert_eq!((stage.status().await, stage.row().await.state.also.len()), (FollowupStatus::Sent, 1));
    let needed = stored(&recorder);
    for (action, key) in [("DeleteItem", "followup_done"), ("PutItem", "followup_done"), ("PutItem", "publish")] {
        assert!(needed.contains(&wanted(&format!("dynamodb:{action}"), "AgendaTable", key)), "{action} {key}");
    }
    Role::of("ProtectRole").must_allow(&needed);

    // The tick measures what is overdue, and publishes the alert.
    stage.decide("e2", "bob@example.com").await;
    let report = protector.tick(stage.now().plus(hours(1)).plus(minutes(1)), soon()).await;
    assert_eq!(report.errors, []);
    let needed = stored(&recorder);
    for (action, key) in [("Query", "followup"), ("GetItem", "switch"), ("DeleteItem", "publish")] {
        assert!(needed.contains(&wanted(&format!("dynamodb:{action}"), "AgendaTable", key)), "{action} {key}");
    }
    Role::of("ProtectRole").must_allow(&needed);
}
