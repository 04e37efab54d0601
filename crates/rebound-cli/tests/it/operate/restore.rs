//! `suppressions restore`.

use serde_json::json;

use super::rebound;
use crate::support::protect::{DAY, HOUR, MINUTE, ProtectHarness, after, contact, listed, mail};

const SINCE: [&str; 4] = ["suppressions", "restore", "--since", "2026-11-23T13:30:00Z"];

fn sorted(lines: Vec<serde_json::Value>) -> Vec<String> {
    let text = |line: &serde_json::Value| format!("{} {} {}", line["recipient"], line["outcome"], line["reasons"]);
    let mut lines: Vec<String> = lines.iter().map(text).collect();
    lines.sort_unstable();
    lines
}

/// Ann was unsubscribed, Bob bounced and is on Resend's list, Cem is unsubscribed again since; then a synchronization lifts all.
async fn lifted() -> ProtectHarness {
    let stage = ProtectHarness::start().await;
    let bounce = json!({ "bounce": { "type": "Permanent", "subType": "NoEmail" } });
    stage
        .happens(&[
            contact("ann", -DAY, true),
            mail("b1", "email.bounced", "e1", "bob@example.com", after(-DAY), bounce),
            listed("bob", -DAY, "suppression.added"),
            contact("cem", -DAY, true),
        ])
        .await;
    stage
        .happens(&[
            contact("ann", -HOUR, false),
            listed("bob", -HOUR, "suppression.removed"),
            contact("cem", -HOUR, false),
        ])
        .await;
    stage.happens(&[contact("cem", -MINUTE, true)]).await;
    stage
}

#[tokio::test]
async fn what_a_sync_lifted_comes_back_as_it_was_and_only_that() {
    let stage = lifted().await;
    let before = stage.suppressions().await;
    let dry = rebound(&stage.aws, &[&SINCE[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!((dry.code, stage.suppressions().await), (0, before), "{}", dry.stderr);
    let said = rebound(&stage.aws, &[&SINCE[..], &["--json"]].concat()).await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    let expected = [
        r#""ann@example.com" "restored" ["opted_out"]"#,
        r#""bob@example.com" "restored" ["hard_bounce"]"#,
        r#""bob@example.com" "restored" ["provider"]"#,
        r#""cem@example.com" "unchanged" []"#,
    ];
    assert_eq!(
        (sorted(said.lines()), sorted(dry.lines())),
        (expected.map(Into::into).into(), expected.map(Into::into).into())
    );
    let reasons = stage.reasons().await;
    assert_eq!(reasons["ann@example.com"], ["opted_out"]);
    assert_eq!(reasons["bob@example.com"], ["hard_bounce", "provider"]);
    let bob = &stage.suppressions().await["bob@example.com"]["hard_bounce"].as_m().unwrap().clone();
    assert_eq!(
        (bob["email_id"].as_s().unwrap().as_str(), bob["detail"].as_s().unwrap().as_str()),
        ("e1", "Permanent: NoEmail")
    );
    let shown = rebound(&stage.aws, &["suppressions", "show", "ann@example.com", "--json"]).await.json();
    assert_eq!(
        (&shown["audit"][0]["action"], &shown["audit"][0]["reasons"]),
        (&json!("restored"), &json!(["opted_out"]))
    );
    let agenda = stage.scan("AGENDA_TABLE").await;
    let pushes: Vec<_> = agenda.iter().filter(|item| item["kind"].as_s().unwrap() == "push").collect();
    assert_eq!(pushes.len(), 1);
    assert!(pushes[0]["due"].as_s().unwrap().ends_with("Z#ann@example.com") && !pushes[0].contains_key("expires_at"));

    // The next synchronization lifts nothing of it, and a second time nothing is to be undone.
    stage.happens_at(&[contact("ann", 0, false)], after(MINUTE)).await;
    assert_eq!(stage.reasons().await["ann@example.com"], ["opted_out"]);
    let again = rebound(&stage.aws, &SINCE).await;
    assert!(again.stdout.starts_with("0 restored"), "{}", again.stdout);
}

#[tokio::test]
async fn who_was_lifted_by_hand_after_a_restore_stays_lifted() {
    let stage = lifted().await;
    rebound(&stage.aws, &SINCE).await;
    let remove = ["suppressions", "remove", "ann@example.com", "bob@example.com", "--reason", "wrote to us"];
    assert_eq!(rebound(&stage.aws, &remove).await.code, 0);
    let again = rebound(&stage.aws, &SINCE).await;
    assert!(again.stdout.starts_with("0 restored"), "{}", again.stdout);
    let until = ["suppressions", "restore", "--since", "2026-11-22T00:00:00Z", "--until", "2026-11-23T13:30:00Z"];
    let none = rebound(&stage.aws, &until).await;
    assert!(none.stdout.starts_with("0 restored, 0 with"), "times are those of receipt: {}", none.stdout);
}
