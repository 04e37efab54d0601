//! The audit entries: who changed the suppression list, when, how, and why. They are rows of the events table that no
//! function reads.
//!
//! | attribute | value |
//! | --- | --- |
//! | `email_id` | `audit#<recipient>`; for an import, which concerns many recipients, `audit#import` |
//! | `event` | `audit#<when>#<random>` |
//! | `kind` | `audit` |
//! | `action`, `by`, `why` | the action, the operator's name as they gave it, and the reason that they gave |
//! | `reasons` | the reasons that were added or lifted, if there are any |
//! | `at` | milliseconds |
//! | `expires_at` | seconds, DynamoDB's TTL: after 400 days |
//!
//! Of an opt-out through a link, `by` is [`RECIPIENT`].

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::RetryClient;
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::message::text::one_line;
use crate::time::{UnixMillis, days};

/// Days for which an audit entry is stored.
pub const RETENTION_DAYS: u32 = 400;

/// The subject of the audit entry of an import.
pub const IMPORT: &str = "import";

/// Value of `by` for a change that the recipient made.
pub const RECIPIENT: &str = "recipient";

/// Maximum length of the operator's reason, in characters.
const MAX_WHY: usize = 500;

/// An invalid reason of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The reason is empty.
    #[error("give a reason with --reason; it is stored with the change")]
    Empty,
    /// The reason is too long.
    #[error("the reason has more than {MAX_WHY} characters; shorten it")]
    TooLong,
    /// The reason has line breaks or other control characters.
    #[error("the reason has line breaks or other control characters; write it as one line")]
    Control,
}

/// The operator, the time and the reason of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    /// The operator's name, as they gave it.
    pub by: String,
    /// The reason that the operator gave.
    pub why: String,
    /// Time of the change.
    pub at: UnixMillis,
}

impl AuditNote {
    /// Creates a note with a valid reason.
    ///
    /// # Errors
    /// The reason is empty, too long, or not one line.
    pub fn new(by: &str, why: &str, at: UnixMillis) -> Result<Self, NoteError> {
        let clean = |c: char| !c.is_control();
        match why.trim() {
            "" => Err(NoteError::Empty),
            why if why.chars().count() > MAX_WHY => Err(NoteError::TooLong),
            why if !why.chars().all(clean) => Err(NoteError::Control),
            why => Ok(Self { by: one_line(by).chars().take(100).collect(), why: why.to_owned(), at }),
        }
    }

    /// The row that records `action` on `about`.
    pub fn row(&self, about: &str, action: &str, reasons: &[&str]) -> Item {
        let mut item = Item::from([
            ("email_id".to_owned(), text(partition(about))),
            ("event".to_owned(), text(format!("audit#{}#{:08x}", self.at.to_text(), fastrand::u32(..)))),
            ("kind".to_owned(), text("audit")),
            ("action".to_owned(), text(action)),
            ("by".to_owned(), text(&self.by)),
            ("why".to_owned(), text(&self.why)),
            ("at".to_owned(), number(self.at.0)),
            ("expires_at".to_owned(), number(self.at.plus(days(RETENTION_DAYS)).seconds())),
        ]);
        if !reasons.is_empty() {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        item
    }
}

/// The partition of the audit entries about a recipient.
pub fn partition(about: &str) -> String {
    format!("audit#{about}")
}

/// A recorded change.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AuditEntry {
    /// Time of the change.
    pub at: UnixMillis,
    /// The action, such as `added` or `removed`.
    pub action: String,
    /// The reasons that were added or lifted.
    pub reasons: Vec<String>,
    /// The operator's name, as they gave it.
    pub by: String,
    /// The reason that the operator gave.
    pub why: String,
}

impl AuditEntry {
    /// Reads an entry from its row.
    pub fn from_item(item: &Item) -> Self {
        let words = |name: &str| string(item, name).to_owned();
        let mut reasons = item.get("reasons").and_then(|set| set.as_ss().ok()).cloned().unwrap_or_default();
        reasons.sort_unstable();
        let at = UnixMillis(item.get("at").and_then(as_number).unwrap_or(0));
        Self { at, action: words("action"), reasons, by: words("by"), why: words("why") }
    }
}

/// The audit entries about a recipient, the oldest first.
pub async fn entries(calls: &RetryClient, events_table: &str, about: &str) -> Result<Vec<AuditEntry>, CallError> {
    let partition = partition(about);
    let rows = calls.query(events_table, ("email_id", &partition), ("event", "audit#", "audit$"), usize::MAX).await?;
    Ok(rows.iter().map(AuditEntry::from_item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        let note = |why: &str| AuditNote::new("ann", why, UnixMillis(5)).map(|note| note.why);
        assert_eq!(note(" asked us on the phone "), Ok("asked us on the phone".to_owned()));
        assert_eq!(note("  "), Err(NoteError::Empty));
        assert_eq!(note("a\nb"), Err(NoteError::Control));
        assert_eq!(note(&"x".repeat(501)), Err(NoteError::TooLong));
        let row = AuditNote::new("ann", "why", UnixMillis(5)).unwrap().row("a@b.c", "removed", &["complaint"]);
        let done = AuditEntry {
            at: UnixMillis(5),
            action: "removed".into(),
            reasons: vec!["complaint".into()],
            by: "ann".into(),
            why: "why".into(),
        };
        assert_eq!(AuditEntry::from_item(&row), done);
    }
}
