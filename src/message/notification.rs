//! An SNS notification, with a text for each kind of subscriber.

use serde_json::json;

use super::text::one_line;

/// Maximum length of a subject: SNS accepts "less than 100 characters long", ASCII, without line breaks
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
const MAX_SUBJECT: usize = 99;

/// Length of one SMS with the GSM alphabet, in characters.
const MAX_SMS: usize = 160;

/// A notification, with a text for each kind of subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Subject of an email.
    pub subject: String,
    /// Text of an email.
    pub email: String,
    /// Text of an SMS.
    pub sms: String,
    /// JSON for all other protocols.
    pub json: String,
    /// Message attributes, for filter policies.
    pub attributes: Vec<(&'static str, String)>,
}

impl Notification {
    /// Returns the texts by protocol, as JSON (SNS's `MessageStructure`).
    pub fn message(&self) -> String {
        json!({ "default": self.json, "email": self.email, "sms": self.sms }).to_string()
    }

    /// Returns the size as SNS counts it, in bytes.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.message().len() + attributes.sum::<usize>()
    }
}

/// Returns a title as a valid subject of an email.
pub fn subject(title: &str) -> String {
    let ascii = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let subject: String = title.chars().map(ascii).take(MAX_SUBJECT).collect();
    // SNS requires a letter, a digit or a punctuation mark at the beginning.
    subject.trim().to_owned()
}

/// The text of an SMS: as much of a text as fits.
pub fn sms(text: &str) -> String {
    let whole = one_line(text);
    let whole = whole.trim_end();
    if whole.chars().count() <= MAX_SMS {
        return whole.to_owned();
    }
    let begin: String = whole.chars().take(MAX_SMS - 3).collect();
    format!("{begin}...")
}
