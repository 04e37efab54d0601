//! An API key of Resend (<https://resend.com/docs/dashboard/api-keys/introduction>).

use std::fmt;

use reqwest::header::HeaderValue;

/// An API key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ResendKey {
    text: String,
    header: HeaderValue,
}

impl ResendKey {
    /// Parses a key. Returns `None` if the text is empty or can't be part of a header.
    pub fn parse(text: &str) -> Option<Self> {
        let text = Some(text.trim()).filter(|text| !text.is_empty())?;
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        Some(Self { text: text.to_owned(), header })
    }

    /// The key itself, for its fingerprint.
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for ResendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResendKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_and_an_empty_one_is_none() {
        let key = ResendKey::parse(" re_secret\n").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.header()), "ResendKey(…) Sensitive");
        assert_eq!((key.expose(), key.header().as_bytes()), ("re_secret", &b"Bearer re_secret"[..]));
        assert_eq!((ResendKey::parse(" "), ResendKey::parse("a\u{0}b")), (None, None));
    }
}
