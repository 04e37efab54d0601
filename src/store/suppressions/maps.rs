//! The maps within a suppression item: one for each reason, and one for each topic.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::policy::suppression::{ChangeStamp, ReasonDetail, ReasonState, TopicState};
use crate::resend::signature::MessageId;
use crate::store::{Item, as_number, number, text};
use crate::time::UnixMillis;

/// The attribute with the topics.
pub(super) const TOPICS: &str = "topics";

/// Returns a reason's state as readers see it, who look into `reasons` first. They differ where a person changed the item.
pub(super) fn as_listed(mut record: ReasonState, is_listed: bool, map: Option<&Item>) -> ReasonState {
    let by_hand = |at: i64| ChangeStamp { at: UnixMillis(at), message: MessageId::from_verified("") };
    match (is_listed, record.suppresses(), &record.suppressed) {
        // Added by hand: it is active, and every newer change outranks it.
        (true, false, _) => {
            let at = record.lifted.as_ref().map_or(0, |lifted| lifted.at.0);
            record.suppressed = Some((by_hand(at), map.map(detail_from).unwrap_or_default()));
        }
        // Removed by hand: it is lifted, and every newer change outranks that.
        (false, true, Some((suppressed, _))) => record.lifted = Some(by_hand(suppressed.at.0.saturating_add(1))),
        _ => {}
    }
    record
}

fn string_of(map: &Item, name: &str) -> Option<String> {
    map.get(name).and_then(|value| value.as_s().ok()).cloned()
}

fn millis_of(map: &Item, name: &str) -> Option<UnixMillis> {
    map.get(name).and_then(as_number).map(UnixMillis)
}

/// Reads the time under one name, and the webhook under another.
fn stamp_from(map: &Item, at: &str, by: &str) -> Option<ChangeStamp> {
    let message = MessageId::from_verified(string_of(map, by).unwrap_or_default());
    Some(ChangeStamp { at: millis_of(map, at)?, message })
}

fn stamp_to(stamp: Option<&ChangeStamp>, at: &str, by: &str) -> Item {
    let stamp = stamp.map(|stamp| [(at, number(stamp.at.0)), (by, text(stamp.message.as_str()))]);
    stamp.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Reads the topics with at least one change.
pub(super) fn topics_of(item: &Item) -> BTreeMap<String, TopicState> {
    let topics = item.get(TOPICS).and_then(|topics| topics.as_m().ok()).into_iter().flatten();
    let state = |(topic, map): (&String, &AttributeValue)| Some((topic.clone(), topic_from(map.as_m().ok()?)));
    topics.filter_map(state).filter(|(_, state)| *state != TopicState::default()).collect()
}

fn topic_from(map: &Item) -> TopicState {
    TopicState { opted_out: stamp_from(map, "out_at", "out_by"), opted_in: stamp_from(map, "in_at", "in_by") }
}

/// Builds a topic's map.
pub(super) fn topic_to(state: &TopicState) -> Item {
    let mut map = stamp_to(state.opted_out.as_ref(), "out_at", "out_by");
    map.extend(stamp_to(state.opted_in.as_ref(), "in_at", "in_by"));
    map
}

fn detail_from(map: &Item) -> ReasonDetail {
    ReasonDetail {
        email_id: string_of(map, "email_id"),
        detail: string_of(map, "detail"),
        until: millis_of(map, "until"),
    }
}

/// Reads a reason's state.
pub(super) fn record_from(map: &Item) -> ReasonState {
    ReasonState {
        suppressed: stamp_from(map, "at", "message_id").map(|stamp| (stamp, detail_from(map))),
        lifted: stamp_from(map, "lifted_at", "lifted_by"),
    }
}

/// Builds a reason's map.
pub(super) fn record_to(record: &ReasonState) -> Item {
    let mut map = stamp_to(record.suppressed.as_ref().map(|(stamp, _)| stamp), "at", "message_id");
    let mut set = |name: &str, value: Option<AttributeValue>| {
        map.extend(value.map(|value| (name.to_owned(), value)));
    };
    if let Some((_, detail)) = &record.suppressed {
        set("email_id", detail.email_id.as_ref().map(text));
        set("detail", detail.detail.as_ref().map(text));
        set("until", detail.until.map(|until| number(until.0)));
    }
    map.extend(stamp_to(record.lifted.as_ref(), "lifted_at", "lifted_by"));
    map
}
