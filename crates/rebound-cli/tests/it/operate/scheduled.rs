//! A campaign that was scheduled days ahead is braked like any other, and counted by when it was sent besides.

use std::time::Duration;

use aws_local::faults::{Fault, Half, HalfResponse};
use futures_util::future::join_all;
use rebound::aws::stream::BatchResponse;
use rebound::policy::brake::{Status, compute_brake};
use rebound::policy::counting::{Counter, DedupKey, Increment, MessageHash};
use rebound::policy::limits::BrakePolicy;
use rebound::resend::campaign::{Campaign, Cohort};
use rebound::resend::signed::SignedMessage;
use rebound::store::client::RetryClient;
use rebound::store::counters::Campaigns;
use rebound_cli::operate::campaigns::{load_campaign, load_campaigns};
use serde_json::json;

use crate::support::protect::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, mail, soon};

/// Returns an event of an email of the campaign `spring`, which was created the given number of days ago.
fn webhook(event_type: &str, number: usize, days_ago: i64, at: i64) -> SignedMessage {
    let mut more = json!({
        "created_at": after(-days_ago * DAY).to_text(), "tags": { "campaign": "spring" }, "bounce": { "type": "Permanent" },
    });
    if event_type != "email.bounced" {
        more.as_object_mut().unwrap().remove("bounce");
    }
    let (email, to) = (format!("e{number}"), format!("r{number}@example.com"));
    mail(&format!("{event_type}-{number}"), event_type, &email, &to, after(at), more)
}

fn campaigns(stage: &ProtectHarness) -> (Campaigns, RetryClient, String) {
    let table = stage.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let calls = RetryClient::new(stage.aws.clients().dynamodb(), soon());
    (Campaigns::new(calls.clone(), table.clone()), calls, table)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_sent_ten_days_after_its_creation_is_paused() {
    let stage = ProtectHarness::start().await;
    let mut messages: Vec<SignedMessage> = (0..250).map(|number| webhook("email.sent", number, 10, -HOUR)).collect();
    messages.extend((0..60).map(|number| webhook("email.bounced", number, 10, -MINUTE)));
    // Not all at once: a busy machine would refuse some, as a busy service may.
    for some in messages.chunks(40) {
        let received = join_all(some.iter().map(|message| stage.receive_at(message, NOW))).await;
        assert!(received.iter().all(|status| *status == 200));
    }
    for batch in stage.records().await.chunks(100) {
        assert_eq!(stage.deliver(batch, NOW).await, BatchResponse::default());
    }
    assert_eq!(stage.brake("spring").await, ("paused".to_owned(), 0.0));
    assert_eq!(stage.kinds().get("brake"), Some(&1));

    let (_, calls, table) = campaigns(&stage);
    let listed = load_campaigns(&calls, &table, NOW, 7, |_| {}).await.unwrap();
    let known = &listed["spring"];
    assert_eq!((known.total().get(Counter::Sent), known.total().get(Counter::BouncedHard)), (250, 60));
    assert_eq!(known.state.as_ref().unwrap().brake.status, Status::Paused);
    let spring = Campaign::new("spring").unwrap();
    assert_eq!(load_campaign(&calls, &table, &spring, after(-DAY)).await.unwrap().as_ref(), Some(known));

    // It opens by itself, a week after it was sent; what was counted of its lateness is not needed any more, and goes.
    stage.tick(after(7 * DAY - HOUR)).await;
    assert_eq!(stage.brake("spring").await.0, "paused");
    stage.tick(after(7 * DAY + HOUR)).await;
    assert_eq!(stage.brake("spring").await.0, "open");
    let is_left = async || stage.counters().await.keys().any(|key| key.contains("late#"));
    assert!(is_left().await);
    stage.expire(after(9 * DAY)).await;
    assert!(!is_left().await);
}

/// Counts the given number of emails of an old cohort, in each of the last hours.
async fn count(campaigns: &Campaigns, counter: Counter, hours: i64, each: u8) {
    let spring = Campaign::new("spring").unwrap();
    let count = |hour: i64, n: u8| Increment {
        campaign: spring.clone(),
        cohort: Cohort::containing(after(-20 * DAY)),
        late: (counter == Counter::Sent).then(|| Cohort::containing(after(-hour * HOUR))),
        counter,
        dedup_key: DedupKey::Webhook {
            second: NOW.seconds(),
            hash: MessageHash([hour as u8, n, counter as u8, 0, 0, 0, 0, 0]),
        },
        expires_at: after(DAY),
    };
    let counts: Vec<Increment> =
        (0..hours).flat_map(|hour| (0..each).map(move |n| (hour, n))).map(|(h, n)| count(h, n)).collect();
    campaigns.count(&spring, &counts, &mut Vec::new()).await.unwrap();
    campaigns.count(&spring, &counts, &mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn what_is_sent_over_many_hours_of_one_batch_adds_up_once() {
    let stage = ProtectHarness::start().await;
    let (campaigns, ..) = campaigns(&stage);
    count(&campaigns, Counter::Sent, 100, 2).await;
    count(&campaigns, Counter::Complained, 1, 5).await;
    count(&campaigns, Counter::Delivered, 1, 250).await;
    let counters = stage.counters().await;
    let late: Vec<i64> = counters.iter().filter(|(key, _)| key.contains("late#")).map(|(_, sent)| *sent).collect();
    assert_eq!(late, [2; 100]);
    let view = campaigns.view(&Campaign::new("spring").unwrap(), NOW).await.unwrap();
    assert_eq!((view.cohorts.len(), view.last_7_days(NOW).get(Counter::Sent)), (1, 200));
    // 20 days ahead, and five people complain.
    assert_eq!(compute_brake(&view, &BrakePolicy::default(), NOW).status, Status::Paused);
}

const STRICT: &str = r#"{"brake": {"bounce_limits": [{"rate": 0.5, "least": 1, "of": 1}]}}"#;

#[tokio::test]
async fn an_old_cohort_with_less_than_a_tenth_sent_late_is_left_out() {
    let stage = ProtectHarness::with_policy(STRICT).await;
    let mut messages: Vec<SignedMessage> = (0..10).map(|number| webhook("email.sent", number, 10, -10 * DAY)).collect();
    messages.extend((0..10).map(|number| webhook("email.bounced", number, 10, -9 * DAY)));
    stage.happens(&messages).await;
    stage.happens(&[webhook("email.sent", 10, 10, -HOUR)]).await;
    assert_eq!(stage.brake("spring").await.0, "open", "one of eleven");
    let (_, calls, table) = campaigns(&stage);
    assert!(load_campaigns(&calls, &table, NOW, 7, |_| {}).await.unwrap().is_empty());
    stage.happens(&[webhook("email.sent", 11, 10, -HOUR)]).await;
    assert_eq!(stage.brake("spring").await.0, "paused", "two of twelve");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_sending_that_is_seen_half_pauses_its_campaign() {
    // The ledger's row, the cohort, and what was sent late.
    for late in 0..3 {
        let stage = ProtectHarness::with_policy(STRICT).await;
        stage.happens(&[webhook("email.bounced", 0, 10, -MINUTE)]).await;
        assert_eq!(stage.brake("spring").await.0, "open");
        let mut halves = 0;
        stage.faults.plan(move |call| {
            let is_first = call.operation == "TransactWriteItems" && halves == 0;
            halves += usize::from(is_first);
            let half = Half { late, span: Duration::from_millis(100), response: HalfResponse::None };
            is_first.then_some(Fault::ShowHalf(half))
        });
        stage.happens(&[webhook("email.sent", 0, 10, -HOUR)]).await;
        assert_eq!(stage.faults.counted().1["shown half"], 1);
        assert_eq!(stage.brake("spring").await.0, "paused", "item {late} was late");
    }
}
