//! JSON from outside, parsed leniently.
//!
//! Programs that cut a text in the middle of an emoji write half of it: `"\ud83d"`, a lone surrogate. RFC 8259 allows
//! that and leaves its meaning open (<https://www.rfc-editor.org/rfc/rfc8259#section-8.2>). Rust's strings can't hold
//! it, and `serde_json` rejects the whole document. Here a lone surrogate becomes U+FFFD, as in browsers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A JSON string: a value or a name. A lone surrogate becomes U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // For bytes, `serde_json` returns the string's bytes unchanged, including surrogates.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

impl std::borrow::Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
        Ok(Text(std::str::from_utf8(bytes).map_or_else(|_| with_surrogates(bytes), str::to_owned)))
    }
}

/// Converts bytes to text. The bytes are UTF-8, except for lone surrogates of three bytes each, which begin with 0xED.
fn with_surrogates(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().first() == Some(&0xED) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// Returns JSON in which each lone surrogate is replaced with `\ufffd`, or `None` if there is none.
pub fn mended(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended = None;
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        at += match (rest, surrogate(rest)) {
            (_, Some(0xD800..=0xDBFF)) if matches!(rest.get(6..).and_then(surrogate), Some(0xDC00..=0xDFFF)) => 12,
            (_, Some(_)) => {
                let mended: &mut Vec<u8> = mended.get_or_insert_with(|| json.to_vec());
                if let Some(digits) = mended.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                }
                6
            }
            ([b'\\', ..], None) => 2,
            _ => 1,
        };
    }
    mended
}

/// Returns the surrogate at the beginning of a text, written as `\ud83d`.
fn surrogate(json: &[u8]) -> Option<u32> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xD800..=0xDFFF).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn half_an_emoji_is_a_replacement_character() {
        for (json, expected) in [
            (r#""Ann \ud83d <ann@example.com>""#, "Ann \u{FFFD} <ann@example.com>"),
            (r#""\ud83d\ud83d\udc4d\udc4d""#, "\u{FFFD}👍\u{FFFD}"),
            (r#""\uDC4D\uD83D""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83dx\\ud83d""#, "\u{FFFD}x\\ud83d"),
            (r#""plain 👍""#, "plain 👍"),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap().0, expected, "{json}");
            let whole = mended(json.as_bytes()).unwrap_or_else(|| json.as_bytes().to_vec());
            assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), expected, "{json}");
        }
        let names: BTreeMap<Text, i32> = serde_json::from_str(r#"{"a\ud83d":1,"b":2}"#).unwrap();
        assert_eq!(names.get("a\u{FFFD}"), Some(&1));
        for other in ["7", "null", "[]", "{}", "[1]", "true"] {
            assert!(serde_json::from_str::<Text>(other).is_err(), "{other} is not a text");
        }
        assert_eq!(mended(br#"{"a":"\ud83d\udc4d \\ud83d \u00e4"}"#), None);
    }

    proptest! {
        #[test]
        fn mending_keeps_json_valid_and_all_else_unchanged(
            parts in prop::collection::vec("(\\\\ud83d|\\\\udc4d|\\\\u0041|\\\\\\\\|\\\\\"|[a-z]{1,3}|é)", 0..12),
        ) {
            let json = format!("\"{}\"", parts.concat());
            let text = serde_json::from_str::<Text>(&json).unwrap().0;
            let whole = mended(json.as_bytes()).unwrap_or_else(|| json.clone().into_bytes());
            prop_assert_eq!(serde_json::from_slice::<String>(&whole).unwrap(), text.clone());
            if let Ok(plain) = serde_json::from_str::<String>(&json) {
                prop_assert_eq!(&plain, &text);
                prop_assert!(mended(json.as_bytes()).is_none());
            }
        }
    }
}
