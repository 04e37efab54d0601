//! The follow-ups of a recipient: one item of the recipients table, `fact` = `followups`.
//!
//! `taken` is a set of `<not before, ms>#<decision>#<email>`, `version` is the condition of the next write. One item
//! holds all of them, not one item per email, so that one condition enforces every cap.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::PutBuilder;

use crate::aws::CallError;
use crate::policy::followup::ProposedFollowup;
use crate::resend::recipient::Recipient;
use crate::store::client::RetryClient;
use crate::store::opt_outs;
use crate::store::version::SeenVersion;
use crate::store::{Item, fact_key, number, string};
use crate::time::{UnixMillis, days};

/// The sort key.
pub(super) const FACT: &str = "followups";

/// Retention of a follow-up after its time. Decisions are made for 14 days after an email by default and for a year at
/// most. Caps cover a year at most.
const RETENTION: Duration = days(366);

/// The follow-ups of a recipient, as last read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followups {
    /// All follow-ups that are stored.
    pub taken: Vec<ProposedFollowup>,
    /// The version that was read.
    pub seen: SeenVersion,
}

impl Followups {
    /// Reads an item.
    pub(super) fn from_item(item: &Item) -> Self {
        let read = |entry: &String| {
            let mut parts = entry.splitn(3, '#');
            let (at, id, email_id) = (parts.next()?, parts.next()?, parts.next()?);
            Some(ProposedFollowup {
                at: UnixMillis(at.parse().ok()?),
                email_id: email_id.to_owned(),
                id: id.to_owned(),
            })
        };
        let taken = item.get("taken").and_then(|set| set.as_ss().ok());
        Self { taken: taken.into_iter().flatten().filter_map(read).collect(), seen: SeenVersion::of(Some(item)) }
    }

    /// Returns the follow-ups with one more, and without the expired ones.
    pub(super) fn with(&self, more: &ProposedFollowup) -> Self {
        let mut taken: Vec<ProposedFollowup> = self
            .taken
            .iter()
            .filter(|taken| taken.id != more.id && taken.at.plus(RETENTION) > more.at)
            .cloned()
            .collect();
        taken.push(more.clone());
        Self { taken, seen: self.seen.clone() }
    }

    /// Returns the follow-ups without the one of this decision. Returns `None` if it has no place.
    pub(super) fn without(&self, decision: &str) -> Option<Self> {
        let taken: Vec<ProposedFollowup> = self.taken.iter().filter(|taken| taken.id != decision).cloned().collect();
        (taken.len() < self.taken.len()).then(|| Self { taken, seen: self.seen.clone() })
    }

    /// Builds the put of these follow-ups over those that were read, unless they have changed since.
    pub(super) fn overwrite(&self, table: &str, recipient: &Recipient) -> PutBuilder {
        let (item, condition) = self.seen.overwrite("recipient", self.to_item(recipient));
        condition.put_in_transaction(table, item)
    }

    fn to_item(&self, recipient: &Recipient) -> Item {
        let entry = |taken: &ProposedFollowup| format!("{}#{}#{}", taken.at.0, taken.id, taken.email_id);
        let last = self.taken.iter().map(|taken| taken.at).max().unwrap_or(UnixMillis(0));
        let mut item = fact_key(recipient, FACT);
        // DynamoDB has no empty sets.
        if !self.taken.is_empty() {
            item.insert("taken".to_owned(), AttributeValue::Ss(self.taken.iter().map(entry).collect()));
        }
        item.insert("expires_at".to_owned(), number(last.plus(RETENTION).seconds()));
        item
    }
}

/// A slot among the recipient's follow-ups, taken together with the decision.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowupSlot {
    /// The recipient.
    pub recipient: Recipient,
    /// The follow-ups before, with their version.
    pub before: Followups,
    /// The follow-up that takes this slot.
    pub taken: ProposedFollowup,
}

impl FollowupSlot {
    /// Builds the put that takes the slot, unless the recipient's follow-ups have changed since they were read.
    pub(in crate::store) fn put(&self, table: &str) -> PutBuilder {
        self.before.with(&self.taken).overwrite(table, &self.recipient)
    }
}

/// The facts in the recipients table that matter for a follow-up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FollowupFacts {
    /// The recipient's follow-ups.
    pub followups: Followups,
    /// Time until which a click on an opt-out or preference link blocks follow-ups.
    pub opted_out_until: Option<UnixMillis>,
}

/// Reads a recipient's follow-ups and opt-out click in one strongly consistent call.
pub async fn read_facts(calls: &RetryClient, table: &str, recipient: &Recipient) -> Result<FollowupFacts, CallError> {
    // `followups` comes before `opt_out_click`.
    let facts = ("fact", FACT, opt_outs::FACT);
    let items = calls.query(table, ("recipient", recipient.as_str()), facts, usize::MAX).await?;
    let followups = items.iter().find(|item| string(item, "fact") == FACT);
    Ok(FollowupFacts {
        followups: followups.map(Followups::from_item).unwrap_or_default(),
        opted_out_until: items.iter().find_map(opt_outs::until),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(at: i64, id: &str) -> ProposedFollowup {
        ProposedFollowup { at: UnixMillis(at), email_id: format!("email#of {id}"), id: id.to_owned() }
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
    fn a_repeat_takes_no_second_slot_and_expired_ones_are_dropped() {
        let one = Followups::default().with(&taken(1, "a")).with(&taken(1, "a"));
        assert_eq!(one.taken.len(), 1);
        let later = one.with(&taken(2 + 366 * 24 * 60 * 60 * 1000, "b"));
        assert_eq!(later.taken.iter().map(|taken| taken.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
