//! Search for an address in a text, where a part of a longer address does not count.

use super::spelling;

/// Returns true if a text mentions the address of this key, in any of its forms.
pub(super) fn names(text: &str, key: &str) -> bool {
    let Some((local, domain)) = key.rsplit_once('@') else { return false };
    let text = spelling::fold(text);
    let readable = spelling::readable_domain(domain);
    [Some(domain), readable.as_deref()].into_iter().flatten().any(|domain| {
        let at_domain = format!("@{domain}");
        text.match_indices(&at_domain).any(|(at, found)| {
            let (before, rest) = text.split_at(at);
            ends_here(rest.strip_prefix(found).unwrap_or_default()) && ends_with_local(before, local)
        })
    })
}

/// Returns true if a text ends with exactly this local part, in quotes or without.
fn ends_with_local(before: &str, local: &str) -> bool {
    let before = spelling::folded_local(before);
    let in_quotes = || before.strip_suffix('"')?.strip_suffix(local)?.strip_suffix('"');
    [before.strip_suffix(local), in_quotes()].into_iter().flatten().any(begins_here)
}

/// Returns true if an address can begin after this text, that is, if the text does not end within a local part
/// (<https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3>).
fn begins_here(before: &str) -> bool {
    let unquoted = before.trim_end_matches(['\'', '`', '*']);
    let last = unquoted.chars().next_back();
    if unquoted.len() < before.len() {
        // A quote can be part of a local part (o'neill) and can also enclose an address.
        return !last.is_some_and(char::is_alphanumeric);
    }
    !last.is_some_and(|c| c.is_alphanumeric() || ".!#$%&+-/=?^_{|}~@\"".contains(c))
}

/// Returns true if an address can end before this text, that is, if its domain does not continue.
fn ends_here(after: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '@');
    let mut next = after.chars();
    match next.next() {
        Some('.') => !next.next().is_some_and(goes_on),
        next => !next.is_some_and(goes_on),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::resend::recipient::Recipient;

    fn names(text: &str, address: &str) -> bool {
        Recipient::parse(address).unwrap().is_mentioned_in(text)
    }

    #[test]
    fn only_a_whole_address_is_mentioned() {
        for text in [
            "ann@example.com",
            "smtp; 550 5.1.1 <Ann@Example.com>: user unknown",
            "no mailbox 'ann@example.com'.",
            "rfc822;ann@example.com",
            "mailto:ann@example.com",
            "unknown: ann@example.com.",
            "(ann@example.com)",
            "bob@example.com, ann@example.com",
            "ann@example.com's mailbox is full",
            "user='ann@example.com'",
            "`ann@example.com`",
            "**ann@example.com**",
            "ann@example.com/inbox",
            "joann@example.com, then ann@example.com",
            "unknown ann@example.com...",
            "ann@example.com\r\n",
            "\"ann\"@example.com",
            "\u{feff}ann@exam\u{200b}ple.com",
            "no mailbox “ann@example.com”",
        ] {
            assert!(names(text, "ann@example.com"), "{text}");
        }
        for text in [
            "",
            "joann@example.com",
            "jo.ann@example.com",
            "jo-ann@example.com",
            "jo+ann@example.com",
            "bounce=ann@example.com",
            "\"jo ann\"ann@example.com",
            "jo'ann@example.com",
            "ann@example.com@relay.example",
            "x@ann@example.com",
            "o'ann@example.com",
            "ann@example.com.au",
            "ann@example.community",
            "ann@example.com-mail.example",
            "éann@example.com",
            "ann@example",
            "\"jo ann\"@example.com",
        ] {
            assert!(!names(text, "ann@example.com"), "{text}");
        }
    }

    #[test]
    fn both_forms_of_a_domain_are_found() {
        for address in ["ann@bücher.example", "ann@xn--bcher-kva.example"] {
            for text in [
                "550 <ann@xn--bcher-kva.example>: unknown",
                "550 <Ann@BÜCHER.Example>: unknown",
                "550 <ann@bu\u{308}cher.example>: unknown",
                "550 <ann@bücher。example>: unknown",
            ] {
                assert!(names(text, address), "{address} in {text}");
            }
            for text in ["<ann@bucher.example>", "<joann@bücher.example>", "<ann@bücher.example.com>"] {
                assert!(!names(text, address), "{address} in {text}");
            }
        }
        assert!(names("550 ΆΝΝΑΣ@example.com", "άννας@example.com"), "spellings of the local part");
        assert!(names("<\"Ann Lee\"@example.com>", "\"ann lee\"@example.com"));
        assert!(!names("Ann Lee@example.com", "\"ann lee\"@example.com"));
    }

    proptest! {
        #[test]
        fn a_longer_address_does_not_mention_the_shorter_one(before in "[a-z0-9.+_-]{1,5}", after in "[a-z0-9-]{1,5}") {
            let name_before = format!("<{before}ann@example.com>");
            let name_after = format!("<ann@example.com{after}>");
            prop_assert!(!names(&name_before, "ann@example.com"));
            prop_assert!(!names(&name_after, "ann@example.com"));
        }

        #[test]
        fn any_text_can_be_looked_for_in_any_other(text in "\\PC{0,60}", address in "\\PC{0,20}@\\PC{0,20}") {
            if let Some(recipient) = Recipient::parse(&address) {
                let _ = recipient.is_mentioned_in(&text);
            }
        }
    }
}
