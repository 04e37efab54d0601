//! A click on an opt-out or preference link shows no interest: it is stored, Claude is not asked, and the recipient
//! gets no follow-up.

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::{DecidedBy, DecisionResult};
use rebound::policy::followup::{Guard, Ruling};
use rebound::store::Item;
use rebound::time::UnixMillis;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::{Value, json};

use super::{DAY, EngageHarness, HOUR, LINK, MINUTE, NOW, PHONE, StagedEmail, after};

const OPT_OUT: &str = "https://unsubscribe.resend.com/?token=eyJhbGciOi";
const PREFERENCES: &str = "https://shop.example/account/email-preferences?u=9";

/// The stored opt-out click of a recipient: its time, and its end.
async fn remembered(stage: &EngageHarness, recipient: &str) -> Option<(i64, i64)> {
    let facts = stage.scan("RECIPIENTS_TABLE").await;
    let is_it = |item: &&Item| {
        item["fact"].as_s().unwrap() == "opt_out_click" && item["recipient"].as_s().unwrap() == recipient
    };
    let number = |item: &Item, name: &str| item[name].as_n().unwrap().parse().unwrap();
    facts.iter().find(is_it).map(|item| (number(item, "at"), number(item, "until")))
}

fn opts_out(mail: &StagedEmail, message: &str, at: UnixMillis) -> rebound::resend::signed::SignedMessage {
    mail.clicked_by(message, at, PHONE, OPT_OUT)
}

/// Claude proposes an email, whoever the recipient is.
fn always_writes(stage: &EngageHarness) {
    stage.claude.plan(|_| {
        let input = json!({
            "to": "r1",
            "subject": "Any questions?",
            "message": "Just reply to this email.",
            "send_after_hours": 4,
            "campaign_id": "spring",
            "reason": "A person clicked.",
        });
        ClaudeBehaviour::Tool("schedule_followup".to_owned(), input)
    });
}

#[tokio::test]
async fn an_opt_out_click_is_stored_and_claude_is_not_asked() {
    for (link, id) in [(OPT_OUT, "e1"), (PREFERENCES, "e2"), ("https://shop.example/d%C3%A9sinscription", "e3")] {
        let stage = EngageHarness::start().await;
        let mail = StagedEmail::to(id, "ann@example.com");
        let at = after(-10 * MINUTE);
        stage.happens(&[mail.delivered(), mail.clicked_by("c1", at, PHONE, link)]).await;
        assert_eq!(stage.claude.asked().len(), 0, "{link}");
        let receipt = stage.receipt().await;
        assert_eq!((receipt.asked.by, &receipt.done), (DecidedBy::Rules, &DecisionResult::EngagementLogged));
        assert_eq!((receipt.event.as_str(), receipt.opt_out_click), ("email.clicked", true));
        let published = stage.published();
        assert_eq!(published.len(), 1);
        assert_eq!(published[0]["figures"]["opt_out_click"], json!(true));
        assert_eq!(published[0]["figures"]["interest"], Value::Null);
        assert_eq!(published[0]["title"], "Opt-out click: ann@example.com, campaign spring");
        assert_eq!(remembered(&stage, "ann@example.com").await, Some((at.0, at.0 + 30 * DAY)));
    }
}

#[tokio::test]
async fn no_followup_goes_to_who_opted_out_whatever_claude_says() {
    let stage = EngageHarness::start().await;
    always_writes(&stage);
    let (first, second) = (StagedEmail::to("e1", "ann@example.com"), StagedEmail::to("e2", "ann@example.com"));
    stage.happens(&[first.delivered(), opts_out(&first, "c1", after(-20 * MINUTE))]).await;
    stage.happens(&[second.delivered(), second.clicked("c2", after(-10 * MINUTE))]).await;
    let refused = &stage.receipts().await["e2 decision#email.clicked#ann@example.com"];
    let guard = refused.guards.iter().find(|answer| answer.guard == Guard::OptOutClick).unwrap();
    assert_eq!(guard.ruling, Ruling::Refused);
    assert!(matches!(&refused.done, DecisionResult::Nothing(why) if why.contains("opt-out")), "{:?}", refused.done);
    let asked = stage.claude.asked().pop().unwrap().body["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(asked.contains(r#""do_not_send_reasons":["opt_out_click"]"#), "{asked}");

    let other = StagedEmail::to("e3", "bob@example.com");
    stage.happens(&[other.delivered(), other.clicked("c3", after(-10 * MINUTE))]).await;
    let receipts = stage.receipts().await;
    assert_eq!(receipts["e3 decision#email.clicked#bob@example.com"].done, DecisionResult::FollowupProposed);
}

#[tokio::test]
async fn an_opt_out_click_that_is_not_looked_at_yet_counts_too() {
    let stage = EngageHarness::start().await;
    always_writes(&stage);
    let mail = StagedEmail::to("e1", "ann@example.com");
    let (interest, no) = (mail.clicked("c1", after(-10 * MINUTE)), opts_out(&mail, "c2", after(-9 * MINUTE)));
    stage.receives(&[mail.delivered(), interest, no]).await;
    let deliveries = stage.deliveries(&["c1"], 1).await;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    assert!(matches!(stage.receipt().await.done, DecisionResult::Nothing(_)));
    assert_eq!(remembered(&stage, "ann@example.com").await, None, "its own message remembers it");
}

#[tokio::test]
async fn an_opt_out_click_uses_up_nobodys_other_click() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    stage.happens(&[mail.delivered(), opts_out(&mail, "c1", after(-30 * MINUTE))]).await;
    stage.happens(&[mail.clicked("c2", after(-10 * MINUTE))]).await;
    stage.happens(&[opts_out(&mail, "c3", after(-5 * MINUTE))]).await;
    let receipts = stage.receipts().await;
    let keys: Vec<&str> = receipts.keys().map(String::as_str).collect();
    assert_eq!(keys, ["e1 decision#email.clicked#ann@example.com", "e1 decision#opt_out_click#ann@example.com"]);
    let at = after(-5 * MINUTE).0;
    assert_eq!(remembered(&stage, "ann@example.com").await, Some((at, at + 30 * DAY)), "the newest");
}

#[tokio::test]
async fn clicks_that_come_late_never_move_it_back() {
    let stage = EngageHarness::start().await;
    for (message, minutes) in [("c1", 5), ("c2", 90)] {
        let mail = StagedEmail::to(message, "ann@example.com");
        stage.happens(&[mail.delivered(), opts_out(&mail, message, after(-minutes * MINUTE))]).await;
    }
    let at = after(-5 * MINUTE).0;
    assert_eq!(remembered(&stage, "ann@example.com").await, Some((at, at + 30 * DAY)));
}

#[tokio::test]
async fn a_scanner_that_follows_the_opt_out_link_opts_nobody_out() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let scan = [LINK, OPT_OUT, PREFERENCES].into_iter().zip(0..);
    let scan = scan.map(|(link, n)| mail.clicked_by(&format!("c{n}"), after(-110 * MINUTE + n * 200), PHONE, link));
    stage.happens(&[vec![mail.delivered()], scan.collect()].concat()).await;
    assert_eq!(remembered(&stage, "ann@example.com").await, None);
    assert_eq!((stage.receipts().await.len(), stage.published().len()), (0, 0));
}

#[tokio::test]
async fn it_is_remembered_of_an_email_that_is_not_decided_about() {
    let stage = EngageHarness::start().await;
    let mail = StagedEmail { tags: json!({}), ..StagedEmail::to("e1", "ann@example.com") };
    stage.happens(&[mail.delivered(), opts_out(&mail, "c1", after(-10 * MINUTE))]).await;
    assert_eq!(stage.receipts().await.len(), 0);
    assert!(remembered(&stage, "ann@example.com").await.is_some());
}

#[tokio::test]
async fn the_rules_count_opt_out_links_as_no_interest() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let click = |id: &str, minutes: i64, link: &str| mail.clicked_by(id, after(-minutes * MINUTE), PHONE, link);
    let clicks = [
        click("c1", 50, OPT_OUT),
        click("c2", 40, PREFERENCES),
        click("c3", 30, LINK),
        click("c4", 20, "https://shop.example/roses"),
    ];
    stage.receives(&[vec![mail.delivered()], clicks.to_vec()].concat()).await;
    let deliveries = stage.deliveries(&["c4"], 1).await;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    let receipt = stage.receipt().await;
    assert_eq!(
        (&receipt.done, &receipt.facts["engaged"]["distinct_links"]),
        (&DecisionResult::EngagementLogged, &json!(2))
    );
}

#[tokio::test]
async fn after_fewer_opt_out_days_the_longest_block_counts() {
    let policy = r#"{"followups": {"opt_out_days": 1}}"#;
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "k"), ("POLICY", policy)]).await;
    always_writes(&stage);
    // Stored when the policy still had 30 days; and a newer click, whose one day is over.
    let (at, until) = (after(-20 * DAY), after(10 * DAY));
    let number = |time: UnixMillis| AttributeValue::N(time.0.to_string());
    let put = stage.dynamodb.put_item().table_name(stage.aws.variable("RECIPIENTS_TABLE").unwrap());
    let put = put.item("recipient", AttributeValue::S("ann@example.com".to_owned()));
    let put = put.item("fact", AttributeValue::S("opt_out_click".to_owned()));
    put.item("at", number(at)).item("until", number(until)).send().await.unwrap();
    let mail = StagedEmail { created_at: after(-30 * HOUR), ..StagedEmail::to("e1", "ann@example.com") };
    let (no, interest) = (opts_out(&mail, "c1", after(-25 * HOUR)), mail.clicked("c2", after(-10 * MINUTE)));
    stage.receives(&[mail.delivered(), no, interest]).await;
    let deliveries = stage.deliveries(&["c2"], 1).await;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default(), "it is not tried again");
    let done = stage.receipt().await.done;
    assert!(matches!(&done, DecisionResult::Nothing(why) if why.contains("opt-out")), "{done:?}");
}
