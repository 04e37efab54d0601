//! Topics, and transactional email: what the commands say of them, and that they lose none.

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::store::Item;
use serde_json::{Value, json};

use super::{command, place, rebound};
use crate::support::{ReceiveHarness, complaint, event, signed};

const ANN: &str = "ann@example.com";

fn topics(address: &str, subscriptions: &[(&str, &str)]) -> Vec<u8> {
    let topics = subscriptions.iter().map(|(id, subscription)| json!({ "id": id, "subscription": subscription }));
    event("contact.topics.updated", json!({ "email": address, "topics": topics.collect::<Vec<_>>() }))
}

fn contact(address: &str, is_unsubscribed: bool) -> Vec<u8> {
    event("contact.updated", json!({ "email": address, "unsubscribed": is_unsubscribed }))
}

async fn check(service: &ReceiveHarness, flags: &[&str]) -> (i32, Value) {
    let said = rebound(&service.aws, &[&["check", ANN, "--json"], flags].concat()).await;
    (said.code, said.lines().remove(0))
}

#[tokio::test]
async fn check_without_flags_says_what_it_always_said() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(topics(ANN, &[("monthly", "opt_out")])), "handled").await;
    let allowed = json!({ "address": ANN, "recipient": ANN, "may_send": true, "reasons": [] });
    assert_eq!(check(&service, &[]).await, (0, allowed), "an opt-out of a topic is about the topic");
    service.accepts(&signed(complaint(ANN, "e1")), "handled").await;
    let reason = json!({ "reason": "complaint", "at": "2026-11-20T09:00:00.000Z", "until": null, "email_id": "e1", "detail": null });
    let suppressed = json!({ "address": ANN, "recipient": ANN, "may_send": false, "reasons": [reason] });
    assert_eq!(check(&service, &[]).await, (1, suppressed));
    assert!(!rebound(&service.aws, &["check", ANN]).await.stdout.contains("Checked for"));
}

#[tokio::test]
async fn check_answers_for_a_topic_and_for_transactional_email() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(topics(ANN, &[("monthly", "opt_out"), ("offers", "opt_in")])), "handled").await;
    let (code, line) = check(&service, &["--topic", "monthly"]).await;
    assert_eq!((code, &line["may_send"], &line["topic"]), (1, &json!(false), &json!("monthly")));
    let out = json!([{ "reason": "topic_out", "at": "2026-11-20T09:00:00.000Z", "topic": "monthly" }]);
    assert_eq!(line["reasons"], out);
    let shown = rebound(&service.aws, &["check", ANN, "--topic", "monthly"]).await.stdout;
    assert!(
        shown.contains("opted out of the topic monthly at")
            && shown.contains("Checked for email of the topic monthly.")
    );
    assert_eq!(check(&service, &["--topic", "offers"]).await.0, 0);
    assert_eq!(check(&service, &["--topic", "monthly", "--transactional"]).await.0, 0);

    service.accepts(&signed(contact(ANN, true)), "handled").await;
    assert_eq!(check(&service, &[]).await.0, 1);
    let (code, line) = check(&service, &["--transactional"]).await;
    assert_eq!((code, &line["may_send"], &line["transactional"]), (0, &json!(true), &json!(true)));
    let listed = ["check", "--file", "-", "--transactional"];
    let listed = command(service.aws.variables(), &listed, "email\nann@example.com\nnobody\n").await;
    assert!(listed.code == 1 && listed.stdout.contains("1 of 2 can receive email, 1 must not."), "{}", listed.stdout);
    assert!(listed.stdout.contains("Checked for transactional email."), "{}", listed.stdout);
    service.accepts(&signed(complaint(ANN, "e1")), "handled").await;
    let (code, line) = check(&service, &["--transactional"]).await;
    assert_eq!((code, &line["reasons"][0]["reason"]), (1, &json!("complaint")));
    assert_eq!(line["reasons"].as_array().unwrap().len(), 1, "only what stops this email");

    let long = "t".repeat(65);
    let wrong = rebound(&service.aws, &["check", ANN, "--topic", &long]).await;
    assert!(wrong.code == 2 && wrong.stderr.contains("1 to 64 bytes"), "{}", wrong.stderr);
}

#[tokio::test]
async fn show_has_the_topics_and_what_transactional_email_may_do() {
    let service = ReceiveHarness::start().await;
    let message = signed(topics(ANN, &[("monthly", "opt_out"), ("offers", "opt_in")]));
    service.accepts(&message, "handled").await;
    service.accepts(&signed(contact(ANN, true)), "handled").await;
    let shown = rebound(&service.aws, &["suppressions", "show", ANN, "--json"]).await.json();
    assert_eq!((&shown["may_send"], &shown["may_send_transactional"]), (&json!(false), &json!(true)));
    let at = 1_795_165_200_000_i64; // 2026-11-20T09:00:00Z
    let monthly = json!({ "out": true, "out_at": at, "out_by": message.id, "in_at": null, "in_by": null });
    let offers = json!({ "out": false, "out_at": null, "out_by": null, "in_at": at, "in_by": message.id });
    assert_eq!(shown["topics"], json!({ "monthly": monthly, "offers": offers }));
    let shown = rebound(&service.aws, &["suppressions", "show", ANN]).await.stdout;
    for line in [
        "is suppressed; transactional email can be sent",
        "opted out of the topic monthly at",
        "opted in to the topic offers at",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

fn without_version(mut item: Item) -> Item {
    item.remove("version");
    item
}

#[tokio::test]
async fn a_list_that_is_exported_and_imported_has_the_same_topics() {
    let service = ReceiveHarness::start().await;
    for body in [
        topics(ANN, &[("monthly", "opt_out"), ("offers", "opt_in")]),
        contact(ANN, true),
        complaint("bob@example.com", "e1"),
        topics("carol@example.com", &[("=1+1, \"quoted\"", "opt_out")]),
        topics("dave@example.com", &[("monthly", "opt_in")]),
    ] {
        service.accepts(&signed(body), "handled").await;
    }
    let before = service.suppressions().await;
    for format in ["csv", "jsonl"] {
        let exported = rebound(&service.aws, &["suppressions", "export", "--format", format]).await.stdout;
        let other = ReceiveHarness::start().await;
        let import = ["suppressions", "import", "-", "--reason", "a move", "--json"];
        let said = command(other.aws.variables(), &import, &exported).await;
        assert_eq!((said.code, &said.json()["changed"]), (0, &json!(6)), "{format}: {said:#?}");
        let after = other.suppressions().await;
        assert_eq!(after.len(), before.len());
        for (recipient, item) in after {
            assert_eq!(without_version(item), without_version(before[&recipient].clone()), "{format}: {recipient}");
        }
        let again = command(other.aws.variables(), &import, &exported).await.json();
        assert_eq!((&again["changed"], &again["unchanged"]), (&json!(0), &json!(6)), "{format}");
    }
    let bad = "recipient,reason,at,lifted_at,lifted_by,topic\nann@example.com,topic,,,,\n";
    let import = ["suppressions", "import", "-", "--reason", "a move", "--json"];
    let said = command(service.aws.variables(), &import, bad).await;
    assert!(said.stdout.contains("a topic needs its id"), "{said:#?}");
}

#[tokio::test]
async fn a_change_by_hand_loses_no_topic_and_forget_leaves_none() {
    let service = ReceiveHarness::start().await;
    service.accepts(&signed(topics(ANN, &[("monthly", "opt_out")])), "handled").await;
    let topics_of = |item: &Item| item["topics"].clone();
    let before = topics_of(&service.suppressions().await[ANN]);
    for command in [
        ["suppressions", "add", ANN, "--reason", "asked by phone"],
        ["suppressions", "remove", ANN, "--reason", "signed up again"],
    ] {
        assert_eq!(rebound(&service.aws, &command).await.code, 0);
        let items = service.suppressions().await;
        assert_eq!(topics_of(&items[ANN]), before, "{command:?}");
        assert!(!items[ANN].contains_key("expires_at"), "a topic is out");
    }
    let forget = rebound(&service.aws, &["forget", ANN, "--reason", "request 7", "--yes"]).await;
    assert_eq!(forget.code, 0, "{forget:#?}");
    let items = service.suppressions().await;
    assert!(!items.contains_key(ANN) && items.values().all(|item| !item.contains_key("topics")), "{items:?}");
    for flags in [&[][..], &["--transactional"], &["--topic", "monthly"]] {
        assert_eq!(check(&service, flags).await.0, 1, "{flags:?}");
    }
}

#[tokio::test]
async fn a_change_by_hand_of_somebody_forgotten_is_refused() {
    let service = ReceiveHarness::start().await;
    let place = place(&service.aws).await;
    let ann = rebound::resend::recipient::Recipient::parse(ANN).unwrap();
    let key = rebound::store::forgotten::ErasureKey::new([7; 32]).unwrap();
    super::forget::put_forgotten(&service.aws, &key, &ann).await;
    let line = "recipient,reason,at,lifted_at,lifted_by,topic\nann@example.com,topic,,,,monthly\n";
    let import = ["suppressions", "import", "-", "--reason", "a move", "--json"];
    let said = command(service.aws.variables(), &import, line).await;
    assert_eq!(said.json()["forgotten"], json!(1), "{said:#?}");
    for change in [
        ["suppressions", "add", ANN, "--reason", "asked"],
        ["suppressions", "add", "Ann@Example.com", "--reason", "asked"],
    ] {
        rebound(&service.aws, &change).await;
    }
    let get = place.aws().dynamodb().get_item().table_name(place.table("SUPPRESSIONS_TABLE"));
    let item = get.key("recipient", AttributeValue::S(ANN.to_owned())).send().await.unwrap().item;
    assert_eq!(item, None, "nothing under the plain address");
}
