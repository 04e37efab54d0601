//! `docs/schemas`: what programs get of alerts and decisions. Every message that another test reads is held against them too.

use std::collections::{BTreeMap, BTreeSet};

use rebound::message::alert::AlertKind;
use rebound::message::decision::DecisionResult;
use rebound_dev::claude::ClaudeBehaviour;
use serde_json::{Value, json};

use crate::support::engage::{EngageHarness, PHONE, StagedEmail};
use crate::support::protect::{DAY, HOUR, MINUTE, NOW, ProtectHarness, after, contact, mail, of};
use crate::support::schemas::{ALERT, DECISION, Schema};
use crate::support::secret;

fn kinds(published: &[Value]) -> BTreeSet<String> {
    published.iter().map(|message| message["kind"].as_str().unwrap().to_owned()).collect()
}

/// Each of these messages, spoilt in every way in which a program might be misled, is refused.
fn refuses_spoilt(schema: &Schema, published: &[Value]) {
    let mut spoilt = 0;
    let mut refused = |message: &Value, what: &str| {
        spoilt += 1;
        assert!(schema.faults(message).is_some(), "{what} is let through: {message:#}");
    };
    for message in published {
        // Every field, at every depth: missing, misspelled, of another type.
        for pointer in fields(message, "") {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let change = |with: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                let mut message = message.clone();
                with(message.pointer_mut(parent).unwrap().as_object_mut().unwrap());
                message
            };
            refused(
                &change(&|fields| _ = fields.insert(format!("{name}_"), json!(1))),
                &format!("more than {pointer}"),
            );
            refused(
                &change(&|fields| _ = fields.insert(name.to_owned(), json!({ "x": [1] }))),
                &format!("another {pointer}"),
            );
            // Which reasons were lifted, and what receiving servers said, is for each alert to say.
            if parent != "/figures/reasons" && pointer != "/figures/diagnosis" {
                refused(&change(&|fields| _ = fields.remove(name)), &format!("no {pointer}"));
            }
        }
        for (field, wrong) in
            [("kind", "complaints"), ("severity", "high"), ("at", "23 Nov 2026"), ("id", "1"), ("title", "")]
        {
            let mut message = message.clone();
            message[field] = json!(wrong);
            refused(&message, &format!("{field} {wrong:?}"));
        }
        for kind in schema.kinds().into_iter().filter(|kind| *kind != message["kind"]) {
            let mut message = message.clone();
            message["kind"] = json!(kind);
            refused(&message, &format!("another's kind {kind}"));
        }
    }
    assert!(spoilt > 30 * published.len(), "{spoilt}");
}

/// The JSON pointer of each field of an object, and of those of the objects and lists in it.
fn fields(value: &Value, at: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        all.extend(fields(item, &format!("{at}/{place}")));
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let pointer = format!("{at}/{name}");
        all.extend(fields(value, &pointer));
        all.push(pointer);
    }
    all
}

/// One of each kind.
fn one_of_each(published: Vec<Value>) -> Vec<Value> {
    let by_kind: BTreeMap<String, Value> =
        published.into_iter().map(|message| (message["kind"].as_str().unwrap().to_owned(), message)).collect();
    by_kind.into_values().collect()
}

#[tokio::test]
async fn every_kind_of_alert_is_published_as_its_schema_says_and_nothing_else_is() {
    let stage = ProtectHarness::start().await;
    let complaint = |number: usize| {
        let (id, to) = (format!("c{number}"), format!("spring{number}@example.com"));
        mail(&id, "email.complained", &id, &to, after(-MINUTE), of("spring"))
    };
    // Complaints, a brake, and, from the sixth on, a digest.
    for number in 0..8 {
        stage.happens(&[complaint(number)]).await;
    }
    let delay = json!({ "created_at": after(-3 * HOUR).to_text(), "tags": { "campaign": "a" } });
    let sent = mail("d1", "email.sent", "late", "ann@example.com", after(-2 * HOUR), delay.clone());
    let delayed = mail("d2", "email.delivery_delayed", "late", "ann@example.com", after(-HOUR), delay.clone());
    let again = mail("d3", "email.delivery_delayed", "later", "ann@example.com", after(-HOUR), delay);
    let failed = json!({ "failed": { "reason": "reached_daily_quota" } });
    let failed = mail("f1", "email.failed", "f1", "bob@example.com", after(-MINUTE), failed);
    let mut bounce = of("spring");
    bounce["to"] = json!(["ann@example.com", "bob@example.com"]);
    bounce["bounce"] = json!({ "type": "Permanent", "diagnosticCode": ["554 blocked"] });
    let bounce = mail("b1", "email.bounced", "b1", "-", after(-MINUTE), bounce);
    let domain = json!({ "id": "d", "name": "old.example", "status": "temporary_failure" });
    let domain = json!({ "type": "domain.updated", "created_at": after(-MINUTE).to_text(), "data": domain });
    let signed =
        |id: &str, body: String| rebound::resend::signed::SignedMessage::new(id, NOW.seconds(), body, &secret());
    let messages =
        [sent, delayed, again, failed, bounce, signed("o1", domain.to_string()), signed("q1", "{}".to_owned())];
    stage.happens(&messages).await;
    let people: Vec<String> = (0..25).map(|n| format!("p{n}")).collect();
    stage.happens(&people.iter().map(|who| contact(who, -HOUR, true)).collect::<Vec<_>>()).await;
    stage.happens(&people.iter().map(|who| contact(who, -MINUTE, false)).collect::<Vec<_>>()).await;
    for later in [5 * MINUTE, 23 * HOUR, 2 * DAY, 9 * DAY] {
        stage.tick(after(later)).await;
    }

    let mut published = stage.published();
    let mut alerts = stage.alerts();
    for alert in crate::followups::published_alerts().await {
        alerts.push(serde_json::from_value(alert.clone()).unwrap());
        published.push(alert);
    }
    let all: BTreeSet<String> = ALERT.kinds().into_iter().collect();
    assert_eq!(kinds(&published), all);
    let known = |kind: AlertKind| match kind {
        // Of a kind that is new, something must be published above.
        AlertKind::Complaint | AlertKind::Brake | AlertKind::Delay | AlertKind::AmbiguousBounce | AlertKind::Failed => {
            true
        }
        AlertKind::Domain | AlertKind::Quarantine | AlertKind::Lifted | AlertKind::Digest => true,
        AlertKind::SendFailed | AlertKind::SendUnknown | AlertKind::ResendKey => true,
    };
    assert!(alerts.iter().all(|alert| known(alert.kind)));
    let severities: BTreeSet<&str> = published.iter().map(|alert| alert["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["critical", "info", "warning"].into());
    refuses_spoilt(&ALERT, &one_of_each(published));
}

/// The decision about a click where Rebound sends follow-ups.
async fn scheduled() -> Vec<Value> {
    let stage = EngageHarness::with(&crate::engage::SENDING).await;
    let mail = StagedEmail::to("e7", "dan@example.com");
    stage.happens(&[mail.delivered(), mail.clicked("c7", after(-10 * MINUTE))]).await;
    stage.published()
}

#[tokio::test]
async fn every_kind_of_decision_is_published_as_its_schema_says_and_nothing_else_is() {
    let stage = EngageHarness::start().await;
    let tool = |name: &str, input: Value| ClaudeBehaviour::Tool(name.to_owned(), input);
    let answers = [
        ClaudeBehaviour::Default,
        tool("log_engagement", json!({ "interest": "high", "reason": "A person clicked." })),
        tool("hand_to_human", json!({ "reason": "Odd." })),
        tool("hand_to_human", json!({ "reason": "Odd." })),
        ClaudeBehaviour::Status(400, None),
    ];
    stage.claude.plan(move |asked| answers[asked.index].clone());
    for number in 0..5 {
        let all = [format!("reader{number}@example.com"), format!("other{number}@example.com")];
        let mail = StagedEmail::to(&format!("e{number}"), &all[0]);
        // The fourth is one of two, and nobody knows which.
        let mail = if number == 3 { StagedEmail { to: all.to_vec(), ..mail } } else { mail };
        stage.happens(&[mail.delivered(), mail.clicked(&format!("c{number}"), after(-10 * MINUTE))]).await;
    }
    let opts_out = StagedEmail::to("e9", "cho@example.com");
    let click = opts_out.clicked_by("c9", after(-10 * MINUTE), PHONE, "https://unsubscribe.resend.com/?token=x");
    stage.happens(&[opts_out.delivered(), click]).await;

    let mut published = stage.published();
    published.extend(scheduled().await);
    let all: BTreeSet<String> = DECISION.kinds().into_iter().collect();
    assert_eq!(kinds(&published), all);
    let kind = |done: DecisionResult| done.kind();
    assert_eq!(
        [
            DecisionResult::FollowupProposed,
            DecisionResult::FollowupScheduled,
            DecisionResult::EngagementLogged,
            DecisionResult::HandedToHuman
        ]
        .map(kind),
        [Some("followup"), Some("followup_scheduled"), Some("engagement"), Some("handoff")]
    );
    let of =
        |pointer: &str| published.iter().map(|one| one.pointer(pointer).unwrap().to_string()).collect::<BTreeSet<_>>();
    assert_eq!(of("/figures/decided_by").len(), 2, "by Claude, and by the rules");
    assert_eq!(of("/figures/opt_out_click").len(), 2);
    assert!(of("/recipient").contains("null"), "{:?}", of("/recipient"));
    refuses_spoilt(&DECISION, &published);
}
