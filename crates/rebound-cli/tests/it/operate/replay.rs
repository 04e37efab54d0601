//! `replay`.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_local::faults::Fault;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::policy::counting::CounterTotals;
use rebound::resend::campaign::{Campaign, Cohort};
use rebound::resend::signed::SignedMessage;
use rebound::store::Item;
use rebound::store::counters::Campaigns;
use rebound_cli::operate::replay::select::Selection;
use rebound_cli::operate::replay::{On, ReplayFunction, ReplayReport, replay};
use rebound_cli::operate::target::{Target, TargetArguments};
use rebound_dev::overlay::Overlay;
use rebound_dev::simulate::scenario::Scenario;
use serde_json::json;

use super::forget::everything;
use super::{rebound, simulate};
use crate::support::{ReceiveHarness, now, secret};

/// A story in which somebody complains, which few do.
fn story() -> Scenario {
    let complaints =
        |story: &Scenario| (0..story.emails).map(|n| story.email(n).expected.complaints.len()).sum::<usize>();
    (0..).map(seeded).find(|story| complaints(story) > 1).unwrap()
}

fn seeded(seed: u64) -> Scenario {
    Scenario { campaign: Campaign::new("spring").unwrap(), ..simulate::story(seed, 700) }
}

/// A service that has received a story, and whose stream nobody has read.
async fn received(story: &Scenario) -> (ReceiveHarness, Target) {
    let service = ReceiveHarness::start().await;
    for number in 0..story.emails {
        for message in story.email(number).messages {
            let signed = SignedMessage::new(message.id, now(), message.body, &secret());
            assert_eq!(service.invoke(&signed).await.0, 200);
        }
    }
    let mut variables = service.aws.variables().clone();
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), service.proxy.url());
    let place = Target::find(&TargetArguments::default(), variables).await.unwrap();
    (service, place)
}

#[derive(PartialEq)]
enum RunMode {
    Replay,
    DryRun,
}

async fn again(place: &Target, mode: RunMode) -> ReplayReport {
    let calls = place.calls(Duration::from_secs(60));
    let rows =
        Selection::default().rows(&calls, place.table("EVENTS_TABLE"), ReplayFunction::Protect, |_| {}).await.unwrap();
    if mode == RunMode::Replay {
        return replay(place, &rows, ReplayFunction::Protect, On::Target, |_| {}).await.unwrap();
    }
    let name = |variable: &str| place.table(variable).to_owned();
    let copy = Overlay::start(place.aws().dynamodb(), name).await.unwrap();
    replay(place, &rows, ReplayFunction::Protect, On::Copy(copy.variables()), |_| {}).await.unwrap()
}

async fn cohorts(place: &Target, story: &Scenario) -> Vec<(Cohort, CounterTotals)> {
    let campaigns = Campaigns::new(place.calls(Duration::from_secs(60)), place.table("CAMPAIGNS_TABLE"));
    campaigns.cohorts(&story.campaign).await.unwrap()
}

#[tokio::test]
async fn a_replay_does_once_what_its_dry_run_says() {
    let _alone = crate::support::WHOLE_MACHINE.lock().await;
    let story = story();
    let (service, place) = received(&story).await;
    let before = everything(&place).await;
    let predicted = again(&place, RunMode::DryRun).await;
    assert!(everything(&place).await == before, "a dry run writes nothing");
    assert!(service.aws.sns.as_ref().unwrap().messages().is_empty(), "and publishes nothing");
    let done = again(&place, RunMode::Replay).await;
    assert_eq!(done, predicted);
    assert_eq!(service.aws.sns.as_ref().unwrap().messages().len(), done.effects.published.len());

    let mut expected: BTreeMap<Cohort, CounterTotals> = BTreeMap::new();
    let mut complaints = 0;
    for number in 0..story.emails {
        let email = story.email(number).expected;
        email.counts.iter().for_each(|(cohort, counter)| expected.entry(*cohort).or_default().add(*counter, 1));
        complaints += email.complaints.len();
    }
    let counted = cohorts(&place, &story).await;
    assert_eq!(counted, expected.into_iter().collect::<Vec<_>>());
    let of_complaints = done.effects.published.iter().filter(|title| title.starts_with("Complaint")).count();
    let folded = done.effects.folded.iter().filter(|id| id.starts_with("complaint")).count();
    assert!(complaints > 0 && of_complaints + folded == complaints, "{:?}", done.effects);
    assert!(done.effects.handed_on > 50 && done.left_over.is_empty());

    let after = everything(&place).await;
    let once_more = again(&place, RunMode::Replay).await;
    assert!(once_more.effects.is_nothing_new(), "{:?}", once_more.effects);
    assert!(everything(&place).await == after);

    // An alert, a suppression and what was counted get lost: a dry run says so, and a replay does it again.
    let dynamodb = place.aws().dynamodb();
    let lose = async |table: &str, keys: [&str; 2], is_lost: &dyn Fn(&Item) -> bool| {
        let table = place.table(table);
        let items: Vec<Item> =
            dynamodb.scan().table_name(table).into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
        let lost: Vec<Item> = items.into_iter().filter(|item| is_lost(item)).collect();
        for item in &lost {
            let key = keys.iter().filter(|key| !key.is_empty()).map(|key| ((*key).to_owned(), item[*key].clone()));
            dynamodb.delete_item().table_name(table).set_key(Some(key.collect())).send().await.unwrap();
        }
        lost.len()
    };
    let text =
        |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let soft = |item: &Item| {
        item.get("reasons").is_some_and(|reasons| *reasons == AttributeValue::Ss(vec!["soft_bounce".to_owned()]))
    };
    assert_eq!(
        lose("EVENTS_TABLE", ["email_id", "event"], &|item| text(item, "event").starts_with("alert#complaint")).await,
        complaints
    );
    assert_eq!(lose("SUPPRESSIONS_TABLE", ["recipient", ""], &soft).await, 2);
    assert!(lose("CAMPAIGNS_TABLE", ["campaign", "cohort"], &|_| true).await > 10);
    let predicted = again(&place, RunMode::DryRun).await;
    let done = again(&place, RunMode::Replay).await;
    assert_eq!(done, predicted);
    assert_eq!((done.effects.suppressions.len(), done.effects.counted.is_empty()), (2, false));
    assert_eq!(cohorts(&place, &story).await, counted);
}

#[tokio::test]
async fn throttling_is_waited_out_and_permanent_errors_are_named() {
    let mut story = story();
    story.emails = 30;
    let (service, place) = received(&story).await;
    service.proxy.plan(|call| (call.index % 3 == 0 && call.operation != "Scan").then_some(Fault::Throttle));
    let report = again(&place, RunMode::Replay).await;
    assert_eq!(report.left_over, Vec::<String>::new());
    service.proxy.plan(|_| None);
    assert!(again(&place, RunMode::Replay).await.effects.is_nothing_new());
}

#[tokio::test]
async fn replay_takes_emails_or_a_type_and_never_all_by_mistake() {
    let mut story = story();
    story.emails = 20;
    let (service, _) = received(&story).await;
    assert_eq!(rebound(&service.aws, &["replay"]).await.code, 2);
    let email = story.email(5).id;
    let dry = rebound(&service.aws, &["replay", &email, "--dry-run", "--json"]).await;
    assert_eq!((dry.code, &dry.json()["dry_run"]), (0, &json!(true)), "{}", dry.stderr);
    let one = rebound(&service.aws, &["replay", &email, "--json"]).await.json();
    assert_eq!(one["new"], dry.json()["new"]);
    let stdout = rebound(&service.aws, &["replay", &email]).await.stdout;
    assert!(stdout.contains("Nothing new"), "{stdout}");
    let sent = rebound(&service.aws, &["replay", "--type", "email.sent", "--json"]).await.json();
    let all_sent = (0..20)
        .flat_map(|n| story.email(n).messages)
        .filter(|message| message.event.starts_with("email.sent#"))
        .count();
    assert_eq!(sent["handled"], json!(all_sent));
    let engage = rebound(&service.aws, &["replay", "--all", "--function", "engage", "--json"]).await.json();
    let engaged: usize = (0..20).map(|n| story.email(n).expected.verdicts.len()).sum();
    assert_eq!(engage["new"]["handed_on"], json!(engaged));
}
