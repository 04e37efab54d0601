//! A signed sample of every event, and of what else functions are invoked with, from `events/`.

use include_dir::{Dir, include_dir};
use rebound::resend::event::Event;
use rebound::time::UnixMillis;
use serde_json::Value;

static EVENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../events");

/// The body of the sample of a type, as it would come from Resend. `None` for a type without one.
pub fn body(event_type: &str) -> Option<&'static [u8]> {
    Some(EVENTS.get_file(format!("{event_type}.json"))?.contents())
}

/// A sample's body with all its times moved on, by what moves the newest of all samples to `now`: so the samples of one email still tell
/// one story. `None` for a type without one.
pub fn recent(event_type: &str, now: UnixMillis) -> Option<Vec<u8>> {
    let at = |name: &str| Some(Event::read(body(name)?).ok()?.at()?.0);
    let newest = types().into_iter().filter_map(at).max()?;
    let mut sample: Value = serde_json::from_slice(body(event_type)?).ok()?;
    move_on(&mut sample, now.0 - newest);
    Some(sample.to_string().into_bytes())
}

/// Moves every time in a value, so many milliseconds.
fn move_on(value: &mut Value, by: i64) {
    match value {
        Value::String(text) => {
            if let Some(at) = UnixMillis::parse(text) {
                *text = UnixMillis(at.0.saturating_add(by)).to_text();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_on(value, by)),
        Value::Object(fields) => fields.values_mut().for_each(|value| move_on(value, by)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A sample of what a function is invoked with, such as `urgent` of `protect`. `None` where there is none.
pub fn invocation(function: &str, name: &str) -> Option<&'static [u8]> {
    Some(EVENTS.get_file(format!("{function}/{name}.json"))?.contents())
}

/// Every type that there is a sample of, in the order of their names.
pub fn types() -> Vec<&'static str> {
    let mut types: Vec<&str> =
        EVENTS.files().filter_map(|file| file.path().file_name()?.to_str()?.strip_suffix(".json")).collect();
    types.sort_unstable();
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_of_one_email_still_tell_one_story_when_they_are_moved_on() {
        let now = UnixMillis(1_900_000_000_000);
        let at = |event_type: &str| {
            let body = recent(event_type, now).unwrap();
            let event = Event::read(&body).unwrap();
            (event.at().unwrap(), event.resource_created_at().unwrap())
        };
        assert_eq!(at("email.complained").0, now, "the newest of all");
        let ((delivered, created), (clicked, same)) = (at("email.delivered"), at("email.clicked"));
        assert!(created == same && created < delivered && delivered < clicked && clicked < now);
        assert!(now.0 - clicked.0 < 48 * 60 * 60 * 1000, "young enough to be decided about");
    }
}
