//! A mail address in the one form that suppressions are keyed by.

use std::fmt;

/// The longest address that SMTP can carry: 64 octets before the `@`, 255 after it
/// (<https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1>).
const MAX_BYTES: usize = 64 + 1 + 255;

/// A bare mail address, trimmed and lower-cased.
///
/// The local part is lower-cased too, on purpose. RFC 5321 lets a host tell `Ann@` from `ann@`, but hardly any does, and
/// the two mistakes are not alike: to treat one mailbox as two sends mail to somebody who complained, only because a
/// form spelled the address another way. To treat two mailboxes as one withholds mail from somebody who shares all but
/// the case of an address with a person who must not be written to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Recipient(String);

impl Recipient {
    /// Reads `Name <ann@example.com>` or `ann@example.com`. `None` if there is no address in it that mail could go to.
    ///
    /// ```
    /// # use rebound::recipient::Recipient;
    /// let recipient = Recipient::parse(" Ann Lee <Ann@Example.com> ").unwrap();
    /// assert_eq!(recipient.as_str(), "ann@example.com");
    /// assert_eq!(Recipient::parse("ann at example.com"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let address = match text.rsplit_once('<') {
            Some((_, bracketed)) => bracketed.split_once('>')?.0.trim(),
            None => text.trim(),
        };
        let (local, domain) = address.rsplit_once('@')?;
        let plausible = !local.is_empty()
            && !domain.is_empty()
            && !address.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';'));
        if !plausible {
            return None;
        }
        let lower = address.to_lowercase();
        (lower.len() <= MAX_BYTES).then_some(Self(lower))
    }

    /// The bare, lower-cased address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text, such as a receiving server's diagnosis, names this address: `ann@example.com` in
    /// `550 <Ann@example.com>: unknown`, but not in `joann@example.com`, nor in `ann@example.com.au`. In doubt, it does not.
    pub fn is_named_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        text.match_indices(&self.0).any(|(at, found)| {
            let (before, rest) = text.split_at(at);
            begins_here(before) && ends_here(rest.strip_prefix(found).unwrap_or_default())
        })
    }
}

/// Whether an address can begin after this text: whether it doesn't end within a local part
/// (<https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3>).
fn begins_here(before: &str) -> bool {
    let unquoted = before.trim_end_matches(['\'', '`', '*']);
    let last = unquoted.chars().next_back();
    if unquoted.len() < before.len() {
        // What may stand in a local part and also around an address: a quote, unless it is an o'neill's.
        return !last.is_some_and(char::is_alphanumeric);
    }
    !last.is_some_and(|c| c.is_alphanumeric() || ".!#$%&+-/=?^_{|}~@\"".contains(c))
}

/// Whether an address can end before this text: whether its domain doesn't go on.
fn ends_here(after: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '@');
    let mut next = after.chars();
    match next.next() {
        Some('.') => !next.next().is_some_and(goes_on),
        next => !next.is_some_and(goes_on),
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        Recipient::parse(text).map(|recipient| recipient.0)
    }

    #[test]
    fn names_white_space_and_case_around_an_address_do_not_matter() {
        for text in [
            "ann@example.com",
            " ANN@EXAMPLE.COM\n",
            "Ann <ann@example.com>",
            "\"Lee, Ann\" <Ann@Example.com>",
            "<ann@example.com>",
            "Ann < ann@example.com >",
            "Ann <old> <ann@example.com>",
            "ann@old.example <ann@example.com>",
            "Ann <ann@example.com>,",
            "<ann@example.com> (Ann)",
        ] {
            assert_eq!(read(text).as_deref(), Some("ann@example.com"), "{text}");
        }
    }

    #[test]
    fn what_no_mail_can_go_to_is_no_recipient() {
        for text in [
            "",
            " ",
            "ann",
            "@example.com",
            "ann@",
            "ann@exam ple.com",
            "a@b, c@d",
            "a@b;c@d",
            "Ann <>",
            "ann@b>",
            "a\u{0}@b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!("{}@example.com", "a".repeat(400))), None);
    }

    #[test]
    fn an_address_is_named_only_when_it_stands_alone() {
        let ann = Recipient::parse("ann@example.com").unwrap();
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
        ] {
            assert!(ann.is_named_in(text), "{text}");
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
        ] {
            assert!(!ann.is_named_in(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_a_recipient_again_changes_nothing(text in "\\PC{0,40}@\\PC{0,40}") {
            if let Some(recipient) = Recipient::parse(&text) {
                prop_assert_eq!(Recipient::parse(recipient.as_str()), Some(recipient));
            }
        }

        #[test]
        fn any_longer_address_does_not_name_the_shorter_one(before in "[a-z0-9.+_-]{1,5}", after in "[a-z0-9-]{1,5}") {
            let ann = Recipient::parse("ann@example.com").unwrap();
            let name_before = format!("<{before}ann@example.com>");
            let name_after = format!("<ann@example.com{after}>");
            prop_assert!(!ann.is_named_in(&name_before));
            prop_assert!(!ann.is_named_in(&name_after));
        }
    }
}
