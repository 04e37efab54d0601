//! Normalization of addresses: one key for every spelling.
//!
//! The rule is described in `docs/reading-the-list.md`, and implemented in three more languages in `docs/spelling/`.
//! `tests/spellings.json` drives the tests of all four, because a program in one language reads keys that another has
//! written. No library decides what a valid domain is, because libraries disagree. Nothing is looked up or guessed. An
//! invalid address has no key, and without a key no email is sent.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use idna::punycode;

/// Maximum length of a text that is read as an address, in bytes.
const MAX_TEXT: usize = 4096;

/// Maximum length of a key, in bytes. SMTP allows 64 octets before the `@` and 255 after it
/// (<https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1>).
const MAX_KEY: usize = 64 + 1 + 255;

/// Characters that a local part may have only in quotes.
const QUOTED_ONLY: &str = " ()<>[]:;@\\,\"";

/// Characters that a domain never has.
const NOT_IN_DOMAINS: &str = " ()<>;@\\,\"'";

/// Zero-width non-joiner and joiner.
const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();

/// Returns the key of an address, or `None` if the text is not an address.
pub(super) fn key(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    plain_key(text).or_else(|| key_of_folded(&fold(text)))
}

/// Returns the key of an address in the common form, or `None` if the full rule is needed.
fn plain_key(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let may_be_in_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-./=?^_`{|}~".contains(&byte);
    let is_plain = text.len() <= MAX_KEY
        && !matches!(local, "" | "*")
        && local.bytes().all(may_be_in_local)
        && domain.split('.').all(|label| !label.is_empty() && is_ascii_label(label));
    is_plain.then(|| text.to_ascii_lowercase())
}

/// Returns the key of an address in a folded text.
fn key_of_folded(text: &str) -> Option<String> {
    let text = without_comments(text);
    let (local, domain) = without_scheme(in_brackets(&text)).rsplit_once('@')?;
    let (local, domain) = (local_part(local.trim_matches(' '))?, domain_part(domain.trim_matches(' '))?);
    let key = format!("{local}@{domain}");
    (key.len() <= MAX_KEY).then_some(key)
}

/// Returns a text in lower case and NFKC, without invisible characters, and with all white space as blanks. All
/// characters that separate or enclose addresses become ASCII.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.chars().map(|c| blank_or(c).to_ascii_lowercase()).collect();
    }
    let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let visible: String = text.chars().filter(|c| JOINERS.contains(c) || !invisible.contains(*c)).collect();
    // `to_lowercase` of a capital sigma depends on the letters around it.
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

/// Returns a blank for white space that NFKC leaves unchanged.
fn blank_or(c: char) -> char {
    if matches!(c, '\t'..='\r' | '\u{85}' | '\u{1680}' | '\u{2028}' | '\u{2029}') { ' ' } else { c }
}

/// Returns the text with each comment replaced by a blank (<https://www.rfc-editor.org/rfc/rfc5322#section-3.2.2>).
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

/// Returns the text between the last closed `<` and the next `>`, or else the whole text.
fn in_brackets(text: &str) -> &str {
    let opened = text.rsplit_once('>').and_then(|(before, _)| before.rsplit_once('<'));
    opened.map_or(text, |(_, inside)| inside.split_once('>').map_or(inside, |(inside, _)| inside))
}

/// Returns the address of a `mailto:` link (<https://www.rfc-editor.org/rfc/rfc6068>).
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

/// Returns a local part, or the text before a domain, with equivalent letters unified.
pub(super) fn folded_local(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    NFKC.normalize(&text.replace(JOINERS, "").replace('ς', "σ")).into_owned()
}

fn needs_quotes(local: &str) -> bool {
    local == "*" || local.contains(|c| QUOTED_ONLY.contains(c))
}

/// Returns true for control characters, and for the replacement of invalid bytes.
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

/// Returns a label in its DNS form (<https://www.rfc-editor.org/rfc/rfc3492>). A label already in that form stays the
/// same.
fn label(written: &str) -> Option<String> {
    let label = NFKC.normalize(written);
    let label = if label.is_ascii() || label.starts_with(ENCODED) {
        label.into_owned()
    } else {
        punycode::encode_str(&label).map(|encoded| format!("{ENCODED}{encoded}"))?
    };
    (!label.is_ascii() || is_ascii_label(&label)).then_some(label)
}

/// Prefix of an encoded label.
const ENCODED: &str = "xn--";

fn is_ascii_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns the readable form of a key's domain: `bücher.example` for `xn--bcher-kva.example`. Returns `None` if there
/// is no other form.
pub(super) fn readable_domain(domain: &str) -> Option<String> {
    let decoded = |label: &str| {
        let decoded = label.strip_prefix(ENCODED).and_then(punycode::decode_to_string)?;
        // Only Punycode that encodes back to the same label is a spelling of this domain.
        (domain_part(&fold(&decoded)).as_deref() == Some(label)).then_some(decoded)
    };
    let labels = domain.split('.').map(|label| decoded(label).map_or(Cow::Borrowed(label), Cow::Owned));
    let readable = labels.collect::<Vec<_>>().join(".");
    (readable != domain).then_some(readable)
}

#[cfg(test)]
mod tests;
