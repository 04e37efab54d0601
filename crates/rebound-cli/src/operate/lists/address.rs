//! The address in a cell of a list, or why there is none.

use rebound::resend::recipient::Recipient;

use super::cells::unguarded;
use super::encoding::REPLACEMENT;

/// Maximum number of characters of a cell that an error repeats.
const SHOWN: usize = 80;

/// Quotes that a word processor makes of others.
const TYPOGRAPHIC: [char; 12] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›'];

/// Reads the address in a cell. What a spreadsheet needs around it is taken off: one pair of quotes, an apostrophe before it, a separator
/// after it.
///
/// # Errors
/// The cell does not contain exactly one address: the reason, as text.
pub fn recipient(cell: &str) -> Result<Recipient, String> {
    let written = cell.trim().trim_end_matches([',', ';']).trim_end();
    let is_quoted = written.starts_with('\'') && written.ends_with('\'');
    let bare = if is_quoted { written } else { unguarded(written) };
    if bare.is_empty() {
        return Err("there is no address in it".to_owned());
    }
    if bare.contains("](") {
        return Err(format!("{} is a link, as Markdown writes it: write the address alone", quoted(bare)));
    }
    if are_several(bare) {
        return Err(format!("there are several addresses in {}: write one per line", quoted(bare)));
    }
    let recipient = Recipient::in_cell(bare).map_err(|why| format!("{}: {why}", quoted(bare)))?;
    if recipient.as_str().contains(TYPOGRAPHIC) {
        return Err(format!("{} has quotes as a word processor makes them: write plain ones, or none", quoted(bare)));
    }
    if recipient.as_str().contains(REPLACEMENT) {
        return Err(format!(
            "{} has a character that can't be read: set the file's encoding (--encoding)",
            quoted(bare)
        ));
    }
    Ok(recipient)
}

/// Says what is odd about an address that is one, and that nobody has.
pub fn oddity(recipient: &Recipient) -> Option<&'static str> {
    let (_, domain) = recipient.as_str().rsplit_once('@')?;
    // An address in brackets is a host's number: nothing is mistyped there.
    (!domain.contains('.') && !domain.starts_with('[')).then_some("its domain has no dot; is it mistyped?")
}

/// A text as a message repeats it: in quotes, and not long.
pub(crate) fn quoted(text: &str) -> String {
    let begin: String = text.chars().take(SHOWN).collect();
    format!("{begin:?}{}", if begin.len() < text.len() { " …" } else { "" })
}

/// Returns true if a text contains several addresses: in several pairs of brackets, or separated by commas or semicolons.
fn are_several(text: &str) -> bool {
    let in_brackets =
        text.split('<').skip(1).filter_map(|part| part.split_once('>')).filter(|(one, _)| one.contains('@'));
    if in_brackets.count() > 1 {
        return true;
    }
    let mut is_quoted = false;
    let parts = text.split(|c| {
        is_quoted ^= c == '"';
        !is_quoted && matches!(c, ',' | ';')
    });
    parts.filter(|part| Recipient::parse(part).is_some()).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_the_address_that_a_person_would_read_in_it() {
        for cell in [
            "ann@example.com",
            " Ann Lee <Ann@Example.com> ",
            "\"ann@example.com\"",
            "'ann@example.com'",
            "\"Lee, Ann\" <ann@example.com>",
            "\"ann@example.com\" <ann@example.com>",
            "ann@old.example <ann@example.com>",
            "ann@example.com,",
            "ann@example.com;",
        ] {
            assert_eq!(recipient(cell).unwrap().as_str(), "ann@example.com", "{cell}");
        }
        for (cell, address) in [
            ("'+ann@example.com", "+ann@example.com"),
            ("'=ann@example.com", "=ann@example.com"),
            ("'-ann@example.com'", "-ann@example.com"),
            ("“ann@example.com”", "ann@example.com"),
            ("'ann@example.com", "'ann@example.com"),
            ("o'neill@example.com", "o'neill@example.com"),
        ] {
            assert_eq!(recipient(cell).unwrap().as_str(), address);
        }
    }

    #[test]
    fn an_address_without_a_dot_in_its_domain_is_odd() {
        let odd = |text: &str| oddity(&Recipient::parse(text).unwrap()).is_some();
        assert!(odd("ann@exmaple") && odd("ann.lee@localhost"));
        assert!(!odd("ann@example.com") && !odd("ann@bücher.example"));
    }

    #[test]
    fn what_is_not_one_address_is_refused_with_a_word_on_it() {
        for (cell, word) in [
            ("", "no address in it"),
            ("nobody", "write it as ann@example.com"),
            ("*@example.com", "a whole domain"),
            ("@example.com", "a whole domain"),
            ("[ann@example.com](mailto:ann@example.com)", "Markdown"),
            ("ann@example.com, bob@example.com", "several"),
            ("Ann <ann@example.com>, Bob <bob@example.com>", "several"),
            ("<ann@example.com> <bob@example.com>", "several"),
            ("ann@example.com bob@example.com", "no address"),
            ("ann@@example.com", "no address"),
            ("(ann@example.com)", "no address"),
            ("ann@example.com;bob@example.com", "several"),
            ("“ann@example.com", "word processor"),
            ("o’neill@example.com", "word processor"),
        ] {
            let why = recipient(cell).unwrap_err();
            assert!(why.contains(word), "{cell}: {why}");
        }
    }
}
