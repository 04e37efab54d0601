//! Events of emails, as `protect` receives them from the stream and `engage` from the queue.

use std::time::Duration;

use rebound::aws::queue::EngageMessage;
use rebound::resend::signed::new_message_id;
use rebound::store::row::Row;
use rebound::time::UnixMillis;
use rebound_dev::simulate::payloads::{APPLE, EmailFields, GOOGLE, PHONE, bounce, click, open};
use rebound_dev::stream_records;
use serde_json::{Value, json};

use crate::BoxError;
use crate::events::{email_id, row};

/// Number of events of a campaign per second. Counts are kept by time of receipt, so it determines how much of a batch
/// is written together.
const RATE: f64 = 300.0;

/// User agent of a machine that identifies itself.
const ROBOT: &str = "curl/8.5.0";

/// Kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventMix {
    /// Events of the mapping `Bulk`.
    Bulk,
    /// Events of the mapping `Urgent`.
    Urgent,
    /// Opens and clicks after the queue's delay.
    Engaged,
}

impl EventMix {
    /// Description of the kind.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Bulk => "sent, delivered, opened, clicked",
            Self::Urgent => "bounced, delayed, complained",
            Self::Engaged => "opens and clicks",
        }
    }
}

/// The history of one email.
pub(crate) struct EmailHistory {
    /// All its rows in the events table. The function is invoked for the last one.
    pub(crate) rows: Vec<Row>,
}

/// Creates this number of histories, each of another email to another recipient, all of one new campaign.
pub(crate) fn stories(what: EventMix, count: usize) -> Result<Vec<EmailHistory>, BoxError> {
    let campaign = format!("campaign-{:08x}", fastrand::u32(..));
    let over = Duration::from_secs_f64(count as f64 / RATE);
    let began = UnixMillis::now().minus(over + Duration::from_secs(10 * 60));
    (0..count)
        .map(|number| {
            let at = began.plus(Duration::from_secs_f64(number as f64 / RATE));
            story(what, number, &campaign, at)
        })
        .collect()
}

/// Creates one history whose last event is at this time.
fn story(what: EventMix, number: usize, campaign: &str, at: UnixMillis) -> Result<EmailHistory, BoxError> {
    let email_id = email_id();
    let to = [format!("somebody-{:012x}@example.com", fastrand::u64(..1 << 48))];
    let before = if what == EventMix::Engaged { Duration::from_secs(2 * 60 * 60) } else { Duration::from_secs(3) };
    let mail = EmailFields { email_id: &email_id, created_at: at.minus(before), to: &to, campaign, old_tags: false };
    let store = |event_type: &str, at: UnixMillis, besides: Value| {
        let received_at = at.plus(Duration::from_millis(500));
        row(&mail.event(event_type, at, besides), &new_message_id(), received_at)
    };
    let (event_type, besides) = match what {
        EventMix::Bulk => bulk(number, at),
        EventMix::Urgent => urgent(number),
        EventMix::Engaged => engaged(number, at),
    };
    let mut rows = Vec::new();
    if what == EventMix::Engaged {
        rows.push(store("email.sent", mail.created_at.plus(Duration::from_millis(300)), Value::Null)?);
        rows.push(store("email.delivered", mail.created_at.plus(Duration::from_secs(2)), Value::Null)?);
    }
    rows.push(store(event_type, at, besides)?);
    Ok(EmailHistory { rows })
}

/// The everyday mix: of 20 events, eight are sent, eight delivered, three opened and one clicked.
fn bulk(number: usize, at: UnixMillis) -> (&'static str, Value) {
    match number % 20 {
        0..8 => ("email.sent", Value::Null),
        8..16 => ("email.delivered", Value::Null),
        16..19 => ("email.opened", open(at, GOOGLE)),
        _ => ("email.clicked", click(at, PHONE, number % 3, "203.0.113.24")),
    }
}

/// Of 20 events, fourteen bounced, four are delayed, and two are complaints.
fn urgent(number: usize) -> (&'static str, Value) {
    match number % 20 {
        0..10 => ("email.bounced", bounce("Transient", "MailboxFull", None)),
        10..14 => ("email.bounced", bounce("Permanent", "General", None)),
        14..18 => ("email.delivery_delayed", Value::Null),
        _ => ("email.complained", Value::Null),
    }
}

/// Of ten events, four are opens with verdict unsure, two opens and two clicks by humans, and one of each by a machine.
fn engaged(number: usize, at: UnixMillis) -> (&'static str, Value) {
    match number % 10 {
        0..4 => ("email.opened", open(at, APPLE)),
        4..6 => ("email.opened", open(at, GOOGLE)),
        6 => ("email.opened", open(at, ROBOT)),
        7 => ("email.clicked", click(at, ROBOT, 0, "203.0.113.7")),
        _ => ("email.clicked", click(at, PHONE, number % 3, "203.0.113.24")),
    }
}

/// Builds the invocation event for these histories.
pub(crate) fn invocation(what: EventMix, stories: &[EmailHistory]) -> Result<String, BoxError> {
    let rows: Vec<&Row> = stories.iter().filter_map(|story| story.rows.last()).collect();
    if what == EventMix::Engaged {
        let records: Vec<Value> = rows.into_iter().map(message).collect::<Result<_, BoxError>>()?;
        return Ok(json!({ "Records": records }).to_string());
    }
    Ok(stream_records::batch(rows, 1).to_string())
}

/// Builds a queue message in Lambda's format (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).
fn message(row: &Row) -> Result<Value, BoxError> {
    let text = |name: &str| row.item().get(name).and_then(|value| value.as_s().ok()).cloned();
    let (Some(email_id), Some(event)) = (text("email_id"), text("event")) else {
        return Err("a row has no key".into());
    };
    let now = UnixMillis::now();
    let sent = now.minus(Duration::from_secs(90)).0.to_string();
    Ok(json!({
        "messageId": email_id,
        "receiptHandle": new_message_id(),
        "body": serde_json::to_string(&EngageMessage { email_id, event })?,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": sent,
            "SenderId": "AROAEXAMPLE:protect",
            "ApproximateFirstReceiveTimestamp": now.0.to_string(),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:rebound-engage",
        "awsRegion": "eu-west-1",
    }))
}
