//! Alerts that are too many: the first few of an hour by themselves, the rest grouped into digests.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Agenda, Entry, Kind, key};
use crate::aws::CallError;
use crate::resend::campaign::{Campaign, Cohort};
use crate::store::calls::{Change, Written};
use crate::store::{number, text};
use crate::time::{UnixMillis, days, hours};

/// What became of an alert that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is among the first few of its hour: to be sent by itself.
    ByItself,
    /// It is one too many.
    TooMany,
}

/// Alerts that are counted together when they are too many: of a kind, and of a campaign.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The kind of alert.
    pub kind: &'a str,
    /// The campaign, if they have one.
    pub campaign: Option<&'a Campaign>,
}

impl Group<'_> {
    fn key(&self) -> String {
        format!("{}#{}", self.kind, self.campaign.map_or("", Campaign::as_str))
    }
}

impl Agenda {
    /// Whether an alert is among the first few of its kind and campaign in this hour. The same alert gets the same answer however
    /// often it asks.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn place(
        &self,
        group: &Group<'_>,
        alert_id: &str,
        now: UnixMillis,
        first_few: usize,
    ) -> Result<Place, CallError> {
        let hour = this_hour(now);
        let change = Change {
            update: "ADD told :alert SET expires_at = :expires_at".to_owned(),
            condition: Some("attribute_not_exists(told) OR contains(told, :id) OR size(told) < :few"),
            names: Vec::new(),
            values: vec![
                (":alert".to_owned(), AttributeValue::Ss(vec![alert_id.to_owned()])),
                (":id".to_owned(), text(alert_id)),
                (":few".to_owned(), number(i64::try_from(first_few).unwrap_or(i64::MAX))),
                (":expires_at".to_owned(), number(hour.plus(days(2)).seconds())),
            ],
        };
        let partition = format!("told#{}", group.key());
        match self.calls.update(&self.table, key(&partition, &hour.to_text()), &change).await? {
            Written::Done(_) => Ok(Place::ByItself),
            Written::Refused(_) => Ok(Place::TooMany),
        }
    }

    /// The digests that an alert of this hour may be folded into, in the order in which to try: the hour's first, which the next
    /// tick sends; its second, sent when the hour is over; and those of the hours after it, for whoever comes too late.
    pub fn digests(group: &Group<'_>, now: UnixMillis) -> Vec<Entry> {
        let hour = this_hour(now);
        let attributes = [("of", text(group.kind)), ("campaign", text(group.campaign.map_or("", Campaign::as_str)))];
        let digest = |hours_later| Entry::new(Kind::Digest, hour.plus(hours(hours_later)), group.key(), &attributes);
        (0..4).map(digest).collect()
    }

    /// Closes a digest, so that nothing is folded into it any more, and answers it as it is then.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn close(&self, digest: &Entry) -> Result<Option<Entry>, CallError> {
        let change = Change {
            update: "SET closed = :yes".to_owned(),
            condition: Some("attribute_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            values: vec![(":yes".to_owned(), AttributeValue::Bool(true))],
        };
        match self.calls.update(&self.table, key(digest.kind.as_str(), &digest.sort()), &change).await? {
            Written::Done(item) => Ok(Entry::from_item(digest.kind, item)),
            Written::Refused(_) => Ok(None),
        }
    }

    /// Notes that a digest was sent.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_sent(&self, digest: &Entry) -> Result<(), CallError> {
        let change = Change {
            update: "SET sent = :yes".to_owned(),
            condition: Some("attribute_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            values: vec![(":yes".to_owned(), AttributeValue::Bool(true))],
        };
        self.calls.update(&self.table, key(digest.kind.as_str(), &digest.sort()), &change).await?;
        Ok(())
    }

    /// What folds one alert into a digest that is not closed: part of a transaction.
    pub(in crate::store) fn fold(&self, digest: &Entry) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
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

/// When the hour of a moment began.
fn this_hour(now: UnixMillis) -> UnixMillis {
    Cohort::of(now).start()
}
