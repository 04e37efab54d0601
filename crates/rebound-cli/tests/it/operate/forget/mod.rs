//! `forget`.

mod beside;
mod meanwhile;
mod opt_out;
mod promises;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::recipient::Recipient;
use rebound::resend::signed::SignedMessage;
use rebound::store::forgotten::{ErasureKey, KEY_ITEM};
use rebound::store::{Item, row};
use rebound::time::UnixMillis;
use rebound_cli::operate::target::Target;
use rebound_dev::stack::EmbeddedAws;
use serde_json::{Value, json};

use super::Dev;
use crate::support::{eventually, signed};

const TABLES: [&str; 5] = ["EVENTS_TABLE", "SUPPRESSIONS_TABLE", "CAMPAIGNS_TABLE", "RECIPIENTS_TABLE", "AGENDA_TABLE"];

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

/// Puts what `forget` leaves of somebody.
pub(super) async fn put_forgotten(aws: &EmbeddedAws, key: &ErasureKey, recipient: &Recipient) {
    let (dynamodb, table) = (aws.clients().dynamodb(), aws.variable("SUPPRESSIONS_TABLE").unwrap());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = dynamodb.put_item().table_name(&table).item("recipient", text(KEY_ITEM));
    put.item("key", AttributeValue::B(Blob::new(key.bytes()))).send().await.unwrap();
    let put = dynamodb.put_item().table_name(&table).item("recipient", text(&key.name_of(recipient)));
    // As an earlier version left it, and with what no reader of it may go by.
    let put = put.item("until", AttributeValue::N("1".to_owned()));
    put.item("reasons", AttributeValue::Ss(vec!["opted_out".to_owned()])).send().await.unwrap();
}

/// Every row of every table, each as text, with what it holds compressed beside it.
pub(super) async fn everything(place: &Target) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for table in TABLES {
        let scan = place.aws().dynamodb().scan().table_name(place.table(table)).into_paginator().items().send();
        let items: Vec<Item> = scan.collect::<Result<_, _>>().await.unwrap();
        for item in items {
            let payload = row::payload(&item).map(|payload| String::from_utf8_lossy(&payload).into_owned());
            all.push((table.to_owned(), format!("{} {}", sorted(&item), payload.unwrap_or_default())));
        }
    }
    all.sort();
    all
}

/// An item as text, the same each time.
fn sorted(item: &Item) -> Value {
    let value = |value: &AttributeValue| match value {
        AttributeValue::M(map) => sorted(map),
        AttributeValue::Ss(texts) => json!(texts.iter().collect::<std::collections::BTreeSet<_>>()),
        other => json!(format!("{other:?}")),
    };
    item.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect::<serde_json::Map<_, _>>().into()
}

/// Returns true if a text contains Ann's address. The search is as simple as possible.
fn has_ann(text: &str) -> bool {
    let text = text.to_lowercase();
    ["ann@example.com", "ann%40example.com", "ann=example.com", "ann\\u0040example.com"].iter().any(|one| {
        text.match_indices(one).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'))
    })
}

struct Post {
    client: reqwest::Client,
    url: String,
}

impl Post {
    async fn message(&self, message: &SignedMessage) -> Value {
        let request = message.request(&self.client, reqwest::Method::POST, &self.url);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    async fn event(&self, event_type: &str, data: Value) -> SignedMessage {
        let ago = if matches!(event_type, "email.sent" | "email.delivered") { 600 } else { 60 };
        let at = UnixMillis::now().minus(std::time::Duration::from_secs(ago)).to_text();
        let message = signed(json!({ "type": event_type, "created_at": at, "data": data }).to_string());
        assert_eq!(self.message(&message).await["status"], "handled", "{event_type}");
        message
    }
}

/// Somebody takes part in everything that there is.
async fn takes_part(post: &Post, who: &str, other: &str, prefix: &str) -> Vec<SignedMessage> {
    let long_ago = |seconds| UnixMillis::now().minus(std::time::Duration::from_secs(seconds)).to_text();
    let mail = |n: usize, besides: Value| {
        let mut data = json!({
            "email_id": format!("{prefix}-{n}"), "created_at": long_ago(3_000), "to": [format!("Somebody <{}>", who.to_uppercase())],
            "subject": "hello", "tags": { "campaign": "spring" },
        });
        data.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
        data
    };
    let click = json!({ "link": format!("https://a.example/?who={}", who.replace('@', "%40")), "userAgent": PHONE, "ipAddress": "203.0.113.7", "timestamp": long_ago(60) });
    let mut sent = Vec::new();
    sent.push(post.event("email.sent", mail(1, json!({}))).await);
    sent.push(
        post.event("email.delivered", mail(1, json!({ "headers": [{ "name": "X", "value": "y".repeat(3_000) }] })))
            .await,
    );
    sent.push(post.event("email.clicked", mail(1, json!({ "click": click }))).await);
    sent.push(post.event("email.opened", mail(1, json!({}))).await);
    for n in 2..5 {
        let full =
            json!({ "bounce": { "type": "Transient", "subType": "MailboxFull", "message": format!("{who} is full") } });
        sent.push(post.event("email.bounced", mail(n, full)).await);
        sent.push(post.event("email.delivery_delayed", mail(n + 5, json!({}))).await);
    }
    sent.push(post.event("email.complained", mail(11, json!({}))).await);
    sent.push(
        post.event("contact.updated", json!({ "id": format!("{prefix}-c"), "email": who, "unsubscribed": true })).await,
    );
    sent.push(
        post.event("suppression.added", json!({ "id": format!("{prefix}-s"), "email": who, "origin": "bounce" })).await,
    );
    let both = json!({ "to": [who, other], "bounce": { "type": "Permanent", "diagnosticCode": [format!("550 <{who}> unknown")] } });
    post.event("email.bounced", mail(12, both)).await;
    post.event("email.complained", mail(13, json!({ "to": [who, other] }))).await;
    let besides =
        json!({ "to": [other], "subject": format!("about {who}"), "reply_to": [who], "cc": [format!("A <{who}>")] });
    post.event("email.delivered", mail(14, besides)).await;
    let unreadable = signed(format!("not JSON, and from {who}"));
    assert_eq!(post.message(&unreadable).await["status"], "quarantined");
    sent
}

#[tokio::test]
async fn forget_erases_the_address_everywhere_and_changes_nobody_else() {
    let _alone = crate::support::WHOLE_MACHINE.lock().await;
    let dev = Dev::start().await;
    let place = dev.place().await;
    let post = Post { client: rebound::web::client(), url: place.variable("REBOUND_FUNCTION_URL").unwrap() };
    let anns = takes_part(&post, "ann@example.com", "carl@example.com", "a").await;
    takes_part(&post, "joann@example.com", "dora@example.com", "b").await;
    dev.rebound(&["suppressions", "add", "ann@example.com", "--reason", "she asked"]).await;
    dev.rebound(&["suppressions", "add", "joann@example.com", "--reason", "she asked"]).await;
    let all = async |what: &[&str]| {
        let rows = everything(&place).await;
        what.iter().all(|what| rows.iter().any(|(table, row)| row.contains(what) && has_ann(&format!("{table}{row}"))))
    };
    let made = [
        "decision#email.clicked",
        "alert#complaint",
        "alert#ambiguous",
        "alert#delay",
        "complained#a-11",
        "soft_bounce",
        "delayed#a-7",
    ];
    eventually("everything follows from it", async || all(&made).await).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let before = everything(&place).await;

    let dry = dev.rebound(&["forget", "Ann@example.com", "--reason", "erasure request 7", "--dry-run", "--json"]).await;
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(everything(&place).await == before, "a dry run writes nothing");
    assert_eq!(dev.rebound(&["forget", "ann@example.com", "--reason", "x"]).await.code, 2, "nobody was asked");
    let said = dev.rebound(&["forget", "ann@example.com", "--reason", "x for ann@example.com", "--yes"]).await;
    assert_eq!(said.code, 2, "the note would keep the address");
    let said = dev.rebound(&["forget", "Ann@example.com", "--reason", "erasure request 7", "--yes"]).await;
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("35 days"), "{}", said.stdout);

    let after = everything(&place).await;
    let left: Vec<_> = after.iter().filter(|(_, row)| has_ann(row)).collect();
    assert!(left.is_empty(), "{left:#?}");
    for row in before.iter().filter(|(_, row)| !has_ann(row) && row.contains("joann@example.com")) {
        assert!(after.contains(row), "of somebody else: {row:?}");
    }
    let about_others =
        after.iter().filter(|(_, row)| row.contains("carl@example.com") && row.contains("forgotten")).count();
    assert!(about_others >= 3, "what is about others too is kept: {about_others}");
    let check = dev.rebound(&["check", "ann@example.com", "joann@example.com", "carl@example.com", "--json"]).await;
    let may: Vec<Value> = check.lines().into_iter().map(|line| line["may_send"].clone()).collect();
    assert_eq!(may, [json!(false), json!(false), json!(true)]);

    for message in &anns {
        let again = SignedMessage::new(
            message.id.clone(),
            crate::support::now(),
            message.body.clone(),
            &crate::support::secret(),
        );
        assert_eq!(post.message(&again).await["status"], "duplicate", "the same message, sent again");
    }
    let again =
        dev.rebound(&["forget", "ann@example.com", "--reason", "erasure request 7", "--yes", "--json"]).await.json();
    assert_eq!((&again["tables"]["events"]["deleted"], &again["tables"]["events"]["emptied"]), (&json!(0), &json!(0)));
    let recalled =
        dev.rebound(&["suppressions", "remove", "ann@example.com", "--reason", "signed up again", "--json"]).await;
    assert_eq!(recalled.json()["outcome"], "recalled");
    assert_eq!(dev.rebound(&["check", "ann@example.com"]).await.code, 0);
}

#[tokio::test]
async fn a_person_forgotten_while_claude_thinks_gets_no_follow_up() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::support::engage::{EngageHarness, StagedEmail};
    use crate::support::protect::{MINUTE, NOW, after};
    let key = ErasureKey::new([9; 32]).unwrap();
    let ann = Recipient::parse("ann@example.com").unwrap();
    let clicks = |n: usize, to: &str| {
        let mail = StagedEmail::to(&format!("e{n}"), to);
        [mail.delivered(), mail.clicked(&format!("c{n}"), after(-10 * MINUTE))]
    };
    let stage = EngageHarness::start().await;
    put_forgotten(&stage.aws, &key, &ann).await;
    stage.happens(&clicks(1, "ann@example.com")).await;
    stage.happens(&clicks(2, "bob@example.com")).await;
    let proposed: Vec<(String, bool)> = stage
        .receipts()
        .await
        .into_values()
        .map(|receipt| (receipt.recipients[0].clone(), receipt.followup.is_some()))
        .collect();
    assert_eq!(proposed, [("ann@example.com".to_owned(), false), ("bob@example.com".to_owned(), true)]);

    // Forgotten while her click waits in the queue: there is nothing to decide about, and nothing that fails.
    let stage = EngageHarness::start().await;
    let messages = clicks(1, "ann@example.com");
    stage.receives(&messages).await;
    let deliveries = stage.deliveries(&["c1"], 1).await;
    let variables = stage.aws.variables();
    let forget = ["forget", "ann@example.com", "--reason", "request 8", "--yes"];
    assert_eq!(super::command(variables, &forget, "").await.code, 0);
    assert_eq!(stage.delivers(&deliveries, NOW).await, rebound::aws::stream::BatchResponse::default());
    assert!(stage.rows().await.iter().all(|row| row["kind"].as_s().unwrap() != "verdict"));

    // Forgotten after the guards have looked, and before the decision is stored: the transaction sees it.
    let stage = EngageHarness::start().await;
    let other = Recipient::parse("other@example.com").unwrap();
    put_forgotten(&stage.aws, &key, &other).await;
    let messages = clicks(1, "ann@example.com");
    stage.receives(&messages).await;
    let deliveries = stage.deliveries(&["c1"], 1).await;
    let (reached, forgotten) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_reached, is_forgotten) = (Arc::clone(&reached), Arc::clone(&forgotten));
    stage.faults.plan(move |call| {
        let waits = call.operation == "TransactWriteItems" && !is_forgotten.load(Ordering::SeqCst);
        is_reached.fetch_or(waits, Ordering::SeqCst);
        waits.then_some(aws_local::faults::Fault::Throttle)
    });
    let forgets = async {
        while !reached.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        put_forgotten(&stage.aws, &key, &ann).await;
        forgotten.store(true, Ordering::SeqCst);
    };
    tokio::join!(stage.delivers(&deliveries, NOW), forgets);
    assert!(stage.receipt().await.followup.is_none());
}
