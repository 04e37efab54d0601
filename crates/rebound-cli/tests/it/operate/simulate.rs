//! `simulate`: its story against the pure policy, and the command against `rebound dev`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::policy::bounce::soft_bounced;
use rebound::policy::counting::{DedupKey, EventMeta, increments};
use rebound::policy::soft_bounce::SoftBounces;
use rebound::policy::suppression::{ItemChange, Suppression, SuppressionEffect, suppression_effect};
use rebound::resend::campaign::{Campaign, CampaignTags};
use rebound::resend::event::Event;
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use rebound_dev::CLOCK;
use rebound_dev::simulate::chaos::{Chaos, requests};
use rebound_dev::simulate::scenario::Scenario;
use rebound_dev::simulate::send::{SendOptions, send};
use rebound_dev::simulate::verify::{VerifyOptions, VerifyReport, verify};
use serde_json::json;

use super::{Dev, command};

/// A story of a campaign of its own, with everything in it.
pub(super) fn story(seed: u64, emails: u32) -> Scenario {
    Scenario::with_everything(seed, Campaign::new(&format!("campaign-{seed}")).unwrap(), emails, UnixMillis::now())
}

/// Applies the pure policy to all webhooks of a scenario, in an order of its own. Returns the reasons by recipient, and the counts.
fn by_policy(story: &Scenario, seed: u64) -> (BTreeMap<String, BTreeSet<&'static str>>, BTreeMap<String, i64>) {
    let mut messages: Vec<_> = (0..story.emails).flat_map(|number| story.email(number).messages).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut messages);
    let mut known: BTreeMap<String, Suppression> = BTreeMap::new();
    let mut soft: BTreeMap<String, SoftBounces> = BTreeMap::new();
    let mut once = BTreeSet::new();
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    let merge = |known: &mut BTreeMap<String, Suppression>, recipient: &str, change: &ItemChange| {
        let before = known.remove(recipient).unwrap_or_default();
        known.insert(recipient.to_owned(), before.merge_change(change));
    };
    for message in &messages {
        let Ok(event) = Event::read(&message.body) else { continue };
        let id = MessageId::from_verified(message.id.clone());
        let received = EventMeta {
            message: id.clone(),
            partition: message.partition.clone(),
            at: story.until,
            expires_at: UnixMillis(0),
        };
        let protection = suppression_effect(&event, &id, received.at);
        for count in increments(&event, &received, &protection, &CampaignTags::new(None)) {
            let key = match &count.dedup_key {
                DedupKey::Webhook { .. } => message.id.clone(),
                DedupKey::Occurrence { key, .. } => key.clone(),
            };
            if once.insert(key) {
                *counted.entry(format!("{} {}", count.cohort, count.counter.as_str())).or_default() += 1;
            }
        }
        if let SuppressionEffect::Changes(changes) = protection {
            for (recipient, changes) in changes {
                changes.iter().for_each(|change| merge(&mut known, recipient.as_str(), change));
            }
        }
        for recipient in soft_bounced(&event) {
            let known = soft.remove(recipient.as_str()).unwrap_or_else(|| SoftBounces::begun(received.at));
            let known = known.bounced(&message.partition, event.at().unwrap(), &id);
            soft.insert(recipient.as_str().to_owned(), known);
        }
    }
    for (recipient, bounces) in soft {
        if let Some(change) = bounces.suppression(&Default::default()) {
            merge(&mut known, &recipient, &change.into());
        }
    }
    let reasons = |known: Suppression| known.reasons().map(|reason| reason.as_str()).collect::<BTreeSet<_>>();
    let reasons = known.into_iter().map(|(recipient, known)| (recipient, reasons(known)));
    (reasons.filter(|(_, reasons)| !reasons.is_empty()).collect(), counted)
}

#[test]
fn a_scenario_expects_what_the_policy_computes_in_any_order() {
    for seed in [1, 2, 3, fastrand::u64(..), fastrand::u64(..)] {
        let story = story(seed, 3_001);
        let (reasons, counted) = by_policy(&story, seed ^ 5);
        let mut said: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        let mut says: BTreeMap<String, i64> = BTreeMap::new();
        for number in 0..story.emails {
            let email = story.email(number);
            assert_eq!(email, story.email(number), "the same whenever it is made");
            for (recipient, reasons) in email.expected.reasons {
                said.entry(recipient).or_default().extend(reasons.iter().map(|reason| reason.as_str()));
            }
            for (cohort, counter) in email.expected.counts {
                *says.entry(format!("{cohort} {}", counter.as_str())).or_default() += 1;
            }
        }
        said.retain(|_, reasons| !reasons.is_empty());
        assert!(said.len() > 30 && says.len() >= 8, "seed {seed}: there is enough to compare");
        assert_eq!((said, says), (reasons, counted), "seed {seed}");
    }
}

#[tokio::test]
async fn all_chaos_together_loses_and_duplicates_nothing() {
    let _alone = crate::support::WHOLE_MACHINE.lock().await;
    let dev = Dev::start().await;
    let url = dev.place().await.variable("REBOUND_FUNCTION_URL").unwrap();
    let local = format!("--local={}", dev.folder.path().join("dev.env").display());
    let arguments = ["simulate", &url, &local, "--emails", "600", "--chaos", "all", "--json", "--patience", "120"];
    let said = command(&BTreeMap::new(), &arguments, "").await;
    let report = said.json();
    assert_eq!(said.code, 0, "{report:#}");
    let tables = &report["tables"];
    assert_eq!((&tables["lost"], &tables["doubled"], &tables["wrong"]), (&json!(0), &json!(0), &json!(0)));
    for some in ["stored", "refused", "suppressed", "verdicts"] {
        assert!(tables[some].as_u64().unwrap() > 3, "{some}: {tables:#}");
    }
}

#[tokio::test]
async fn what_is_lost_doubled_or_wrong_in_the_tables_is_found() {
    let _alone = crate::support::WHOLE_MACHINE.lock().await;
    let dev = Dev::start().await;
    let place = dev.place().await;
    let story = story(11, 120);
    let chaos = [Chaos::Stale, Chaos::Tampered];
    let requests = requests(&story, &chaos);
    let sending = SendOptions {
        url: place.variable("REBOUND_FUNCTION_URL").unwrap(),
        secret: rebound_dev::LOCAL_SECRET.parse().unwrap(),
        chaos: chaos.to_vec(),
        at_once: 8,
        rate: None,
        deaths: false,
    };
    let sent = send(&story, &requests, &sending, || {}).await.unwrap();
    assert_eq!((sent.wrong_answers, sent.not_taken), (0, 0), "{:?}", sent.wrong);
    let look_as = async |patience: u64, deaths: bool, speed: u32| -> VerifyReport {
        let (now, mut variables) = (UnixMillis::now().0, place.variables().clone());
        variables.insert(CLOCK.to_owned(), format!("{speed} {now} {now}"));
        let patience = Duration::from_secs(patience);
        let then = Duration::from_millis(100);
        let looking = VerifyOptions { patience, then, knows_verdicts: true, deaths, keeps_emails: true };
        verify(place.calls(Duration::from_secs(600)), &variables, &story, &requests, looking, |_, _| {}).await.unwrap()
    };
    let look = async |patience| look_as(patience, false, 1).await;
    let before = look(120).await;
    assert!(before.is_right(), "{:#?}", before.faults);

    let dynamodb = place.aws().dynamodb();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let first = &story.email(20).messages[0];
    let delete = dynamodb.delete_item().table_name(place.table("EVENTS_TABLE"));
    delete.key("email_id", text(&first.partition)).key("event", text(&first.event)).send().await.unwrap();
    let after_deleting = look(0).await;
    assert_eq!((after_deleting.lost, after_deleting.doubled), (1, 0), "{:#?}", after_deleting.faults);

    let (cohort, counter) = story.email(21).expected.counts[0];
    let add = dynamodb.update_item().table_name(place.table("CAMPAIGNS_TABLE")).update_expression("ADD #c :one");
    let add = add.key("campaign", text(story.campaign.as_str())).key("cohort", text(&cohort.to_string()));
    let add = add.expression_attribute_names("#c", counter.as_str());
    add.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send().await.unwrap();
    let innocent = (0..120).map(|n| story.email(n).expected.reasons).find_map(|reasons| {
        reasons.into_iter().find(|(_, reasons)| reasons.is_empty()).map(|(recipient, _)| recipient)
    });
    let put =
        dynamodb.put_item().table_name(place.table("SUPPRESSIONS_TABLE")).item("recipient", text(&innocent.unwrap()));
    put.item("reasons", AttributeValue::Ss(vec!["manual".to_owned()])).send().await.unwrap();
    let found = look(0).await;
    assert_eq!((found.lost, found.doubled, found.wrong), (1, 1, 1), "{:#?}", found.faults);

    // If functions were killed or have a fast clock, an identical duplicate at SNS is allowed. A duplicate with other content
    // is always a fault.
    let publish = async |text: &str| {
        let id = json!({ "id": "alert-of-two-lives", "campaign": story.campaign.as_str(), "text": text });
        let topic = "arn:aws:sns:eu-west-1:000000000000:rebound-alerts";
        place.aws().sns().publish().topic_arn(topic).message(id.to_string()).send().await.unwrap();
    };
    for _ in 0..3 {
        publish("one").await;
    }
    let (found, after_deaths, fast) = (look(0).await, look_as(0, true, 1).await, look_as(0, false, 600).await);
    assert_eq!((found.doubled, found.wrong, found.repeats), (3, 1, 0), "{:#?}", found.faults);
    assert_eq!((after_deaths.doubled, after_deaths.wrong, after_deaths.repeats), (1, 1, 2), "{after_deaths:#?}");
    assert_eq!((fast.doubled, fast.wrong, fast.repeats), (1, 1, 2), "{fast:#?}");
    publish("another").await;
    let after_deaths = look_as(0, true, 1).await;
    assert_eq!((after_deaths.doubled, after_deaths.wrong, after_deaths.repeats), (1, 2, 2), "{after_deaths:#?}");
}
