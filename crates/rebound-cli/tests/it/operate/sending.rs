//! Follow-ups that `rebound dev` sends to its stub of Resend, and what `simulate` finds about them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::signed::SignedMessage;
use rebound::store::followups::FollowupRow;
use rebound::store::{as_number, string};
use rebound::time::UnixMillis;
use rebound_dev::resend::{AcceptedEmail, LocalResend};
use rebound_dev::runner::Clock;
use rebound_dev::simulate::chaos::{Request, requests};
use rebound_dev::simulate::send::{SendOptions, send};
use rebound_dev::simulate::verify::{VerifyOptions, VerifyReport, verify};
use rebound_dev::{CLOCK, samples};
use serde_json::{Value, json};

use super::simulate::story;
use super::{Dev, command};
use crate::support::{eventually, now, secret};

/// Follow-ups are sent at every time of the day.
const SEND: [(&str, &str); 3] = [
    ("FOLLOWUPS", "send"),
    ("RESEND_RATE", "100"),
    ("POLICY", r#"{"followups": {"quiet_from": 0, "quiet_until": 0}}"#),
];

/// The emails that the stub of Resend accepted.
async fn accepted(dev: &Dev) -> Vec<AcceptedEmail> {
    let url = dev.variables()["RESEND_BASE_URL"].clone();
    serde_json::from_str(&reqwest::get(&url).await.unwrap().text().await.unwrap()).unwrap()
}

async fn post(dev: &Dev, event_type: &str) {
    let body = samples::recent(event_type, UnixMillis::now()).unwrap();
    let message = SignedMessage::new(format!("msg_{event_type}"), now(), body, &secret());
    let url = dev.variables()["REBOUND_FUNCTION_URL"].clone();
    let request = message.request(&rebound::web::client(), reqwest::Method::POST, &url);
    assert_eq!(request.send().await.unwrap().status(), 200, "{event_type}");
}

async fn events(dev: &Dev) -> Vec<rebound::store::Item> {
    let place = dev.place().await;
    let scan = place.aws().dynamodb().scan().table_name(place.table("EVENTS_TABLE"));
    scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
}

#[tokio::test]
async fn dev_sends_a_follow_up_that_answers_a_click() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(folder, &SEND, &["--claude-stub", "--clock", "2000"]).await;
    for event_type in ["email.delivered", "email.clicked"] {
        post(&dev, event_type).await;
    }
    eventually("it is sent and reported", async || {
        let rows = events(&dev).await;
        let sent = rows.iter().filter_map(FollowupRow::from_item).find_map(|row| row.state.resend_id);
        sent.is_some_and(|id| {
            let about = |what: &str| {
                rows.iter().any(|row| string(row, "email_id") == id && string(row, "event").starts_with(what))
            };
            about("email.sent#") && about("email.delivered#")
        })
    })
    .await;
    let emails = accepted(&dev).await;
    assert_eq!(emails.len(), 1);
    let (request, variables) = (&emails[0].request, dev.variables());
    assert_eq!(request["to"], "maya.lindqvist@example.com");
    let link = request["headers"]["List-Unsubscribe"].as_str().unwrap();
    assert!(link.starts_with(&format!("<{}/u/", variables["CONSENT_URL"])), "{link}");
    let listed = dev.rebound(&["followups", "list", "--json"]).await.lines();
    assert_eq!((&listed[0]["status"], &listed[0]["resend_id"]), (&json!("sent"), &json!(emails[0].id)));
}

#[tokio::test]
async fn dev_proposes_follow_ups_unless_it_is_set_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(folder, &[], &["--claude-stub", "--clock", "2000"]).await;
    for event_type in ["email.delivered", "email.clicked"] {
        post(&dev, event_type).await;
    }
    let decided = async || events(&dev).await.iter().any(|row| row.contains_key("decided_at"));
    eventually("it is decided", decided).await;
    let rows = events(&dev).await;
    assert!(rows.iter().all(|row| FollowupRow::from_item(row).is_none()), "{rows:#?}");
    assert!(accepted(&dev).await.is_empty());
}

#[tokio::test]
async fn the_clock_of_dev_never_goes_back_before_stored_times() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rebound.db").display().to_string();
    let dev = Dev::start_in(folder, &[], &["--data", &data, "--clock", "50000"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    post(&dev, "email.delivered").await;
    let newest = |rows: &[rebound::store::Item]| rows.iter().filter_map(|row| as_number(row.get("received_at")?)).max();
    let before = newest(&events(&dev).await).unwrap();
    assert!(before > UnixMillis::now().0 + 3_600_000, "the clock is fast");

    let folder = dev.kill().await;
    let dev = Dev::start_in(folder, &[], &["--data", &data]).await;
    let clock: Clock = dev.variables()[CLOCK].parse().unwrap();
    assert!(clock.now().0 >= before, "it started at {}", clock.now().to_text());
    post(&dev, "email.opened").await;
    assert!(newest(&events(&dev).await).unwrap() > before);
}

#[tokio::test]
async fn simulate_finds_each_follow_up_sent_once() {
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &SEND, &["--claude-stub", "--clock", "600"]).await;
    let url = dev.variables()["REBOUND_FUNCTION_URL"].clone();
    let local = format!("--local={}", dev.folder.path().join("dev.env").display());
    let arguments = ["simulate", &url, &local, "--emails", "200", "--seed", "7", "--json", "--patience", "180"];
    let said = command(&Default::default(), &arguments, "").await;
    let report: Value = said.json();
    assert_eq!(said.code, 0, "{report:#}");
    let followups = &report["tables"]["followups"];
    assert!(followups["sent"].as_u64().unwrap() > 2, "{followups:#}");
    assert_eq!((&followups["accepted"], &followups["waiting"]), (&followups["sent"], &json!(0)));
}

#[tokio::test]
async fn a_follow_up_that_was_accepted_twice_or_after_a_stop_is_found() {
    let _alone = crate::support::WHOLE_MACHINE.lock().await;
    let resend = LocalResend::start("key").await.unwrap();
    let url = resend.url();
    let variables: Vec<(&str, &str)> = SEND.into_iter().chain([("RESEND_BASE_URL", url.as_str())]).collect();
    let dev = Dev::start_in(tempfile::tempdir().unwrap(), &variables, &["--claude-stub", "--settle", "0.1"]).await;
    let place = dev.place().await;
    let story = story(7, 400);
    let requests = requests(&story, &[]);
    let sending = SendOptions {
        url: place.variable("REBOUND_FUNCTION_URL").unwrap(),
        secret: secret(),
        chaos: Vec::new(),
        at_once: 8,
        rate: None,
        deaths: false,
    };
    let stops_of = |row: &FollowupRow| {
        let email = (0..story.emails).map(|number| story.email(number)).find(|email| email.id == row.email_id).unwrap();
        email.expected.stops
    };
    let is_stopped = |row: &FollowupRow| !stops_of(row).is_empty();
    let followups =
        async || -> Vec<FollowupRow> { events(&dev).await.iter().filter_map(FollowupRow::from_item).collect() };
    // Contacts unsubscribe after the decisions.
    let is_contact = |request: &Request| {
        story.email(request.email).messages[usize::from(request.message)].event.starts_with("contact.")
    };
    let (contacts, others): (Vec<Request>, Vec<Request>) = requests.iter().copied().partition(is_contact);
    send(&story, &others, &sending, || {}).await.unwrap();
    let decided = async || followups().await.iter().any(is_stopped);
    eventually("a follow-up is decided whose recipient unsubscribes later", decided).await;
    send(&story, &contacts, &sending, || {}).await.unwrap();
    let mut variables = place.variables().clone();
    variables.insert("RESEND_BASE_URL".to_owned(), url.clone());
    let look = async || -> VerifyReport {
        let (patience, then) = (Duration::from_secs(60), Duration::from_millis(100));
        let looking = VerifyOptions { patience, then, knows_verdicts: true, deaths: false, keeps_emails: true };
        let calls = place.calls(Duration::from_secs(600));
        verify(calls, &variables, &story, &requests, looking, |_, _| {}).await.unwrap()
    };
    let accept = async |id: &str, key: &str| {
        let tags = json!([{ "name": "followup", "value": id }]);
        let email = json!({ "from": "a@b.example", "to": "c@d.example", "subject": "s", "text": "t", "tags": tags });
        let sent = rebound::web::client().post(format!("{url}/emails")).bearer_auth("key");
        let sent = sent.header("idempotency-key", key).header("content-type", "application/json");
        assert_eq!(sent.header("user-agent", "test").body(email.to_string()).send().await.unwrap().status(), 200);
    };
    let before = look().await;
    assert!(before.is_right() && before.followups.waiting > 1, "{before:#?}");

    let followups = followups().await;
    let (free, stopped): (Vec<_>, Vec<_>) = followups.iter().partition(|row| !is_stopped(row));
    let twice = free[0].id.as_str();
    accept(twice, "one").await;
    accept(twice, "two").await;
    let after = look().await;
    assert_eq!((after.doubled, after.lost, after.wrong, after.accepted), (1, 0, 0, Some(1)), "{:#?}", after.faults);

    let late = stopped[0];
    let stop_stored_at = async |at: i64| {
        for (email_id, event) in stops_of(late) {
            let update = place.aws().dynamodb().update_item().table_name(place.table("EVENTS_TABLE"));
            let update = update.key("email_id", AttributeValue::S(email_id)).key("event", AttributeValue::S(event));
            let update = update.update_expression("SET received_at = :at");
            update.expression_attribute_values(":at", AttributeValue::N(at.to_string())).send().await.unwrap();
        }
    };
    stop_stored_at(UnixMillis::now().0).await;
    accept(&late.id, "late").await;
    let in_flight = look().await;
    assert_eq!((in_flight.wrong, in_flight.accepted), (0, Some(2)), "{:#?}", in_flight.faults);
    stop_stored_at(UnixMillis::now().0 - 3_600_000).await;
    let found = look().await;
    assert_eq!((found.wrong, found.accepted), (1, Some(2)), "{:#?}", found.faults);
    assert!(format!("{:#?}", found.faults).contains("and stopped at"), "{:#?}", found.faults);
}
