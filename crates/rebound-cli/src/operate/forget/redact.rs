//! Finds an address in texts, in every spelling, and redacts it.

use rebound::resend::json::mended;
use rebound::resend::recipient::{NamedRecipients, Recipient};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::folded::Folded;

/// The replacement of a redacted address.
pub const REDACTED: &str = "forgotten";

/// Finds one address, but no longer address that contains it.
#[derive(Clone, Debug)]
pub struct Redactor {
    recipient: Recipient,
    pattern: Regex,
}

impl Redactor {
    /// A redactor of this address in any spelling: with its domain in either form; with its characters as in links (`%40`), in HTML
    /// (`&#64;`), and in return addresses that name a recipient (`bounce-ann=example.com@…`).
    ///
    /// # Errors
    /// The pattern is invalid. No such address is known, since every character is escaped.
    pub fn new(recipient: &Recipient) -> Result<Self, regex::Error> {
        let readable = recipient.readable();
        let forms: Vec<String> =
            [Some(recipient.as_str()), readable.as_deref()].into_iter().flatten().map(pattern_of).collect();
        let pattern = RegexBuilder::new(&forms.join("|")).case_insensitive(true).build()?;
        Ok(Self { recipient: recipient.clone(), pattern })
    }

    /// Returns true if a text contains the address.
    pub fn is_in(&self, text: &str) -> bool {
        self.redact(text).is_some()
    }

    /// Redacts the address in a text. Returns `None` if the text does not contain it.
    pub fn redact(&self, text: &str) -> Option<String> {
        let places = self.places(text);
        if places.is_empty() {
            return self.redact_list(text);
        }
        let ends_with_it = text.trim_end().ends_with('>') || places == [(0, text.len())];
        let is_one_address = ends_with_it && text.matches('@').count() == 1;
        if is_one_address && Recipient::parse(text).as_ref() == Some(&self.recipient) {
            return Some(REDACTED.to_owned());
        }
        let mut cut = String::with_capacity(text.len());
        let mut from = 0;
        for (start, end) in places {
            let (start, end) = with_name(text, start, end);
            let start = start.max(from);
            cut.push_str(text.get(from..start).unwrap_or_default());
            cut.push_str(REDACTED);
            from = end;
        }
        cut.push_str(text.get(from..).unwrap_or_default());
        Some(cut)
    }

    /// Redacts the address in a list of addresses, where only a parser of addresses finds it: `ann (x) @example.com`. Returns `None` if the
    /// text is no such list, or does not contain it.
    fn redact_list(&self, text: &str) -> Option<String> {
        if !text.contains(['@', '＠', '﹫']) {
            return None;
        }
        let mut named = NamedRecipients::default();
        named.add(text);
        let others = named.recipients.iter().filter(|one| **one != self.recipient).map(Recipient::as_str);
        named.recipients.contains(&self.recipient).then(|| {
            let others: Vec<&str> = others.collect();
            std::iter::once(REDACTED).chain(others).collect::<Vec<_>>().join(", ")
        })
    }

    /// Redacts the address in every text and field name of a JSON value. Returns `None` if the value does not contain it.
    pub fn redact_json(&self, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) => self.redact(text).map(Value::String),
            Value::Array(values) => {
                let cut: Vec<Option<Value>> = values.iter().map(|value| self.redact_json(value)).collect();
                let changes = cut.iter().any(Option::is_some);
                let values = cut.into_iter().zip(values).map(|(cut, value)| cut.unwrap_or_else(|| value.clone()));
                changes.then(|| Value::Array(values.collect()))
            }
            Value::Object(fields) => {
                let mut changes = false;
                let fields = fields.iter().map(|(name, value)| {
                    let (cut_name, cut_value) = (self.redact(name), self.redact_json(value));
                    changes |= cut_name.is_some() || cut_value.is_some();
                    (cut_name.unwrap_or_else(|| name.clone()), cut_value.unwrap_or_else(|| value.clone()))
                });
                let fields: serde_json::Map<String, Value> = fields.collect();
                changes.then_some(Value::Object(fields))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }

    /// Redacts the address in a body: as JSON if it is JSON, else as text. Returns `None` if the body does not contain it.
    pub fn redact_body(&self, body: &[u8]) -> Option<Vec<u8>> {
        match serde_json::from_slice::<Value>(mended(body).as_deref().unwrap_or(body)) {
            Ok(value) => self.redact_json(&value).map(|value| value.to_string().into_bytes()),
            Err(_) => self.redact(&String::from_utf8_lossy(body)).map(String::into_bytes),
        }
    }

    /// The ranges of the address in a text.
    fn places(&self, text: &str) -> Vec<(usize, usize)> {
        let folded = Folded::of(text);
        let text = folded.text();
        let found = self.pattern.find_iter(text).map(|found| (found.start(), found.end()));
        let alone = found.filter(|(start, end)| {
            begins(text.get(..*start).unwrap_or_default()) && ends(text.get(*end..).unwrap_or_default())
        });
        alone.map(|(start, end)| folded.source(start, end)).collect()
    }
}

/// A pattern for an address, in a folded text.
fn pattern_of(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local_pattern: String = local.chars().map(sign).collect();
    let quote = sign('"');
    // Quotes that it doesn't need.
    let local = if local.starts_with('"') {
        local_pattern
    } else {
        format!("(?:{quote}{local_pattern}{quote}|{local_pattern})")
    };
    local + &sign('@') + &domain.chars().map(sign).collect::<String>()
}

/// A pattern for one character of an address.
fn sign(c: char) -> String {
    let plain = regex::escape(c.encode_utf8(&mut [0; 4]));
    if c.is_ascii_alphanumeric() {
        return plain;
    }
    let once: String = c.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let twice = once.replace('%', "%25");
    let besides = match c {
        '@' => "|=|&#64;|&#x40;|&commat;",
        // At the end of a word a local part may be written so.
        'σ' => "|ς",
        _ => "",
    };
    let joiners = if c.is_ascii() { "" } else { "[\u{200c}\u{200d}]*" };
    format!("(?:{plain}|{once}|{twice}{besides}){joiners}")
}

/// Returns true if an address can begin after this text: the text does not end in the local part of a longer address.
fn begins(before: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '+');
    match escaped_at_end(before) {
        Some(c) => !goes_on(c),
        // A hyphen: in bounce-ann=example.com@ it stands before an address, and in mary-ann@ it is a part of one.
        None => match before.chars().next_back() {
            Some('-') => false,
            last => !last.is_some_and(goes_on),
        },
    }
}

/// The character that a text ends with, if it is written as `%20`.
fn escaped_at_end(before: &str) -> Option<char> {
    let (_, digits) =
        before.get(before.len().checked_sub(3)?..)?.split_at_checked(1).filter(|(sign, _)| *sign == "%")?;
    u8::from_str_radix(digits, 16).ok().map(char::from)
}

/// Returns true if an address can end before this text: the text does not continue its domain.
fn ends(after: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut next = after.chars();
    match next.next() {
        Some('.') => !next.next().is_some_and(goes_on),
        next => !next.is_some_and(goes_on),
    }
}

/// The place of an address, with the name before it and the brackets around it, if it has them: `Ann Lee <ann@example.com>`.
fn with_name(text: &str, start: usize, end: usize) -> (usize, usize) {
    let (before, after) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    let (Some(outside), true) = (before.trim_end().strip_suffix('<'), after.trim_start().starts_with('>')) else {
        return (start, end);
    };
    let closing = after.find('>').map_or(end, |at| end + at + 1);
    // A quoted name may have a comma in it.
    let name = outside.trim_end();
    let begins = match name.strip_suffix('"').and_then(|quoted| quoted.rfind('"')) {
        Some(at) => at,
        None => {
            let separator = name.rfind([',', ';', '<', '>', '\n', ':']);
            let at = separator.map_or(0, |at| at + 1);
            at + name.get(at..).map_or(0, |name| name.len() - name.trim_start().len())
        }
    };
    (begins, closing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(&Recipient::parse("ann.lee+x@example.com").unwrap()).unwrap()
    }

    #[test]
    fn an_address_is_found_however_it_is_written() {
        for (text, cut) in [
            ("ann.lee+x@example.com", "forgotten"),
            ("Ann Lee <ANN.LEE+X@Example.com>", "forgotten"),
            ("\"Lee, Ann\" <ann.lee+x@example.com>, Bob <bob@example.com>", "forgotten, Bob <bob@example.com>"),
            ("Bob <bob@example.com>, Ann Lee < ann.lee+x@example.com >; x", "Bob <bob@example.com>, forgotten; x"),
            ("550 5.1.1 <ann.lee+x@example.com>: unknown", "forgotten: unknown"),
            ("https://a.example/?who=ann.lee%2Bx%40example.com&b=1", "https://a.example/?who=forgotten&b=1"),
            ("https://a.example/?q=%20Ann.Lee%2bX%40example%2ecom", "https://a.example/?q=%20forgotten"),
            (
                "https://a.example/r?to=https%3A%2F%2Fb%3Fwho%3Dann.lee%252Bx%2540example.com",
                "https://a.example/r?to=https%3A%2F%2Fb%3Fwho%3Dforgotten",
            ),
            ("ann.lee+x=example.com@bounces.example", "forgotten@bounces.example"),
            ("write to ann.lee+x@example.com. Or ann.lee+x&#64;example.com!", "write to forgotten. Or forgotten!"),
            ("to \"ann.lee+x\"@example.com, bob@example.com", "to forgotten, bob@example.com"),
            ("an\u{ad}n.lee+x@exam\u{200b}ple.com é", "forgotten é"),
            ("请联系：ann.lee+x＠Ｅｘａｍｐｌｅ．com，谢谢", "请联系：forgotten，谢谢"),
            ("ann.lee+x (Ann) @example.com", "forgotten"),
            ("bob@example.com, ann.lee+x (Ann) @example.com", "forgotten, bob@example.com"),
        ] {
            assert_eq!(redactor().redact(text).as_deref(), Some(cut), "{text}");
        }
    }

    #[test]
    fn both_forms_of_a_domain_are_cut_out() {
        let redactor = Redactor::new(&Recipient::parse("ann@bücher.example").unwrap()).unwrap();
        for (text, cut) in [
            ("550 <Ann@BÜCHER.example>: unknown", "forgotten: unknown"),
            ("550 <ann@XN--BCHER-KVA.example>: unknown", "forgotten: unknown"),
            ("write to ann@bu\u{308}cher.example!", "write to forgotten!"),
            ("https://a.example/?who=ann%40b%C3%BCcher.example", "https://a.example/?who=forgotten"),
        ] {
            assert_eq!(redactor.redact(text).as_deref(), Some(cut), "{text}");
        }
        for other in ["joann@bücher.example", "ann@bücher.example.com", "ann@bucher.example"] {
            assert_eq!(redactor.redact(other), None, "{other}");
        }
        let greek = Redactor::new(&Recipient::parse("ΆΝΝΑΣ@example.com").unwrap()).unwrap();
        assert_eq!(greek.redact("to άννας@example.com").as_deref(), Some("to forgotten"));
    }

    #[test]
    fn a_body_with_half_an_emoji_is_json_too() {
        let body = br#"{"to":["A \ud83d <ann.lee\u002bx@example.com>"],"n":1}"#;
        assert_eq!(redactor().redact_body(body).unwrap(), br#"{"n":1,"to":["forgotten"]}"#);
    }

    #[test]
    fn other_addresses_that_it_is_a_part_of_are_left_alone() {
        for other in [
            "joann.lee+x@example.com",
            "mary-ann.lee+x@example.com",
            "a.ann.lee+x@example.com",
            "ann.lee+x@example.com.au",
            "ann.lee+x@example.community",
            "ann.lee+x@example.com-archive.example",
            "annxlee+x@example.com",
            "ann.lee@example.com",
            "https://a.example/?who=jo%2Eann.lee%2Bx%40example.com",
            "",
        ] {
            assert_eq!(redactor().redact(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_address_is_removed_from_any_json_and_nothing_else_is(
            before in "[ -~]{0,12}", after in "[ -~]{0,12}", upper in any::<bool>(),
        ) {
            let address = if upper { "ANN.LEE+X@EXAMPLE.COM" } else { "ann.lee+x@example.com" };
            // Between blanks it begins and ends in any case.
            let text = format!("{before} {address} {after}");
            let value = serde_json::json!({ "a": [1, null, { "b": text }], address: true, "c": "other" });
            let cut = redactor().redact_json(&value).unwrap();
            prop_assert!(redactor().redact_json(&cut).is_none());
            prop_assert_eq!(&cut["c"], &value["c"]);
            prop_assert!(!cut.to_string().to_lowercase().contains("ann.lee+x@example.com"));
        }
    }
}
