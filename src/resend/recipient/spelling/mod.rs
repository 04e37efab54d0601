//! How an address is spelled: one key for every way of writing it.
//!
//! The rule is in `docs/reading-the-list.md`, and in three more languages in `docs/spelling/`. `tests/spellings.json` drives the tests
//! of all four, because a program in one of them reads what another has written. No library decides what a domain is: they do not
//! agree with each other. Nothing is looked up and nothing is guessed: what is no address has no key, and no key means: do not send.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use idna::punycode;

/// The longest text that is read as an address, in bytes.
const MAX_TEXT: usize = 4096;

/// The longest key, in bytes: what SMTP can carry, 64 octets before the `@` and 255 after it
/// (<https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1>).
const MAX_KEY: usize = 64 + 1 + 255;

/// What a local part has only in quotes.
const QUOTED_ONLY: &str = " ()<>[]:;@\\,\"";

/// What no domain has.
const NOT_IN_DOMAINS: &str = " ()<>;@\\,\"'";

/// Zero-width non-joiner and joiner.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// The key of an address. `None` if the text is no address.
pub(super) fn key(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    plain_key(text).or_else(|| key_of_folded(&fold(text)))
}

/// The key of an address as nearly all are written. `None` where the whole rule has to be asked.
fn plain_key(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let may_be_in_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-./=?^_`{|}~".contains(&byte);
    let is_plain = text.len() <= MAX_KEY
        && !matches!(local, "" | "*")
        && local.bytes().all(may_be_in_local)
        && domain.split('.').all(|label| !label.is_empty() && is_ascii_label(label));
    is_plain.then(|| text.to_ascii_lowercase())
}

/// The key of an address in a folded text.
fn key_of_folded(text: &str) -> Option<String> {
    let text = without_comments(text);
    let (local, domain) = without_scheme(in_brackets(&text)).rsplit_once('@')?;
    let (local, domain) = (local_part(local.trim_matches(' '))?, domain_part(domain.trim_matches(' '))?);
    let key = format!("{local}@{domain}");
    (key.len() <= MAX_KEY).then_some(key)
}

/// A text in lower case and NFKC, without what can't be seen, with every white space a blank. In it, what separates and encloses
/// addresses is ASCII.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().map(|c| blank_or(c).to_ascii_lowercase()).collect();
    }
    let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|c| JOINERS.contains(c) || !invisible.contains(*c)).collect();
    // What `to_lowercase` makes of a capital sigma depends on the letters around it, and on the language that it is written in.
    let lower = NFKC.normalize(&visible).replace('Σ', "σ").to_lowercase();
    let mut folded = String::with_capacity(lower.len());
    let mut is_after_ascii = true;
    for c in lower.chars() {
        if is_after_ascii && JOINERS.contains(&c) {
            continue;
        }
        let c = blank_or(if c == '\u{3002}' { '.' } else { c });
        is_after_ascii = c.is_ascii();
        folded.push(c);
    }
    folded
}

/// A blank for the white space that NFKC leaves as it is.
fn blank_or(c: char) -> char {
    if matches!(c, '\t'..='\r' | '\u{85}' | '\u{1680}' | '\u{2028}' | '\u{2029}') { ' ' } else { c }
}

/// The text with a blank in the place of each comment (<https://www.rfc-editor.org/rfc/rfc5322#section-3.2.2>).
fn without_comments(text: &str) -> Cow<'_, str> {
    if !text.contains('(') {
        return Cow::Borrowed(text);
    }
    let mut left = String::with_capacity(text.len());
    let mut opened = Vec::new();
    for c in text.chars() {
        match c {
            '(' => opened.push(left.len()),
            ')' => {
                if let Some(at) = opened.pop() {
                    left.truncate(at);
                    left.push(' ');
                    continue;
                }
            }
            _ => {}
        }
        left.push(c);
    }
    Cow::Owned(left)
}

/// What the last `<` that is closed encloses, up to the next `>`; else all of it.
fn in_brackets(text: &str) -> &str {
    let opened = text.rsplit_once('>').and_then(|(before, _)| before.rsplit_once('<'));
    opened.map_or(text, |(_, inside)| inside.split_once('>').map_or(inside, |(inside, _)| inside))
}

/// What a link to an address is about (<https://www.rfc-editor.org/rfc/rfc6068>).
fn without_scheme(text: &str) -> &str {
    match text.trim_start_matches(' ').strip_prefix("mailto:") {
        Some(link) => link.split_once('?').map_or(link, |(address, _)| address),
        None => text,
    }
}

fn local_part(written: &str) -> Option<String> {
    let quoted = written.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if written.chars().any(is_no_text) || (quoted.is_none() && needs_quotes(written)) {
        return None;
    }
    let bare = folded_local(&quoted.unwrap_or(written).replace('\\', ""));
    match bare.as_str() {
        "" => None,
        bare if needs_quotes(bare) => Some(format!("\"{bare}\"")),
        _ => Some(bare),
    }
}

/// A local part, or what comes before a domain, with the letters that are one letter to its readers.
pub(super) fn folded_local(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    NFKC.normalize(&text.replace(JOINERS, "").replace('ς', "σ")).into_owned()
}

fn needs_quotes(local: &str) -> bool {
    local == "*" || local.contains(|c| QUOTED_ONLY.contains(c))
}

/// Whether a character is none: a control, or what is left of bytes that were no text.
fn is_no_text(c: char) -> bool {
    c.is_control() || c == char::REPLACEMENT_CHARACTER
}

fn domain_part(written: &str) -> Option<String> {
    if written.contains(|c| is_no_text(c) || NOT_IN_DOMAINS.contains(c)) {
        return None;
    }
    let domain = written.trim_end_matches(['.', JOINERS[0], JOINERS[1]]);
    if domain.split('.').any(str::is_empty) {
        return None;
    }
    if domain.starts_with('[') && domain.ends_with(']') {
        return Some(domain.to_owned());
    }
    let labels: Option<Vec<String>> = domain.split('.').map(label).collect();
    Some(labels?.join("."))
}

/// A label in the form that the DNS has (<https://www.rfc-editor.org/rfc/rfc3492>). What is there in that form already, stays.
fn label(written: &str) -> Option<String> {
    let label = NFKC.normalize(written);
    let label = if label.is_ascii() || label.starts_with(ENCODED) {
        label.into_owned()
    } else {
        punycode::encode_str(&label).map(|encoded| format!("{ENCODED}{encoded}"))?
    };
    (!label.is_ascii() || is_ascii_label(&label)).then_some(label)
}

/// What an encoded label begins with.
const ENCODED: &str = "xn--";

fn is_ascii_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The domain of a key as people read it: `bücher.example` of `xn--bcher-kva.example`. `None` where it has no other form.
pub(super) fn readable_domain(domain: &str) -> Option<String> {
    let decoded = |label: &str| {
        let decoded = label.strip_prefix(ENCODED).and_then(punycode::decode_to_string)?;
        // Only what is spelled so again: other Punycode is nobody's way of writing this domain.
        (domain_part(&fold(&decoded)).as_deref() == Some(label)).then_some(decoded)
    };
    let labels = domain.split('.').map(|label| decoded(label).map_or(Cow::Borrowed(label), Cow::Owned));
    let readable = labels.collect::<Vec<_>>().join(".");
    (readable != domain).then_some(readable)
}

#[cfg(test)]
mod tests;
