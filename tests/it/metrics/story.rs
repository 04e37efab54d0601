//! A scenario that produces every metric.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_local::faults::Fault;
use rebound::act::{ActActivity, ActReport};
use rebound::metrics::{Emitter, Metric, Metrics};
use rebound::policy::followup::sending::{AnswerMeaning, DropReason};
use rebound::resend::signed::SignedMessage;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::{Value, json};

use super::lines::conforms;
use super::{Lines, definitions, read, sums};
use crate::engage::{LINK, StagedEmail};
use crate::protect::{DAY, HOUR, MINUTE, NOW, after, mail, of};
use crate::support::secret;
use crate::{consent, engage, followups, protect};

/// A service whose metrics are written to `lines`.
async fn protected(lines: &Lines) -> protect::ProtectHarness {
    let mut stage = protect::ProtectHarness::start().await;
    let receiver = Arc::into_inner(stage.receiver).unwrap();
    stage.receiver = Arc::new(receiver.with_metrics(lines.metrics()));
    stage.protector = Arc::new(stage.protector.as_ref().clone().with_metrics(lines.metrics()));
    stage
}

fn signed(id: &str, event_type: &str, data: &Value) -> SignedMessage {
    let body = json!({ "type": event_type, "created_at": after(-MINUTE).to_text(), "data": data });
    SignedMessage::new(id, NOW.seconds(), body.to_string(), &secret())
}

/// Produces the metrics of `receive` and `protect`. Returns the lines.
async fn mails_go_out() -> Vec<String> {
    let lines = Lines::default();
    let stage = protected(&lines).await;
    let ago = after(-MINUTE);
    let delivered: Vec<SignedMessage> = (0..250)
        .map(|n| {
            mail(&format!("d{n}"), "email.delivered", &format!("d{n}"), &format!("r{n}@example.com"), ago, of("spring"))
        })
        .collect();
    stage.happens(&delivered).await;
    stage.happens(&[mail("s1", "email.sent", "s1", "ann@example.com", ago, of("autumn"))]).await;
    stage.happens(&[mail("o1", "email.opened", "d1", "r1@example.com", ago, of("spring"))]).await;
    stage.happens(&[mail("c1", "email.clicked", "d1", "r1@example.com", ago, of("spring"))]).await;
    stage.happens(&[mail("r1", "email.received", "r1", "me@example.com", ago, json!({}))]).await;

    // Seven complaints in separate batches: the campaign is slowed, then paused; five are alerted one by one.
    for n in 0..7 {
        let complaint = mail(
            &format!("x{n}"),
            "email.complained",
            &format!("d{n}"),
            &format!("r{n}@example.com"),
            ago,
            of("spring"),
        );
        stage.happens(&[complaint]).await;
    }
    let late = json!({ "created_at": after(-26 * HOUR).to_text() });
    stage.happens(&[mail("l1", "email.delivery_delayed", "l1", "bob@example.com", after(-20 * HOUR), late)]).await;
    let bounce = |kind: &str| json!({ "bounce": { "type": kind } });
    stage.happens(&[mail("b1", "email.bounced", "b1", "cem@example.com", ago, bounce("Permanent"))]).await;
    for n in 0..3 {
        let soft =
            mail(&format!("f{n}"), "email.bounced", &format!("f{n}"), "dee@example.com", ago, bounce("Transient"));
        stage.happens(&[soft]).await;
    }
    let mut of_two = bounce("Permanent");
    of_two["to"] = json!(["eve@example.com", "fay@example.com"]);
    stage.happens(&[mail("b2", "email.bounced", "b2", "-", ago, of_two)]).await;
    stage.happens(&[mail("q1", "email.failed", "q1", "gus@example.com", ago, json!({}))]).await;
    stage.happens(&[mail("p1", "email.suppressed", "p1", "hal@example.com", ago, json!({}))]).await;
    let contact = json!({ "id": "k1", "email": "ida@example.com", "unsubscribed": true });
    stage.happens(&[signed("k1", "contact.updated", &contact)]).await;
    // Twenty-one recipients unsubscribe, and a synchronization lifts all of them.
    for (minutes_ago, unsubscribed) in [(3, true), (2, false)] {
        let contact = |n: usize| {
            let data =
                json!({ "id": format!("k-{n}"), "email": format!("k{n}@example.com"), "unsubscribed": unsubscribed });
            let at = after(-minutes_ago * MINUTE).to_text();
            let body = json!({ "type": "contact.updated", "created_at": at, "data": data }).to_string();
            SignedMessage::new(format!("k{n}-{unsubscribed}"), NOW.seconds(), body, &secret())
        };
        stage.happens(&(0..21).map(contact).collect::<Vec<_>>()).await;
    }
    let listed = json!({ "id": "u1", "email": "jon@example.com", "origin": "manual" });
    stage.happens(&[signed("u1", "suppression.added", &listed)]).await;
    let domain = json!({ "id": "m1", "name": "shop.example", "status": "temporary_failure" });
    stage.happens(&[signed("m1", "domain.updated", &domain)]).await;
    stage.happens(&[signed("t1", "email.teleported", &json!({}))]).await;
    stage.happens(&[SignedMessage::new("w1", NOW.seconds(), r#"{"hello":1}"#, &secret())]).await;

    // Rejected webhooks and duplicates.
    for duplicate in &delivered[..2] {
        assert_eq!(stage.receive_at(duplicate, NOW).await, 200);
    }
    let mut forged = delivered[3].clone();
    forged.body.push(b' ');
    assert_eq!(stage.receive_at(&forged, NOW).await, 401);
    assert_eq!(stage.receive_at(&delivered[3], after(HOUR)).await, 401, "stale");
    let mut unsigned = delivered[3].clone();
    unsigned.headers.remove("svix-id");
    assert_eq!(stage.receive_at(&unsigned, after(HOUR)).await, 401);
    stage.faults.plan(|_| Some(Fault::Invalid));
    let unlucky = SignedMessage::new("n1", NOW.seconds() + 3_600, "{}", &secret());
    assert_eq!(stage.receive_at(&unlucky, after(HOUR)).await, 503);
    stage.faults.plan(|_| None);

    // The digest; and a week later the brake is open.
    stage.tick(after(5 * MINUTE)).await;
    stage.tick(after(8 * DAY)).await;
    // The metrics gathered so far are written with the next webhook.
    let last = SignedMessage::new("z1", after(2 * HOUR).seconds(), "{}", &secret());
    assert_eq!(stage.receive_at(&last, after(2 * HOUR)).await, 200);
    lines.take()
}

/// Produces the metrics of `engage`. Returns the lines.
async fn people_click() -> Vec<String> {
    let lines = Lines::default();
    let mut stage = engage::EngageHarness::start().await;
    stage.engager = Arc::new(stage.engager.as_ref().clone().with_metrics(lines.metrics()));
    let tool = |name: &str, input: Value| ClaudeBehaviour::Tool(name.to_owned(), input);
    let answers = [
        ClaudeBehaviour::Default,
        tool("log_engagement", json!({ "interest": "high", "reason": "A person clicked." })),
        tool("hand_to_human", json!({ "reason": "Odd." })),
        tool("do_nothing", json!({ "reason": "No." })),
        ClaudeBehaviour::Status(400, None),
    ];
    let count = answers.len();
    stage.claude.plan(move |asked| answers[asked.index].clone());
    for n in 0..count {
        let mail = StagedEmail::to(&format!("e{n}"), &format!("ann{n}@example.com"));
        stage.happens(&[mail.delivered(), mail.clicked(&format!("c{n}"), after(-10 * MINUTE))]).await;
    }
    let mail = StagedEmail::to("e9", "bob@example.com");
    let scan = mail.clicked_by("c9", after(-10 * MINUTE), "curl/8.5.0", LINK);
    let proxy = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
    let glance = mail.opened_by("o9", mail.created_at.plus(std::time::Duration::from_secs(4)), proxy);
    stage.happens(&[mail.delivered(), scan, glance]).await;
    // A redelivery is neither classified nor decided again.
    let again = stage.deliveries(&["c0"], 2).await;
    stage.delivers(&again, NOW).await;

    let spent: f64 = stage.receipts().await.values().map(|receipt| receipt.asked.cost_usd).sum();
    let written = lines.take();
    let reported = sums(&read(&written));
    assert!(spent > 0.0 && (reported["ClaudeCost"] - spent).abs() < 1e-9, "{} of {spent}", reported["ClaudeCost"]);
    let last = read(&written).iter().filter_map(|line| line["ClaudeSpentToday"].as_f64()).next_back().unwrap();
    assert!((last - spent).abs() < 1e-9, "{last} of {spent}");
    let tokens = stage.claude.answered_tokens();
    assert_eq!(reported["ClaudeInputTokens"], tokens.input as f64);
    assert_eq!(reported["ClaudeOutputTokens"], tokens.output as f64);
    written
}

/// Writes the metrics of a run of act with every kind of activity.
fn act_runs(metrics: &Metrics) {
    let name = || "validation_error".to_owned();
    let mut did = vec![ActActivity::Due(3), ActActivity::Sent, ActActivity::Unknown, ActActivity::Pushed];
    did.extend([ActActivity::PushRefused, ActActivity::NoKey]);
    let reasons = [
        DropReason::Suppressed,
        DropReason::CampaignPaused,
        DropReason::OptOutClick,
        DropReason::TooLate,
        DropReason::Cap,
        DropReason::Refused(name()),
        DropReason::Stopped,
    ];
    did.extend(reasons.map(ActActivity::Dropped));
    let answers = [
        AnswerMeaning::Unclear,
        AnswerMeaning::Key,
        AnswerMeaning::Quota,
        AnswerMeaning::TooFast { retry_after: Duration::from_secs(1) },
        AnswerMeaning::AboutThisEmail { name: name() },
        AnswerMeaning::Otherwise { name: name() },
    ];
    did.extend(answers.map(ActActivity::NotAccepted));
    let report = ActReport { did, errors: Vec::new() };
    metrics.write(NOW, &report.metrics());
}

/// Every line of the whole scenario.
pub(super) async fn everything() -> Vec<String> {
    let (opt_outs, followups) = (Lines::default(), Lines::default());
    let (mut lines, clicks, (), _) = tokio::join!(
        mails_go_out(),
        people_click(),
        consent::people_opt_out(opt_outs.metrics()),
        followups::alerts_with(followups.metrics())
    );
    lines.extend(clicks);
    lines.extend(opt_outs.take());
    lines.extend(followups.take());
    let acts = Lines::default();
    act_runs(&acts.metrics());
    lines.extend(acts.take());
    lines
}

#[tokio::test]
async fn each_metric_is_emitted_by_the_catalogues_function() {
    let lines = everything().await;
    for line in &lines {
        conforms(line);
    }
    let lines = read(&lines);
    let reported = sums(&lines);
    let names: BTreeSet<&str> = reported.keys().map(String::as_str).collect();
    let all: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(all.difference(&names).collect::<Vec<_>>(), Vec::<&&str>::new(), "not in the story");
    assert_eq!(names, all);
    // Each line is written by one function.
    for line in &lines {
        let emitter = |name: &str| Metric::ALL.iter().find(|known| known.name() == name).unwrap().emitter();
        let by: Vec<Emitter> = definitions(line).iter().map(|(name, _)| emitter(name)).collect();
        assert!(by.iter().all(|emitter| *emitter == by[0]), "{line}");
    }

    let expected = [
        // 250 + 1 + 1 + 1 + 1, 7, 1, 1 + 3 + 1, 1, 1, 1, 42, 1, 1, 1, 1, 2, and the last one.
        ("Accepted", 319.0),
        ("AcknowledgeLatency", 319.0),
        ("Duplicates", 2.0),
        ("Ignored", 1.0),
        ("Quarantined", 2.0),
        ("SignatureFailures", 2.0),
        ("Refused", 1.0),
        ("NotStored", 1.0),
        ("EventsSent", 1.0),
        ("EventsDelivered", 250.0),
        ("EventsDelayed", 1.0),
        ("EventsBounced", 5.0),
        ("EventsComplained", 7.0),
        ("EventsOpened", 1.0),
        ("EventsClicked", 1.0),
        ("EventsFailed", 1.0),
        ("EventsSkipped", 1.0),
        ("EventsOfContacts", 43.0),
        ("EventsOfSuppressions", 1.0),
        ("EventsOfDomains", 1.0),
        ("EventsOther", 2.0),
        ("SuppressedComplaint", 7.0),
        ("SuppressedHardBounce", 1.0),
        ("SuppressedUnsubscribed", 22.0),
        ("SuppressedProvider", 2.0),
        ("SuppressedSoftBounce", 1.0),
        ("OptOuts", 2.0),
        ("WrongLinks", 1.0),
        ("OptOutsNotStored", 1.0),
        ("BrakesSlowed", 1.0),
        ("BrakesPaused", 1.0),
        ("BrakesOpened", 1.0),
        ("AlertsComplaint", 5.0),
        // Slowed, halfway, paused, reopened.
        ("AlertsBrake", 4.0),
        ("AlertsDelay", 1.0),
        ("AlertsAmbiguousBounce", 1.0),
        ("AlertsFailed", 1.0),
        ("AlertsDomain", 1.0),
        ("AlertsQuarantine", 1.0),
        ("AlertsLifted", 1.0),
        ("FollowupsDue", 3.0),
        ("FollowupsSent", 1.0),
        ("FollowupsDropped", 7.0),
        ("DroppedOther", 1.0),
        ("ResendKeyRefusals", 2.0),
        ("ResendOtherRefusals", 2.0),
        ("ContactsUnsubscribed", 1.0),
        // A key that may only send raises no alarm about follow-ups.
        ("ContactsRefused", 1.0),
        ("AlertsSendFailed", 1.0),
        ("AlertsSendUnknown", 2.0),
        ("AlertsResendKey", 1.0),
        ("AlertsDigest", 1.0),
        ("VerdictsHuman", 5.0),
        ("VerdictsMachine", 1.0),
        ("VerdictsUnsure", 1.0),
        ("DecisionsHandoff", 1.0),
        ("DecidedByClaude", 4.0),
        ("DecidedByRules", 1.0),
        ("ClaudeFailures", 1.0),
        ("ClaudeRefusals", 1.0),
    ];
    for (name, times) in expected {
        assert_eq!(reported[name], times, "{name} in {reported:#?}");
    }
    let decisions = ["DecisionsFollowup", "DecisionsEngagement", "DecisionsHandoff", "DecisionsNothing"];
    assert_eq!(decisions.map(|name| reported[name]).iter().sum::<f64>(), 5.0);

    let most = |name: &str| lines.iter().filter_map(|line| line[name].as_f64()).fold(0.0, f64::max);
    assert_eq!(most("ComplaintRate"), 2.8, "7 of 250");
    assert_eq!(most("FollowupsOverdue"), 5.0, "minutes");
    assert_eq!((most("ProtectLag"), most("EngageLag")), (0.0, 0.0), "received and handled at the same moment");
}

#[tokio::test]
async fn a_complaint_rate_needs_enough_delivered_emails() {
    let lines = Lines::default();
    let stage = protected(&lines).await;
    let ago = after(-MINUTE);
    let two = [("d1", "email.delivered"), ("d2", "email.delivered")];
    let two = two.map(|(id, kind)| mail(id, kind, id, "ann@example.com", ago, of("tiny")));
    stage.happens(&two).await;
    stage.happens(&[mail("x1", "email.complained", "d1", "ann@example.com", ago, of("tiny"))]).await;
    let reported = read(&lines.take());
    let rates: Vec<f64> = reported.iter().filter_map(|line| line["ComplaintRate"].as_f64()).collect();
    assert_eq!(rates, [0.0, 0.0], "one of two is no alarm");
    let brakes: f64 = reported.iter().filter_map(|line| line["BrakesSlowed"].as_f64()).sum();
    assert_eq!(brakes, 1.0, "but it slows it");
}

#[tokio::test]
async fn how_late_protect_is_counts_from_the_receipt_of_the_oldest() {
    let lines = Lines::default();
    let stage = protected(&lines).await;
    for (id, minutes) in [("d1", 3), ("d2", 2)] {
        let message = mail(id, "email.delivered", id, "ann@example.com", after(-HOUR), json!({}));
        assert_eq!(stage.receive_at(&message, after(-minutes * MINUTE)).await, 200);
    }
    lines.take();
    stage.deliver(&stage.records().await, NOW).await;
    let reported = read(&lines.take());
    assert_eq!((reported.len(), &reported[0]["ProtectLag"]), (1, &json!(180)), "one line for the batch");
    stage.tick(NOW).await;
    assert_eq!(lines.take(), Vec::<String>::new(), "a tick that has nothing to tell tells nothing");
}
