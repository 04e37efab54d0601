//! An email with very many clicks: each is classified at a bounded cost, from the rows near it, and hides no outcome.

use std::sync::{Arc, Mutex};

use aws_local::feeder::Invoke;
use rebound::aws::stream::BatchResponse;
use rebound::message::decision::DecisionResult;
use rebound::resend::signed::SignedMessage;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::crowd::{CrowdStage, drained, queued, stored, together};
use super::{DAY, EngageHarness, HOUR, LINK, MINUTE, NOW, PHONE, StagedEmail, after};

/// An id like those of Svix: in the order of time.
fn id(n: i64) -> String {
    format!("msg_2jXW{n:08}")
}

/// Clicks on one link, a second apart, from different addresses, an hour after delivery.
fn clicks(mail: &StagedEmail, n: i64) -> Vec<SignedMessage> {
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

/// Cost of one click, in read units and in calls to DynamoDB.
async fn price(stage: &EngageHarness, message: &str) -> (f64, usize) {
    let deliveries = stage.deliveries(&[message], 1).await;
    assert_eq!(deliveries.len(), 1, "{message}");
    stage.faults.plan(|_| None);
    stage.faults.count_capacity(true);
    let before = stage.faults.capacity().read_units;
    assert_eq!(stage.delivers(&deliveries, NOW).await, BatchResponse::default());
    (stage.faults.capacity().read_units - before, stage.faults.calls().len())
}

#[tokio::test]
async fn a_look_costs_the_same_after_500_clicks_as_after_1000() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let all = clicks(&mail, 1_000);
    stored(&stage, &[vec![mail.delivered()], all[..500].to_vec()].concat()).await;
    let (units_of_one, _) = price(&stage, &id(300)).await;
    stored(&stage, &all[500..]).await;
    let (units, calls) = price(&stage, &id(350)).await;
    assert!(units_of_one <= 40.0 && (units - units_of_one).abs() < 6.0, "{units_of_one} {units}");
    assert!(calls <= 12, "{calls}");
    assert_eq!(stage.verdict(&id(350)).await.unwrap().0, "human");
    // Its decision is published and its verdict stored: only these are read, besides the first rows and its own row.
    let (units, calls) = price(&stage, &id(350)).await;
    assert!(units <= 20.0 && calls <= 4, "{units} {calls}");
    assert_eq!(stage.published().len(), 1);
}

#[tokio::test]
async fn among_very_many_clicks_a_burst_is_still_seen() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    let mail = StagedEmail::to("e1", "ann@example.com");
    let mut all = clicks(&mail, 600);
    // Two links at the same time, in the middle; from another address, with ids of that time.
    let at = after(-HOUR + 350 * 1_000);
    for (n, link) in [(0, "https://shop.example/a"), (1, "https://shop.example/b")] {
        let said = json!({ "ipAddress": "192.0.2.1", "link": link, "timestamp": at.to_text(), "userAgent": PHONE });
        all.push(mail.event(&format!("{}b{n}", id(350)), "email.clicked", at, &json!({ "click": said })));
    }
    stored(&stage, &[vec![mail.delivered()], all].concat()).await;
    price(&stage, &format!("{}b0", id(350))).await;
    let verdict = stage.verdict(&format!("{}b0", id(350))).await.unwrap();
    assert_eq!(verdict.0, "machine");
    // Another person's click, some time later.
    price(&stage, &id(500)).await;
    assert_eq!(stage.verdict(&id(500)).await.unwrap().0, "human");
}

#[tokio::test]
async fn very_many_clicks_hide_neither_an_outcome_nor_a_decision() {
    let stage = EngageHarness::with(&[("ANTHROPIC_API_KEY", "")]).await;
    // Created long ago, and sent two hours ago.
    let mail = StagedEmail { created_at: after(-20 * DAY), ..StagedEmail::to("e1", "ann@example.com") };
    let delivered = mail.event("zz-delivered", "email.delivered", after(-2 * HOUR), &Value::Null);
    let sent = mail.event("zz-sent", "email.sent", after(-2 * HOUR - 1_000), &Value::Null);
    stored(&stage, &[clicks(&mail, 400), vec![delivered, sent]].concat()).await;
    for n in [250, 399, 0] {
        price(&stage, &id(n)).await;
        assert_eq!(stage.verdict(&id(n)).await.unwrap(), ("human".to_owned(), None), "{n}");
    }
    let receipt = stage.receipt().await;
    assert_eq!(receipt.done, DecisionResult::EngagementLogged);
    assert_eq!(stage.published().len(), 1, "decided once");
    let opened = format!("{}o", id(300));
    stored(&stage, &[mail.opened_by(&opened, after(-HOUR), PHONE)]).await;
    let before = stage.receipts().await.len();
    price(&stage, &opened).await;
    assert_eq!(stage.receipts().await.len(), before + 1, "an open beside them has a decision of its own");
}

/// Memory of the process in MB; 0 if unknown.
fn megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1_024
}

/// Durations of the batches that contained one of these clicks, in milliseconds, sorted.
struct BatchDurations {
    ms: Vec<u128>,
    most_megabytes: u64,
}

impl BatchDurations {
    fn at(&self, share: usize) -> u128 {
        self.ms[(self.ms.len() - 1) * share / 100]
    }
}

/// Clicks on emails of their own, each among `between` of these, delivered as Lambda does. Returns the durations of
/// their batches.
async fn beside(crowded: &CrowdStage, name: &str, of_one: &[SignedMessage], between: usize) -> BatchDurations {
    let stage = &crowded.stage;
    let mails: Vec<StagedEmail> = (0..of_one.len() / between)
        .map(|n| StagedEmail::to(&format!("beside-{name}-{n}"), &format!("{name}{n}@example.com")))
        .collect();
    let clicks: Vec<SignedMessage> =
        mails.iter().map(|mail| mail.clicked(&format!("c-{}", mail.email_id), after(-10 * MINUTE))).collect();
    stored(stage, &mails.iter().map(StagedEmail::delivered).chain(clicks.iter().cloned()).collect::<Vec<_>>()).await;
    let mixed = of_one.chunks(between).zip(&clicks).flat_map(|(some, click)| some.iter().chain([click]));
    queued(stage, &mixed.cloned().collect::<Vec<_>>()).await;
    let took: Arc<Mutex<BatchDurations>> = Arc::new(Mutex::new(BatchDurations { ms: Vec::new(), most_megabytes: 0 }));
    let handle = together(Arc::new(crowded.engagers()()));
    let noted = Arc::clone(&took);
    let timed: Invoke = Arc::new(move |event| {
        let (handle, noted) = (Arc::clone(&handle), Arc::clone(&noted));
        Box::pin(async move {
            let has_one = event.to_string().contains("beside-");
            let began = Instant::now();
            let answer = handle(event).await;
            let mut took = noted.lock().unwrap();
            took.most_megabytes = took.most_megabytes.max(megabytes());
            if has_one {
                took.ms.push(began.elapsed().as_millis());
            }
            answer
        })
    });
    drained(stage, None, &timed).await;
    let mut took = std::mem::replace(&mut *took.lock().unwrap(), BatchDurations { ms: vec![0], most_megabytes: 0 });
    took.ms.sort_unstable();
    took
}

/// `REBOUND_CLICKS=20000 cargo test --release --test it what_waits_beside -- --nocapture` prints its measurements.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_beside_very_many_clicks_waits_no_longer() {
    let set = std::env::var("REBOUND_CLICKS").ok().and_then(|number| number.parse().ok());
    let number = set.unwrap_or(198);
    let crowded = CrowdStage::with(&[("ANTHROPIC_API_KEY", "")], 0..=1).await;
    let stage = &crowded.stage;
    // Duration of ordinary batches: as many clicks, each on an email of its own.
    let apart: Vec<StagedEmail> =
        (0..number.min(2_000)).map(|n| StagedEmail::to(&format!("apart{n}"), &format!("a{n}@example.com"))).collect();
    let of_many: Vec<SignedMessage> =
        apart.iter().map(|mail| mail.clicked(&format!("a-{}", mail.email_id), after(-10 * MINUTE))).collect();
    stored(stage, &apart.iter().map(StagedEmail::delivered).chain(of_many.iter().cloned()).collect::<Vec<_>>()).await;
    let ordinary = beside(&crowded, "o", &of_many, 99).await;

    let mail = StagedEmail::to("e1", "ann@example.com");
    let of_one = clicks(&mail, number);
    stored(stage, &[vec![mail.delivered()], of_one.clone()].concat()).await;
    let before = megabytes();
    let crowd = beside(&crowded, "c", &of_one, 99).await;
    println!(
        "{number} clicks on one email: batches with another's click took {} ms, {} at most; ordinary ones {} and {}. Memory: {before} MB before, {} at most",
        crowd.at(50),
        crowd.at(100),
        ordinary.at(50),
        ordinary.at(100),
        crowd.most_megabytes
    );
    assert_eq!(crowd.ms.len(), usize::try_from(number / 99).unwrap());
    // Only for a measurement: a debug build on a busy machine proves nothing about time.
    assert!(set.is_none() || crowd.at(50) < ordinary.at(50) + 1_000, "{} {}", crowd.at(50), ordinary.at(50));
}
