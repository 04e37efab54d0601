//! Rate limit of alerts: the first few of an hour are sent one by one, the rest are grouped into digests.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Agenda, AgendaEntry, AgendaKind, key};
use crate::aws::CallError;
use crate::message::alert::Alert;
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::client::{ConditionalWrite, UpdateExpression};
use crate::store::{number, text};
use crate::time::{UnixMillis, days, hours};

impl Agenda {
    /// Returns true if an alert is among the first few of its kind and campaign in this hour. The same alert gets the
    /// same result each time.
    pub async fn is_among_first(&self, alert: &Alert, now: UnixMillis, first_few: usize) -> Result<bool, CallError> {
        let hour = this_hour(now);
        let change = UpdateExpression {
            update: "ADD told :alert SET expires_at = :expires_at".to_owned(),
            condition: Some("attribute_not_exists(told) OR contains(told, :id) OR size(told) < :few"),
            names: Vec::new(),
            values: vec![
                (":alert".to_owned(), AttributeValue::Ss(vec![alert.id.clone()])),
                (":id".to_owned(), text(&alert.id)),
                (":few".to_owned(), number(i64::try_from(first_few).unwrap_or(i64::MAX))),
                (":expires_at".to_owned(), number(hour.plus(days(2)).seconds())),
            ],
        };
        let partition = format!("told#{}", group_key(alert));
        let counted = self.calls.update(&self.table, key(&partition, &hour.to_text()), &change).await?;
        Ok(matches!(counted, ConditionalWrite::Applied(_)))
    }

    /// Returns the digests that an alert of this hour may be grouped into, in the order to try. The first is sent by
    /// the next tick, the second when the hour is over. The others are for writers that come too late for these.
    pub fn digests(alert: &Alert, now: UnixMillis) -> Vec<AgendaEntry> {
        let hour = this_hour(now);
        let attributes = [("of", text(alert.kind.as_str())), ("campaign", text(campaign_of(alert)))];
        let digest = |hours_later| {
            AgendaEntry::new(AgendaKind::Digest, hour.plus(hours(hours_later)), group_key(alert), &attributes)
        };
        (0..4).map(digest).collect()
    }

    /// Closes a digest, so that no alert can be added to it, and returns its final state. Returns `None` if the digest
    /// is gone.
    pub async fn close(&self, digest: &AgendaEntry) -> Result<Option<AgendaEntry>, CallError> {
        let change = UpdateExpression {
            update: "SET closed = :yes".to_owned(),
            condition: Some("attribute_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            values: vec![(":yes".to_owned(), AttributeValue::Bool(true))],
        };
        match self.calls.update(&self.table, key(digest.kind.as_str(), &digest.sort()), &change).await? {
            ConditionalWrite::Applied(item) => Ok(AgendaEntry::from_item(digest.kind, item)),
            ConditionalWrite::ConditionFailed(_) => Ok(None),
        }
    }

    /// Marks a digest as sent.
    pub async fn mark_sent(&self, digest: &AgendaEntry) -> Result<(), CallError> {
        let change = UpdateExpression {
            update: "SET sent = :yes".to_owned(),
            condition: Some("attribute_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            values: vec![(":yes".to_owned(), AttributeValue::Bool(true))],
        };
        self.calls.update(&self.table, key(digest.kind.as_str(), &digest.sort()), &change).await?;
        Ok(())
    }

    /// Builds the update that adds one alert to a digest that is not closed, as part of a transaction.
    pub(in crate::store) fn fold(&self, digest: &AgendaEntry) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let attribute = |name: &str| digest.item.get(name).cloned().unwrap_or_else(|| text(""));
        aws_sdk_dynamodb::types::Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(digest.kind.as_str(), &digest.sort())))
            .update_expression("ADD folded :one SET #of = :of, campaign = :campaign")
            .condition_expression("attribute_not_exists(closed)")
            .expression_attribute_names("#of", "of")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":of", attribute("of"))
            .expression_attribute_values(":campaign", attribute("campaign"))
    }
}

/// The key of the alerts that share a rate limit: one kind, and one campaign.
fn group_key(alert: &Alert) -> String {
    format!("{}#{}", alert.kind.as_str(), campaign_of(alert))
}

fn campaign_of(alert: &Alert) -> &str {
    alert.counted_in().map_or("", Campaign::as_str)
}

/// Start of the hour that contains `now`.
fn this_hour(now: UnixMillis) -> UnixMillis {
    Cohort::containing(now).start()
}
