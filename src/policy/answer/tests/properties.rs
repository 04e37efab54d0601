//! Properties for any input: nothing panics, and an accepted answer is within every limit, by a second and simpler
//! check.

use proptest::prelude::*;

use self::second_look::{is_harmless, names_none_of};
use super::*;

/// The fuzzers' module, because fuzz targets can't see test code.
#[path = "../../../../fuzz/bodies/second_look.rs"]
mod second_look;

/// Returns true if a text follows the rules and names no recipient token.
fn keeps(text: &str, most: usize, lines: bool) -> bool {
    names_none_of(text, &["r1", "r2"]) && may_be_a_reason(text, most, lines)
}

/// Returns true if a text follows the rules. It may name a recipient token.
fn may_be_a_reason(text: &str, most: usize, lines: bool) -> bool {
    let mail = TestEmail::new();
    let hosts: Vec<&str> = mail.hosts.iter().map(String::as_str).collect();
    let length = (1..=most).contains(&text.chars().count());
    let plain = text.chars().all(|c| !c.is_control() || lines && matches!(c, '\n' | '\t'));
    length && plain && is_harmless(text, &hosts)
}

fn holds(choice: &Choice) -> bool {
    may_be_a_reason(choice.reason(), 500, false)
        && match choice {
            Choice::ScheduleFollowup { to, subject, message, send_after_hours, .. } => {
                ["r1", "r2"].contains(&to.as_str())
                    && keeps(subject, 150, false)
                    && keeps(message, 2_000, true)
                    && *send_after_hours >= 1.0
                    && *send_after_hours <= 168.0
            }
            _ => true,
        }
}

/// Texts that almost are a link, an address or a tag.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "own.example", "docs.own.example", "evil.com", "https://", "http://", "HTTPS:", "//", "/", "\\", ".", "。", "．", ":",
            "%2e", "%40", "%25", "@", "＠", "(at)", "<", "b", "&#46;", "&", ";", "r1", "R2", " ", "\n", "-", "_", "e.g.", "3.5", "~",
            "javascript", "www", "é", "а", "\u{200B}", "?", "#", "=", ",", ")", "\"", "443", "80", "words", "你好", "–",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::sample::select(vec!["message", "tool_use", "do_nothing", "r1", "launch"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop::sample::select(vec!["type", "content", "stop_reason", "name", "input", "to", "reason", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
        ]
    })
}

/// Reads the body in every way, and returns true if an accepted answer is within the limits.
fn sound(body: &[u8]) -> bool {
    let _ = usage(body);
    let shown = sanitize(body);
    let checked = TestEmail::new().check(body);
    let message = checked.as_ref().err().map(ToString::to_string).unwrap_or_default();
    shown.chars().count() <= 2_000
        && message.chars().count() < 300
        && !message.contains(char::is_control)
        && checked.as_ref().map_or(true, holds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(sound(&body));
    }

    #[test]
    fn a_damaged_answer_is_read_without_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = message("tool_use", &json!([tool_use("schedule_followup", &followup())]));
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        prop_assert!(sound(&body));
    }

    #[test]
    fn any_json_in_place_of_a_call_is_checked_soundly(content in json_value(), input in json_value()) {
        prop_assert!(sound(&message("tool_use", &content)));
        prop_assert!(sound(&message("tool_use", &json!([tool_use("do_nothing", &input)]))));
        prop_assert!(sound(content.to_string().as_bytes()));
    }

    #[test]
    fn whatever_is_accepted_keeps_to_every_bound(
        subject in text(), message_text in text(), reason in text(), hours in any::<f64>(), near in -5.0..200.0, whole in any::<bool>(),
    ) {
        let mut input = with("send_after_hours", json!(if whole { near } else { hours }));
        for (field, text) in [("subject", &subject), ("message", &message_text), ("reason", &reason)] {
            let alone = with(field, json!(text));
            prop_assert!(sound(&message("tool_use", &json!([tool_use("schedule_followup", &alone)]))), "{field}: {text:?}");
            input[field] = json!(text);
        }
        prop_assert!(sound(&message("tool_use", &json!([tool_use("schedule_followup", &input)]))));
    }
}
