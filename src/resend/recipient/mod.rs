//! An address in its normalized form, the key of all data about a recipient.

mod named;
mod several;
mod spelling;

use std::fmt;

pub use self::several::NamedRecipients;
pub use self::spelling::fold;

/// A normalized address: the same for every spelling of a mailbox's address.
///
/// The local part is lower-cased too, on purpose. RFC 5321 lets a host distinguish `Ann@` from `ann@`, but hardly any
/// host does, and the two possible mistakes differ. If one mailbox counts as two, a person who complained gets email,
/// only because a form spelled the address another way. If two mailboxes count as one, only a person whose address
/// differs by case alone misses email.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Recipient(String);

/// A text in a list that is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// The text has no valid address.
    #[error("no address found; write it as ann@example.com")]
    Missing,
    /// The text is a whole domain.
    #[error(
        "this is a whole domain, and the list holds addresses; list each address, or exclude the domain in your own sending code"
    )]
    WholeDomain,
}

impl Recipient {
    /// Parses and normalizes an address in any spelling: `Name <ann@example.com>`, with comments, quotes, capitals,
    /// invisible characters, or either form of a domain. Returns `None` if the text is not an address. A normalized
    /// address stays the same.
    ///
    /// ```
    /// # use rebound::resend::recipient::Recipient;
    /// let recipient = Recipient::parse(" Ann Lee <Ann@Bücher.Example.> ").unwrap();
    /// assert_eq!(recipient.as_str(), "ann@xn--bcher-kva.example");
    /// assert_eq!(Recipient::parse("ann at example.com"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        spelling::key(text).map(Self)
    }

    /// Parses an address from a cell or a line of a list, where it may be in quotes.
    ///
    /// # Errors
    /// The cell has no valid address. The error says what to do.
    ///
    /// ```
    /// # use rebound::resend::recipient::{InvalidAddress, Recipient};
    /// assert_eq!(Recipient::in_cell(" 'Ann@example.com' ").unwrap().as_str(), "ann@example.com");
    /// assert_eq!(Recipient::in_cell("*@example.com"), Err(InvalidAddress::WholeDomain));
    /// ```
    pub fn in_cell(cell: &str) -> Result<Self, InvalidAddress> {
        let folded = spelling::fold(cell);
        let bare = without_quotes(folded.trim_matches(' '));
        Self::parse(bare).ok_or_else(|| match bare.strip_prefix('*').unwrap_or(bare).strip_prefix('@') {
            Some(domain) if Self::parse(&format!("all@{domain}")).is_some() => InvalidAddress::WholeDomain,
            _ => InvalidAddress::Missing,
        })
    }

    /// Returns the normalized address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if a text, such as a receiving server's reply, mentions this address. `ann@example.com` is
    /// mentioned in `550 <Ann@example.com>: unknown`, but not in `joann@example.com` or `ann@example.com.au`. A domain
    /// is found in both its forms, `bücher.example` and `xn--bcher-kva.example`. In doubt, the result is false.
    pub fn is_mentioned_in(&self, text: &str) -> bool {
        named::names(text, &self.0)
    }

    /// Returns the address in its readable form, if its domain has one: `ann@bücher.example`.
    pub fn readable(&self) -> Option<String> {
        let (local, domain) = self.0.rsplit_once('@')?;
        Some(format!("{local}@{}", spelling::readable_domain(domain)?))
    }
}

/// Removes one pair of quotes, of the kinds that spreadsheets, programs and web pages use.
fn without_quotes(text: &str) -> &str {
    let pairs = [('"', '"'), ('\'', '\''), ('“', '”'), ('„', '“'), ('‘', '’'), ('«', '»')];
    let inside = |(open, close)| text.strip_prefix(open)?.strip_suffix(close);
    pairs.into_iter().find_map(inside).unwrap_or(text)
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_may_have_one_pair_of_quotes_around_an_address() {
        for cell in [
            "ann@example.com",
            "\"ann@example.com\"",
            " 'Ann@example.com' ",
            "\u{feff}\"ann@example.com\"\u{a0}",
            "\" ann@example.com \"",
            "“ann@example.com”",
            "\"Ann Lee <ann@example.com>\"",
            "mailto:ann@example.com?subject=x",
            "ann@example.com.",
            "\u{202a}ann@exam\u{ad}ple.com\u{202c}",
        ] {
            assert_eq!(Recipient::in_cell(cell).unwrap().as_str(), "ann@example.com", "{cell:?}");
        }
        assert_eq!(Recipient::in_cell("\"ann lee\"@example.com").unwrap().as_str(), "\"ann lee\"@example.com");
    }

    #[test]
    fn an_invalid_cell_is_refused_with_advice() {
        for cell in [
            "",
            "(ann@example.com)",
            "[a](mailto:a)",
            "a@@b",
            "a@b..c",
            "''ann@example.com''",
            "\"ann@example.com",
            "{\"email\":\"ann@example.com\"}",
            "<td>ann@example.com</td>",
            "<a href=\"mailto:ann@example.com\">Ann</a>",
            "ann@example.com|bounced",
            "a@b.example, c@d.example",
            "@",
            "*@",
        ] {
            assert_eq!(Recipient::in_cell(cell), Err(InvalidAddress::Missing), "{cell:?}");
        }
        for cell in ["*@example.com", "'@Example.com'", "*@bücher.example"] {
            assert_eq!(Recipient::in_cell(cell), Err(InvalidAddress::WholeDomain), "{cell:?}");
        }
    }
}
