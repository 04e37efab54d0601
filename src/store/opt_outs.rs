//! Clicks on opt-out and preference links: one item of the recipients table for each recipient, `fact` = `opt_out_click`.
//!
//! `at` is the time of the newest such click (ms). No follow-up goes to the recipient before `until` (ms).

use aws_sdk_dynamodb::types::{ConditionCheck, TransactWriteItem};

use super::client::{RetryClient, UpdateExpression};
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The sort key.
pub(super) const FACT: &str = "opt_out_click";

/// The newest click of a recipient on an opt-out or preference link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OptOutClick {
    /// Time of the click.
    pub at: UnixMillis,
    /// Time until which no follow-up goes to the recipient.
    pub until: UnixMillis,
}

impl OptOutClick {
    /// Reads an item.
    pub(super) fn from_item(item: &Item) -> Option<Self> {
        let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
        (string(item, "fact") == FACT).then_some(())?;
        Some(Self { at: millis("at")?, until: millis("until")? })
    }

    fn to_item(self, recipient: &Recipient) -> Item {
        let mut item = key(recipient);
        item.insert("at".to_owned(), number(self.at.0));
        item.insert("until".to_owned(), number(self.until.0));
        // The seconds are rounded down, so one is added.
        item.insert("expires_at".to_owned(), number(self.until.seconds() + 1));
        item
    }
}

/// Stores a recipient's click, unless a newer one is stored. The order of the clicks does not matter.
pub async fn store_click(
    calls: &RetryClient,
    table: &str,
    recipient: &Recipient,
    click: OptOutClick,
) -> Result<(), CallError> {
    let newer = UpdateExpression {
        condition: Some("attribute_not_exists(#until) OR #until < :until"),
        names: vec![("#until".to_owned(), "until".to_owned())],
        values: vec![(":until".to_owned(), number(click.until.0))],
        ..UpdateExpression::default()
    };
    calls.put(table, &click.to_item(recipient), &newer).await?;
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
        .set_key(Some(key(recipient)))
        .condition_expression("attribute_not_exists(#until) OR #until <= :now")
        .expression_attribute_names("#until", "until")
        .expression_attribute_values(":now", number(now.0))
        .build();
    let check = check.map_err(|error| CallError::Permanent(error.to_string()))?;
    Ok(TransactWriteItem::builder().condition_check(check).build())
}

fn key(recipient: &Recipient) -> Item {
    Item::from([("recipient".to_owned(), text(recipient.as_str())), ("fact".to_owned(), text(FACT))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_out_click_reads_back_and_expires_after_it_ends() {
        let ann = Recipient::parse("ann@example.com").unwrap();
        let click = OptOutClick { at: UnixMillis(1_000), until: UnixMillis(90_999) };
        let item = click.to_item(&ann);
        assert_eq!(OptOutClick::from_item(&item), Some(click));
        assert_eq!(item.get("expires_at").and_then(as_number), Some(91));
        let mut other = item;
        other.insert("fact".to_owned(), text("followups"));
        assert_eq!(OptOutClick::from_item(&other), None);
    }
}
