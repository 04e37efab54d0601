//! Links in a text, and all text that a mail program may turn into a link.
//!
//! Mail programs turn much into links that was not written as one: `evil.example/path`, `EVIL.COM`, `1.2.3.4`. Each has
//! its own rules, so this check uses the widest: two words with a dot and no space between them are a host, if the
//! second one begins with two letters. This also rejects `Node.js` and `end.Next`; `e.g.`, `U.S.`, `9 a.m.` and `3.5
//! kg` pass.

use std::collections::BTreeSet;

use super::error::{Excerpt, TextError};

/// Words that are a scheme before any colon, and words that are one unless a space follows the colon. Any other word
/// before a colon is a scheme if a letter, a digit or a slash follows.
const ALWAYS_SCHEMES: [&str; 3] = ["javascript", "vbscript", "mailto"];
const OPAQUE_SCHEMES: [&str; 8] = ["data", "tel", "sms", "blob", "file", "ftp", "callto", "about"];

/// Checks that a text, normalized to ASCII as far as possible, has links only to these hosts.
pub(super) fn check(text: &str, hosts: &BTreeSet<String>) -> Result<(), TextError> {
    let chars: Vec<char> = text.chars().collect();
    Scan { chars: &chars, hosts }.all()
}

struct Scan<'a> {
    chars: &'a [char],
    hosts: &'a BTreeSet<String>,
}

impl Scan<'_> {
    fn at(&self, index: usize) -> Option<char> {
        self.chars.get(index).copied()
    }

    /// Returns the end of the characters from `start` on that `belongs` accepts.
    fn end_of(&self, start: usize, belongs: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(start..).unwrap_or_default();
        start + rest.iter().take_while(|c| belongs(**c)).count()
    }

    fn between(&self, start: usize, end: usize) -> String {
        self.chars.get(start..end).unwrap_or_default().iter().collect()
    }

    /// Returns the part of the text that an error shows.
    fn excerpt(&self, start: usize) -> Excerpt {
        Excerpt::new(&self.between(start, self.end_of(start, |c| !c.is_whitespace())))
    }

    fn scheme(&self, start: usize) -> TextError {
        TextError::Scheme(self.excerpt(start))
    }

    fn foreign(&self, start: usize) -> TextError {
        TextError::ForeignHost(self.excerpt(start))
    }

    fn all(&self) -> Result<(), TextError> {
        let mut index = 0;
        while let Some(c) = self.at(index) {
            index = match c {
                c if is_host_char(c) => self.run(index)?,
                '/' if self.at(index + 1) == Some('/') => return Err(self.foreign(index)),
                _ => index + 1,
            };
        }
        Ok(())
    }

    /// Checks a run of host characters. Returns the index at which the scan continues.
    fn run(&self, start: usize) -> Result<usize, TextError> {
        let end = self.end_of(start, is_host_char);
        if self.at(end) != Some(':') {
            return self.bare(start, end);
        }
        let run = self.between(start, end);
        let scheme = scheme_at_the_end(&run).to_ascii_lowercase();
        let after = self.at(end + 1);
        if scheme == "http" || scheme == "https" {
            if is_linked(&run) {
                return Err(self.foreign(start));
            }
            return self.url(start, end, if scheme == "http" { "80" } else { "443" });
        }
        let opens = after.is_some_and(|c| c.is_alphanumeric() || "/?#%&+=_~.".contains(c));
        let is_scheme = !scheme.is_empty() && opens
            || OPAQUE_SCHEMES.contains(&scheme.as_str()) && after.is_some_and(|c| !c.is_whitespace())
            || ALWAYS_SCHEMES.contains(&scheme.as_str());
        if is_scheme { Err(self.scheme(start)) } else { self.bare(start, end) }
    }

    /// Checks a URL with `http:` or `https:`. Returns the index at which the scan continues.
    fn url(&self, start: usize, colon: usize, default_port: &str) -> Result<usize, TextError> {
        let host_start = colon + 3;
        if (self.at(colon + 1), self.at(colon + 2)) != (Some('/'), Some('/')) {
            return Err(self.scheme(start));
        }
        let mut end = self.end_of(host_start, is_host_char);
        if self.at(end).is_none_or(closes) {
            // A full stop after the link.
            while end > host_start && self.at(end - 1) == Some('.') {
                end -= 1;
            }
        }
        if !self.is_own(&self.between(host_start, end)) {
            return Err(self.foreign(start));
        }
        if self.at(end) == Some(':') {
            let port_end = self.end_of(end + 1, |c| c.is_ascii_digit());
            // A colon after the link, or the default port.
            let port = self.between(end + 1, port_end);
            if !(port == default_port || port.is_empty() && self.at(port_end).is_none_or(char::is_whitespace)) {
                return Err(self.foreign(start));
            }
            end = port_end;
        }
        let path_end = self.path(end)?;
        if path_end > end {
            return Ok(path_end);
        }
        let next = self.end_of(end, |c| c == '.' || closes(c) && !c.is_whitespace());
        if self.at(next).is_none_or(char::is_whitespace) { Ok(next) } else { Err(self.foreign(start)) }
    }

    /// Checks a run without a scheme. Returns the index at which the scan continues.
    fn bare(&self, start: usize, end: usize) -> Result<usize, TextError> {
        let run = self.between(start, end);
        let host = run.trim_matches('.');
        if self.is_own(host) {
            if self.at(end) == Some(':') && self.at(end + 1).is_some_and(|c| c.is_ascii_digit()) {
                return Err(self.foreign(start));
            }
            return self.path(end);
        }
        if is_linked(host) { Err(self.foreign(start)) } else { Ok(end) }
    }

    fn is_own(&self, host: &str) -> bool {
        host.is_ascii() && self.hosts.contains(&host.to_ascii_lowercase())
    }

    /// Returns the end of the path and query after an allowed host. Only plain characters after a slash belong to them:
    /// elsewhere a mail program may end the link and begin a new one.
    fn path(&self, start: usize) -> Result<usize, TextError> {
        if self.at(start) != Some('/') {
            return Ok(start);
        }
        let end = self.end_of(start, |c| c.is_ascii_alphanumeric() || "-._~/?#&=+%".contains(c));
        if self.between(start, end).contains("//") { Err(self.foreign(start)) } else { Ok(end) }
    }
}

/// Returns true for characters of a host: letters, digits, `-`, `_` and `.`. Of non-ASCII characters all count, except
/// white space and the punctuation and signs of ordinary prose.
fn is_host_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    }
    !c.is_whitespace() && !is_typographic(c)
}

fn is_typographic(c: char) -> bool {
    let latin = matches!(c, '\u{A1}'..='\u{A9}' | '\u{AB}' | '\u{AC}' | '\u{AE}'..='\u{B1}' | '\u{B4}' | '\u{B6}' | '\u{BB}')
        || matches!(c, '\u{BF}' | '\u{D7}' | '\u{F7}');
    let general = matches!(c, '\u{2012}'..='\u{2026}' | '\u{2030}'..='\u{203E}' | '\u{20A0}'..='\u{20C0}' | '\u{2122}')
        || matches!(c, '\u{2190}'..='\u{2193}' | '\u{2260}'..='\u{2265}');
    let east_asian = matches!(c, '\u{3001}' | '\u{3002}' | '\u{300A}'..='\u{300F}' | '\u{FF61}')
        || matches!(c, '\u{FF01}' | '\u{FF08}' | '\u{FF09}' | '\u{FF0C}' | '\u{FF1A}' | '\u{FF1B}' | '\u{FF1F}');
    latin || general || east_asian
}

/// Returns true for characters directly after a link that end it.
fn closes(c: char) -> bool {
    c.is_whitespace() || is_typographic(c) || ")]}\"',;!?>".contains(c)
}

/// Returns the scheme at the end of a run before a colon, or an empty text.
fn scheme_at_the_end(run: &str) -> &str {
    let before = run.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let scheme = run.strip_prefix(before).unwrap_or_default();
    scheme.trim_start_matches(|c: char| !c.is_ascii_alphabetic())
}

/// Returns true if a mail program may read a run as a host.
fn is_linked(run: &str) -> bool {
    let labels: Vec<&str> = run.split('.').collect();
    let named = labels
        .windows(2)
        .any(|pair| matches!(pair, [left, right] if !left.is_empty() && begins_with_two_letters(right)));
    let number = |label: &&str| (1..=3).contains(&label.len()) && label.chars().all(|c| c.is_ascii_digit());
    let address = labels.windows(4).any(|four| four.iter().all(number));
    let www = labels.first().is_some_and(|label| label.eq_ignore_ascii_case("www")) && labels.len() > 1;
    named || address || www
}

/// Returns true if a label can be a top-level domain, or begin with one. Any non-ASCII character counts as a letter.
fn begins_with_two_letters(label: &str) -> bool {
    label.chars().take(2).filter(|c| c.is_ascii_alphabetic() || !c.is_ascii()).count() == 2
}

#[cfg(test)]
mod tests;
