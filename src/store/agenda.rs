//! What has to be looked at again, and when: the agenda table, which `tick` works off.
//!
//! | `kind` | `due` | what `tick` does |
//! | --- | --- | --- |
//! | `delay` | `<when>#<email>#<recipient>` | looks whether the email has an outcome by now; if not, it is news |
//! | `brake` | `<since when>#<campaign>` | computes the brake again, until it is open |
//! | `domain` | `<when>#<domain id>` | looks whether a domain that was verified is still `pending` |
//! | `digest` | `<when>#<kind of alert>#<campaign>` | sends how many alerts were folded into it |
//! | `publish` | `<when>#<alert>` | publishes an alert that could not be published at once |
//! | `lift` | `<received at>#<recipient>#<reason>` | nothing: a webhook lifted a reason; [`lifts`](super::lifts) has it; 35 days |
//! | `push` | `<when>#<recipient>` | nothing yet: a contact to be unsubscribed at Resend. It stays until that is done |
//! | `spent` | `<day>` | nothing: what asking Claude has cost that day; [`budget`](super::budget) has it |
//! | `told#<kind of alert>#<campaign>` | `<hour>` | nothing: the alerts that were sent one by one in that hour |
//!
//! Times are text, `2026-11-23T13:00:00.000Z`, so their order is the order of time.
//!
//! What `tick` works off lives until that is done, and has no TTL: a campaign may be slowed for months, and its brake ends only because
//! an entry says to compute it again.

use aws_sdk_dynamodb::types::AttributeValue;
#[cfg(feature = "cli")]
use aws_sdk_dynamodb::types::builders::PutBuilder;

use super::calls::{Calls, Change, Trouble, Written};
use super::{Item, as_number, number, string, text};
use crate::campaign::Campaign;
use crate::time::{UnixMillis, days, hours};

/// Time for which it is known what a webhook lifted, in days: as long as the tombstone of a lift.
const LIFT_DAYS: u32 = 35;

/// What an entry is about: the attribute `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A delayed email without an outcome.
    Delay,
    /// A campaign that is not open.
    Brake,
    /// A domain that is pending, or may be.
    Domain,
    /// Alerts that were folded.
    Digest,
    /// An alert that could not be published.
    Publish,
    /// A reason that a webhook lifted.
    Lift,
    /// A contact to be unsubscribed at Resend.
    Push,
}

impl Kind {
    /// The attribute's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Brake => "brake",
            Self::Domain => "domain",
            Self::Digest => "digest",
            Self::Publish => "publish",
            Self::Lift => "lift",
            Self::Push => "push",
        }
    }

    /// Days for which an entry stays that nobody works off. `None` if it stays until it is done.
    const fn kept_days(self) -> Option<u32> {
        match self {
            Self::Lift => Some(LIFT_DAYS),
            Self::Delay | Self::Brake | Self::Domain | Self::Digest | Self::Publish | Self::Push => None,
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// When it is to be looked at.
    pub due: UnixMillis,
    /// What tells it from others that are due then.
    pub key: String,
    /// Whatever else it holds.
    pub item: Item,
}

impl Entry {
    /// An entry with these attributes.
    pub fn new(kind: Kind, due: UnixMillis, key: impl Into<String>, attributes: &[(&str, AttributeValue)]) -> Self {
        let item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self { kind, due, key: key.into(), item }
    }

    /// A text that it holds; empty if it doesn't.
    pub fn text(&self, attribute: &str) -> &str {
        string(&self.item, attribute)
    }

    /// A number that it holds.
    pub fn number(&self, attribute: &str) -> Option<i64> {
        self.item.get(attribute).and_then(as_number)
    }

    fn sort(&self) -> String {
        sort(self.due, &self.key)
    }

    fn to_item(&self) -> Item {
        let mut item = self.item.clone();
        item.extend(key(self.kind.as_str(), &self.sort()));
        if let Some(kept) = self.kind.kept_days() {
            item.insert("expires_at".to_owned(), number(self.due.plus(days(kept)).seconds()));
        }
        item
    }

    fn from_item(kind: Kind, item: Item) -> Option<Self> {
        let (due, key) = string(&item, "due").split_once('#')?;
        Some(Self { kind, due: UnixMillis::parse(due)?, key: key.to_owned(), item })
    }
}

/// What became of an alert that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is among the first few of its hour: to be sent by itself.
    ByItself,
    /// It is one too many.
    TooMany,
}

/// The agenda table.
#[derive(Clone, Debug)]
pub struct Agenda {
    calls: Calls,
    pub(super) table: String,
}

impl Agenda {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Puts an entry; one of the same kind, time and key stays as it is.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn put(&self, entry: &Entry) -> Result<(), Trouble> {
        let item = entry.to_item();
        let condition = Change {
            condition: Some("attribute_not_exists(#kind)"),
            names: vec![("#kind".to_owned(), "kind".to_owned())],
            ..Change::default()
        };
        self.calls.put(&self.table, &item, &condition).await?;
        Ok(())
    }

    /// The entries of a kind that are due at `now`, the oldest first, at most so many.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn due(&self, kind: Kind, now: UnixMillis, at_most: usize) -> Result<Vec<Entry>, Trouble> {
        // '$' is what follows '#': everything of this very millisecond is due too.
        let until = format!("{}$", now.to_text());
        let items = self.calls.range(&self.table, ("kind", kind.as_str()), ("due", "0", &until), at_most).await?;
        Ok(items.into_iter().filter_map(|item| Entry::from_item(kind, item)).collect())
    }

    /// Puts an entry as part of a transaction.
    #[cfg(feature = "cli")]
    pub(crate) fn put_of(&self, entry: &Entry) -> PutBuilder {
        PutBuilder::default().table_name(&self.table).set_item(Some(entry.to_item()))
    }

    /// The entries of a kind that are due from `from` until before `until`, the oldest first, at most so many.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub(super) async fn between(
        &self,
        kind: Kind,
        from: UnixMillis,
        until: UnixMillis,
        at_most: usize,
    ) -> Result<Vec<Entry>, Trouble> {
        let (from, until) = (from.to_text(), until.to_text());
        let items = self.calls.range(&self.table, ("kind", kind.as_str()), ("due", &from, &until), at_most).await?;
        Ok(items.into_iter().filter_map(|item| Entry::from_item(kind, item)).collect())
    }

    /// Deletes an entry that is done.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn delete(&self, entry: &Entry) -> Result<(), Trouble> {
        self.calls.delete(&self.table, key(entry.kind.as_str(), &entry.sort())).await
    }

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
    ) -> Result<Place, Trouble> {
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
    pub async fn close(&self, digest: &Entry) -> Result<Option<Entry>, Trouble> {
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
    pub async fn note_sent(&self, digest: &Entry) -> Result<(), Trouble> {
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
    pub(super) fn fold(&self, digest: &Entry) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
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

/// When the hour of a moment began.
fn this_hour(now: UnixMillis) -> UnixMillis {
    crate::campaign::Cohort::of(now).start()
}

fn sort(due: UnixMillis, rest: &str) -> String {
    format!("{}#{rest}", due.to_text())
}

fn key(kind: &str, due: &str) -> Item {
    Item::from([("kind".to_owned(), text(kind)), ("due".to_owned(), text(due))])
}
