//! What Resend tells.

use std::fmt;

use serde::Deserialize;

use crate::signature::SecretError;

/// A webhook's signing secret, as text. Never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// A text that is a signing secret.
    ///
    /// # Errors
    /// It is none.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let _: crate::signature::SigningSecret = text.parse()?;
        Ok(Self(text.trim().to_owned()))
    }

    /// The text, for the place where secrets are kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A webhook at Resend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it posts to.
    pub endpoint: String,
    /// `enabled` or `disabled`.
    #[serde(default)]
    pub status: String,
    /// The types of event that it is subscribed to.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Its signing secret, where it is told.
    #[serde(default)]
    pub signing_secret: Option<SecretText>,
}

impl Webhook {
    /// Whether it posts to this URL.
    pub fn is_for(&self, url: &str) -> bool {
        self.endpoint.trim_end_matches('/') == url.trim_end_matches('/')
    }

    /// Whether it is enabled.
    pub fn is_enabled(&self) -> bool {
        self.status.eq_ignore_ascii_case("enabled")
    }

    /// The types that it is subscribed to.
    pub fn events(&self) -> &[String] {
        self.events.as_deref().unwrap_or_default()
    }
}

/// An address on Resend's own list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Suppressed {
    /// Its id.
    pub id: String,
    /// The address.
    pub email: String,
    /// `bounce`, `complaint` or `manual`.
    #[serde(default)]
    pub origin: Option<String>,
    /// The email that brought it about.
    #[serde(default)]
    pub source_id: Option<String>,
    /// Since when.
    #[serde(default)]
    pub created_at: Option<String>,
}

/// An event that a webhook was to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Delivered {
    /// The message's id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type", default)]
    pub event_type: String,
    /// When it came about.
    #[serde(default)]
    pub created_at: String,
    /// `success`, `failed`, `attempting` or `pending`.
    #[serde(default)]
    pub status: String,
}

/// What was made, or made anew.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) id: String,
    #[serde(default)]
    pub(super) signing_secret: Option<SecretText>,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    #[serde(default)]
    pub(super) has_more: bool,
    pub(super) data: Vec<T>,
}
