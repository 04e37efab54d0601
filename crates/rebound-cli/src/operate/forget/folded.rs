//! A case-folded text in which addresses are searched, and the position of each part in the source text.

use std::borrow::Cow;

use rebound::resend::recipient::fold;

/// A folded text that knows its source.
pub(super) struct Folded<'a> {
    text: Cow<'a, str>,
    /// For each byte of the folded text, its range in the source. Empty if the folded text is the source.
    sources: Vec<(usize, usize)>,
}

impl<'a> Folded<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self { text: Cow::Borrowed(text), sources: Vec::new() };
        }
        let mut folded = Self { text: Cow::Owned(String::new()), sources: Vec::new() };
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let length = cluster(rest);
            folded.add(rest.get(..length).unwrap_or_default(), at);
            at += length;
        }
        folded
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The range in the source of a part of the folded text.
    pub(super) fn source(&self, start: usize, end: usize) -> (usize, usize) {
        let of = |at: usize| self.sources.get(at).copied();
        match (of(start), end.checked_sub(1).and_then(of)) {
            (Some((start, _)), Some((_, end))) => (start, end),
            _ => (start, end),
        }
    }

    /// Adds a part of the source that is folded on its own; character by character, if the result is the same.
    fn add(&mut self, part: &str, at: usize) {
        let whole = fold(part);
        let signs: Vec<(usize, String)> =
            part.char_indices().map(|(at, c)| (at, fold(c.encode_utf8(&mut [0; 4])))).collect();
        let by_signs: String = signs.iter().map(|(_, sign)| sign.as_str()).collect();
        if by_signs == whole {
            for ((from, sign), c) in signs.iter().zip(part.chars()) {
                let source = (at + from, at + from + c.len_utf8());
                self.sources.extend(std::iter::repeat_n(source, sign.len()));
            }
        } else {
            self.sources.extend(std::iter::repeat_n((at, at + part.len()), whole.len()));
        }
        self.text.to_mut().push_str(&whole);
    }
}

/// Length of the first part of a text that is folded as one: a character, with the non-ASCII characters after it that may change it.
fn cluster(text: &str) -> usize {
    let mut signs = text.char_indices().skip(1);
    signs.find(|(_, c)| c.is_ascii()).map_or(text.len(), |(at, _)| at)
}
