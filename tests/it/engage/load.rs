//! Thousands of concurrent clicks, through the queue, as Lambda delivers them. The limits of concurrent requests and of
//! the budget hold, every click is classified, every occurrence has one decision, and no message remains.

use std::collections::BTreeSet;
use std::sync::Arc;

use rebound::policy::money::NanoUsd;
use rebound::resend::signed::SignedMessage;

use super::crowd::{
    CrowdStage, apart, clicked, decided_once, drained, is, kept_to_the_budget, queued, spent, stored, together,
};
use super::{MINUTE, PHONE, StagedEmail, after};
use crate::support::WHOLE_MACHINE;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_clicks_keep_concurrency_and_budget() {
    let _whole_machine = WHOLE_MACHINE.lock().await;
    let crowded = CrowdStage::with(&[("CLAUDE_DAILY_BUDGET_USD", "0.60"), ("CLAUDE_CONCURRENCY", "4")], 0..=10).await;
    let stage = &crowded.stage;
    let (delivered, clicks) = clicked(1_000, 5);
    stored(stage, &[delivered, clicks.clone()].concat()).await;
    queued(stage, &clicks).await;
    let figures = drained(stage, None, &apart(crowded.engagers())).await;
    assert_eq!((figures.messages, figures.failures), (5_000, 0));
    assert!((2..=4).contains(&stage.claude.max_in_flight()), "{}", stage.claude.max_in_flight());
    assert!(figures.max_concurrent <= 4, "as the template has it");
    let by_claude = decided_once(stage, 5_000).await;
    assert!((1_000..4_000).contains(&by_claude), "{by_claude}");
    kept_to_the_budget(stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_in_one_process_share_the_request_limit() {
    let _whole_machine = WHOLE_MACHINE.lock().await;
    // So many requests that those in flight at the budget's end hold little of it: a message that finds no room then is
    // not asked about later.
    for (at_once, most) in [("4", 4), ("1", 1)] {
        let variables = [("CLAUDE_DAILY_BUDGET_USD", "0.072"), ("CLAUDE_CONCURRENCY", at_once)];
        let crowded = CrowdStage::with(&variables, 20..=30).await;
        let stage = &crowded.stage;
        let (delivered, clicks) = clicked(120, 5);
        stored(stage, &[delivered, clicks.clone()].concat()).await;
        queued(stage, &clicks).await;
        let figures = drained(stage, Some(12), &together(Arc::new(crowded.engagers()()))).await;
        assert!(figures.max_concurrent > 4, "{figures:?}");
        assert_eq!(stage.claude.max_in_flight(), most);
        decided_once(stage, 600).await;
        kept_to_the_budget(stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_budget_the_rules_decide_everything() {
    let crowded = CrowdStage::with(&[("CLAUDE_DAILY_BUDGET_USD", "0")], 0..=10).await;
    let stage = &crowded.stage;
    let (delivered, clicks) = clicked(20, 5);
    stored(stage, &[delivered, clicks.clone()].concat()).await;
    queued(stage, &clicks).await;
    drained(stage, None, &apart(crowded.engagers())).await;
    assert_eq!(stage.claude.asked().len(), 0);
    assert_eq!((decided_once(stage, 100).await, spent(stage).await), (0, (NanoUsd(0), 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_of_machines_cost_a_verdict_each_and_no_request() {
    let _whole_machine = WHOLE_MACHINE.lock().await;
    let crowded = CrowdStage::with(&[], 0..=10).await;
    let stage = &crowded.stage;
    let mails: Vec<StagedEmail> =
        (0..200).map(|mail| StagedEmail::to(&format!("e{mail}"), &format!("m{mail}@example.com"))).collect();
    let scan = |mail: &StagedEmail, link: i64| {
        let (id, at) = (format!("{}-{link}", mail.email_id), after(-30 * MINUTE + link * 40));
        mail.clicked_by(&id, at, PHONE, &format!("https://shop.example/{link}"))
    };
    let clicks: Vec<SignedMessage> = mails.iter().flat_map(|mail| (0..10).map(move |link| scan(mail, link))).collect();
    stored(stage, &mails.iter().map(StagedEmail::delivered).chain(clicks.iter().cloned()).collect::<Vec<_>>()).await;
    queued(stage, &clicks).await;
    let figures = drained(stage, None, &apart(crowded.engagers())).await;

    assert_eq!((figures.messages, figures.failures), (2_000, 0));
    let rows = stage.rows().await;
    let verdicts: BTreeSet<(&str, &str)> = rows
        .iter()
        .filter(|row| is(row, "verdict"))
        .map(|row| {
            assert_eq!((row["verdict"].as_s().unwrap().as_str(), row.contains_key("not_decided")), ("machine", true));
            (row["email_id"].as_s().unwrap().as_str(), row["event"].as_s().unwrap().as_str())
        })
        .collect();
    let expected: Vec<(String, String)> = clicks
        .iter()
        .map(|click| {
            let email_id = click.id.split('-').next().unwrap().to_owned();
            (email_id, format!("verdict#email.clicked#{}", click.id))
        })
        .collect();
    let expected: BTreeSet<(&str, &str)> = expected.iter().map(|(email, key)| (email.as_str(), key.as_str())).collect();
    assert!(verdicts == expected, "every click has its own");
    assert_eq!(rows.len(), 200 + 2_000 + 2_000);
    assert_eq!((stage.claude.asked().len(), stage.published().len()), (0, 0));
    assert_eq!((stage.scan("AGENDA_TABLE").await.len(), stage.scan("RECIPIENTS_TABLE").await.len()), (0, 0));
}
