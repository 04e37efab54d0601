//! Alerts: their subjects, their texts, and their number.

use rebound::resend::signed::SignedMessage;
use rebound::time::UnixMillis;
use serde_json::json;

use super::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, mail, of};
use crate::support::secret;

fn complaint(number: usize, campaign: &str) -> SignedMessage {
    let (email, to) = (format!("{campaign}-{number}"), format!("{campaign}{number}@example.com"));
    mail(&format!("m-{email}"), "email.complained", &email, &to, after(-MINUTE), of(campaign))
}

#[tokio::test]
async fn a_complaint_alert_has_recipient_campaign_count_and_effect() {
    let stage = ProtectHarness::start().await;
    stage.happens(&[complaint(1, "spring")]).await;
    let alerts = stage.alerts();
    let alert = alerts.iter().find(|alert| alert.kind.as_str() == "complaint").unwrap();
    assert_eq!(alert.recipient.as_deref(), Some("spring1@example.com"));
    assert_eq!((alert.campaign.as_ref().unwrap().as_str(), alert.email_id.as_deref()), ("spring", Some("spring-1")));
    assert_eq!((&alert.figures["complaints_24h"], &alert.figures["volume"]), (&json!(1), &json!(0.5)));
    for words in ["spring1@example.com", "suppressed", "send at most 50 %", "1 complaint"] {
        assert!(alert.text.contains(words), "{words} in {}", alert.text);
    }
    let message = &stage.aws.sns.as_ref().unwrap().messages()[1];
    let attributes = [("campaign", "spring"), ("kind", "complaint"), ("severity", "warning")];
    assert_eq!(message.attributes, attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(message.subject.as_deref(), Some("Complaint: spring1@example.com, campaign spring"));
    assert_eq!(message.for_protocol("email"), alert.text);
    assert!(message.for_protocol("sms").len() <= 160);
}

/// An entry of Resend's own list was removed, or the complaint was lifted by an operator, before the alert of the
/// complaint is sent.
#[tokio::test]
async fn a_complaint_alert_says_suppressed_only_if_it_is_so() {
    let stage = ProtectHarness::start().await;
    let lifted = |number: usize, at: UnixMillis, signed_at: UnixMillis| {
        let data = json!({ "id": "s", "email": format!("spring{number}@example.com"), "origin": "complaint" });
        let body = json!({ "type": "suppression.removed", "created_at": at.to_text(), "data": data }).to_string();
        SignedMessage::new(format!("r{number}"), signed_at.seconds(), body, &secret())
    };
    // After the complaint; before it; and one with a time in the future, which was received before the complaint.
    let of_the_future = lifted(3, UnixMillis::parse("2099-01-01T00:00:00Z").unwrap(), after(-HOUR));
    assert_eq!(stage.receive_at(&of_the_future, after(-HOUR)).await, 200);
    let messages = [
        complaint(1, "spring"),
        lifted(1, after(-MINUTE / 2), NOW),
        complaint(2, "spring"),
        lifted(2, after(-2 * MINUTE), NOW),
        complaint(3, "spring"),
    ];
    stage.happens(&messages).await;
    let reasons = stage.reasons().await;
    let alerts = stage.alerts();
    for (number, words) in
        [(1, "a newer change lifted the complaint (at 2026-11-23T13:29:30.000Z, by r1)"), (2, ""), (3, "")]
    {
        let who = format!("spring{number}@example.com");
        let alert = alerts.iter().find(|alert| alert.recipient.as_ref() == Some(&who)).unwrap();
        let is_suppressed = !reasons[&who].is_empty();
        assert_eq!(is_suppressed, words.is_empty(), "{who}");
        assert_eq!(alert.text.contains("is suppressed (complaint)"), is_suppressed, "{}", alert.text);
        assert!(alert.text.contains(words), "{}", alert.text);
    }
}

#[tokio::test]
async fn an_occurrence_reported_twice_is_one_alert_and_one_count() {
    let stage = ProtectHarness::start().await;
    let mut again = complaint(1, "spring");
    again = SignedMessage::new("another-message", NOW.seconds(), again.body, &secret());
    stage.happens(&[complaint(1, "spring")]).await;
    stage.happens(&[again]).await;
    assert_eq!(stage.kinds()["complaint"], 1);
    assert_eq!(stage.counters().await["spring/2026-11-23T12/complained"], 1);
}

#[tokio::test]
async fn many_complaints_are_a_few_alerts_and_a_complete_digest() {
    let stage = ProtectHarness::start().await;
    for number in 0..12 {
        stage.happens(&[complaint(number, "spring")]).await;
    }
    stage.happens(&[complaint(0, "autumn")]).await;
    assert_eq!(stage.kinds()["complaint"], 6, "five of the one campaign, one of the other");
    stage.tick(after(5 * MINUTE)).await;
    for number in 12..15 {
        stage.happens_at(&[complaint(number, "spring")], after(6 * MINUTE)).await;
    }
    for later in [10 * MINUTE, 31 * MINUTE, 36 * MINUTE, 2 * HOUR, 5 * HOUR] {
        stage.tick(after(later)).await;
    }
    // Delivered again hours later, when the limit allows alerts again: the grouped ones have been reported.
    let reported = stage.alerts().len();
    stage.deliver(&stage.records().await, after(5 * HOUR)).await;
    assert_eq!(stage.alerts().len(), reported);
    let digests: Vec<_> = stage.alerts().into_iter().filter(|alert| alert.kind.as_str() == "digest").collect();
    let folded: Vec<i64> = digests.iter().map(|alert| alert.figures["folded"].as_i64().unwrap()).collect();
    assert_eq!(folded, [7, 3], "one with the next tick, one when the hour is over");
    assert_eq!(digests[0].campaign.as_ref().unwrap().as_str(), "spring");
    assert_eq!(stage.counters().await["spring/2026-11-23T12/complained"], 15);
    assert_eq!(stage.kinds()["complaint"] - 1 + 7 + 3, 15);
    let left: Vec<_> =
        stage.scan("AGENDA_TABLE").await.into_iter().filter(|item| item["kind"].as_s().unwrap() == "digest").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn slow_pause_and_reopening_are_each_alerted_once() {
    let stage = ProtectHarness::start().await;
    let delivered: Vec<SignedMessage> = (0..250)
        .map(|number| {
            let to = format!("reader{number}@example.com");
            mail(&format!("d{number}"), "email.delivered", &format!("d{number}"), &to, after(-HOUR), of("spring"))
        })
        .collect();
    stage.happens(&delivered).await;
    assert_eq!(stage.brake("spring").await, ("open".to_owned(), 1.0));
    let mut seen = Vec::new();
    for number in 0..5 {
        stage.happens(&[complaint(number, "spring")]).await;
        seen.push(stage.brake("spring").await.1);
    }
    assert_eq!(seen, [0.5, 0.25, 0.125, 0.0625, 0.0]);
    stage.tick(after(2 * DAY)).await;
    assert_eq!(stage.brake("spring").await.0, "paused", "1 % of the week's mail complained");
    stage.tick(after(8 * DAY)).await;
    assert_eq!(stage.brake("spring").await, ("open".to_owned(), 1.0));
    stage.tick(after(8 * DAY + 5 * MINUTE)).await;
    let titles: Vec<String> =
        stage.alerts().into_iter().filter(|alert| alert.kind.as_str() == "brake").map(|alert| alert.title).collect();
    assert_eq!(
        titles,
        [
            "Campaign spring is slowed to 50 %",
            "Campaign spring is halfway to being paused",
            "Campaign spring is paused",
            "Campaign spring is open again"
        ]
    );
    let items = stage.scan("CAMPAIGNS_TABLE").await;
    let state = items.iter().find(|item| item["cohort"].as_s().unwrap() == "state").unwrap();
    assert_eq!(state["alerted"], state["change"], "so that no alert is sent again");
    let brakes: Vec<_> =
        stage.scan("AGENDA_TABLE").await.into_iter().filter(|item| item["kind"].as_s().unwrap() == "brake").collect();
    assert!(brakes.is_empty(), "no tick looks at it any more: {brakes:?}");
}

#[tokio::test]
async fn a_failure_is_alerted_once_an_hour_for_each_reason() {
    let stage = ProtectHarness::start().await;
    let failed = |id: &str, reason: &str| {
        mail(id, "email.failed", id, "ann@example.com", after(-MINUTE), json!({ "failed": { "reason": reason } }))
    };
    stage.happens(&[failed("f1", "reached_daily_quota"), failed("f2", "reached_daily_quota")]).await;
    stage.happens(&[failed("f3", "domain_not_verified")]).await;
    assert_eq!(stage.kinds()["failed"], 2);
    assert_eq!(stage.receive_at(&failed("f4", "reached_daily_quota"), after(MINUTE)).await, 200);
    let mut records = stage.records().await;
    stage.deliver(&records, after(MINUTE)).await;
    assert_eq!(stage.kinds()["failed"], 2);
    for record in &mut records {
        record["dynamodb"]["NewImage"]["received_at"]["N"] = json!(after(HOUR).0.to_string());
    }
    stage.deliver(&records, after(HOUR)).await;
    assert_eq!(stage.kinds()["failed"], 4, "in the next hour each once more");
}

#[tokio::test]
async fn an_ambiguous_bounce_is_alerted_once_and_suppresses_nobody() {
    let stage = ProtectHarness::start().await;
    let mut data = of("spring");
    data["to"] = json!(["ann@example.com", "bob@example.com"]);
    data["bounce"] = json!({ "type": "Permanent", "diagnosticCode": ["554 5.7.1\r\nblocked"] });
    stage.happens(&[mail("m1", "email.bounced", "e1", "-", after(-MINUTE), data.clone())]).await;
    stage.happens(&[mail("m2", "email.bounced", "e1", "-", after(-MINUTE), data)]).await;
    assert_eq!(stage.kinds(), [("ambiguous_bounce", 1)].into());
    let alert = &stage.alerts()[0];
    assert!(
        alert.text.contains("Response of the receiving server: 554 5.7.1 blocked\nWhat was done"),
        "{}",
        alert.text
    );
    assert_eq!(alert.figures["diagnosis"], json!(["554 5.7.1 blocked"]));
    assert_eq!(stage.reasons().await, [].into());
    assert_eq!(stage.counters().await["spring/2026-11-23T12/bounced_hard"], 1);
}

#[tokio::test]
async fn a_quarantined_webhook_is_alerted() {
    let stage = ProtectHarness::start().await;
    stage.happens(&[SignedMessage::new("m1", NOW.seconds(), r#"{"hello":1}"#, &secret())]).await;
    let alerts = stage.alerts();
    assert_eq!((alerts.len(), alerts[0].kind.as_str()), (1, "quarantine"));
    assert!(alerts[0].text.contains("message#m1") && alerts[0].text.contains("`type`"), "{}", alerts[0].text);
}

/// The numbers in the published digests, with their kinds.
fn digests(stage: &ProtectHarness) -> Vec<(String, i64)> {
    let digests = stage.alerts().into_iter().filter(|alert| alert.kind.as_str() == "digest");
    let figures = |alert: rebound::message::alert::Alert| {
        (alert.figures["of"].as_str().unwrap().to_owned(), alert.figures["folded"].as_i64().unwrap())
    };
    digests.map(figures).collect()
}

#[tokio::test]
async fn sixty_failures_are_five_alerts_and_a_digest() {
    let stage = ProtectHarness::start().await;
    let failed = |number: i64| {
        let (id, campaign) = (format!("f{number}"), if number % 2 == 0 { "spring" } else { "autumn" });
        let mut more = of(campaign);
        more["failed"] = json!({ "reason": format!("ann{number}@example.com is refused since 13:{number:02}") });
        mail(&id, "email.failed", &id, "ann@example.com", after(-MINUTE), more)
    };
    let failures: Vec<SignedMessage> = (0..60).map(failed).collect();
    stage.happens(&failures).await;
    assert_eq!(stage.kinds(), [("failed", 5)].into());
    stage.tick(after(5 * MINUTE)).await;
    assert_eq!((stage.kinds()["failed"], digests(&stage)), (5, vec![("failed".to_owned(), 55)]));
    let digest = stage.alerts().into_iter().next_back().unwrap();
    assert_eq!(digest.title, "55 more alerts: emails that Resend could not send");
}

#[tokio::test]
async fn whatever_the_kind_there_are_five_an_hour_and_a_digest() {
    let stage = ProtectHarness::start().await;
    let deleted = |number: i64| {
        let data = json!({ "id": format!("d{number}"), "name": format!("d{number}.example"), "status": "verified" });
        let body = json!({ "type": "domain.deleted", "created_at": after(-MINUTE).to_text(), "data": data });
        SignedMessage::new(format!("m-d{number}"), NOW.seconds(), body.to_string(), &secret())
    };
    let ambiguous = |number: i64| {
        let (id, both) = (format!("a{number}"), json!({ "to": ["x@example.com", "y@example.com"] }));
        mail(&format!("m-{id}"), "email.complained", &id, "-", after(-MINUTE), both)
    };
    let all: Vec<SignedMessage> = (0..9).map(deleted).chain((0..8).map(ambiguous)).collect();
    stage.happens(&all).await;
    assert_eq!(stage.kinds(), [("domain", 5), ("ambiguous_bounce", 5)].into());
    stage.tick(after(5 * MINUTE)).await;
    let mut digests = digests(&stage);
    digests.sort();
    assert_eq!(digests, [("ambiguous_bounce".to_owned(), 3), ("domain".to_owned(), 4)]);
    stage.deliver(&stage.records().await, after(10 * MINUTE)).await;
    stage.tick(after(2 * HOUR)).await;
    assert_eq!((stage.kinds()["domain"], stage.kinds()["digest"]), (5, 2), "a redelivery sends no alert");
}

#[tokio::test]
async fn an_unnamed_recipient_of_a_suppression_is_an_alert() {
    let stage = ProtectHarness::start().await;
    let event = |id: &str, kind: &str, data: serde_json::Value| {
        let body = json!({ "type": kind, "created_at": after(-MINUTE).to_text(), "data": data }).to_string();
        SignedMessage::new(id, NOW.seconds(), body, &secret())
    };
    let hard = json!({ "email_id": "e1", "to": null, "bounce": { "type": "Permanent" } });
    stage.happens(&[event("m1", "email.bounced", hard)]).await;
    let soft = json!({ "email_id": "e2", "to": ["one@example.com, two@example.com"], "bounce": {} });
    stage.happens(&[event("m2", "email.bounced", soft)]).await;
    stage.happens(&[event("m3", "contact.updated", json!({ "id": "c1", "unsubscribed": true }))]).await;
    stage.happens(&[event("m4", "suppression.added", json!({ "id": "s1", "email": "nobody" }))]).await;
    let topics = |subscription: &str| json!({ "topics": [{ "id": "news", "subscription": subscription }] });
    stage.happens(&[event("m5", "contact.topics.updated", topics("opt_out"))]).await;
    stage.happens(&[event("m6", "contact.topics.updated", topics("opt_in"))]).await;
    assert_eq!(stage.kinds(), [("ambiguous_bounce", 5)].into(), "an opt-in without an address harms nobody");
    assert_eq!(stage.reasons().await, [].into());
}

#[tokio::test]
async fn half_an_emoji_in_a_name_costs_no_complaint() {
    let stage = ProtectHarness::start().await;
    let body = format!(
        r#"{{"type":"email.complained","created_at":"{}","data":{{"email_id":"e1","to":["Ann \ud83d <ann@example.com>"]}}}}"#,
        after(-MINUTE).to_text()
    );
    stage.happens(&[SignedMessage::new("m1", NOW.seconds(), body, &secret())]).await;
    assert_eq!(stage.reasons().await["ann@example.com"], ["complaint"]);
    assert_eq!(stage.kinds(), [("complaint", 1)].into());
}
