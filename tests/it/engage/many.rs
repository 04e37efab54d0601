//! An email with very many clicks: each is looked at for a bounded price, by those that are near to it, and hides no outcome.

use std::time::Duration;

use rebound::decision::Done;
use rebound::local::samples::SignedMessage;
use rebound::stream::BatchAnswer;
use serde_json::{Value, json};

use super::crowd::stored;
use super::{DAY, HOUR, LINK, MINUTE, Mail, NOW, PHONE, Stage, after};

/// An id as Svix makes them: in the order of time.
fn id(n: i64) -> String {
    format!("msg_2jXW{n:08}")
}

/// So many clicks on one link, a second apart, from different addresses, an hour after delivery.
fn clicks(mail: &Mail, n: i64) -> Vec<SignedMessage> {
    let click = |n: i64| {
        let at = after(-HOUR + n * 1_000);
        let said = json!({
            "ipAddress": format!("10.0.{}.{}", n / 250, n % 250),
            "link": LINK,
            "timestamp": at.to_text(),
            "userAgent": PHONE,
        });
        mail.event(&id(n), "email.clicked", at, &json!({ "click": said }))
    };
    (0..n).map(click).collect()
}

/// What one look costs, in read units and in calls to DynamoDB.
async fn price(stage: &Stage, message: &str) -> (f64, usize) {
    let deliveries = stage.deliveries(&[message], 1).await;
    assert_eq!(deliveries.len(), 1, "{message}");
    stage.faults.plan(|_| None);
    stage.faults.count_capacity(true);
    let before = stage.faults.capacity().read_units;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchAnswer::default());
    (stage.faults.capacity().read_units - before, stage.faults.calls().len())
}

#[tokio::test]
async fn a_look_costs_the_same_after_a_thousand_clicks_as_after_two() {
    let stage = Stage::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let mail = Mail::to("e1", "ann@example.com");
    let all = clicks(&mail, 2_000);
    stored(&stage, &[vec![mail.delivered()], all[..1_000].to_vec()].concat()).await;
    let (units_of_one, _) = price(&stage, &id(500)).await;
    stored(&stage, &all[1_000..]).await;
    let (units, calls) = price(&stage, &id(600)).await;
    assert!(units_of_one <= 70.0 && (units - units_of_one).abs() < 6.0, "{units_of_one} {units}");
    assert!(calls <= 12, "{calls}");
    assert_eq!(stage.verdict(&id(600)).await.unwrap().0, "human");
    // Its decision is published and its verdict stored: nothing but these is read beside the first rows and itself.
    let (units, calls) = price(&stage, &id(600)).await;
    assert!(units <= 40.0 && calls <= 4, "{units} {calls}");
    assert_eq!(stage.published().len(), 1);
}

#[tokio::test]
async fn among_very_many_clicks_a_burst_is_still_seen() {
    let stage = Stage::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let mail = Mail::to("e1", "ann@example.com");
    let mut all = clicks(&mail, 1_200);
    // Two links at once, in the middle; from elsewhere, with ids of that moment.
    let at = after(-HOUR + 700 * 1_000);
    for (n, link) in [(0, "https://shop.example/a"), (1, "https://shop.example/b")] {
        let said = json!({ "ipAddress": "192.0.2.1", "link": link, "timestamp": at.to_text(), "userAgent": PHONE });
        all.push(mail.event(&format!("{}b{n}", id(700)), "email.clicked", at, &json!({ "click": said })));
    }
    stored(&stage, &[vec![mail.delivered()], all].concat()).await;
    price(&stage, &format!("{}b0", id(700))).await;
    let verdict = stage.verdict(&format!("{}b0", id(700))).await.unwrap();
    assert_eq!(verdict.0, "machine");
    // Somebody else's click, some time later.
    price(&stage, &id(900)).await;
    assert_eq!(stage.verdict(&id(900)).await.unwrap().0, "human");
}

#[tokio::test]
async fn very_many_clicks_hide_neither_an_outcome_nor_a_decision() {
    let stage = Stage::with(&[("ANTHROPIC_API_KEY", "")]).await;
    // Created long ago, and sent two hours ago.
    let mail = Mail { created_at: after(-20 * DAY), ..Mail::to("e1", "ann@example.com") };
    let delivered = mail.event("zz-delivered", "email.delivered", after(-2 * HOUR), &Value::Null);
    let sent = mail.event("zz-sent", "email.sent", after(-2 * HOUR - 1_000), &Value::Null);
    stored(&stage, &[clicks(&mail, 400), vec![delivered, sent]].concat()).await;
    for n in [250, 399, 0] {
        price(&stage, &id(n)).await;
        assert_eq!(stage.verdict(&id(n)).await.unwrap(), ("human".to_owned(), None), "{n}");
    }
    let receipt = stage.receipt().await;
    assert_eq!(receipt.done, Done::EngagementLogged);
    assert_eq!(stage.published().len(), 1, "decided once");
    let opened = format!("{}o", id(300));
    stored(&stage, &[mail.opened_by(&opened, after(-HOUR), PHONE)]).await;
    let before = stage.receipts().await.len();
    price(&stage, &opened).await;
    assert_eq!(stage.receipts().await.len(), before + 1, "an open beside them has a decision of its own");
}

#[tokio::test]
async fn what_waits_beside_very_many_clicks_is_decided_with_them() {
    let stage = Stage::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let (mail, beside) = (Mail::to("e1", "ann@example.com"), Mail::to("e2", "bob@example.com"));
    let all = clicks(&mail, 1_000);
    stored(
        &stage,
        &[vec![mail.delivered(), beside.delivered(), beside.clicked("c2", after(-10 * MINUTE))], all].concat(),
    )
    .await;
    let ids: Vec<String> = (500..509).map(id).chain(["c2".to_owned()]).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let deliveries = stage.deliveries(&ids, 1).await;
    let began = tokio::time::Instant::now();
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchAnswer::default());
    assert!(began.elapsed() < Duration::from_secs(20), "a bound for a busy machine, not a measure");
    assert_eq!(stage.receipts().await.len(), 2);
}
