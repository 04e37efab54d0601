//! Clicks on opt-out and preference links: one item of the recipients table for each recipient, `fact` = `opt_out_click`.
//!
//! `at` is the time of the newest such click (ms). No follow-up goes to the recipient before `until` (ms).

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};

use super::client::{RetryClient, UpdateExpression};
use super::{Item, as_number, fact_key, number, string};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The sort key.
pub(super) const FACT: &str = "opt_out_click";

/// Reads the time until which an item blocks follow-ups. Returns `None` if it is another item.
pub(super) fn until(item: &Item) -> Option<UnixMillis> {
    (string(item, "fact") == FACT).then_some(())?;
    item.get("until").and_then(as_number).map(UnixMillis)
}

fn item(recipient: &Recipient, at: UnixMillis, until: UnixMillis) -> Item {
    let mut item = fact_key(recipient, FACT);
    item.insert("at".to_owned(), number(at.0));
    item.insert("until".to_owned(), number(until.0));
    // The seconds are rounded down, so one is added.
    item.insert("expires_at".to_owned(), number(until.seconds() + 1));
    item
}

/// Stores a recipient's click at `at`, which blocks follow-ups until `until`, unless a stored one blocks them longer. The
/// order of the clicks does not matter.
pub async fn store_click(
    calls: &RetryClient,
    table: &str,
    recipient: &Recipient,
    at: UnixMillis,
    until: UnixMillis,
) -> Result<(), CallError> {
    let newer = UpdateExpression {
        condition: Some("attribute_not_exists(#until) OR #until < :until"),
        names: vec![("#until".to_owned(), "until".to_owned())],
        values: vec![(":until".to_owned(), number(until.0))],
        ..UpdateExpression::default()
    };
    calls.put(table, &item(recipient, at, until), &newer).await?;
    Ok(())
}

/// Builds a check as part of a transaction: no click of the recipient blocks a follow-up at `now`.
pub(super) fn no_click_blocks(
    table: &str,
    recipient: &Recipient,
    now: UnixMillis,
) -> Result<TransactWriteItem, CallError> {
    let check = ConditionCheck::builder()
        .table_name(table)
        .set_key(Some(fact_key(recipient, FACT)))
        .condition_expression("attribute_not_exists(#until) OR #until <= :now")
        .expression_attribute_names("#until", "until")
        .expression_attribute_values(":now", number(now.0))
        .build();
    let check = check.map_err(|error| CallError::Permanent(error.to_string()))?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::text;

    #[test]
    fn an_opt_out_click_reads_back_and_expires_after_it_ends() {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let item = item(&ann, UnixMillis(1_000), UnixMillis(90_999));
        assert_eq!(until(&item), Some(UnixMillis(90_999)));
        assert_eq!(item.get("expires_at").and_then(as_number), Some(91));
        let mut other = item;
        other.insert("fact".to_owned(), text("followups"));
        assert_eq!(until(&other), None);
    }
}
