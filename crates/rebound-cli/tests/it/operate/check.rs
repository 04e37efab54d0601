//! `check`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::recipient::Recipient;
use rebound::store::suppressions::EmailKind;
use rebound::time::UnixMillis;
use rebound_cli::operate::check::{SendCheck, check};
use rebound_cli::operate::suppressions::import::{import, read};
use rebound_cli::operate::suppressions::lifted::LiftedByHand;
use serde_json::json;

use super::{command, list, place, rebound};
use crate::support::{ReceiveHarness, complaint, event, signed};

fn parsed(addresses: &[impl AsRef<str>]) -> Vec<Option<Recipient>> {
    addresses.iter().map(|address| Recipient::parse(address.as_ref())).collect()
}

fn each(recipients: &[Option<Recipient>]) -> Vec<Option<&Recipient>> {
    recipients.iter().map(Option::as_ref).collect()
}

#[tokio::test]
async fn every_spelling_of_an_address_gets_the_same_answer() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(complaint("ann@example.com", "e1")), "handled").await;
    let bounce =
        json!({ "email_id": "e2", "to": ["bob@example.com"], "bounce": { "type": "Permanent", "subType": "General" } });
    service.accepts(&signed(event("email.bounced", bounce)), "handled").await;
    let place = place(&service.aws).await;
    let expiring = "recipient,reason,at,until\nold@example.com,soft_bounce,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z\n";
    let list = list(&place);
    let note = rebound_cli::operate::audit::AuditNote::new("ann", "a test", UnixMillis::now()).unwrap();
    let read = read(expiring.as_bytes(), note.at).unwrap();
    import(&list, read, LiftedByHand::Stay, &note, || {}).await.unwrap();

    let asked = parsed(&[
        "Ann Lee <ANN@example.com>",
        "zoe@example.com",
        "bob@example.com",
        "nobody",
        "old@example.com",
        " ann@example.com ",
    ]);
    let answers =
        check(&list.calls, &list.suppressions, &each(&asked), EmailKind::default(), UnixMillis::now(), |_| {})
            .await
            .unwrap();
    let reasons: Vec<Vec<&str>> = answers.iter().map(SendCheck::reasons).collect();
    assert_eq!(
        reasons,
        [vec!["complaint"], vec![], vec!["hard_bounce"], vec!["not_an_address"], vec![], vec!["complaint"]]
    );
    let long_ago = UnixMillis::parse("2026-01-15T00:00:00Z").unwrap();
    let old = parsed(&["old@example.com"]);
    let then =
        check(&list.calls, &list.suppressions, &each(&old), EmailKind::default(), long_ago, |_| {}).await.unwrap();
    assert_eq!(then[0].reasons(), ["soft_bounce"], "it had not expired then");

    let said = rebound(&service.aws, &["check", "ann@example.com", "zoe@example.com", "--json"]).await;
    let lines = said.lines();
    assert_eq!((said.code, &lines[0]["may_send"], &lines[1]["may_send"]), (1, &json!(false), &json!(true)));
    assert_eq!(
        (&lines[0]["reasons"][0]["reason"], &lines[0]["reasons"][0]["email_id"]),
        (&json!("complaint"), &json!("e1"))
    );
    assert_eq!(rebound(&service.aws, &["check", "zoe@example.com"]).await.code, 0);
    let piped = command(service.aws.variables(), &["check", "--file", "-"], "email,name\nbob@example.com,Bob\n").await;
    assert_eq!(piped.code, 1);
    assert!(piped.stdout.contains("hard_bounce") && piped.stdout.contains("Permanent"), "{}", piped.stdout);
    for arguments in [&["check", "--json"][..], &["check", "-", "--json"]] {
        let piped = command(service.aws.variables(), arguments, "bob@example.com\n").await;
        assert_eq!((piped.code, piped.lines().len()), (1, 1), "{arguments:?}");
    }
    assert_eq!(rebound(&service.aws, &["check"]).await.code, 2, "nobody was asked about");
    let mut elsewhere = service.aws.variables().clone();
    elsewhere.insert("SUPPRESSIONS_TABLE".to_owned(), "nowhere".to_owned());
    let said = command(&elsewhere, &["check", "bob@example.com"], "").await;
    assert!(said.code == 2 && said.stderr.contains("another `rebound dev` runs there"), "{}", said.stderr);
    elsewhere.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), "http://127.0.0.1:9".to_owned());
    let said = command(&elsewhere, &["check", "bob@example.com"], "").await;
    assert!(said.code == 2 && said.stderr.contains("`rebound dev` is running"), "{}", said.stderr);
}

#[tokio::test]
async fn ten_thousand_addresses_take_101_calls_and_later_202() {
    let service = ReceiveHarness::start().await;
    let through_proxy = service.aws.variables().iter().map(|(name, value)| match name.as_str() {
        "AWS_ENDPOINT_URL_DYNAMODB" => (name.clone(), service.proxy.url()),
        _ => (name.clone(), value.clone()),
    });
    let place = rebound_cli::operate::target::Target::find(&Default::default(), through_proxy).await.unwrap();
    let calls = place.calls(Duration::from_secs(60));
    let table = place.table("SUPPRESSIONS_TABLE");
    let addresses = parsed(&(0..10_000).map(|n| format!("r{n}@example.com")).collect::<Vec<_>>());
    service.accepts(&signed(complaint("r7777@example.com", "e1")), "handled").await;
    let now = UnixMillis::now();
    let refused = |answers: Vec<SendCheck>| -> Vec<usize> {
        answers.iter().enumerate().filter(|(_, answer)| !answer.may_send()).map(|(index, _)| index).collect()
    };

    service.proxy.plan(|_| None);
    let answers = check(&calls, table, &each(&addresses), EmailKind::default(), now, |_| {}).await.unwrap();
    assert_eq!((refused(answers), service.proxy.calls().len()), (vec![7777], 101));

    let key = rebound::store::forgotten::ErasureKey::new([7; 32]).unwrap();
    let forgotten = Recipient::parse("r42@example.com").unwrap();
    super::forget::put_forgotten(&service.aws, &key, &forgotten).await;
    service.proxy.plan(|_| None);
    let answers = check(&calls, table, &each(&addresses), EmailKind::default(), now, |_| {}).await.unwrap();
    assert_eq!(answers[42], SendCheck::Forgotten);
    assert_eq!((refused(answers), service.proxy.calls().len()), (vec![42, 7777], 2 + 199));
}

#[tokio::test]
async fn who_is_forgotten_while_a_list_is_checked_is_a_no() {
    let service = ReceiveHarness::start().await;
    let through_proxy = service.aws.variables().iter().map(|(name, value)| match name.as_str() {
        "AWS_ENDPOINT_URL_DYNAMODB" => (name.clone(), service.proxy.url()),
        _ => (name.clone(), value.clone()),
    });
    let place = rebound_cli::operate::target::Target::find(&Default::default(), through_proxy).await.unwrap();
    let table = place.table("SUPPRESSIONS_TABLE").to_owned();
    // More than one call asks about.
    let mut addresses = parsed(&(0..150).map(|n| format!("a{n:03}@example.com")).collect::<Vec<_>>());
    addresses.extend(parsed(&["zoe@example.com"]));
    service.accepts(&signed(complaint("zoe@example.com", "e1")), "handled").await;
    let (client, of_forget) = (service.aws.clients().dynamodb(), table.clone());
    service.proxy.plan(|_| None);
    service.proxy.before(1, async move {
        let key = rebound::store::forgotten::ErasureKey::new([7; 32]).unwrap();
        let name = key.name_of(&Recipient::parse("zoe@example.com").unwrap());
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = client.put_item().table_name(&of_forget).item("recipient", text("#forgotten-key"));
        let bytes = aws_sdk_dynamodb::primitives::Blob::new(key.bytes());
        put.item("key", AttributeValue::B(bytes)).send().await.unwrap();
        let put = client.put_item().table_name(&of_forget).item("recipient", text(&name));
        put.item("reasons", AttributeValue::Ss(vec!["opted_out".to_owned()])).send().await.unwrap();
        let delete = client.delete_item().table_name(&of_forget).key("recipient", text("zoe@example.com"));
        delete.send().await.unwrap();
    });
    let calls = place.calls(Duration::from_secs(60));
    let answers = check(&calls, &table, &each(&addresses), EmailKind::default(), UnixMillis::now(), |_| ()).await;
    let no: Vec<usize> =
        answers.unwrap().iter().enumerate().filter(|(_, one)| !one.may_send()).map(|(n, _)| n).collect();
    assert_eq!(no, [150]);
}

#[tokio::test]
async fn a_paused_campaign_is_a_no_and_a_slowed_one_says_how_much() {
    let service = ReceiveHarness::start().await;
    let campaigns = rebound::store::counters::Campaigns::new(
        place(&service.aws).await.calls(Duration::from_secs(60)),
        service.aws.variable("CAMPAIGNS_TABLE").unwrap(),
    );
    for (name, status, volume) in [("slow", "slowed", 0.25), ("stop", "paused", 0.0)] {
        let status = rebound::policy::brake::Status::from_text(status).unwrap();
        let brake = rebound::policy::brake::Brake { status, volume, reason: "why".into(), until: None, warning: None };
        let state = rebound::policy::brake::BrakeState::next(None, brake, UnixMillis::now()).unwrap();
        let campaign = rebound::resend::campaign::Campaign::new(name).unwrap();
        assert!(campaigns.write_state(&campaign, &state, &Default::default()).await.unwrap());
    }
    let ask =
        async |campaign| rebound(&service.aws, &["check", "a@example.com", "--campaign", campaign, "--json"]).await;
    let (slow, stop, unknown) = (ask("slow").await, ask("stop").await, ask("unknown").await);
    assert_eq!((slow.code, &slow.lines()[0]["campaign"]["volume"]), (0, &json!(0.25)));
    assert_eq!((stop.code, &stop.lines()[0]["may_send"]), (1, &json!(false)));
    assert_eq!((unknown.code, &unknown.lines()[0]["campaign"]["status"]), (0, &json!("open")));
    let stdout = rebound(&service.aws, &["check", "a@example.com", "--campaign", "slow"]).await.stdout;
    assert!(stdout.contains("send at most 25 % of it"), "{stdout}");
}
