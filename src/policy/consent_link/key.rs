//! The keys that sign links: `CONSENT_KEY`.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Minimum length of a key, in characters.
pub const MIN_KEY_CHARS: usize = 32;

/// Length of a signature, in bytes: the first half of an HMAC-SHA256.
pub(super) const MAC_BYTES: usize = 16;

/// A text that has no usable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentKeyError {
    /// The text is empty.
    #[error("there is no key; make one with `openssl rand -hex 32`")]
    Empty,
    /// A key is too short.
    #[error(
        "a key has {0} characters, and needs {MIN_KEY_CHARS} or more; make one with `openssl rand -hex 32`, and put no spaces into it"
    )]
    Short(usize),
}

/// The keys of the links. The first one signs; each of them verifies. Never printed.
#[derive(Clone)]
pub struct ConsentKeys {
    first: Hmac<Sha256>,
    others: Vec<Hmac<Sha256>>,
}

impl ConsentKeys {
    /// Signs a text with the first key.
    pub(super) fn sign(&self, text: &str) -> [u8; MAC_BYTES] {
        let code = self.first.clone().chain_update(text).finalize().into_bytes();
        let mut mac = [0; MAC_BYTES];
        mac.iter_mut().zip(code).for_each(|(byte, code)| *byte = code);
        mac
    }

    /// Returns true if one of the keys signed the text. Every key is tried, and compared in constant time.
    pub(super) fn verify(&self, text: &str, mac: &[u8; MAC_BYTES]) -> bool {
        let signed = |key: &Hmac<Sha256>| key.clone().chain_update(text).verify_truncated_left(mac).is_ok();
        std::iter::once(&self.first).chain(&self.others).fold(false, |holds, key| signed(key) | holds)
    }
}

impl FromStr for ConsentKeys {
    type Err = ConsentKeyError;

    /// Parses keys separated by white space. At least one is required, and none may be short.
    fn from_str(text: &str) -> Result<Self, ConsentKeyError> {
        let mut keys = text.split_whitespace().map(|word| {
            let chars = word.chars().count();
            if chars < MIN_KEY_CHARS {
                return Err(ConsentKeyError::Short(chars));
            }
            // HMAC takes a key of any length, so this error cannot occur.
            Hmac::new_from_slice(word.as_bytes()).map_err(|_| ConsentKeyError::Short(chars))
        });
        let first = keys.next().ok_or(ConsentKeyError::Empty)??;
        Ok(Self { first, others: keys.collect::<Result<_, _>>()? })
    }
}

impl fmt::Debug for ConsentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsentKeys(…)")
    }
}
