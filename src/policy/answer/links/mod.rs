//! The links of a text, and whatever a mail program makes one of.
//!
//! Mail programs turn much into links that nobody wrote as one: `evil.example/path`, `EVIL.COM`, `1.2.3.4`. Each has rules of its
//! own, so this goes by the widest: two words with a dot between them and no space are a host, if the second one begins with two
//! letters. That also refuses `Node.js` and `end.Next`; `e.g.`, `U.S.`, `9 a.m.` and `3.5 kg` it lets pass.

use std::collections::BTreeSet;

use super::refusal::{Excerpt, TextFault};

/// Schemes that are one whatever comes after the colon, and those that are one unless a space does. Any other word before a colon
/// is one where a letter, a digit or a slash follows.
const ALWAYS_SCHEMES: [&str; 3] = ["javascript", "vbscript", "mailto"];
const OPAQUE_SCHEMES: [&str; 8] = ["data", "tel", "sms", "blob", "file", "ftp", "callto", "about"];

/// Checks that a text, folded to ASCII as far as it goes, links to none but these hosts.
pub(super) fn check(text: &str, hosts: &BTreeSet<String>) -> Result<(), TextFault> {
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

    /// Where the characters that `belongs` accepts end, from `start` on.
    fn end_of(&self, start: usize, belongs: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(start..).unwrap_or_default();
        start + rest.iter().take_while(|c| belongs(**c)).count()
    }

    fn between(&self, start: usize, end: usize) -> String {
        self.chars.get(start..end).unwrap_or_default().iter().collect()
    }

    /// What is shown of a fault at a place.
    fn excerpt(&self, start: usize) -> Excerpt {
        Excerpt::of(&self.between(start, self.end_of(start, |c| !c.is_whitespace())))
    }

    fn scheme(&self, start: usize) -> TextFault {
        TextFault::Scheme(self.excerpt(start))
    }

    fn foreign(&self, start: usize) -> TextFault {
        TextFault::ForeignHost(self.excerpt(start))
    }

    fn all(&self) -> Result<(), TextFault> {
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

    /// A run of characters that a host can have. Where to go on after it.
    fn run(&self, start: usize) -> Result<usize, TextFault> {
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

    /// `http:` or `https:`, and its colon.
    fn url(&self, start: usize, colon: usize, default_port: &str) -> Result<usize, TextFault> {
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
            // A colon after the link, or the port that it has anyway.
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

    /// A run without a scheme. Where to go on after it.
    fn bare(&self, start: usize, end: usize) -> Result<usize, TextFault> {
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

    /// The path and the query that follow an own host. Only plain characters are taken for them, and only after a slash: elsewhere a
    /// mail program may end the link and begin a new one.
    fn path(&self, start: usize) -> Result<usize, TextFault> {
        if self.at(start) != Some('/') {
            return Ok(start);
        }
        let end = self.end_of(start, |c| c.is_ascii_alphanumeric() || "-._~/?#&=+%".contains(c));
        if self.between(start, end).contains("//") { Err(self.foreign(start)) } else { Ok(end) }
    }
}

/// What can stand in a host: letters, digits, `-`, `_`, `.`, and of what is not ASCII everything but white space and the punctuation
/// and signs of ordinary prose.
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

/// What may stand directly after a link to end it.
fn closes(c: char) -> bool {
    c.is_whitespace() || is_typographic(c) || ")]}\"',;!?>".contains(c)
}

/// The scheme that a run before a colon ends with, empty where there is none.
fn scheme_at_the_end(run: &str) -> &str {
    let before = run.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let scheme = run.strip_prefix(before).unwrap_or_default();
    scheme.trim_start_matches(|c: char| !c.is_ascii_alphabetic())
}

/// Whether a mail program may take a run for a host.
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

/// Whether a label can be a top-level domain, or begins with one. Anything that is not ASCII counts as a letter.
fn begins_with_two_letters(label: &str) -> bool {
    label.chars().take(2).filter(|c| c.is_ascii_alphabetic() || !c.is_ascii()).count() == 2
}

#[cfg(test)]
mod tests;
