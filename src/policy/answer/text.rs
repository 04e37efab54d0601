//! Rules for the texts of an answer.

use std::collections::BTreeSet;

use super::error::{Excerpt, TextError};
use super::invisible::is_invisible;
use super::normalize::views;
use super::{RecipientToken, links};

/// Maximum number of characters of a subject.
pub const SUBJECT_CHARS: usize = 150;

/// Maximum number of characters of a message.
pub const MESSAGE_CHARS: usize = 2_000;

/// Maximum number of characters of a reason.
pub const REASON_CHARS: usize = 500;

/// Layout of a text, with its maximum number of characters.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextShape {
    /// One line.
    Line(usize),
    /// Lines and tabs.
    Lines(usize),
}

/// Rules for a text, besides its length.
pub(super) struct Rules<'a> {
    /// Words that the text must not have.
    pub tokens: &'a [RecipientToken],
    /// Hosts that the text may link to, in lower case.
    pub hosts: &'a BTreeSet<String>,
}

impl Rules<'_> {
    /// Returns the text, trimmed and with `\n` at the ends of lines, if it follows the rules.
    pub(super) fn check(&self, text: &str, shape: TextShape) -> Result<String, TextError> {
        let text = match shape {
            TextShape::Line(_) => text.trim().to_owned(),
            TextShape::Lines(_) => text.replace("\r\n", "\n").trim().to_owned(),
        };
        let (TextShape::Line(most) | TextShape::Lines(most)) = shape;
        match text.chars().count() {
            0 => return Err(TextError::Empty),
            chars if chars > most => return Err(TextError::TooLong { chars, most }),
            _ => {}
        }
        check_characters(&text, shape)?;
        // Check the original text too: a browser reads a backslash as a slash, but a mail program may end a link there.
        links::check(&text, self.hosts)?;
        for view in views(&text).ok_or(TextError::Encoded)? {
            check_characters(&view, shape)?;
            check_at(&view)?;
            check_markup(&view)?;
            check_dots(&view)?;
            self.check_tokens(&view)?;
            links::check(&view, self.hosts)?;
        }
        Ok(text)
    }

    fn check_tokens(&self, view: &str) -> Result<(), TextError> {
        let mut words = view.split(|c: char| !c.is_alphanumeric() && c != '_');
        let is_token = |word: &&str| self.tokens.iter().any(|token| token.as_str().eq_ignore_ascii_case(word));
        words.find(is_token).map_or(Ok(()), |word| Err(TextError::OwnToken(Excerpt::new(word))))
    }
}

fn check_characters(text: &str, shape: TextShape) -> Result<(), TextError> {
    let lines = matches!(shape, TextShape::Lines(_));
    for c in text.chars() {
        if is_invisible(c) {
            return Err(TextError::Hidden(c as u32));
        }
        if c.is_control() && !(lines && matches!(c, '\n' | '\t')) {
            return Err(TextError::Control(c as u32));
        }
    }
    Ok(())
}

/// Rejects `@` and its usual replacements. An address in a text must come from somebody else.
fn check_at(view: &str) -> Result<(), TextError> {
    if view.contains('@') || bracketed(view).any(|(_, inside)| inside == "at") { Err(TextError::At) } else { Ok(()) }
}

/// Rejects disguised dots such as `evil[.]example`, which people and programs put together again.
fn check_dots(view: &str) -> Result<(), TextError> {
    let disguised = bracketed(view).find(|(_, inside)| matches!(inside.as_str(), "." | "dot"));
    disguised.map_or(Ok(()), |(at, _)| Err(TextError::DisguisedDot(Excerpt::new(at))))
}

/// Returns the texts that begin after each opening bracket, each with the bracket's content, lower-cased and trimmed.
/// Only the first 12 characters of a bracket count.
fn bracketed(view: &str) -> impl Iterator<Item = (&str, String)> {
    view.match_indices(['(', '[', '{']).filter_map(|(at, bracket)| {
        let after = view.split_at(at).1.strip_prefix(bracket)?;
        let inside: String = after.chars().take(12).take_while(|c| !matches!(c, ')' | ']' | '}')).collect();
        Some((after, inside.trim().to_ascii_lowercase()))
    })
}

/// Rejects everything that HTML reads as a tag, a comment or an entity, because the text may be shown as HTML
/// (<https://html.spec.whatwg.org/multipage/parsing.html#tag-open-state>).
fn check_markup(view: &str) -> Result<(), TextError> {
    let mut marks = view.match_indices(['<', '&']).map(|(at, _)| view.split_at(at).1);
    marks.find(|mark| is_tag(mark) || is_entity(mark)).map_or(Ok(()), |mark| {
        let shown: String = mark.chars().take(12).collect();
        Err(TextError::Markup(Excerpt::new(&shown)))
    })
}

fn is_tag(mark: &str) -> bool {
    let next = mark.strip_prefix('<').and_then(|after| after.chars().next());
    next.is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?'))
}

/// Returns true for `&#…` or `&name;`.
fn is_entity(mark: &str) -> bool {
    let Some(after) = mark.strip_prefix('&') else { return false };
    let name = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let named = name.starts_with(';') && after.len() - name.len() >= 2;
    after.starts_with('#') || named
}
