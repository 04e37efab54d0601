//! Complaints while engage waits for Claude are processed immediately.

use std::sync::Arc;
use std::time::Duration;

use aws_local::feeder;
use rebound::message::decision::{DecidedBy, DecisionResult};
use rebound_dev::claude::ClaudeBehaviour;
use rebound_dev::runner::{self, Clock, feed, timeout_of};
use rebound_dev::stack::ALERTS_TOPIC;
use serde_json::Value;
use tokio::time::timeout;

use super::super::Stage;
use super::{GENEROUS, arrive, in_process, mail, minutes_ago, polled};
use crate::support::eventually;

/// Claude's response time under load.
const HALF_A_MINUTE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_is_processed_while_engage_waits_for_claude() {
    let stage = Stage::start().await;
    stage.claude.plan(|_| ClaudeBehaviour::Default.after(HALF_A_MINUTE));
    let protect = runner::protect_invoker(
        Arc::new(stage.aws.protector().unwrap()),
        Clock::new(1.0),
        timeout_of("protect").unwrap(),
    );
    let options = feeder::FeederOptions { longest_window: Some(Duration::ZERO), ..feeder::FeederOptions::default() };
    let feeder = feed(&stage.aws, options, |_| Arc::clone(&protect)).await.unwrap();
    let poller = polled(&stage, 2, in_process(Arc::clone(&stage.engager))).await;

    // From the event to the request, as in the stack: receive, the stream, protect, the queue, engage.
    let (ann, bob) = (mail(1), mail(2));
    for (mail, click) in [(&ann, "c1"), (&bob, "c2")] {
        let before = stage.claude.asked().len();
        arrive(&stage, vec![mail.delivered(), mail.clicked(click, minutes_ago(10))]).await;
        eventually("Claude is asked", async || stage.claude.asked().len() > before).await;
    }
    let complaint = ann.event("complaint", "email.complained", minutes_ago(0), &Value::Null);
    arrive(&stage, vec![complaint]).await;
    assert_eq!(stage.scan("SUPPRESSIONS_TABLE").await.len(), 1, "it is acted upon before it is answered");
    let alerts = || {
        let messages = stage.aws.sns.as_ref().unwrap().messages();
        messages.into_iter().filter(|message| message.topic_arn == ALERTS_TOPIC).count()
    };
    eventually("people are alerted", async || alerts() > 0).await;
    // All of this before Claude has answered.
    assert_eq!((stage.claude.answered_tokens().answers, stage.receipts().await.len()), (0, 0));

    feeder.idle().await;
    timeout(GENEROUS, poller.idle()).await.unwrap();
    let receipts = stage.receipts().await;
    let of = |email_id: &str| receipts.values().find(|receipt| receipt.email_id == email_id).unwrap();
    assert_eq!(receipts.len(), 2);
    for receipt in receipts.values() {
        assert!(
            receipt.asked.by == DecidedBy::Claude && receipt.asked.ms >= 30_000,
            "it was waited for: {:?}",
            receipt.asked
        );
    }
    assert!(
        matches!(&of("e1").done, DecisionResult::Nothing(why) if why.contains("suppressed")),
        "{:?}",
        of("e1").done
    );
    assert_eq!(of("e2").done, DecisionResult::FollowupProposed, "who has not complained gets the follow-up");
}
