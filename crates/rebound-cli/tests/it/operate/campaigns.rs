//! `campaigns`.

use std::time::Duration;

use rebound::policy::counting::{Counter, DedupKey, Increment, MessageHash};
use rebound::resend::campaign::{Campaign, Cohort};
use rebound::store::counters::Campaigns;
use rebound::time::UnixMillis;
use serde_json::json;

use super::{place, rebound};
use crate::support::ReceiveHarness;

/// Counts `number` emails that were created `hours` ago.
async fn count(campaigns: &Campaigns, name: &str, hours_ago: u64, counter: Counter, number: u8) {
    count_sent(campaigns, name, hours_ago, counter, number, false).await;
}

/// The same; and sent just now, if that is late.
async fn count_sent(campaigns: &Campaigns, name: &str, hours_ago: u64, counter: Counter, number: u8, sent_late: bool) {
    let campaign = Campaign::new(name).unwrap();
    let created = UnixMillis::now().minus(Duration::from_secs(hours_ago * 3_600));
    let counts: Vec<Increment> = (0..number)
        .map(|n| Increment {
            campaign: campaign.clone(),
            cohort: Cohort::containing(created),
            late: sent_late.then(|| Cohort::containing(UnixMillis::now())),
            counter,
            dedup_key: DedupKey::Webhook {
                second: created.seconds(),
                hash: MessageHash([n, counter as u8, hours_ago as u8, 0, 0, 0, 0, 0]),
            },
            expires_at: UnixMillis::now(),
        })
        .collect();
    campaigns.count(&campaign, &counts, &mut Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_campaign_is_shown_and_an_unknown_one_gets_similar_names() {
    let service = ReceiveHarness::start().await;
    let table = service.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let campaigns = Campaigns::new(place(&service.aws).await.calls(Duration::from_secs(60)), table);
    count(&campaigns, "spring", 2, Counter::Sent, 200).await;
    count(&campaigns, "spring", 2, Counter::Delivered, 150).await;
    count(&campaigns, "spring", 50, Counter::Delivered, 50).await;
    count(&campaigns, "spring", 50, Counter::Complained, 3).await;
    count(&campaigns, "spring", 24 * 9, Counter::Delivered, 99).await;
    count(&campaigns, "autumn", 24 * 9, Counter::Sent, 5).await;

    let shown = rebound(&service.aws, &["campaigns", "spring", "--json"]).await;
    let known = shown.json();
    assert_eq!((shown.code, known["cohorts"].as_array().unwrap().len()), (0, 2), "{known:#}");
    assert_eq!((&known["total"]["delivered"], &known["last_24_hours"]["delivered"]), (&json!(200), &json!(150)));
    assert_eq!(known["total"]["complaint_rate"], json!(0.015));
    let plotted = rebound(&service.aws, &["campaigns", "spring"]).await.stdout;
    assert!(plotted.contains("150 of 200") && plotted.contains("1.500 % of 0.3 %"), "{plotted}");
    assert!(plotted.lines().filter(|line| line.contains('█')).all(|line| line.chars().count() <= 90), "{plotted}");

    let all = rebound(&service.aws, &["campaigns", "--json"]).await.json();
    let names: Vec<&str> =
        all["campaigns"].as_array().unwrap().iter().map(|one| one["campaign"].as_str().unwrap()).collect();
    assert_eq!(names, ["spring"], "autumn is older than seven days");
    assert_eq!(
        rebound(&service.aws, &["campaigns", "--days", "10", "--json"]).await.json()["campaigns"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let unknown = rebound(&service.aws, &["campaigns", "sprung"]).await;
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("spring"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_campaign_scheduled_weeks_ago_and_sent_now_is_listed() {
    let service = ReceiveHarness::start().await;
    let table = service.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let campaigns = Campaigns::new(place(&service.aws).await.calls(Duration::from_secs(60)), table);
    count_sent(&campaigns, "scheduled", 24 * 20, Counter::Sent, 200, true).await;
    count(&campaigns, "scheduled", 24 * 20, Counter::BouncedHard, 30).await;
    count_sent(&campaigns, "straggler", 24 * 20, Counter::Sent, 19, true).await;
    count(&campaigns, "straggler", 24 * 20, Counter::Sent, 200).await;

    let all = rebound(&service.aws, &["campaigns", "--json"]).await.json();
    let all = all["campaigns"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["campaign"]), (1, &json!("scheduled")), "{all:#?}");
    assert_eq!(all[0]["last_24_hours"]["hard_bounce_rate"], json!(0.15));
    let one = rebound(&service.aws, &["campaigns", "scheduled", "--json"]).await.json();
    assert_eq!(one["total"], all[0]["total"]);
}

#[tokio::test]
async fn a_bounce_without_a_sent_email_is_no_rate() {
    let service = ReceiveHarness::start().await;
    let table = service.aws.variable("CAMPAIGNS_TABLE").unwrap();
    let campaigns = Campaigns::new(place(&service.aws).await.calls(Duration::from_secs(60)), table);
    count(&campaigns, "spring", 2, Counter::BouncedHard, 3).await;
    for arguments in [&["campaigns"][..], &["campaigns", "spring"]] {
        let shown = rebound(&service.aws, arguments).await.stdout;
        assert!(shown.contains('–') && !shown.contains("100"), "{shown}");
    }
    let total = &rebound(&service.aws, &["campaigns", "spring", "--json"]).await.json()["total"];
    assert_eq!((&total["hard_bounce_rate"], &total["bounced_hard"]), (&json!(null), &json!(3)));
}
