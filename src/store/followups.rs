//! The follow-ups of a recipient: one item of the recipients table, `fact` = `followups`.
//!
//! `taken` is a set of `<not before, ms>#<decision>#<email>`, `version` the next write's condition. One item for all of them, and not one
//! for each email, so that every cap is kept by one condition.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::PutBuilder;

use super::calls::Calls;
use super::opt_outs::{self, OptOutClick};
use super::version::SeenVersion;
use super::{Item, number, string, text};
use crate::aws::CallError;
use crate::policy::followup::Taken;
use crate::resend::recipient::Recipient;
use crate::time::{UnixMillis, days};

/// The sort key.
const FACT: &str = "followups";

/// How long a follow-up is remembered after it was due. An email is decided about for 14 days at most by default, and never for more
/// than a year; caps look a year back at most.
const KEPT: Duration = days(366);

/// What is known of a recipient's follow-ups, as last read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followups {
    /// All that are remembered.
    pub taken: Vec<Taken>,
    /// The version seen.
    pub seen: SeenVersion,
}

impl Followups {
    /// Reads an item.
    fn from_item(item: &Item) -> Self {
        let read = |entry: &String| {
            let mut parts = entry.splitn(3, '#');
            let (at, id, email_id) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Taken { at: UnixMillis(at.parse().ok()?), email_id: email_id.to_owned(), id: id.to_owned() })
        };
        let taken = item.get("taken").and_then(|set| set.as_ss().ok());
        Self { taken: taken.into_iter().flatten().filter_map(read).collect(), seen: SeenVersion::of(Some(item)) }
    }

    /// The same with one more, and without those that are long over.
    fn with(&self, more: &Taken) -> Self {
        let mut taken: Vec<Taken> =
            self.taken.iter().filter(|taken| taken.id != more.id && taken.at.plus(KEPT) > more.at).cloned().collect();
        taken.push(more.clone());
        Self { taken, seen: self.seen.clone() }
    }

    fn to_item(&self, recipient: &Recipient) -> Item {
        let entry = |taken: &Taken| format!("{}#{}#{}", taken.at.0, taken.id, taken.email_id);
        let last = self.taken.iter().map(|taken| taken.at).max().unwrap_or(UnixMillis(0));
        let mut item = key(recipient);
        item.insert("taken".to_owned(), AttributeValue::Ss(self.taken.iter().map(entry).collect()));
        item.insert("expires_at".to_owned(), number(last.plus(KEPT).seconds()));
        item
    }
}

/// The place of a follow-up among its recipient's, to be taken with the decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Whom it is for.
    pub recipient: Recipient,
    /// What was read of the follow-ups before, with its version.
    pub before: Followups,
    /// It.
    pub taken: Taken,
}

impl Place {
    /// Takes it, unless the recipient's follow-ups have changed since they were read.
    pub(super) fn put(&self, table: &str) -> PutBuilder {
        let item = self.before.with(&self.taken).to_item(&self.recipient);
        let (item, condition) = self.before.seen.overwrite("recipient", item);
        condition.put_in_transaction(table, item)
    }
}

/// What stands for or against a follow-up to a recipient, of what the recipients table has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Their follow-ups.
    pub followups: Followups,
    /// Their newest click on an opt-out or preference link.
    pub opt_out_click: Option<OptOutClick>,
}

/// Reads a recipient's follow-ups and opt-out click, as they are now, in one call.
///
/// # Errors
/// DynamoDB can't be asked.
pub async fn known(calls: &Calls, table: &str, recipient: &Recipient) -> Result<Known, CallError> {
    // `followups` comes before `opt_out_click`.
    let facts = ("fact", FACT, opt_outs::FACT);
    let items = calls.range(table, ("recipient", recipient.as_str()), facts, usize::MAX).await?;
    let followups = items.iter().find(|item| string(item, "fact") == FACT);
    Ok(Known {
        followups: followups.map(Followups::from_item).unwrap_or_default(),
        opt_out_click: items.iter().find_map(OptOutClick::from_item),
    })
}

fn key(recipient: &Recipient) -> Item {
    Item::from([("recipient".to_owned(), text(recipient.as_str())), ("fact".to_owned(), text(FACT))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(at: i64, id: &str) -> Taken {
        Taken { at: UnixMillis(at), email_id: format!("email#of {id}"), id: id.to_owned() }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let two = Followups::default().with(&taken(1, "a")).with(&taken(2, "b"));
        let mut read = Followups::from_item(&two.to_item(&ann));
        read.taken.sort_by_key(|taken| taken.at);
        assert_eq!(read.taken, two.taken);
    }

    #[test]
    fn the_same_one_again_takes_no_second_place_and_what_is_long_over_is_forgotten() {
        let one = Followups::default().with(&taken(1, "a")).with(&taken(1, "a"));
        assert_eq!(one.taken.len(), 1);
        let later = one.with(&taken(2 + 366 * 24 * 60 * 60 * 1000, "b"));
        assert_eq!(later.taken.iter().map(|taken| taken.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
