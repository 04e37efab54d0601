//! Writes over an item that another writer changes or deletes in between.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::policy::brake::{Brake, BrakeState, Status};
use rebound::policy::followup::ProposedFollowup;
use rebound::resend::campaign::Campaign;
use rebound::resend::recipient::Recipient;
use rebound::store::Item;
use rebound::store::client::RetryClient;
use rebound::store::counters::Campaigns;
use rebound::store::decisions::{DecidedFollowup, Decisions, Occurrence, StoredDecision};
use rebound::store::followups::{FollowupSlot, read_facts};
use rebound::store::outbox::OutboxClaim;
use rebound::time::UnixMillis;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{ReceiveHarness, active_reasons, complaint, event, signed};

const ANN: &str = "ann@example.com";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// Ann's item as written by a person, with these attributes added.
fn by_hand(more: &[(&str, AttributeValue)]) -> Item {
    let reasons = AttributeValue::Ss(vec!["manual".to_owned()]);
    let mut made = item(&[("recipient", text(ANN)), ("reasons", reasons), ("note", text("asked on the phone"))]);
    made.extend(item(more));
    made
}

async fn put(client: &Client, table: &str, item: Item) {
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

async fn delete(client: &Client, table: &str, key: Item) {
    client.delete_item().table_name(table).set_key(Some(key)).send().await.unwrap();
}

/// A complaint of Ann is received. Between its first and its second call, Ann's existing item is deleted, and
/// `put_instead` is stored. Returns the final item.
async fn complained_while_deleted(before: Item, put_instead: Option<Item>, body: Vec<u8>) -> Item {
    let service = ReceiveHarness::start().await;
    let table = service.aws.variable("SUPPRESSIONS_TABLE").unwrap();
    let client = service.aws.clients().dynamodb();
    put(&client, &table, before).await;
    service.proxy.plan(|_| None);
    service.proxy.before(1, async move {
        delete(&client, &table, item(&[("recipient", text(ANN))])).await;
        if let Some(item) = put_instead {
            put(&client, &table, item).await;
        }
    });
    service.accepts(&signed(body), "handled").await;
    assert!(service.proxy.calls().len() > 2, "the second call was refused");
    service.suppressions().await.remove(ANN).unwrap()
}

#[tokio::test]
async fn a_merge_does_not_bring_a_deleted_item_back() {
    for version in [None, Some(number(3)), Some(text("three"))] {
        let versioned: Vec<_> = version.iter().map(|version| ("version", version.clone())).collect();
        let ann_item = complained_while_deleted(by_hand(&versioned), None, complaint(ANN, "e1")).await;
        assert_eq!(ann_item["reasons"], AttributeValue::Ss(vec!["complaint".to_owned()]), "{version:?}");
        assert!(!ann_item.contains_key("note"), "{version:?}: {ann_item:#?}");
    }
}

#[tokio::test]
async fn a_known_suppression_is_rewritten_if_it_was_deleted() {
    let older = json!({ "type": "email.complained", "created_at": "2026-11-01T00:00:00Z", "data": { "to": [ANN] } });
    let newer = AttributeValue::M(item(&[("at", number(1_795_440_600_000)), ("message_id", text("msg_newer"))]));
    for more in [vec![], vec![("version", number(7))]] {
        let mut before = by_hand(&[("complaint", newer.clone())]);
        before.insert("reasons".to_owned(), AttributeValue::Ss(vec!["complaint".to_owned()]));
        before.extend(item(&more));
        let ann_item = complained_while_deleted(before, None, older.to_string().into_bytes()).await;
        assert_eq!(ann_item["reasons"], AttributeValue::Ss(vec!["complaint".to_owned()]));
        assert!(!ann_item.contains_key("note"), "{ann_item:#?}");
    }
}

#[tokio::test]
async fn an_item_put_again_meanwhile_is_merged_not_the_old_one() {
    // The first webhook about Ann, as the service itself writes it.
    let first = async |body: Vec<u8>| {
        let service = ReceiveHarness::start().await;
        service.accepts(&signed(body), "handled").await;
        service.suppressions().await.remove(ANN).unwrap()
    };
    let contact = json!({ "email": ANN, "unsubscribed": true });
    let mut old = first(event("contact.updated", contact)).await;
    old.insert("note".to_owned(), text("asked on the phone"));
    let bounce = json!({ "email_id": "e2", "to": [ANN], "bounce": { "type": "Permanent" } });
    let new = first(event("email.bounced", bounce)).await;
    let ann_item = complained_while_deleted(old, Some(new), complaint(ANN, "e1")).await;
    let mut reasons = ann_item["reasons"].as_ss().unwrap().clone();
    reasons.sort();
    assert_eq!(reasons, ["complaint", "hard_bounce"]);
    assert!(!ann_item.contains_key("note"), "{ann_item:#?}");
}

#[tokio::test]
async fn an_item_made_by_hand_is_merged_like_any_other() {
    for version in [None, Some(text("three")), Some(AttributeValue::N("1.5".to_owned()))] {
        let service = ReceiveHarness::start().await;
        let versioned: Vec<_> = version.iter().map(|version| ("version", version.clone())).collect();
        let table = service.aws.variable("SUPPRESSIONS_TABLE").unwrap();
        put(&service.aws.clients().dynamodb(), &table, by_hand(&versioned)).await;
        service.accepts(&signed(complaint(ANN, "e1")), "handled").await;
        assert_eq!(service.reasons().await, active_reasons(&[(ANN, &["complaint", "manual"])]), "{version:?}");
        assert_eq!(service.suppressions().await[ANN]["note"], text("asked on the phone"));
    }
}

#[tokio::test]
async fn a_brake_deleted_meanwhile_does_not_come_back() {
    let service = ReceiveHarness::start().await;
    let (client, table) = (service.aws.clients().dynamodb(), service.aws.variable("CAMPAIGNS_TABLE").unwrap());
    let campaigns = Campaigns::new(RetryClient::new(client.clone(), Instant::now() + Duration::from_secs(60)), &table);
    let campaign = Campaign::new("spring").unwrap();
    let key = || item(&[("campaign", text("spring")), ("cohort", text("state"))]);
    let brake = Brake { status: Status::Paused, volume: 0.0, reason: "why".into(), until: None, warning: None };
    let slowed = item(&[("status", text("slowed")), ("volume", number(0)), ("at", number(1))]);
    // Without a version, and with an invalid one.
    for more in [slowed, item(&[("status", text("stopped by Bob")), ("version", number(9))])] {
        let mut state = key();
        state.extend(more);
        put(&client, &table, state.clone()).await;
        let (before, seen) = campaigns.state_to_write(&campaign).await.unwrap();
        let next = BrakeState::next(before.as_ref(), brake.clone(), UnixMillis(5)).unwrap();
        delete(&client, &table, key()).await;
        assert!(!campaigns.write_state(&campaign, &next, &seen).await.unwrap());
        assert_eq!(campaigns.state(&campaign).await.unwrap(), None);

        put(&client, &table, state).await;
        assert!(campaigns.write_state(&campaign, &next, &seen).await.unwrap(), "one that is there is written over");
        assert_eq!(campaigns.state(&campaign).await.unwrap(), Some(next));
    }
}

#[tokio::test]
async fn follow_ups_deleted_meanwhile_do_not_come_back() {
    let service = ReceiveHarness::start().await;
    let client = service.aws.clients().dynamodb();
    let calls = RetryClient::new(client.clone(), Instant::now() + Duration::from_secs(60));
    let table = |name: &str| service.aws.variable(name).unwrap();
    let (recipients, ann) = (table("RECIPIENTS_TABLE"), Recipient::parse(ANN).unwrap());
    let decisions = Decisions::new(calls.clone(), &service.aws.tables());
    let now = UnixMillis(1_795_440_600_000);
    let occurrence = Occurrence::new("e1", "email.clicked", std::slice::from_ref(&ann));
    let claim = decisions.claim(&occurrence, "m1", now, Duration::from_secs(60), now).await.unwrap();
    assert_eq!(claim, OutboxClaim::Acquired(String::new()));
    let key = || item(&[("recipient", text(ANN)), ("fact", text("followups"))]);
    let mut by_hand = key();
    by_hand.insert("taken".to_owned(), AttributeValue::Ss(vec!["1795440000000#f0#e0".to_owned()]));
    put(&client, &recipients, by_hand.clone()).await;
    let before = read_facts(&calls, &recipients, &ann).await.unwrap().followups;
    assert_eq!(before.taken.len(), 1);
    delete(&client, &recipients, key()).await;

    let taken = ProposedFollowup { at: now, email_id: "e1".to_owned(), id: "f1".to_owned() };
    let place = FollowupSlot { recipient: ann.clone(), before, taken };
    let decided = StoredDecision { receipt: "{}".to_owned(), is_settled: false, owner: "m1".to_owned(), at: now };
    let followup = DecidedFollowup { slot: &place, names: &[ANN.to_owned()], scheduled: None };
    let decide = async || decisions.decide(&occurrence, &decided, Some(followup)).await.unwrap();
    assert_eq!(decide().await, OutboxClaim::Acquired(String::new()));
    assert!(read_facts(&calls, &recipients, &ann).await.unwrap().followups.taken.is_empty());

    put(&client, &recipients, by_hand).await;
    assert_eq!(decide().await, OutboxClaim::Settled(decided.clone()));
    assert_eq!(read_facts(&calls, &recipients, &ann).await.unwrap().followups.taken.len(), 2);
}
