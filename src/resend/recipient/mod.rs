//! An address in the one spelling that everything is keyed by.

mod named;
mod several;
mod spelling;

use std::fmt;

pub use self::several::Named;
pub use self::spelling::fold;

/// An address in its one spelling: however it was written, this is the key of its mailbox.
///
/// The local part is in lower case too, on purpose. RFC 5321 lets a host tell `Ann@` from `ann@`, but hardly any does, and the two
/// mistakes are not alike: to treat one mailbox as two sends email to somebody who complained, only because a form spelled the
/// address another way. To treat two mailboxes as one withholds email from somebody who shares all but the case of an address with
/// a person who must not get any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Recipient(String);

/// Why a text in a list is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// Nothing that email could go to.
    #[error("there is no address in it; write it as ann@example.com")]
    Missing,
    /// A domain with everybody in it.
    #[error(
        "it is a whole domain, and the list holds addresses; list each address, or leave the domain out where your program chooses whom it writes to"
    )]
    WholeDomain,
}

impl Recipient {
    /// Reads an address from however it is written: `Name <ann@example.com>`, with comments, quotes, capitals, what can't be seen, a
    /// domain in either of its forms. `None` if that is no address. The key of a key is itself.
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

    /// Reads an address from a cell or a line of a list, where a pair of quotes may be around it.
    ///
    /// # Errors
    /// There is no address in it, and what to do then.
    ///
    /// ```
    /// # use rebound::resend::recipient::{NoAddress, Recipient};
    /// assert_eq!(Recipient::in_cell(" 'Ann@example.com' ").unwrap().as_str(), "ann@example.com");
    /// assert_eq!(Recipient::in_cell("*@example.com"), Err(NoAddress::WholeDomain));
    /// ```
    pub fn in_cell(cell: &str) -> Result<Self, NoAddress> {
        let folded = spelling::fold(cell);
        let bare = without_quotes(folded.trim_matches(' '));
        Self::parse(bare).ok_or_else(|| match bare.strip_prefix('*').unwrap_or(bare).strip_prefix('@') {
            Some(domain) if Self::parse(&format!("all@{domain}")).is_some() => NoAddress::WholeDomain,
            _ => NoAddress::Missing,
        })
    }

    /// The address as everything is keyed by it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text, such as a receiving server's diagnosis, names this address: `ann@example.com` in
    /// `550 <Ann@example.com>: unknown`, but not in `joann@example.com`, nor in `ann@example.com.au`. A domain is looked for in both
    /// its forms, `bücher.example` and `xn--bcher-kva.example`. In doubt, it does not.
    pub fn is_named_in(&self, text: &str) -> bool {
        named::names(text, &self.0)
    }

    /// The address as people read it, where its domain has another form for them: `ann@bücher.example`.
    pub fn readable(&self) -> Option<String> {
        let (local, domain) = self.0.rsplit_once('@')?;
        Some(format!("{local}@{}", spelling::readable_domain(domain)?))
    }
}

/// A text without the one pair of quotes around it, of those that spreadsheets, programs and web pages put there.
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
    fn what_is_no_address_in_a_cell_is_refused_with_what_to_do() {
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
            assert_eq!(Recipient::in_cell(cell), Err(NoAddress::Missing), "{cell:?}");
        }
        for cell in ["*@example.com", "'@Example.com'", "*@bücher.example"] {
            assert_eq!(Recipient::in_cell(cell), Err(NoAddress::WholeDomain), "{cell:?}");
        }
    }
}
