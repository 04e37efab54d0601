//! Describes a row as an entry of the history.

use rebound::message::decision::{DecidedBy, DecisionResult, Receipt};
use rebound::resend::event::{Event, EventType};
use rebound::store::row::{self, RowKind, payload_text};
use rebound::store::verdicts::StoredVerdict;
use rebound::store::{Item, as_number, string};
use rebound::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::TimelineEntry;
use super::follows::{ListSnapshot, follows};
use super::followup::followup;
use crate::operate::audit::AuditEntry;

/// Delay of a webhook above which it is reported as late, in milliseconds.
const LATE_MS: i64 = 60 * 60 * 1_000;

/// A row as an entry. Returns `None` for a row that is not shown.
pub(in crate::operate) fn entry(row: &Item, known: &ListSnapshot) -> Option<TimelineEntry> {
    let millis = |name: &str| row.get(name).and_then(as_number).map(UnixMillis);
    let (about, key) = (string(row, "email_id").to_owned(), string(row, "event"));
    let kind = string(row, "kind");
    let made = |at: UnixMillis, text: String, fields: Value| {
        Some(TimelineEntry {
            at,
            received_at: None,
            what: kind.to_owned(),
            text,
            about: about.clone(),
            fields: as_map(fields),
        })
    };
    match kind {
        "event" => webhook(row, key, about, known),
        "verdict" => {
            let event = key.strip_prefix("verdict#")?;
            let judged = StoredVerdict::among(std::slice::from_ref(row), event)?;
            let scored = &judged.scored;
            let (event_type, _) = event.split_once('#').unwrap_or((event, ""));
            let mut text = format!(
                "{event_type}: verdict {}, score {} of 100: {}",
                scored.verdict.as_str(),
                scored.score,
                scored.reasons.join("; ")
            );
            if let Some(why) = &judged.not_decided {
                text.push_str(&format!(". No decision is made: {why}"));
            }
            let fields = json!({
                "of": event, "verdict": scored.verdict, "score": scored.score, "reasons": scored.reasons,
                "not_decided": judged.not_decided,
            });
            made(millis("at")?, text, fields)
        }
        "decision" => {
            let Some(decided_at) = millis("decided_at") else {
                return made(
                    millis("claimed_at")?,
                    "a decision is in progress".to_owned(),
                    json!({ "decided": false }),
                );
            };
            let receipt: Receipt = serde_json::from_str(&payload_text(row)).ok()?;
            made(decided_at, decision(&receipt), json!({ "decided": true, "receipt": receipt }))
        }
        "followup" => {
            let (at, text, fields) = followup(row)?;
            made(at, text, fields)
        }
        "alert" => {
            let alert: Value = serde_json::from_str(&payload_text(row)).ok()?;
            let field = |name: &str| alert.get(name).and_then(Value::as_str).unwrap_or_default();
            let state = if row.contains_key("published_at") {
                "published"
            } else if row.contains_key("folded_into") {
                "folded into a digest"
            } else if row.contains_key("refused") {
                "refused by SNS"
            } else {
                "not published yet"
            };
            let text = format!("{} ({}): {}; {state}", field("kind"), field("severity"), field("title"));
            let at = millis("published_at").or_else(|| millis("claimed_at"))?;
            made(at, text, json!({ "alert": alert, "state": state }))
        }
        "poison" => {
            let text = format!("{} can't be processed: {}", key.trim_start_matches("poison#"), string(row, "problem"));
            made(millis("at")?, text, json!({ "problem": string(row, "problem") }))
        }
        "quarantine" => {
            let text = format!("a signed webhook that can't be parsed: {}", string(row, "problem"));
            made(millis("received_at")?, text, json!({ "problem": string(row, "problem") }))
        }
        "audit" => {
            let done = AuditEntry::from_item(row);
            let reasons = if done.reasons.is_empty() { String::new() } else { format!(" {}", done.reasons.join(", ")) };
            let text = format!("{}{reasons}, by {}: {}", done.action, done.by, done.why);
            made(done.at, text, json!(done))
        }
        "forgotten" => made(millis("received_at")?, format!("{key}, about an erased address"), json!({})),
        _ => None,
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn webhook(row: &Item, key: &str, about: String, known: &ListSnapshot) -> Option<TimelineEntry> {
    let received_at = row.get("received_at").and_then(as_number).map(UnixMillis)?;
    let (event_type, message) = key.split_once('#').unwrap_or((key, ""));
    let body = row::payload(row);
    let mut entry = TimelineEntry {
        at: received_at,
        received_at: Some(received_at),
        what: event_type.to_owned(),
        text: String::new(),
        about,
        fields: as_map(json!({ "message_id": message, "kind": RowKind::Event.as_str() })),
    };
    let Ok(event) = Event::read(body.as_deref().unwrap_or_default()) else {
        entry.text = "its payload can't be parsed".to_owned();
        return Some(entry);
    };
    entry.at = event.happened_at(received_at);
    let mut parts = vec![meaning(&event)];
    let follows = follows(&event, message, received_at, known);
    parts.extend((!follows.is_empty()).then(|| format!("→ {}", follows.join(", "))));
    let late = received_at.0 - entry.at.0;
    if late > LATE_MS {
        parts.push(format!("(received {} h later)", late / LATE_MS));
    }
    parts.retain(|part| !part.is_empty());
    entry.text = parts.join(" ");
    entry.fields.insert("follows".to_owned(), json!(follows));
    entry.fields.insert("recipients".to_owned(), json!(recipients(&event)));
    if event.event_type() == Some(EventType::EmailBounced) {
        let bounce = event.bounce();
        let (kind, sub_type, message) = (bounce.bounce_type, bounce.sub_type, bounce.message);
        let diagnosis = event.diagnostics();
        let bounce = json!({ "type": kind, "sub_type": sub_type, "message": message, "diagnosis": diagnosis });
        entry.fields.insert("bounce".to_owned(), bounce);
    }
    Some(entry)
}

/// The answer of the receiving server: does it block the sender, or does the mailbox not exist?
fn server_said(event: &Event<'_>) -> String {
    let said = event.servers_said();
    if said.is_empty() { String::new() } else { format!("; the server said: {}", said.join("; ")) }
}

fn recipients(event: &Event<'_>) -> Vec<String> {
    super::recipients(event).iter().map(|one| one.as_str().to_owned()).collect()
}

/// The content of a webhook as text.
fn meaning(event: &Event<'_>) -> String {
    let to = recipients(event).join(", ");
    let bounce = event.bounce();
    let said = event.open_or_click();
    let words = |parts: &[Option<String>]| parts.iter().flatten().cloned().collect::<Vec<_>>().join(" / ");
    match event.event_type() {
        Some(EventType::EmailSent | EventType::EmailScheduled) => {
            let subject = event.subject().map(|subject| format!(": {subject}")).unwrap_or_default();
            format!("to {to}{subject}")
        }
        Some(EventType::EmailBounced) => {
            let kind = words(&[bounce.bounce_type, bounce.sub_type]);
            let why = bounce.message.map(|message| format!(": {message}")).unwrap_or_default();
            format!("{to} ({kind}){why}{}", server_said(event))
        }
        Some(EventType::EmailFailed) => {
            format!("{to}: {}", event.failure_reason().unwrap_or_else(|| "no reason given".into()))
        }
        Some(EventType::EmailSuppressed) => {
            let why = event.suppression_reason().unwrap_or_else(|| "no reason given".into());
            format!("Resend skipped {to}: {why}{}", server_said(event))
        }
        Some(EventType::EmailClicked) => {
            let (link, agent) = (said.link.unwrap_or_else(|| "an unknown link".into()), said.agent.unwrap_or_default());
            format!("{to} on {link} with {agent:?}")
        }
        Some(EventType::EmailOpened) => match said.agent {
            Some(agent) => format!("{to} with {agent:?}"),
            None => to,
        },
        Some(EventType::ContactCreated | EventType::ContactUpdated | EventType::ContactDeleted) => {
            let state = match event.unsubscribed() {
                Some(true) => ", unsubscribed",
                Some(false) => ", subscribed",
                None => "",
            };
            format!("{to}{state}")
        }
        Some(EventType::SuppressionAdded | EventType::SuppressionRemoved) => {
            format!("{to}{}", event.origin().map(|origin| format!(", {origin}")).unwrap_or_default())
        }
        _ => match event.resource_name() {
            Some(name) => words(&[Some(name), event.resource_status()]),
            None => to,
        },
    }
}

fn decision(receipt: &Receipt) -> String {
    let by = match receipt.asked.by {
        DecidedBy::Claude => "Claude",
        DecidedBy::Rules => "the built-in rules",
    };
    let done = match &receipt.done {
        DecisionResult::FollowupProposed => "a follow-up is proposed".to_owned(),
        DecisionResult::FollowupScheduled => "a follow-up is scheduled".to_owned(),
        DecisionResult::EngagementLogged => "the engagement is recorded and published".to_owned(),
        DecisionResult::HandedToHuman => "handed off to a person".to_owned(),
        DecisionResult::Nothing(why) => format!("no action, because {why}"),
    };
    let (event, choice, reason) = (&receipt.event, receipt.choice.as_str(), receipt.choice.reason());
    format!("about {event} by {}: {by} chose {choice} ({reason}) → {done}", receipt.recipients.join(", "))
}

#[cfg(test)]
mod tests {
    use rebound::policy::suppression::{ChangeEffect, Reason, SuppressionChange};
    use rebound::resend::recipient::Recipient;
    use rebound::resend::signature::MessageId;
    use rebound::store::row::{Row, RowMeta};
    use rebound::store::suppressions::SuppressionItem;
    use rebound::store::text;

    use super::super::entries;
    use super::*;

    fn row(event_type: &str, at: &str, received_at: &str, data: Value) -> Item {
        let body = json!({ "type": event_type, "created_at": at, "data": data }).to_string();
        let event = Event::read(body.as_bytes()).unwrap();
        let stamp = RowMeta { received_at: UnixMillis::parse(received_at).unwrap(), retention_days: 90 };
        let message = MessageId::from_verified(format!("msg_{event_type}"));
        Row::event(&event, &message, body.as_bytes(), stamp).unwrap().item().clone()
    }

    #[test]
    fn entries_are_in_the_order_of_their_times_not_of_their_arrival() {
        let mail = |more: Value| {
            let mut data = json!({ "email_id": "e1", "to": ["ann@example.com"], "subject": "hello" });
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let bounce = json!({ "bounce": { "type": "Permanent", "subType": "General", "message": "no such user" } });
        let mut alert = Item::from([("email_id".to_owned(), text("e1")), ("event".to_owned(), text("alert#x"))]);
        alert.insert("kind".to_owned(), text("alert"));
        alert.insert("claimed_at".to_owned(), rebound::store::number(1_795_439_300_000));
        alert.insert(
            "payload".to_owned(),
            text(json!({ "kind": "complaint", "severity": "warning", "title": "Complaint" }).to_string()),
        );
        let rows = [
            alert,
            row("email.bounced", "2026-11-23T13:05:00Z", "2026-11-23T15:06:00Z", mail(bounce)),
            row("email.sent", "2026-11-23T13:00:00Z", "2026-11-23T13:00:01Z", mail(json!({}))),
        ];
        let said = |at: &str, effect: ChangeEffect| SuppressionChange {
            reason: Reason::HardBounce,
            at: UnixMillis::parse(at).unwrap(),
            message: MessageId::from_verified("operator-1"),
            effect,
        };
        let known = |changes: &[SuppressionChange]| ListSnapshot {
            now: UnixMillis::parse("2026-11-24T00:00:00Z").unwrap(),
            list: [(Recipient::parse("ann@example.com").unwrap(), SuppressionItem::default().merged(changes).unwrap())]
                .into(),
        };
        let suppressed = known(&[said("2026-11-23T13:05:00Z", ChangeEffect::Suppress(Default::default()))]);
        let happened: Vec<(String, String)> =
            entries(&rows, &suppressed).into_iter().map(|entry| (entry.what, entry.text)).collect();
        assert_eq!(
            happened,
            [
                ("email.sent".to_owned(), "to ann@example.com: hello".to_owned()),
                (
                    "email.bounced".to_owned(),
                    "ann@example.com (Permanent / General): no such user → ann@example.com is suppressed as hard_bounce (received 2 h later)".to_owned()
                ),
                ("alert".to_owned(), "complaint (warning): Complaint; not published yet".to_owned()),
            ]
        );

        // What the list says now, and not what the webhook asked for.
        let lifted = known(&[
            said("2026-11-23T13:05:00Z", ChangeEffect::Suppress(Default::default())),
            said("2026-11-23T14:00:00Z", ChangeEffect::Lift),
        ]);
        let bounced = entries(&rows, &lifted).into_iter().nth(1).unwrap();
        assert!(
            bounced.text.contains(
                "→ hard_bounce of ann@example.com was lifted at 2026-11-23T14:00:00.000Z by operator-1 (received"
            ),
            "{}",
            bounced.text
        );
        let nothing = ListSnapshot { list: Default::default(), ..suppressed };
        let bounced = entries(&rows, &nothing).into_iter().nth(1).unwrap();
        assert!(bounced.text.contains("the list no longer has hard_bounce for ann@example.com"), "{}", bounced.text);
    }
}
