//! The recipients table: facts about a recipient, kept for a limited time.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::{Item, number, string, text};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// Maximum number of delayed emails that are read per recipient.
const MAX_DELAYED: usize = 1_000;

/// Prefix of the sort key of a delayed email.
const DELAYED: &str = "delayed#";

/// A delayed email of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDelay {
    /// The email's id.
    pub email_id: String,
    /// The times of the delay, each with the webhook that reports it.
    pub moments: BTreeSet<(UnixMillis, MessageId)>,
}

impl RecordedDelay {
    fn from_item(item: &Item) -> Option<Self> {
        let moment = |text: &String| {
            let (at, message) = text.split_once('#')?;
            Some((UnixMillis(at.parse().ok()?), MessageId::from_verified(message)))
        };
        let moments: BTreeSet<_> = item.get("moments")?.as_ss().ok()?.iter().filter_map(moment).collect();
        Some(Self { email_id: string(item, "fact").split_once('#')?.1.to_owned(), moments })
    }
}

/// The recipients table.
#[derive(Clone, Debug)]
pub struct Recipients {
    calls: RetryClient,
    table: String,
}

impl Recipients {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Records that an email was delayed, and returns all recorded delayed emails of the recipient. Each is kept for
    /// `kept` after its newest moment.
    pub async fn record_delay(
        &self,
        recipient: &Recipient,
        email_id: &str,
        moment: (UnixMillis, &MessageId),
        kept: Duration,
    ) -> Result<Vec<RecordedDelay>, CallError> {
        let (at, message) = moment;
        let key = Item::from([
            ("recipient".to_owned(), text(recipient.as_str())),
            ("fact".to_owned(), text(format!("{DELAYED}{email_id}"))),
        ]);
        let moment = AttributeValue::Ss(vec![format!("{}#{}", at.0, message.as_str())]);
        let values = vec![(":moment".to_owned(), moment), (":expires_at".to_owned(), number(at.plus(kept).seconds()))];
        // The latest moment sets the expiry, whatever the order.
        let latest = UpdateExpression {
            update: "ADD moments :moment SET expires_at = :expires_at".to_owned(),
            condition: Some("attribute_not_exists(expires_at) OR expires_at <= :expires_at"),
            values: values.clone(),
            ..UpdateExpression::default()
        };
        if let ConditionalWrite::ConditionFailed(_) = self.calls.update(&self.table, key.clone(), &latest).await? {
            let earlier = UpdateExpression {
                update: "ADD moments :moment".to_owned(),
                values: values.into_iter().take(1).collect(),
                ..UpdateExpression::default()
            };
            self.calls.update(&self.table, key, &earlier).await?;
        }
        let partition = ("recipient", recipient.as_str());
        let items = self.calls.query(&self.table, partition, ("fact", DELAYED, "delayed$"), MAX_DELAYED).await?;
        Ok(items.iter().filter_map(RecordedDelay::from_item).collect())
    }
}
