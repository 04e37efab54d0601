//! Claude's API key in Secrets Manager: one that is stored later, and one that is rejected.

use std::time::Duration;

use aws_local::secrets_manager::LocalSecretsManager;
use rebound::aws::secret::Secret;
use rebound::claude::key::{self, ApiKey, INTERVAL};
use rebound::engage::Engager;
use rebound::message::decision::{DecidedBy, Receipt};
use rebound_dev::claude::ClaudeBehaviour;
use rebound_dev::stack::API_KEYS_NAME;
use serde_json::json;
use tokio::time::Instant;

use super::{EngageHarness, MINUTE, NOW, StagedEmail, after};
use crate::support::logged;

fn manager(stage: &EngageHarness) -> &LocalSecretsManager {
    stage.aws.secrets_manager.as_ref().unwrap()
}

fn put(stage: &EngageHarness, key: &str) {
    manager(stage).put(API_KEYS_NAME, &json!({ "ANTHROPIC_API_KEY": key, "OTHER_API_KEY": "x" }).to_string());
}

/// The key in that secret, which is read at most once per interval.
fn key(stage: &EngageHarness, interval: Duration) -> Secret<ApiKey> {
    key::from_manager(stage.aws.clients().secrets_manager(), API_KEYS_NAME.to_owned(), interval)
}

fn engager(stage: &EngageHarness, interval: Duration) -> Engager {
    Engager::clone(&stage.engager).with_key(key(stage, interval))
}

/// The decision of an engager about a click on the email with this id.
async fn decides(stage: &EngageHarness, engager: &Engager, email_id: &str) -> Receipt {
    let mail = StagedEmail::to(email_id, &format!("{email_id}@example.com"));
    let click = format!("click-{email_id}");
    stage.receives(&[mail.delivered(), mail.clicked(&click, after(-10 * MINUTE))]).await;
    let deliveries = stage.deliveries(&[&click], 1).await;
    let answer = engager.batch(&deliveries, NOW, Instant::now() + Duration::from_secs(110)).await;
    assert!(answer.failures.is_empty());
    let receipts = stage.receipts().await.into_values();
    receipts.into_iter().find(|receipt| receipt.email_id == email_id).unwrap()
}

/// The keys of the requests to Claude, in order.
fn asked_with(stage: &EngageHarness) -> Vec<String> {
    stage.claude.asked().iter().map(|asked| asked.headers["x-api-key"].clone()).collect()
}

/// Makes Claude accept only this key.
fn accepts(stage: &EngageHarness, key: &'static str) {
    stage.claude.plan(move |asked| match asked.headers["x-api-key"] == key {
        true => ClaudeBehaviour::Default,
        false => ClaudeBehaviour::Status(401, None),
    });
}

#[tokio::test]
async fn a_key_stored_later_is_used_without_a_deployment() {
    for nothing_yet in ["{}", r#"{"ANTHROPIC_API_KEY":""}"#, r#"{"ANTHROPIC_API_KEY":null}"#, "not json"] {
        let stage = EngageHarness::with(&[]).await;
        manager(&stage).put(API_KEYS_NAME, nothing_yet);
        let engager = engager(&stage, Duration::ZERO);
        let first = decides(&stage, &engager, "e1").await.asked;
        assert_eq!((first.by, first.because.as_deref()), (DecidedBy::Rules, Some("Claude is not configured")));
        put(&stage, "sk-later");
        assert_eq!(decides(&stage, &engager, "e2").await.asked.by, DecidedBy::Claude, "{nothing_yet}");
        assert_eq!(asked_with(&stage), ["sk-later"]);
    }
}

#[tokio::test]
async fn without_a_key_the_secret_is_not_read_for_each_request() {
    let stage = EngageHarness::with(&[]).await;
    let before = manager(&stage).reads();
    for email_id in ["e1", "e2", "e3"] {
        assert_eq!(decides(&stage, &stage.engager, email_id).await.asked.by, DecidedBy::Rules);
    }
    put(&stage, "sk-later");
    assert_eq!(decides(&stage, &stage.engager, "e4").await.asked.by, DecidedBy::Rules, "not before a minute is over");
    assert_eq!(manager(&stage).reads() - before, 1);
    assert_eq!(
        decides(&stage, &engager(&stage, INTERVAL), "e5").await.asked.by,
        DecidedBy::Claude,
        "a function that starts anew"
    );
    assert_eq!(decides(&stage, &stage.engager, "e4").await.asked.by, DecidedBy::Rules, "what is decided stays decided");
}

#[tokio::test]
async fn after_a_rejected_key_the_request_uses_the_new_one() {
    let stage = EngageHarness::with(&[]).await;
    let before = manager(&stage).reads();
    put(&stage, "sk-old");
    let engager = engager(&stage, Duration::ZERO);
    assert_eq!(decides(&stage, &engager, "e1").await.asked.by, DecidedBy::Claude);
    accepts(&stage, "sk-new");
    put(&stage, "sk-new");
    let mut receipt = None;
    let log = logged(async { receipt = Some(decides(&stage, &engager, "e2").await) }).await;
    let asked = receipt.unwrap().asked;
    assert_eq!((asked.by, asked.tries), (DecidedBy::Claude, 2));
    assert_eq!(decides(&stage, &engager, "e3").await.asked.by, DecidedBy::Claude);
    assert_eq!(asked_with(&stage), ["sk-old", "sk-old", "sk-new", "sk-new"]);
    assert_eq!(manager(&stage).reads() - before, 2, "the secret is not read for each question");
    assert!(log.contains("401") && !log.contains("sk-"), "{log}");
}

#[tokio::test]
async fn a_second_rejected_key_lets_the_rules_decide() {
    for (second, expected) in
        [("sk-worse", vec!["sk-bad", "sk-worse"]), ("sk-bad", vec!["sk-bad"]), ("", vec!["sk-bad"])]
    {
        let stage = EngageHarness::with(&[]).await;
        accepts(&stage, "sk-good");
        put(&stage, "sk-bad");
        let secret = key(&stage, Duration::ZERO);
        assert!(secret.get().await.is_some());
        put(&stage, second);
        let engager = Engager::clone(&stage.engager).with_key(secret);
        let asked = decides(&stage, &engager, "e1").await.asked;
        assert_eq!(
            (asked.by, asked.because.as_deref()),
            (DecidedBy::Rules, Some("Claude answered 401, authentication_error"))
        );
        assert_eq!((asked_with(&stage), asked.cost_usd), (expected.into_iter().map(str::to_owned).collect(), 0.0));
    }
}

#[tokio::test]
async fn while_the_secret_is_unreadable_the_known_key_is_kept() {
    let stage = EngageHarness::with(&[]).await;
    put(&stage, "sk-1");
    let secret = key(&stage, Duration::ZERO);
    let known = secret.get().await;
    assert_eq!(known.as_deref(), ApiKey::parse("sk-1").as_ref());
    manager(&stage).clear(API_KEYS_NAME);
    assert_eq!(secret.reload(known.as_ref()).await, None, "it was just refused");
    assert_eq!(secret.get().await, known);
}
