//! `FOLLOWUPS=send`: the follow-up's row and its entry are stored with the decision, and it is published as scheduled.

use rebound::message::decision::DecisionResult;
use rebound::policy::followup::sending::FollowupStatus;
use rebound::policy::followup::{Guard, Ruling};
use rebound::store::followups::FollowupRow;
use rebound::store::string;
use rebound::time::UnixMillis;
use serde_json::json;

use super::{EngageHarness, HOUR, MINUTE, StagedEmail, after};

/// The variables of a stack that sends follow-ups.
pub(crate) const SENDING: [(&str, &str); 4] = [
    ("ANTHROPIC_API_KEY", "sk-ant-test"),
    ("FOLLOWUPS", "send"),
    ("CONSENT_URL", "https://mail.example.com"),
    ("CONSENT_KEY", "0123456789abcdef0123456789abcdef"),
];

async fn clicked(stage: &EngageHarness, mail: &StagedEmail) {
    stage.happens(&[mail.delivered(), mail.clicked(&format!("{}-c", mail.email_id), after(-10 * MINUTE))]).await;
}

async fn rows(stage: &EngageHarness) -> Vec<FollowupRow> {
    stage.rows().await.iter().filter_map(FollowupRow::from_item).collect()
}

#[tokio::test]
async fn a_follow_up_to_be_sent_is_stored_with_its_decision() {
    let stage = EngageHarness::with(&SENDING).await;
    clicked(&stage, &StagedEmail::to("e1", "ann@example.com")).await;
    let receipt = stage.receipt().await;
    assert_eq!(receipt.done, DecisionResult::FollowupScheduled);
    let row = rows(&stage).await.pop().unwrap();
    let hash = receipt.id.strip_prefix("decision-").unwrap();
    assert_eq!((row.id.clone(), &row.decision), (format!("followup-{hash}"), &receipt.id));
    assert_eq!((row.mode.as_str(), row.state.status), ("send", FollowupStatus::Due));
    let planned = UnixMillis::parse(&receipt.followup.as_ref().unwrap().not_before).unwrap();
    assert_eq!((row.state.not_before, row.state.entry_at, row.state.due_since), (planned, planned, Some(planned)));
    assert_eq!((row.recipient.as_ref().unwrap().as_str(), row.request), ("ann@example.com", None));
    let agenda = stage.scan("AGENDA_TABLE").await;
    let entries: Vec<_> = agenda.iter().filter(|item| string(item, "kind") == "followup").collect();
    assert_eq!(entries.len(), 1);
    assert_eq!(string(entries[0], "due"), format!("{}#{}", planned.to_text(), row.id));
    assert_eq!([string(entries[0], "email_id"), string(entries[0], "status")], ["e1", "due"]);

    let published = stage.published().pop().unwrap();
    assert_eq!(published["kind"], json!("followup_scheduled"));
    let followup = published["followup"].as_object().unwrap();
    assert_eq!((&followup["id"], &followup["mode"]), (&json!(row.id), &json!("send")));
    assert_eq!(followup["not_before"], json!(planned.to_text()));
    assert!(!followup.contains_key("idempotency_key") && !followup.contains_key("tags"));
    let text = published["text"].as_str().unwrap();
    assert!(text.contains(&planned.to_text()), "it says when it goes out: {text}");
    assert!(text.contains(&format!("rebound followups reject {}", row.id)), "and how to stop it: {text}");
}

#[tokio::test]
async fn a_redelivered_click_stores_it_once() {
    let stage = EngageHarness::with(&SENDING).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    clicked(&stage, &mail).await;
    let again = stage.deliveries(&["e1-c"], 2).await;
    stage.delivers(&again, after(HOUR)).await;
    assert_eq!((rows(&stage).await.len(), stage.published().len()), (1, 1));
}

#[tokio::test]
async fn outside_of_the_trial_it_remains_a_proposal() {
    let mut variables = SENDING.to_vec();
    variables.push(("FOLLOWUP_RECIPIENTS", "bob@example.com,@team.example"));
    let stage = EngageHarness::with(&variables).await;
    for (id, to) in [("e1", "ann@example.com"), ("e2", "bob@example.com"), ("e3", "eva@team.example")] {
        clicked(&stage, &StagedEmail::to(id, to)).await;
    }
    let mut sent: Vec<String> = rows(&stage).await.into_iter().map(|row| row.email_id).collect();
    sent.sort();
    assert_eq!(sent, ["e2", "e3"]);
    let receipts = stage.receipts().await;
    let proposal = &receipts["e1 decision#email.clicked#ann@example.com"];
    assert_eq!(proposal.done, DecisionResult::FollowupProposed);
    let published = stage.published();
    let proposed = published.iter().find(|one| one["kind"] == "followup").unwrap();
    assert!(proposed["followup"]["idempotency_key"].is_string());
}

#[tokio::test]
async fn without_a_sender_or_a_usable_id_it_remains_a_proposal() {
    for (id, from) in [("e1", "Northwind\u{202e} <news@shop.example>"), ("e#1", "news@shop.example")] {
        let stage = EngageHarness::with(&SENDING).await;
        let mail = StagedEmail::to(id, "ann@example.com");
        let at = after(-10 * MINUTE);
        let click = json!({ "ipAddress": "203.0.113.24", "link": super::LINK, "timestamp": at.to_text(), "userAgent": super::PHONE });
        let click = mail.event("c1", "email.clicked", at, &json!({ "from": from, "click": click }));
        stage.happens(&[mail.delivered(), click]).await;
        let receipt = stage.receipt().await;
        assert_eq!((receipt.done, rows(&stage).await.len()), (DecisionResult::FollowupProposed, 0), "{id}");
        let guard = receipt.guards.iter().find(|guard| guard.guard == Guard::NoSender).unwrap();
        assert_eq!(guard.ruling, Ruling::Refused, "{id}");
    }
}

#[tokio::test]
async fn an_email_that_is_itself_a_follow_up_gets_none() {
    let stage = EngageHarness::with(&SENDING).await;
    let tags = json!({ "campaign": "spring", "followup_of": "e0", "followup": "followup-0" });
    clicked(&stage, &StagedEmail { tags, ..StagedEmail::to("e1", "ann@example.com") }).await;
    assert_eq!((rows(&stage).await.len(), stage.receipts().await.len()), (0, 0));
}
