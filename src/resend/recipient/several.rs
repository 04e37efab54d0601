//! Addresses in a text that may have several, such as a header: with groups, names and comments, and partly malformed.

use super::{Recipient, spelling};

/// Recipients in texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedRecipients {
    /// Recipients with valid addresses, each once, in the order of the texts.
    pub recipients: Vec<Recipient>,
    /// True if the texts also name a recipient without a valid address.
    pub others: bool,
}

impl NamedRecipients {
    /// Adds the recipients in a text: `Ann <ann@example.com>, bob@example.com`, `Team: ann@example.com;`.
    ///
    /// ```
    /// # use rebound::resend::recipient::NamedRecipients;
    /// let mut named = NamedRecipients::default();
    /// named.add("\"Lee, Ann\" <ann@example.com>; \"bob lee\"@example.com (Bob)");
    /// assert_eq!(named.recipients.len(), 2);
    /// assert!(!named.others);
    /// ```
    pub fn add(&mut self, text: &str) {
        let separates = |c: char| matches!(c, ',' | ';' | ':' | '>') || !c.is_ascii();
        match Recipient::parse(text) {
            // The common case: no character that could separate two addresses.
            Some(recipient) if !text.trim_end().trim_end_matches('>').contains(separates) => self.know(recipient),
            _ => self.add_pieces(&spelling::fold(text)),
        }
    }

    fn add_pieces(&mut self, text: &str) {
        let (pieces, has_group) = pieces(text);
        let known = self.recipients.len();
        let mut names_nobody = !has_group;
        for piece in pieces.iter().filter(|piece| piece.contains('@')) {
            names_nobody = false;
            let found = in_piece(piece);
            self.others |= found.is_empty();
            found.into_iter().for_each(|recipient| self.know(recipient));
        }
        self.others |= names_nobody && self.recipients.len() == known;
    }

    fn know(&mut self, recipient: Recipient) {
        if !self.recipients.contains(&recipient) {
            self.recipients.push(recipient);
        }
    }
}

/// Returns the addresses in a part of a text without separators. The result is empty if the part has no address, or is
/// ambiguous.
fn in_piece(piece: &str) -> Vec<Recipient> {
    let in_brackets: Vec<Recipient> = bracketed(piece).into_iter().filter_map(Recipient::parse).collect();
    if in_brackets.len() > 1 {
        return in_brackets;
    }
    // With one pair of quotes, or with half a pair of brackets.
    let half = || Recipient::parse(piece.rsplit('<').next()?.split('>').next()?);
    if let Some(one) = Recipient::parse(piece).or_else(|| Recipient::in_cell(piece).ok()).or_else(half) {
        return vec![one];
    }
    // If a word is not an address, it may be a name, or part of a local part without its quotes.
    let words: Option<Vec<Recipient>> = piece.split_whitespace().map(Recipient::parse).collect();
    words.unwrap_or_default()
}

/// Returns the texts in angle brackets, outside of quotes and comments.
fn bracketed(piece: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
        let end = enclosed(rest);
        if let Some(inside) = rest.get(..end).and_then(|text| text.strip_prefix('<')?.strip_suffix('>')) {
            found.push(inside);
        }
        at += end;
    }
    found
}

/// Splits a folded text at commas and semicolons outside of quotes, comments and brackets, and removes the names of
/// groups (<https://www.rfc-editor.org/rfc/rfc5322#section-3.4>). Also returns true if there is a group.
fn pieces(text: &str) -> (Vec<&str>, bool) {
    let (mut pieces, mut has_group) = (Vec::new(), false);
    let (mut from, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let end = at + enclosed(rest);
        let piece = text.get(from..at).unwrap_or_default();
        match rest.as_bytes().first() {
            Some(b',' | b';') => {
                pieces.push(piece);
                from = end;
            }
            Some(b':') if is_name_of_group(piece, text.get(end..).unwrap_or_default()) => {
                has_group = true;
                from = end;
            }
            _ => {}
        }
        at = end;
    }
    pieces.push(text.get(from..).unwrap_or_default());
    (pieces, has_group)
}

/// Returns true if the text before a colon is the name of a group: one that ends, or one that can't be a local part.
fn is_name_of_group(before: &str, after: &str) -> bool {
    !before.contains('@') && before.trim() != "mailto" && (after.contains(';') || after.starts_with(' '))
}

/// Returns the length of the quoted text, comment or brackets at the beginning of a text, or else of its first
/// character.
fn enclosed(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let mut rest = text.char_indices().skip(1);
    let end = match text.as_bytes().first() {
        Some(b'"') => loop {
            match rest.next() {
                Some((_, '\\')) => drop(rest.next()),
                Some((at, '"')) => break Some(at),
                Some(_) => {}
                None => break None,
            }
        },
        Some(b'<') => rest.find(|(_, c)| matches!(c, '<' | '>')).filter(|(_, c)| *c == '>').map(|(at, _)| at),
        Some(b'(') => {
            let mut depth = 1;
            rest.find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0
            })
            .map(|(at, _)| at)
        }
        _ => None,
    };
    // Half a pair encloses nothing.
    end.map_or(first, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Vec<String>, bool) {
        let mut named = NamedRecipients::default();
        named.add(text);
        (named.recipients.iter().map(|recipient| recipient.as_str().to_owned()).collect(), named.others)
    }

    #[test]
    fn every_address_in_a_text_is_found() {
        for (text, expected) in [
            ("ann@example.com", &["ann@example.com"][..]),
            ("one@example.com, two@example.com", &["one@example.com", "two@example.com"]),
            ("one@example.com;two@example.com;", &["one@example.com", "two@example.com"]),
            ("one@example.com two@example.com", &["one@example.com", "two@example.com"]),
            ("one@example.com，two@example.com", &["one@example.com", "two@example.com"]),
            ("\"Lee, Ann\" <ann@example.com>, Bob <bob@example.com>", &["ann@example.com", "bob@example.com"]),
            ("Ann <ann@example.com> Bob <bob@example.com>", &["ann@example.com", "bob@example.com"]),
            ("Lee, Ann <ann@example.com>", &["ann@example.com"]),
            ("Team: ann@example.com, Bob <bob@example.com>;", &["ann@example.com", "bob@example.com"]),
            ("A: a@example.com;, B: b@example.com;", &["a@example.com", "b@example.com"]),
            ("Team: ann@example.com", &["ann@example.com"]),
            ("undisclosed-recipients:;", &[]),
            ("\"ann lee\"@example.com", &["\"ann lee\"@example.com"]),
            ("\"a,b\"@example.com, c@example.com", &["\"a,b\"@example.com", "c@example.com"]),
            ("ann@example.com (x)", &["ann@example.com"]),
            ("ann@example.com (x, y@example.com)", &["ann@example.com"]),
            ("\"ann@example.com\"", &["ann@example.com"]),
            ("'ann@example.com'", &["ann@example.com"]),
            ("'Ann' <ann@example.com>", &["ann@example.com"]),
            ("Ann <ann@example.com", &["ann@example.com"]),
            ("Ann \u{FFFD} <ann@example.com>", &["ann@example.com"]),
            ("\"Ann <ann@example.com>, bob@example.com", &["ann@example.com", "bob@example.com"]),
            ("mailto:ann@example.com?subject=x", &["ann@example.com"]),
            ("ann@old.example <ann@example.com>", &["ann@example.com"]),
            ("Ann <3 <ann@example.com>", &["ann@example.com"]),
            ("ann@BÜCHER.example, ann@xn--bcher-kva.example", &["ann@xn--bcher-kva.example"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&address| address.to_owned()).collect();
            assert_eq!(read(text), (expected, false), "{text:?}");
        }
    }

    #[test]
    fn an_invalid_address_in_a_text_counts_as_a_recipient() {
        for (text, expected) in [
            ("", &[][..]),
            ("not an address", &[]),
            ("ann lee@example.com", &[]),
            ("Ann ann@example.com", &[]),
            ("a\u{FFFD}n@example.com", &[]),
            ("ann:lee@example.com", &[]),
            ("ann@example.com, bob@@example.com", &["ann@example.com"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|&address| address.to_owned()).collect();
            assert_eq!(read(text), (expected, true), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_list_of_addresses_is_read_as_those(
            locals in prop::collection::vec("[a-z]{1,6}", 1..6),
            forms in prop::collection::vec(0..6_usize, 6),
            separator in "(,|;|, | ; |，)",
        ) {
            let mut expected: Vec<String> = Vec::new();
            let written = locals.iter().zip(forms).map(|(local, form)| {
                let address = format!("{local}@example.com");
                let written = match form {
                    0 => address.to_uppercase(),
                    1 => format!("Name <{address}>"),
                    2 => format!("\"Na, me; x:\" <{address}>"),
                    3 => format!("{address} (a, comment)"),
                    4 => format!("\"{local}\"@example.com."),
                    _ => address.clone(),
                };
                if !expected.contains(&address) {
                    expected.push(address);
                }
                written
            });
            let text = written.collect::<Vec<_>>().join(&separator);
            prop_assert_eq!(read(&text), (expected, false));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[@<>()\",;: a\\\\\u{fffd}é.]{0,40}") {
            let _ = read(&text);
        }
    }
}
