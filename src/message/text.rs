//! External texts, made safe to show: an email's subject, a bounce's message, a campaign's name, a reason in an audit
//! row.
//!
//! Such a text must not control a terminal (ESC, OSC, BEL, C1 controls), forge a line, change the reading direction
//! (U+202E) or hide something. [`one_line`] is for a text that becomes part of a line. [`escaped`] is for all output,
//! JSON too.

use std::borrow::Cow;
use std::fmt::Write;

use crate::policy::answer::is_invisible;

/// Returns true for characters that must not be printed: controls except the line feed, bidi controls, and invisible
/// characters.
pub fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n') || is_invisible(c)
}

/// Returns a text as part of a line. A line break or a tab becomes a space, and other unsafe characters are removed.
pub fn one_line(text: &str) -> String {
    unbroken(text).chars().filter(|c| !is_unsafe(*c)).collect()
}

/// Returns a text as part of a line without loss. A line break or a tab becomes a space, and the rest is [`escaped`].
pub fn one_line_escaped(text: &str) -> String {
    escaped(&unbroken(text)).into_owned()
}

/// Returns a text with one space for each run of line breaks and tabs.
fn unbroken(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                line.push_str(if line.ends_with(' ') { "" } else { " " })
            }
            c => line.push(c),
        }
    }
    line
}

/// Returns a text with each unsafe character written as in JSON: `\u001b`. Line feeds stay.
///
/// JSON keeps its meaning, because such characters can only be inside its strings.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_unsafe(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use icu_properties::CodePointMapData;
    use icu_properties::props::GeneralCategory;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_break_becomes_a_space_and_controls_are_removed() {
        assert_eq!(one_line("mailbox\nfull"), "mailbox full");
        assert_eq!(one_line("mailbox \r\n\tfull"), "mailbox full");
        assert_eq!(one_line("one\u{85}two\u{2028}three\u{b}four"), "one two three four");
        assert_eq!(one_line("a\u{1b}]0;title\u{7}b\u{9b}31mc\u{202e}d\u{200b}e\u{e0041}f"), "a]0;titleb31mcdef");
        assert_eq!(one_line("Zoë  Ünal 你好 🌷"), "Zoë  Ünal 你好 🌷", "visible text is kept");
    }

    #[test]
    fn unsafe_characters_are_escaped_as_in_json() {
        assert_eq!(escaped("plain\ntext"), "plain\ntext");
        assert_eq!(escaped("\u{1b}[31m\u{9b}\u{202e}\u{e0041}\r"), "\\u001b[31m\\u009b\\u202e\\udb40\\udc41\\u000d");
    }

    #[test]
    fn no_format_character_of_unicode_is_forgotten() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        // Visible characters before numbers, and joiners of hieroglyphs.
        let is_seen = |c: char| {
            matches!(
                c,
                '\u{600}'
                    ..='\u{605}'
                        | '\u{6DD}'
                        | '\u{70F}'
                        | '\u{890}'
                        | '\u{891}'
                        | '\u{8E2}'
                        | '\u{110BD}'
                        | '\u{110CD}'
            ) || ('\u{13430}'..='\u{1343F}').contains(&c)
        };
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| !is_seen(*c) && *c != '\n') {
            use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
            if matches!(categories.get(c), Control | Format | LineSeparator | ParagraphSeparator) {
                assert!(is_unsafe(c), "{:x}", u32::from(c));
            }
        }
    }

    proptest! {
        #[test]
        fn json_that_was_escaped_is_the_same_json(text in "\\PC{0,10}[\u{0}-\u{9f}\u{200b}-\u{2069}\u{e0001}-\u{e007f}]{0,9}") {
            let value = serde_json::json!({ (text.clone()): [text] });
            for json in [value.to_string(), format!("{value:#}")] {
                let out = escaped(&json);
                prop_assert!(!out.contains(is_unsafe));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&out).unwrap(), &value);
            }
        }

        #[test]
        fn a_line_is_safe_and_a_line(text in "\\PC{0,20}[\u{0}-\u{9f}\u{200b}-\u{2069}]{0,20}") {
            let line = one_line(&text);
            prop_assert!(!line.contains(is_unsafe) && !line.contains('\n'));
            prop_assert_eq!(one_line(&line), line);
        }
    }
}
