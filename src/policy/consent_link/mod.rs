//! Links by which a recipient says "no more email": signed, so that nobody can opt out, or find out about, an address
//! whose link they do not have.
//!
//! ```text
//! link  = CONSENT_URL "/u/" token
//! token = part(address) "." part(email_id) "." part(mac)
//! part  = base64url without padding, in its one canonical form
//! mac   = the first 16 bytes of HMAC-SHA256(key, "u" LF "1" LF address LF email_id)
//! ```
//!
//! Links in sent email must work for years, so this form never changes. The address can be read in a link by whoever
//! has the link.

mod key;
mod url;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::key::MAC_BYTES;
pub use self::key::{ConsentKeyError, ConsentKeys, MIN_KEY_CHARS};
pub use self::url::{ConsentUrl, ConsentUrlError, unsubscribe_headers};
use crate::resend::recipient::Recipient;

/// Maximum length of a token, in characters.
pub const MAX_TOKEN_CHARS: usize = 700;

/// Version of the signed text.
const FORMAT: &str = "1";

/// Purpose of a link. A token for one purpose does not hold for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum ConsentPurpose {
    /// No more email to this address.
    #[strum(serialize = "u")]
    OptOut,
}

impl ConsentPurpose {
    /// The first segment of a link's path, and the first line of the signed text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The content of a link: a recipient, and the email that has the link.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentLink {
    /// The recipient.
    pub recipient: Recipient,
    /// Resend's id of the email; in a follow-up, of the email that it answers. `None` if it is not known.
    pub email_id: Option<String>,
}

/// The signed part of a link. Whoever has it can opt the recipient out, so it is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsentToken(String);

/// A link that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the link's token would have {0} characters; at most {MAX_TOKEN_CHARS} are allowed, so use a shorter email id, or none"
)]
pub struct TokenTooLong(pub usize);

/// An invalid token. The page never shows which of these it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// The token is too long, does not have three parts, or has a part that is not canonical base64url of text.
    #[error("it does not have the form of a token")]
    Malformed,
    /// The signature is of none of the keys. The keys may have changed.
    #[error("none of the keys signed it")]
    UnknownKey,
    /// The signature is right, but the signed text is not an address.
    #[error("it is signed, but has no valid address")]
    NotAnAddress,
}

impl ConsentLink {
    /// Signs the link for this purpose, with the first key.
    ///
    /// # Errors
    /// The token would be too long.
    pub fn sign(&self, purpose: ConsentPurpose, keys: &ConsentKeys) -> Result<ConsentToken, TokenTooLong> {
        let email_id = self.email_id.as_deref().unwrap_or_default();
        let token = signed_token(keys, purpose.as_str(), self.recipient.as_str(), email_id);
        if token.len() > MAX_TOKEN_CHARS { Err(TokenTooLong(token.len())) } else { Ok(ConsentToken(token)) }
    }
}

/// The parts of a token, of which nothing is trustworthy before [`SignedLink::verify`].
pub struct SignedLink {
    address: String,
    email_id: String,
    mac: [u8; MAC_BYTES],
}

impl SignedLink {
    /// Reads the parts of a token. No key is needed.
    ///
    /// # Errors
    /// [`InvalidToken::Malformed`].
    pub fn read(token: &str) -> Result<Self, InvalidToken> {
        Self::parts_of(token).ok_or(InvalidToken::Malformed)
    }

    fn parts_of(token: &str) -> Option<Self> {
        if token.len() > MAX_TOKEN_CHARS {
            return None;
        }
        let mut parts = token.split('.').map(decode);
        let (address, email_id, mac) = (parts.next()??, parts.next()??, parts.next()??);
        let is_whole = parts.next().is_none();
        let (address, email_id) = (String::from_utf8(address).ok()?, String::from_utf8(email_id).ok()?);
        // A line break here would move the border between the two, under the same signature. No address has one.
        let is_whole = is_whole && !address.contains('\n');
        is_whole.then_some(Self { address, email_id, mac: mac.try_into().ok()? })
    }

    /// Returns the link if one of the keys signed it for this purpose. The address is normalized again.
    ///
    /// # Errors
    /// [`InvalidToken::UnknownKey`] or [`InvalidToken::NotAnAddress`].
    pub fn verify(&self, purpose: ConsentPurpose, keys: &ConsentKeys) -> Result<ConsentLink, InvalidToken> {
        if !keys.verify(&signed_text(purpose.as_str(), &self.address, &self.email_id), &self.mac) {
            return Err(InvalidToken::UnknownKey);
        }
        let recipient = Recipient::parse(&self.address).ok_or(InvalidToken::NotAnAddress)?;
        let email_id = Some(self.email_id.clone()).filter(|id| !id.is_empty());
        Ok(ConsentLink { recipient, email_id })
    }
}

impl fmt::Debug for SignedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedLink(…)")
    }
}

impl fmt::Debug for ConsentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsentLink(…)")
    }
}

impl ConsentToken {
    /// Returns the token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConsentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsentToken(…)")
    }
}

/// Signs these texts as they are, and builds the token.
fn signed_token(keys: &ConsentKeys, purpose: &str, address: &str, email_id: &str) -> String {
    let mac = keys.sign(&signed_text(purpose, address, email_id));
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", encode(address.as_bytes()), encode(email_id.as_bytes()), encode(&mac))
}

fn signed_text(purpose: &str, address: &str, email_id: &str) -> String {
    format!("{purpose}\n{FORMAT}\n{address}\n{email_id}")
}

/// Decodes a part. Returns `None` if it is not exactly the encoding of what it decodes to.
fn decode(part: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    (URL_SAFE_NO_PAD.encode(&bytes) == part).then_some(bytes)
}

#[cfg(test)]
mod tests;
