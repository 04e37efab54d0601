//! Webhooks that lift suppressions: each is recorded, and more than twenty recipients in an hour cause one alert.

use serde_json::json;

use super::{HOUR, MINUTE, NOW, ProtectHarness, after, contact, listed, mail};

fn people(number: usize) -> Vec<String> {
    (0..number).map(|n| format!("p{n}")).collect()
}

async fn entries(stage: &ProtectHarness) -> Vec<String> {
    let items = stage.scan("AGENDA_TABLE").await;
    let lifts = items.iter().filter(|item| item["kind"].as_s().unwrap() == "lift");
    lifts.map(|item| item["due"].as_s().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_sync_that_resubscribes_everybody_is_one_alert() {
    let stage = ProtectHarness::start().await;
    let people = people(25);
    let unsubscribed: Vec<_> = people.iter().map(|who| contact(who, -HOUR, true)).collect();
    let lifted: Vec<_> = people.iter().map(|who| contact(who, -MINUTE, false)).collect();
    stage.happens(&unsubscribed).await;
    assert_eq!((entries(&stage).await.len(), stage.alerts().len()), (0, 0));
    stage.happens(&lifted[..20]).await;
    assert_eq!((entries(&stage).await.len(), stage.alerts().len()), (20, 0), "twenty are no alert");
    stage.happens(&lifted[20..]).await;
    stage.deliver(&stage.records().await, NOW).await;
    stage.tick(after(5 * MINUTE)).await;
    assert_eq!((entries(&stage).await.len(), stage.kinds()), (25, [("lifted", 1)].into()));
    let alert = &stage.alerts()[0];
    assert_eq!(alert.figures["lifted"], 25);
    assert_eq!(alert.figures["since"], NOW.to_text());
    assert_eq!(alert.figures["reasons"], json!({ "unsubscribed": 25 }));
    assert!(alert.text.contains(&format!("rebound suppressions restore --since {}", NOW.to_text())), "{}", alert.text);
    let lift = &stage.scan("AGENDA_TABLE").await[0];
    let kept = lift["expires_at"].as_n().unwrap().parse::<i64>().unwrap() - NOW.seconds();
    assert_eq!(kept, 35 * 24 * 60 * 60);
}

#[tokio::test]
async fn commands_in_alerts_name_another_stack_than_the_default() {
    let stage = ProtectHarness::with(&[("REBOUND_STACK", "staging")]).await;
    let people = people(21);
    let bounce = json!({ "bounce": { "type": "Permanent" } });
    let mut all = vec![mail("b", "email.bounced", "e1", "nobody", after(-HOUR), bounce)];
    all.extend(people.iter().map(|who| contact(who, -HOUR, true)));
    all.extend(people.iter().map(|who| contact(who, -MINUTE, false)));
    stage.happens(&all).await;
    let texts: Vec<String> = stage.alerts().into_iter().map(|alert| alert.text).collect();
    for command in [
        "`rebound suppressions add ADDRESS --reason … --stack staging`".to_owned(),
        format!("`rebound suppressions restore --since {} --stack staging`", NOW.to_text()),
    ] {
        assert!(texts.iter().any(|text| text.contains(&command)), "{command}: {texts:#?}");
    }
}

#[tokio::test]
async fn people_are_counted_and_not_the_reasons_that_are_lifted() {
    let stage = ProtectHarness::start().await;
    let bounce = json!({ "bounce": { "type": "Permanent" } });
    let mut all = Vec::new();
    for who in people(15) {
        let (id, to) = (format!("b-{who}"), format!("{who}@example.com"));
        all.push(mail(&id, "email.bounced", &id, &to, after(-HOUR), bounce.clone()));
        all.push(listed(&who, -HOUR, "suppression.added"));
        all.push(listed(&who, -MINUTE, "suppression.removed"));
    }
    stage.happens(&all).await;
    assert_eq!((entries(&stage).await.len(), stage.kinds()), (30, [].into()), "two reasons of fifteen people");
}

#[tokio::test]
async fn what_lifts_nothing_that_was_active_is_not_noted() {
    let stage = ProtectHarness::start().await;
    let never: Vec<_> = people(30).iter().map(|who| contact(who, -MINUTE, false)).collect();
    stage.happens(&never).await;
    // Suppressed again after the lift, before the lift is handled.
    let again = [contact("ann", -HOUR, true), contact("ann", -30 * MINUTE, false), contact("ann", -MINUTE, true)];
    for message in &again {
        assert_eq!(stage.receive_at(message, NOW).await, 200);
    }
    stage.deliver(&stage.records().await, NOW).await;
    assert_eq!((entries(&stage).await, stage.alerts().len()), (Vec::new(), 0));
}
