//! The samples in `events/`: a body of every event type, and invocation events.

use std::collections::{BTreeMap, BTreeSet};

use include_dir::{Dir, include_dir};
use rebound::policy::consent_link::{ConsentKeys, ConsentPurpose, SignedLink};
use rebound::time::UnixMillis;
use serde_json::Value;

use crate::LOCAL_CONSENT_KEY;

static EVENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../events");

/// The body of a type's sample, in Resend's format. `None` if the type has no sample.
pub fn body(event_type: &str) -> Option<&'static [u8]> {
    Some(EVENTS.get_file(format!("{event_type}.json"))?.contents())
}

/// Maximum time between two events of a sequence of samples that is moved to now, in milliseconds.
const MAX_GAP: i64 = 20_000;

/// The body of a type's sample, moved to now. `None` if the type has no sample.
///
/// The samples about one email form one sequence: sent, delivered, opened, clicked, complained. The last event of the sequence is at `now`.
/// The others are before it, in their order, with their original gaps, but at most 20 s apart. So no event is late, and verdicts that
/// depend on gaps are realistic. Any other sample is at `now`.
pub fn recent(event_type: &str, now: UnixMillis) -> Option<Vec<u8>> {
    let mut sample: Value = serde_json::from_slice(body(event_type)?).ok()?;
    let is_of_email = event_type.starts_with("email.");
    let story = types()
        .into_iter()
        .filter(|other| if is_of_email { other.starts_with("email.") } else { *other == event_type });
    let mut moments = BTreeSet::new();
    for other in story {
        let other: Value = serde_json::from_slice(body(other)?).ok()?;
        moments_in(&other, &mut moments);
    }
    let mut moved = BTreeMap::new();
    let mut next: Option<(i64, i64)> = None;
    for at in moments.into_iter().rev() {
        let is_at = next.map_or(now.0, |(later, is_at)| is_at - (later - at).min(MAX_GAP));
        moved.insert(at, is_at);
        next = Some((at, is_at));
    }
    move_on(&mut sample, &moved);
    Some(sample.to_string().into_bytes())
}

/// Collects all times in a value.
fn moments_in(value: &Value, moments: &mut BTreeSet<i64>) {
    match value {
        Value::String(text) => moments.extend(UnixMillis::parse(text).map(|at| at.0)),
        Value::Array(values) => values.iter().for_each(|value| moments_in(value, moments)),
        Value::Object(fields) => fields.values().for_each(|value| moments_in(value, moments)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces all times in a value by the moved ones.
fn move_on(value: &mut Value, moved: &BTreeMap<i64, i64>) {
    match value {
        Value::String(text) => {
            if let Some(at) = UnixMillis::parse(text).and_then(|at| moved.get(&at.0)) {
                *text = UnixMillis(*at).to_text();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_on(value, moved)),
        Value::Object(fields) => fields.values_mut().for_each(|value| move_on(value, moved)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A sample of a function's invocation event, such as `urgent` of `protect`. `None` if there is none.
pub fn invocation(function: &str, name: &str) -> Option<&'static [u8]> {
    Some(EVENTS.get_file(format!("{function}/{name}.json"))?.contents())
}

/// A sample of a request to `consent`, with its link signed by the first of these keys. `None` if it has no link that is signed with the
/// key of local runs.
pub fn consent_request(sample: &[u8], keys: &ConsentKeys) -> Option<Value> {
    let mut event: Value = serde_json::from_slice(sample).ok()?;
    let token = event.get("rawPath")?.as_str()?.strip_prefix("/u/")?;
    let local = LOCAL_CONSENT_KEY.parse().ok()?;
    let link = SignedLink::read(token).ok()?.verify(ConsentPurpose::OptOut, &local).ok()?;
    let path = format!("/u/{}", link.sign(ConsentPurpose::OptOut, keys).ok()?.as_str());
    *event.pointer_mut("/requestContext/http/path")? = path.clone().into();
    *event.pointer_mut("/rawPath")? = path.into();
    Some(event)
}

/// The types that have a sample, sorted by name.
pub fn types() -> Vec<&'static str> {
    let mut types: Vec<&str> =
        EVENTS.files().filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".json")).collect();
    types.sort_unstable();
    types
}

#[cfg(test)]
mod tests {
    use rebound::resend::event::Event;

    use super::*;

    #[test]
    fn the_recent_samples_of_one_email_stay_one_sequence() {
        let now = UnixMillis(1_900_000_000_000);
        let at = |event_type: &str| {
            let body = recent(event_type, now).unwrap();
            let event = Event::read(&body).unwrap();
            (event.at().unwrap(), event.resource_created_at().unwrap())
        };
        assert_eq!(at("email.complained").0, now, "the newest of all");
        let ((delivered, created), (opened, _), (clicked, same)) =
            (at("email.delivered"), at("email.opened"), at("email.clicked"));
        assert!(created == same && created < delivered && delivered < opened && opened < clicked && clicked < now);
        assert!(opened.0 - delivered.0 >= 15_000, "no machine is that slow");
    }

    #[test]
    fn the_requests_to_consent_are_signed_with_the_local_key() {
        let [local, other] = [LOCAL_CONSENT_KEY, "0123456789abcdef0123456789abcdef"].map(|key| key.parse().unwrap());
        for name in ["one_click", "visit", "button"] {
            let sample = invocation("consent", name).unwrap();
            let read: Value = serde_json::from_slice(sample).unwrap();
            assert_eq!(consent_request(sample, &local), Some(read.clone()), "{name}");
            let renewed = consent_request(sample, &other).unwrap();
            assert_eq!(renewed["rawPath"], renewed["requestContext"]["http"]["path"]);
            assert_ne!(renewed["rawPath"], read["rawPath"]);
        }
    }

    #[test]
    fn every_recent_sample_is_at_most_ten_minutes_old() {
        let now = UnixMillis(1_900_000_000_000);
        for event_type in types() {
            let body = recent(event_type, now).unwrap();
            let at = Event::read(&body).unwrap().at().unwrap();
            assert!(at <= now && now.0 - at.0 < 10 * 60_000, "{event_type} at {}", at.to_text());
            let mut moments = BTreeSet::new();
            moments_in(&serde_json::from_slice(&body).unwrap(), &mut moments);
            assert!(moments.iter().all(|at| *at <= now.0), "{event_type}");
            let (one, other): (Value, Value) = (
                serde_json::from_slice(&body).unwrap(),
                serde_json::from_slice(super::body(event_type).unwrap()).unwrap(),
            );
            assert_eq!(one["type"], other["type"]);
        }
    }
}
