//! The parts of an email that Claude may see, whatever others have written into it.

use rebound_dev::claude::RecordedRequest;
use serde_json::Value;

use super::bounds::{can_be_seen, plain};

/// Maximum size of a request: the text before the facts has about 8 kB.
pub(super) const MAX_REQUEST_BYTES: usize = 40_000;

/// Returns the faults of a request, compared with one about a harmless email. It may contain none of `never`.
pub(super) fn faults(asked: &RecordedRequest, harmless: &RecordedRequest, never: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let but_messages = |asked: &RecordedRequest| {
        let mut body = asked.body.clone();
        body.as_object_mut().unwrap().remove("messages");
        body.to_string()
    };
    if but_messages(asked) != but_messages(harmless) {
        faults.push(format!("something but the facts has changed: {}", but_messages(asked)));
    }
    let size = asked.body.to_string().len();
    if size > MAX_REQUEST_BYTES {
        faults.push(format!("{size} bytes were asked"));
    }
    let messages = asked.body["messages"].as_array().unwrap();
    let [message] = messages.as_slice() else {
        faults.push(format!("{} messages", messages.len()));
        return faults;
    };
    let content = message["content"].as_str().unwrap();
    if message["role"] != "user" || message.as_object().unwrap().len() != 2 {
        faults.push(format!("another role, or more than a role and content: {message}"));
    }
    match serde_json::from_str::<Value>(content) {
        Ok(facts) if facts.is_object() => texts(&facts, &mut |text| {
            if !text.chars().all(can_be_seen) {
                faults.push(format!("a line break or something hidden in {text:?}"));
            }
            if plain(text).contains('@') {
                faults.push(format!("an address in {text:?}"));
            }
            for never in never {
                if plain(text).contains(&never.to_lowercase()) {
                    faults.push(format!("{never} in {text:?}"));
                }
            }
        }),
        other => faults.push(format!("the facts are no JSON object: {other:?}")),
    }
    faults
}

/// Calls `each` with every string, and every key.
fn texts(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(all) => all.iter().for_each(|one| texts(one, each)),
        Value::Object(all) => all.iter().for_each(|(key, one)| {
            each(key);
            texts(one, each);
        }),
        _ => {}
    }
}
