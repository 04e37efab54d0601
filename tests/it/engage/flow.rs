//! Verdicts, decisions, publications, and what is never published.

use rebound::aws::stream::BatchResponse;
use rebound::message::decision::{DecidedBy, DecisionResult};
use rebound::policy::verdict::Verdict;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::json;

use super::{DAY, EngageHarness, HOUR, MINUTE, NOW, PHONE, StagedEmail, after, suppress};

const GOOGLE: &str = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";

#[tokio::test]
async fn a_humans_click_becomes_a_complete_proposal() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.happens(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;

    let receipt = stage.receipt().await;
    assert_eq!(
        (receipt.verdict, &receipt.done, receipt.asked.by),
        (Verdict::Human, &DecisionResult::FollowupProposed, DecidedBy::Claude)
    );
    assert!(
        receipt.asked.cost_usd > 0.0 && receipt.asked.usage.is_some() && receipt.guards.len() >= 10,
        "{receipt:#?}"
    );
    let published = stage.published();
    assert_eq!(published.len(), 1);
    let proposal = &published[0];
    assert_eq!((&proposal["kind"], &proposal["severity"]), (&json!("followup"), &json!("info")));
    assert_eq!(proposal["recipient"], "ann@example.com");
    let followup = &proposal["followup"];
    assert_eq!(followup["recipient"], "ann@example.com");
    assert_eq!(followup["campaign"], "spring");
    assert_eq!(followup["from"], "Northwind Garden <news@shop.example>");
    // At 13:30 it was to be sent four hours later.
    assert_eq!(followup["not_before"], after(4 * HOUR).to_text());
    assert_eq!(followup["tags"][1], json!({ "name": "followup_of", "value": "e1" }));
    let message = &stage.aws.sns.as_ref().unwrap().messages()[0];
    assert!(message.for_protocol("email").contains("Decided by: claude-haiku-5-5"));
    let attributes: Vec<(&str, &str)> =
        message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("campaign", "spring"), ("kind", "followup"), ("severity", "info")]);
}

#[tokio::test]
async fn what_claude_is_shown_holds_no_address_no_agent_and_no_query() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail {
        subject: "For Ann@Example.com only".to_owned(),
        ..StagedEmail::to("e1", "Ann <ann@example.com>")
    };
    stage.happens(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    let asked = stage.claude.asked();
    assert_eq!(asked.len(), 1);
    let shown = asked[0].body["messages"][0]["content"].as_str().unwrap();
    for secret in ["@", "utm_source", "iPhone", "203.0.113.24", "Northwind"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let facts: serde_json::Value = serde_json::from_str(shown).unwrap();
    assert_eq!(facts["email"]["subject"], "For r1 only");
    assert_eq!(facts["event"]["link"], "shop.example/tulips");
    assert_eq!(facts["event"]["recipients"], json!(["r1"]));
    assert_eq!(facts["timeline"][0]["type"], "email.delivered");
    assert_eq!(stage.receipt().await.facts, facts, "the receipt has what was shown");
}

#[tokio::test]
async fn an_occurrence_has_one_decision_after_any_redelivery() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let clicks = [mail.clicked("c1", after(-10 * MINUTE)), mail.clicked("c2", after(-5 * MINUTE))];
    stage.happens(&[mail.delivered(), clicks[0].clone(), clicks[1].clone()]).await;
    for _ in 0..3 {
        let deliveries = stage.deliveries(&["c1", "c2"], 1).await;
        assert_eq!(stage.delivers(&deliveries, after(HOUR)).await, BatchResponse::default());
    }
    assert_eq!((stage.claude.asked().len(), stage.published().len()), (1, 1));
    assert_eq!(stage.verdict("c2").await, Some(("human".to_owned(), None)), "every click has its verdict");
}

#[tokio::test]
async fn a_scanners_clicks_do_not_use_up_the_readers() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let at = mail.created_at.plus(std::time::Duration::from_secs(40));
    let scans: Vec<_> = (0..5)
        .map(|link| mail.clicked_by(&format!("s{link}"), at, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", &format!("https://shop.example/{link}")))
        .collect();
    stage.happens(&[vec![mail.delivered()], scans].concat()).await;
    assert_eq!(stage.verdict("s0").await.unwrap().0, "machine");
    assert_eq!((stage.receipts().await.len(), stage.claude.asked().len()), (0, 0));
    let mut reader = mail.clicked("c1", after(-10 * MINUTE));
    reader = {
        let body = String::from_utf8(reader.body.clone()).unwrap().replace("203.0.113.24", "198.51.100.7");
        rebound::resend::signed::SignedMessage::new("c1", NOW.seconds(), body, &crate::support::secret())
    };
    stage.happens(&[reader]).await;
    assert_eq!(stage.receipt().await.done, DecisionResult::FollowupProposed);
}

#[tokio::test]
async fn an_open_by_an_image_proxy_is_decided_a_prefetch_is_not() {
    let stage = EngageHarness::start().await;
    let (gmail, apple) = (StagedEmail::to("e1", "ann@example.com"), StagedEmail::to("e2", "bob@example.com"));
    stage
        .happens(&[
            gmail.delivered(),
            gmail.opened_by("o1", after(-10 * MINUTE), GOOGLE),
            apple.delivered(),
            apple.opened_by("o2", after(-10 * MINUTE), "Mozilla/5.0"),
        ])
        .await;
    assert_eq!(stage.verdict("o1").await, Some(("human".to_owned(), None)));
    let (verdict, why) = stage.verdict("o2").await.unwrap();
    assert_eq!((verdict.as_str(), why.is_some()), ("unsure", true));
    let receipt = stage.receipt().await;
    assert_eq!((receipt.event.as_str(), &receipt.done), ("email.opened", &DecisionResult::EngagementLogged));
    assert_eq!(stage.published()[0]["kind"], "engagement");
}

#[tokio::test]
async fn an_ineligible_event_is_not_asked_and_its_verdict_says_why() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "k"), ("FOLLOWUP_CAMPAIGNS", "spring, summer")]).await;
    let old = StagedEmail { created_at: after(-15 * DAY), ..StagedEmail::to("old-email", "a@example.com") };
    let late = StagedEmail { created_at: after(-3 * DAY), ..StagedEmail::to("old-event", "b@example.com") };
    let untagged = StagedEmail { tags: json!({ "list": "x" }), ..StagedEmail::to("untagged", "c@example.com") };
    let elsewhere =
        StagedEmail { tags: json!({ "campaign": "autumn" }), ..StagedEmail::to("elsewhere", "d@example.com") };
    let followup = StagedEmail {
        tags: json!({ "campaign": "spring", "followup_of": "e0" }),
        ..StagedEmail::to("followup", "e@example.com")
    };
    let nobody = StagedEmail { to: Vec::new(), ..StagedEmail::to("nobody", "") };
    let crowd =
        StagedEmail { to: (0..51).map(|i| format!("p{i}@example.com")).collect(), ..StagedEmail::to("crowd", "") };
    let mut all = Vec::new();
    for mail in [&old, &untagged, &elsewhere, &followup, &nobody, &crowd] {
        all.extend([mail.delivered(), mail.clicked(&format!("c-{}", mail.email_id), after(-10 * MINUTE))]);
    }
    all.extend([late.delivered(), late.clicked("c-old-event", after(-49 * HOUR))]);
    stage.happens(&all).await;
    for mail in [&old, &late, &untagged, &elsewhere, &followup, &nobody, &crowd] {
        let (verdict, why) = stage.verdict(&format!("c-{}", mail.email_id)).await.unwrap();
        assert!(why.is_some(), "{}: {verdict}", mail.email_id);
    }
    assert_eq!((stage.receipts().await.len(), stage.claude.asked().len(), stage.published().len()), (0, 0, 0));
}

#[tokio::test]
async fn without_a_key_the_rules_decide_and_the_receipt_says_so() {
    let stage = EngageHarness::with(&[]).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.happens(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    let receipt = stage.receipt().await;
    assert_eq!(receipt.asked.because.as_deref(), Some("Claude is not configured"));
    assert_eq!((receipt.asked.by, &receipt.done), (DecidedBy::Rules, &DecisionResult::EngagementLogged));
    assert_eq!(stage.published()[0]["figures"]["interest"], "high");
}

#[tokio::test]
async fn off_means_receipts_only() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "k"), ("FOLLOWUPS", "off")]).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.happens(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    assert!(matches!(stage.receipt().await.done, DecisionResult::Nothing(why) if why.contains("off")));
    assert_eq!(stage.published().len(), 0);
    assert_eq!(stage.scan("RECIPIENTS_TABLE").await.len(), 0, "no place was taken");
}

#[tokio::test]
async fn a_recipient_suppressed_during_a_request_gets_no_follow_up() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.receives(&[mail.delivered(), mail.clicked("c1", after(-10 * MINUTE))]).await;
    let slowly = ClaudeBehaviour::Default.after(std::time::Duration::from_millis(300));
    stage.claude.plan(move |_| slowly.clone());
    let deliveries = stage.deliveries(&["c1"], 1).await;
    let complaint = async {
        while stage.claude.asked().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        suppress(&stage, "ann@example.com").await;
    };
    tokio::join!(stage.delivers(&deliveries, NOW), complaint);
    let receipt = stage.receipt().await;
    assert!(matches!(&receipt.done, DecisionResult::Nothing(_)), "{receipt:#?}");
    assert_eq!(stage.published().len(), 0);
}

#[tokio::test]
async fn a_recipient_gets_no_more_follow_ups_than_the_caps_allow() {
    let stage = EngageHarness::start().await;
    for (number, now) in [(1, 0), (2, DAY), (3, 4 * DAY), (4, 8 * DAY), (5, 12 * DAY)] {
        let now = after(now);
        let mail = StagedEmail {
            created_at: now.minus(std::time::Duration::from_secs(7200)),
            ..StagedEmail::to(&format!("e{number}"), "ann@example.com")
        };
        let at = now.minus(std::time::Duration::from_secs(600));
        for message in [mail.delivered(), mail.clicked(&format!("c{number}"), at)] {
            assert_eq!(crate::protect::receive(&stage.receiver, &message_at(&message, now), now).await, 200);
        }
        let deliveries = stage.deliveries(&[&format!("c{number}")], 1).await;
        assert_eq!(stage.delivers(&deliveries, now).await, BatchResponse::default());
    }
    let proposed: Vec<String> = stage
        .receipts()
        .await
        .into_values()
        .filter(|receipt| receipt.done == DecisionResult::FollowupProposed)
        .map(|receipt| receipt.email_id)
        .collect();
    // The second comes within 72 hours of the first, and the fifth would be the fourth in 30 days.
    assert_eq!(proposed, ["e1", "e3", "e4"]);
}

/// A webhook signed at this time.
fn message_at(
    message: &rebound::resend::signed::SignedMessage,
    now: rebound::time::UnixMillis,
) -> rebound::resend::signed::SignedMessage {
    rebound::resend::signed::SignedMessage::new(
        message.id.clone(),
        now.seconds(),
        message.body.clone(),
        &crate::support::secret(),
    )
}

#[tokio::test]
async fn an_open_and_a_click_never_make_two_followups() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.claude.plan(|_| {
        let input = json!({ "to": "r1", "subject": "Your bulbs", "message": "Shall we help?", "send_after_hours": 2,
            "campaign_id": "spring", "reason": "a person clicked" });
        ClaudeBehaviour::Tool("schedule_followup".to_owned(), input)
    });
    stage
        .happens(&[
            mail.delivered(),
            mail.opened_by("o1", after(-20 * MINUTE), PHONE),
            mail.clicked("c1", after(-10 * MINUTE)),
        ])
        .await;
    let done: Vec<bool> =
        stage.receipts().await.into_values().map(|receipt| receipt.done == DecisionResult::FollowupProposed).collect();
    assert_eq!((done.len(), done.iter().filter(|done| **done).count()), (2, 1));
    assert_eq!(stage.published().len(), 1);
}

#[tokio::test]
async fn another_recipients_events_do_not_count_for_this_one() {
    let stage = EngageHarness::start().await;
    // One email id for both, and an event for each of them, as Resend sends them.
    let (ann, bob) = (StagedEmail::to("e1", "ann@example.com"), StagedEmail::to("e1", "bob@example.com"));
    let at = after(-10 * MINUTE);
    let delivered = |mail: &StagedEmail, id: &str| mail.event(id, "email.delivered", mail.created_at, &json!(null));
    let scan = |link: &str| bob.clicked_by(&format!("scan-{link}"), at, PHONE, &format!("https://shop.example/{link}"));
    stage
        .happens(&[
            delivered(&ann, "d1"),
            delivered(&bob, "d2"),
            scan("a"),
            scan("b"),
            scan("c"),
            ann.clicked("c1", at),
        ])
        .await;
    assert_eq!(stage.verdict("scan-a").await.unwrap().0, "machine");
    assert_eq!(stage.verdict("c1").await, Some(("human".to_owned(), None)));
    let receipt = stage.receipt().await;
    assert_eq!(
        (receipt.recipients, receipt.done),
        (vec!["ann@example.com".to_owned()], DecisionResult::FollowupProposed)
    );
    assert_eq!(receipt.facts["timeline"].as_array().unwrap().len(), 1, "her delivery, and nothing of his");
}
