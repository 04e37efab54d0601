//! The writes of an opt-out: once, for whatever body, and nothing for whoever is stopped already or was forgotten.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::recipient::Recipient;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound::store::{Item, number, text};

use super::{ANN, ConsentHarness, ConsentRequest, EMAIL_ID, FORM, KEY, NOW, link_of, token};
use crate::support::{complaint, eventually, signed};

fn map(item: &Item, name: &str) -> Item {
    item[name].as_m().unwrap().clone()
}

fn names(item: &Item, name: &str) -> Vec<String> {
    item[name].as_ss().unwrap().clone()
}

#[tokio::test]
async fn an_opt_out_is_the_suppression_its_audit_row_and_its_push() {
    let link = link_of(ANN);
    for (asked, detail) in [(ConsentRequest::one_click(&link), "one_click"), (ConsentRequest::button(&link), "page")] {
        let stage = ConsentHarness::start().await;
        assert_eq!(stage.ask(asked).await.status, 200);

        let suppressions = stage.scan("SUPPRESSIONS_TABLE").await;
        let [item] = &suppressions[..] else { panic!("{suppressions:#?}") };
        let reason = map(item, "opted_out");
        let id = reason["message_id"].as_s().unwrap().clone();
        assert!(id.starts_with("consent-") && id.len() == "consent-".len() + 16, "{id}");
        let expected = Item::from([
            ("at".to_owned(), number(NOW.0)),
            ("message_id".to_owned(), text(&id)),
            ("email_id".to_owned(), text(EMAIL_ID)),
            ("detail".to_owned(), text(detail)),
        ]);
        assert_eq!(reason, expected);
        assert_eq!(
            (item["recipient"].as_s().unwrap().as_str(), names(item, "reasons")),
            (ANN, vec!["opted_out".into()])
        );
        assert!(item.contains_key("version") && !item.contains_key("expires_at") && !item.contains_key("until"));

        let events = stage.scan("EVENTS_TABLE").await;
        let [note] = &events[..] else { panic!("{events:#?}") };
        let attribute = |name: &str| note[name].as_s().unwrap().as_str();
        assert_eq!(attribute("email_id"), format!("audit#{ANN}"));
        assert!(attribute("event").starts_with(&format!("audit#{}#", NOW.to_text())));
        assert_eq!((attribute("kind"), attribute("by"), attribute("action")), ("audit", "recipient", "added"));
        assert_eq!((&note["at"], names(note, "reasons")), (&number(NOW.0), vec!["opted_out".into()]));
        assert!(note.contains_key("expires_at") && !attribute("why").is_empty());

        let push = Item::from([
            ("kind".to_owned(), text("push")),
            ("due".to_owned(), text(format!("{}#{ANN}", NOW.to_text()))),
        ]);
        assert_eq!(stage.scan("AGENDA_TABLE").await, [push]);
    }
}

/// The figures of docs/cost.md.
#[tokio::test]
async fn a_page_costs_two_reads_and_an_opt_out_a_transaction_of_four() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    for (asked, read_units, write_units) in [
        (ConsentRequest::get("/u/x"), 0.0, 0.0),
        (ConsentRequest { method: "HEAD", ..ConsentRequest::get(&link) }, 0.0, 0.0),
        (ConsentRequest::get(&link), 2.0, 0.0),
        (ConsentRequest::one_click(&link), 2.0, 8.0),
        (ConsentRequest::one_click(&link), 2.0, 0.0),
    ] {
        stage.faults.count_capacity(true);
        stage.ask(asked).await;
        let cost = stage.faults.capacity();
        assert_eq!((cost.read_units, cost.write_units), (read_units, write_units), "{asked:?}");
    }
}

#[tokio::test]
async fn a_mail_provider_may_send_any_body_and_type() {
    let multipart = b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (n, (content_type, body)) in [
        (FORM, b"List-Unsubscribe=One-Click".as_slice()),
        ("multipart/form-data; boundary=x", multipart),
        ("", b""),
        ("application/json", b"{}"),
        ("application/octet-stream", b"\xff\x00"),
        (FORM, b"\xff=%zz"),
    ]
    .into_iter()
    .enumerate()
    {
        let stage = ConsentHarness::start().await;
        let link = link_of(&format!("r{n}@example.com"));
        let asked = ConsentRequest { method: "POST", path: &link, content_type, body };
        assert_eq!(stage.ask(asked).await.status, 200, "{content_type} {body:?}");
        let items = stage.scan("SUPPRESSIONS_TABLE").await;
        assert_eq!(map(&items[0], "opted_out")["detail"], text("one_click"), "{content_type} {body:?}");
    }
}

#[tokio::test]
async fn a_second_time_changes_nothing() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    assert_eq!(stage.ask(ConsentRequest::one_click(&link)).await.status, 200);
    let once = stage.everything().await;
    for asked in [ConsentRequest::one_click(&link), ConsentRequest::button(&link), ConsentRequest::get(&link)] {
        assert_eq!(stage.ask(asked).await.status, 200);
    }
    let other_email = format!("/u/{}", token(KEY, "u", ANN, "another email"));
    assert_eq!(stage.ask(ConsentRequest::one_click(&other_email)).await.status, 200);
    assert_eq!(stage.everything().await, once);
}

#[tokio::test]
async fn an_opt_out_joins_what_is_known_and_outranks_every_lift() {
    let stage = ConsentHarness::start().await;
    // Bounced, and opted out before; that was lifted, by a clock ahead of this one.
    let ahead = NOW.0 + 5_000;
    let opted_out = Item::from([("at".to_owned(), number(1)), ("message_id".to_owned(), text("operator-1"))]);
    let lifted = opted_out
        .into_iter()
        .chain([("lifted_at".to_owned(), number(ahead)), ("lifted_by".to_owned(), text("operator-2"))]);
    let bounce = Item::from([("at".to_owned(), number(2)), ("message_id".to_owned(), text("msg_1"))]);
    let item = Item::from([
        ("recipient".to_owned(), text(ANN)),
        ("reasons".to_owned(), AttributeValue::Ss(vec!["hard_bounce".into(), "of_a_later_version".into()])),
        ("hard_bounce".to_owned(), AttributeValue::M(bounce.clone())),
        ("opted_out".to_owned(), AttributeValue::M(lifted.collect())),
        ("note".to_owned(), text("called us")),
        ("version".to_owned(), number(7)),
    ]);
    stage.put("SUPPRESSIONS_TABLE", item).await;
    let asks = stage.ask(ConsentRequest::get(&link_of(ANN))).await;
    assert!(asks.body.contains("value=\"opt_out\""), "a bounce may be lifted; an opt-out is still to be had");
    assert_eq!(stage.ask(ConsentRequest::one_click(&link_of(ANN))).await.status, 200);
    let items = stage.scan("SUPPRESSIONS_TABLE").await;
    let item = &items[0];
    let mut reasons = names(item, "reasons");
    reasons.sort();
    assert_eq!(reasons, ["hard_bounce", "of_a_later_version", "opted_out"]);
    assert_eq!(map(item, "opted_out")["at"], number(ahead + 1));
    assert_eq!((&item["version"], &item["note"]), (&number(8), &text("called us")));
    assert_eq!(map(item, "hard_bounce"), bounce);
}

fn forgotten(key: &ErasureKey, address: &str) -> [Item; 2] {
    let name = key.name_of(&Recipient::parse(address).unwrap());
    let key = AttributeValue::B(Blob::new(key.bytes()));
    let reasons = AttributeValue::Ss(vec!["forgotten".into()]);
    [
        Item::from([("recipient".to_owned(), text(KEY_ITEM)), ("key".to_owned(), key)]),
        Item::from([("recipient".to_owned(), text(name)), ("reasons".to_owned(), reasons)]),
    ]
}

#[tokio::test]
async fn of_a_forgotten_address_nothing_is_written() {
    let stage = ConsentHarness::start().await;
    let link = link_of(ANN);
    // The function is warm, and has seen that nobody was ever forgotten.
    assert_eq!(stage.ask(ConsentRequest::get(&link)).await.status, 200);
    for item in forgotten(&ErasureKey::new([9; 32]).unwrap(), ANN) {
        stage.put("SUPPRESSIONS_TABLE", item).await;
    }
    let before = stage.everything().await;
    for asked in [ConsentRequest::one_click(&link), ConsentRequest::button(&link), ConsentRequest::get(&link)] {
        let answer = stage.ask(asked).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("value=\"opt_out\""));
    }
    assert_eq!(stage.everything().await, before);
    // Others are opted out as ever.
    assert_eq!(stage.ask(ConsentRequest::one_click(&link_of("bob@example.com"))).await.status, 200);
    assert_eq!(stage.everything().await.len(), before.len() + 3);
}

#[tokio::test]
async fn the_answers_do_not_tell_a_forgotten_address_from_one_that_opted_out() {
    let stage = ConsentHarness::start().await;
    for item in forgotten(&ErasureKey::new([9; 32]).unwrap(), ANN) {
        stage.put("SUPPRESSIONS_TABLE", item).await;
    }
    let bob = "bob@example.com";
    stage.ask(ConsentRequest::one_click(&link_of(bob))).await;
    let (of_ann, of_bob) = (link_of(ANN), link_of(bob));
    let asked = |link| [ConsentRequest::get(link), ConsentRequest::one_click(link), ConsentRequest::button(link)];
    for (to_ann, to_bob) in asked(&of_ann).into_iter().zip(asked(&of_bob)) {
        let (ann, other) = (stage.ask(to_ann).await, stage.ask(to_bob).await);
        assert_eq!((ann.status, ann.body.replace(ANN, "x")), (other.status, other.body.replace(bob, "x")));
    }
}

#[tokio::test]
async fn many_concurrent_opt_outs_are_one_beside_a_webhook() {
    let stage = ConsentHarness::start().await;
    let receiver = stage.aws.receiver().await.unwrap();
    let link = link_of(ANN);
    let webhook = async {
        let message = signed(complaint(ANN, "e1"));
        let event = aws_local::function_url::event("POST", "/", &message.headers, &message.body).to_string();
        let request = serde_json::from_str::<rebound::aws::edge::Envelope>(&event).unwrap().into_request();
        receiver.handle(request).await.unwrap().status().as_u16()
    };
    let asked = (0..8).map(|_| stage.ask(ConsentRequest::one_click(&link)));
    let (answers, status) = tokio::join!(futures_util::future::join_all(asked), webhook);
    assert!(answers.iter().all(|answer| answer.status == 200) && status == 200);
    eventually("the webhook is stored", async || stage.scan("EVENTS_TABLE").await.len() == 2).await;
    let mut kinds = BTreeMap::<String, usize>::new();
    for row in stage.scan("EVENTS_TABLE").await {
        *kinds.entry(row["kind"].as_s().unwrap().clone()).or_default() += 1;
    }
    assert_eq!(kinds, BTreeMap::from([("audit".to_owned(), 1), ("event".to_owned(), 1)]));
    let items = stage.scan("SUPPRESSIONS_TABLE").await;
    let mut reasons = names(&items[0], "reasons");
    reasons.sort();
    assert_eq!(reasons, ["complaint", "opted_out"]);
    assert_eq!(stage.scan("AGENDA_TABLE").await.len(), 1);
}
