//! Verdicts, in the partition of their email: the events table.
//!
//! A verdict classifies an open or a click: `verdict#<type>#<webhook>`, `kind` = `verdict`, with `verdict`, `score`,
//! `reasons` (a list), `at`, and, if no decision is made, `not_decided`: the reason. The first verdict that is stored
//! never changes.

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::{Item, NOT_THERE, as_number, number, string, text};
use crate::aws::CallError;
use crate::policy::verdict::{ScoredVerdict, Verdict};
use crate::time::UnixMillis;

/// The verdict on one open or click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVerdict {
    /// The verdict, with its reasons.
    pub scored: ScoredVerdict,
    /// Reason why no decision is made, if none is.
    pub not_decided: Option<String>,
}

impl StoredVerdict {
    /// Sort key of the verdict on the event with this key.
    pub fn sort_key(event: &str) -> String {
        format!("verdict#{event}")
    }

    /// Finds the verdict on the event with this key among the rows of its partition.
    pub fn among(rows: &[Item], event: &str) -> Option<Self> {
        let key = Self::sort_key(event);
        rows.iter().find(|row| string(row, "event") == key).and_then(Self::from_item)
    }

    fn from_item(row: &Item) -> Option<Self> {
        let words = |value: &AttributeValue| value.as_s().ok().cloned();
        let reasons = row.get("reasons").and_then(|list| list.as_l().ok());
        let scored = ScoredVerdict {
            verdict: Verdict::from_text(string(row, "verdict"))?,
            score: row.get("score").and_then(as_number).and_then(|score| u8::try_from(score).ok())?,
            reasons: reasons.into_iter().flatten().filter_map(words).collect(),
        };
        Some(Self { scored, not_decided: row.get("not_decided").and_then(words) })
    }

    fn to_item(&self, email_id: &str, event: &str) -> Item {
        let scored = &self.scored;
        let mut item = Item::from([
            ("email_id".to_owned(), text(email_id)),
            ("event".to_owned(), text(Self::sort_key(event))),
            ("kind".to_owned(), text("verdict")),
            ("verdict".to_owned(), text(scored.verdict.as_str())),
            ("score".to_owned(), number(i64::from(scored.score))),
            ("reasons".to_owned(), AttributeValue::L(scored.reasons.iter().map(text).collect())),
        ]);
        item.extend(self.not_decided.as_ref().map(|why| ("not_decided".to_owned(), text(why))));
        item
    }
}

/// The part of the events table that holds verdicts.
#[derive(Clone, Debug)]
pub struct Verdicts {
    calls: RetryClient,
    table: String,
}

impl Verdicts {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Stores the verdict on the event with this key, unless there is one. Returns the stored one.
    pub async fn put(
        &self,
        email_id: &str,
        event: &str,
        verdict: StoredVerdict,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<StoredVerdict, CallError> {
        let mut item = verdict.to_item(email_id, event);
        item.insert("at".to_owned(), number(now.0));
        item.insert("expires_at".to_owned(), number(expires_at.seconds()));
        let absent = UpdateExpression { condition: Some(NOT_THERE), ..UpdateExpression::default() };
        Ok(match self.calls.put(&self.table, &item, &absent).await? {
            ConditionalWrite::Applied(()) | ConditionalWrite::ConditionFailed(None) => verdict,
            ConditionalWrite::ConditionFailed(Some(stored)) => StoredVerdict::from_item(&stored).unwrap_or(verdict),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same_and_is_small() {
        let scored = ScoredVerdict {
            verdict: Verdict::Machine,
            score: 3,
            reasons: vec!["5 links clicked within 1 s".to_owned()],
        };
        for not_decided in [None, Some("a machine did it".to_owned())] {
            let verdict = StoredVerdict { scored: scored.clone(), not_decided };
            let item = verdict.to_item("e1", "email.clicked#m");
            assert!(crate::store::row::item_size(&item) < 400, "{item:?}");
            assert_eq!(StoredVerdict::among(&[item], "email.clicked#m"), Some(verdict));
        }
        assert_eq!(StoredVerdict::among(&[], "email.clicked#m"), None);
    }
}
