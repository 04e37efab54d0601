//! Standard Webhooks verification, as Svix signs for Resend.
//!
//! A webhook is signed with `base64(HMAC-SHA256(key, "{id}.{timestamp}.{body}"))` over the raw bytes of the body. So
//! verification comes before parsing. See <https://docs.svix.com/receiving/verifying-payloads/how-manual> and
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Maximum difference between a webhook's timestamp and now, in seconds, in either direction and inclusive.
pub const TOLERANCE_SECONDS: i64 = 300;

const SECRET_PREFIX: &str = "whsec_";
const SIGNATURE_VERSION: &str = "v1";

/// Base64 with optional padding, because people paste secrets without it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signature before base64. Two of them are compared in constant time.
type SignatureCode = CtOutput<Hmac<Sha256>>;

/// Id of one webhook, from `svix-id`. Every retry and every replay of the webhook has the same id.
///
/// An id exists only after verification. Otherwise a sender without the secret could claim an id, and the real webhook
/// would look like a duplicate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Creates the id of a webhook that was verified earlier, when it is read back from a table.
    pub fn from_verified(id: impl Into<String>) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningSecretError {
    /// The text is empty, or has nothing after `whsec_`.
    #[error("the signing secret is empty; copy it from the webhook's page at Resend (it begins with whsec_)")]
    Empty,
    /// The text after the prefix is not base64.
    #[error("the signing secret is not base64 after whsec_; copy it whole from the webhook's page at Resend")]
    NotBase64,
}

/// The signing key of one webhook endpoint.
#[derive(Clone)]
pub struct SigningSecret {
    keyed: Hmac<Sha256>,
}

impl SigningSecret {
    /// Signs a webhook. Returns the value for `svix-signature`, including the version.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let code = self.code(id, timestamp, body).into_bytes();
        format!("{SIGNATURE_VERSION},{}", STANDARD.encode(code))
    }

    fn code(&self, id: &str, timestamp: i64, body: &[u8]) -> SignatureCode {
        let mut code = self.keyed.clone();
        code.update(id.as_bytes());
        code.update(b".");
        code.update(timestamp.to_string().as_bytes());
        code.update(b".");
        code.update(body);
        code.finalize()
    }
}

impl FromStr for SigningSecret {
    type Err = SigningSecretError;

    /// Parses `whsec_<base64>`. White space around it, a missing prefix and missing padding are accepted.
    fn from_str(text: &str) -> Result<Self, SigningSecretError> {
        let text = text.trim();
        let encoded = text.strip_prefix(SECRET_PREFIX).unwrap_or(text).trim();
        let key = LENIENT.decode(encoded).map_err(|_| SigningSecretError::NotBase64)?;
        if key.is_empty() {
            return Err(SigningSecretError::Empty);
        }
        // HMAC accepts a key of any length, so this error cannot occur.
        let keyed = Hmac::new_from_slice(&key).map_err(|_| SigningSecretError::Empty)?;
        Ok(Self { keyed })
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(redacted)")
    }
}

/// The valid secrets: one, or several during a rotation.
#[derive(Clone, Debug)]
pub struct SigningSecrets(Vec<SigningSecret>);

impl SigningSecrets {
    /// Returns the first secret: the newest one during a rotation.
    pub fn first(&self) -> Option<&SigningSecret> {
        self.0.first()
    }
}

impl FromStr for SigningSecrets {
    type Err = SigningSecretError;

    /// Parses secrets separated by white space. At least one is required, and every one must be valid.
    fn from_str(text: &str) -> Result<Self, SigningSecretError> {
        let secrets = text.split_whitespace().map(str::parse).collect::<Result<Vec<SigningSecret>, _>>()?;
        if secrets.is_empty() { Err(SigningSecretError::Empty) } else { Ok(Self(secrets)) }
    }
}

/// A webhook whose signature is not accepted. The texts never reveal the right value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A required header is missing.
    #[error("missing header: {0}")]
    MissingHeader(&'static str),
    /// The id is empty.
    #[error("malformed header: svix-id is empty")]
    MalformedId,
    /// The timestamp is not a whole number of seconds.
    #[error("malformed header: svix-timestamp is not a whole number of seconds")]
    MalformedTimestamp,
    /// The header has no `v1,<base64>`.
    #[error("malformed header: svix-signature holds no signature of version v1")]
    MalformedSignature,
    /// No signature matches any of the secrets.
    #[error("wrong signature: the webhook was changed, or signed with a secret of another endpoint")]
    WrongSignature,
    /// The signature is right, but too old.
    #[error("stale: the signature is correct, but {age_seconds} s old; at most {TOLERANCE_SECONDS} s are accepted")]
    TooOld {
        /// Seconds between the timestamp and now.
        age_seconds: i64,
    },
    /// The signature is right, but too far in the future.
    #[error(
        "stale: the signature is correct, but {ahead_seconds} s ahead of this clock; at most {TOLERANCE_SECONDS} s are accepted"
    )]
    TooNew {
        /// Seconds between now and the timestamp.
        ahead_seconds: i64,
    },
}

/// Headers of a signed webhook. They are not trustworthy before [`SignedHeaders::verify`].
#[derive(Clone, Copy, Debug)]
pub struct SignedHeaders<'a> {
    id: &'a str,
    timestamp: i64,
    signatures: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// Reads the three headers: `svix-*`, or else their names in Standard Webhooks, `webhook-*`. `header` looks up a
    /// lower-case name.
    ///
    /// # Errors
    /// [`SignatureError::MissingHeader`], or a `Malformed…` variant.
    pub fn from_headers(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, SignatureError> {
        let either = |svix: &'static str, standard: &str| {
            header(svix).or_else(|| header(standard)).ok_or(SignatureError::MissingHeader(svix))
        };
        let id = either("svix-id", "webhook-id")?;
        let timestamp = either("svix-timestamp", "webhook-timestamp")?;
        let signatures = either("svix-signature", "webhook-signature")?;
        if id.is_empty() {
            return Err(SignatureError::MalformedId);
        }
        let timestamp = timestamp.parse().map_err(|_| SignatureError::MalformedTimestamp)?;
        if v1_signatures(signatures).next().is_none() {
            return Err(SignatureError::MalformedSignature);
        }
        Ok(Self { id, timestamp, signatures })
    }

    /// Checks first the signature and then the age, so that an old but correctly signed webhook is distinguished from a
    /// forged one. `now` is in seconds since the epoch.
    ///
    /// # Errors
    /// [`SignatureError::WrongSignature`], [`SignatureError::TooOld`] or [`SignatureError::TooNew`].
    pub fn verify(&self, secrets: &SigningSecrets, body: &[u8], now: i64) -> Result<MessageId, SignatureError> {
        if !secrets.0.iter().any(|secret| self.is_signed_with(secret, body)) {
            return Err(SignatureError::WrongSignature);
        }
        let age = now.saturating_sub(self.timestamp);
        if age > TOLERANCE_SECONDS {
            return Err(SignatureError::TooOld { age_seconds: age });
        }
        if age < -TOLERANCE_SECONDS {
            return Err(SignatureError::TooNew { ahead_seconds: age.saturating_neg() });
        }
        Ok(MessageId(self.id.to_owned()))
    }

    /// Returns true if the timestamp is recent enough. The signature is not checked.
    pub fn has_fresh_timestamp(&self, now: i64) -> bool {
        now.saturating_sub(self.timestamp).saturating_abs() <= TOLERANCE_SECONDS
    }

    fn is_signed_with(&self, secret: &SigningSecret, body: &[u8]) -> bool {
        let code = secret.code(self.id, self.timestamp, body);
        v1_signatures(self.signatures).filter_map(read_code).any(|signature| signature == code)
    }
}

/// Decodes a signature. Base64 is strict, so that one signature has one spelling, and the length must be exact.
fn read_code(signature: &str) -> Option<SignatureCode> {
    // The decoder needs space for whole groups of three bytes. A longer text does not fit, and is not a signature.
    let mut bytes = [0; 33];
    let length = STANDARD.decode_slice(signature, &mut bytes).ok()?;
    let code: [u8; 32] = bytes.get(..length)?.try_into().ok()?;
    Some(SignatureCode::new(code.into()))
}

/// Returns the base64 parts of all `v1,<base64>` in the header. Other versions are skipped, and never accepted.
fn v1_signatures(header: &str) -> impl Iterator<Item = &str> {
    header
        .split(' ')
        .filter_map(|token| token.split_once(','))
        .filter_map(|(version, signature)| (version == SIGNATURE_VERSION).then_some(signature))
}
