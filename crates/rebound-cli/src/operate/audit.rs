//! What operators did to the list, kept: who, when, what, and why. Rows of the events table, which no function reads.
//!
//! | attribute | value |
//! | --- | --- |
//! | `email_id` | `audit#<recipient>`; of an import, which is about many, `audit#import` |
//! | `event` | `audit#<when>#<random>` |
//! | `kind` | `audit` |
//! | `action`, `by`, `why` | what was done, by whom as they say themselves, and the reason that they gave |
//! | `reasons` | the reasons that were added or lifted; where there are any |
//! | `at` | milliseconds |
//! | `expires_at` | seconds, DynamoDB's TTL: after 400 days |

use aws_sdk_dynamodb::types::AttributeValue;
use rebound::aws::CallError;
use rebound::message::text::one_line;
use rebound::store::client::RetryClient;
use rebound::store::{Item, as_number, number, string, text};
use rebound::time::{UnixMillis, days};

/// How long what was done is kept.
pub const KEPT_DAYS: u32 = 400;

/// What an import is about.
pub const IMPORT: &str = "import";

/// The longest reason that somebody may give, in characters.
const MAX_WHY: usize = 500;

/// Why a reason is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// There is nothing in it.
    #[error("say why, with --reason: it is kept with what was done")]
    Empty,
    /// It is too long.
    #[error("the reason has more than {MAX_WHY} characters; shorten it")]
    TooLong,
    /// It has line breaks or the like.
    #[error("the reason has line breaks or other control characters; write it as one line")]
    Control,
}

/// Who did something, when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Who, as they say themselves.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: UnixMillis,
}

impl Note {
    /// A note, if the reason is one.
    ///
    /// # Errors
    /// It is empty, too long, or not one line.
    pub fn new(by: &str, why: &str, at: UnixMillis) -> Result<Self, WhyError> {
        let clean = |c: char| !c.is_control();
        match why.trim() {
            "" => Err(WhyError::Empty),
            why if why.chars().count() > MAX_WHY => Err(WhyError::TooLong),
            why if !why.chars().all(clean) => Err(WhyError::Control),
            why => Ok(Self { by: one_line(by).chars().take(100).collect(), why: why.to_owned(), at }),
        }
    }

    /// The row that says that `action` was done to `about`.
    pub fn row(&self, about: &str, action: &str, reasons: &[&str]) -> Item {
        let mut item = Item::from([
            ("email_id".to_owned(), text(partition(about))),
            ("event".to_owned(), text(format!("audit#{}#{:08x}", self.at.to_text(), fastrand::u32(..)))),
            ("kind".to_owned(), text("audit")),
            ("action".to_owned(), text(action)),
            ("by".to_owned(), text(&self.by)),
            ("why".to_owned(), text(&self.why)),
            ("at".to_owned(), number(self.at.0)),
            ("expires_at".to_owned(), number(self.at.plus(days(KEPT_DAYS)).seconds())),
        ]);
        if !reasons.is_empty() {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        item
    }
}

/// The partition of what is about somebody.
pub fn partition(about: &str) -> String {
    format!("audit#{about}")
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Done {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub action: String,
    /// Which reasons it added or lifted.
    pub reasons: Vec<String>,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

impl Done {
    /// Reads a row.
    pub fn from_item(item: &Item) -> Self {
        let words = |name: &str| string(item, name).to_owned();
        let mut reasons = item.get("reasons").and_then(|set| set.as_ss().ok()).cloned().unwrap_or_default();
        reasons.sort_unstable();
        let at = UnixMillis(item.get("at").and_then(as_number).unwrap_or(0));
        Self { at, action: words("action"), reasons, by: words("by"), why: words("why") }
    }
}

/// What was done to somebody, the oldest first.
///
/// # Errors
/// DynamoDB can't be asked.
pub async fn of(calls: &RetryClient, events_table: &str, about: &str) -> Result<Vec<Done>, CallError> {
    let partition = partition(about);
    let rows = calls.query(events_table, ("email_id", &partition), ("event", "audit#", "audit$"), usize::MAX).await?;
    Ok(rows.iter().map(Done::from_item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        let note = |why: &str| Note::new("ann", why, UnixMillis(5)).map(|note| note.why);
        assert_eq!(note(" asked us on the phone "), Ok("asked us on the phone".to_owned()));
        assert_eq!(note("  "), Err(WhyError::Empty));
        assert_eq!(note("a\nb"), Err(WhyError::Control));
        assert_eq!(note(&"x".repeat(501)), Err(WhyError::TooLong));
        let row = Note::new("ann", "why", UnixMillis(5)).unwrap().row("a@b.c", "removed", &["complaint"]);
        let done = Done {
            at: UnixMillis(5),
            action: "removed".into(),
            reasons: vec!["complaint".into()],
            by: "ann".into(),
            why: "why".into(),
        };
        assert_eq!(Done::from_item(&row), done);
    }
}
