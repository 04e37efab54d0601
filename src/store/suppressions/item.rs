//! An item of the suppressions table, converted from and to the policy's types.

use aws_sdk_dynamodb::types::AttributeValue;

use super::maps::{TOPICS, as_listed, record_from, record_to, topic_to, topics_of};
use crate::policy::suppression::{ItemChange, Reason, ReasonState, Suppression};
use crate::resend::recipient::Recipient;
use crate::store::client::UpdateExpression;
use crate::store::version::SeenVersion;
use crate::store::{Item, as_number, number, text};
use crate::time::UnixMillis;

/// An active reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ActiveReason {
    /// Its name, which may be one of a later version of this program.
    pub reason: String,
    /// Time of the event that set it.
    pub at: Option<UnixMillis>,
    /// The email that caused it.
    pub email_id: Option<String>,
    /// The circumstances.
    pub detail: Option<String>,
    /// Time at which it expires.
    pub until: Option<UnixMillis>,
}
/// The suppression item of one recipient, as last read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuppressionItem {
    /// The suppression state for the policy.
    pub suppression: Suppression,
    /// The version that was read.
    pub seen: SeenVersion,
    /// Attributes that this version of the program does not know: of a later version, or added by an operator. They are
    /// written back unchanged.
    others: Item,
    other_reasons: Vec<String>,
}

impl SuppressionItem {
    /// Reads an item. Invalid attributes are ignored, but a name in `reasons` always counts.
    pub fn from_item(mut item: Item) -> Self {
        let mut stored = Self { seen: SeenVersion::of(Some(&item)), ..Self::default() };
        for computed in ["recipient", "version", "until", "expires_at"] {
            item.remove(computed);
        }
        let reasons = item.remove("reasons").and_then(|set| set.as_ss().cloned().ok()).unwrap_or_default();
        for &reason in Reason::ALL {
            let map = item.remove(reason.as_str()).and_then(|map| map.as_m().cloned().ok());
            let is_listed = reasons.iter().any(|name| name == reason.as_str());
            let record = map.as_ref().map(record_from).unwrap_or_default();
            let record = as_listed(record, is_listed, map.as_ref());
            if record != ReasonState::default() {
                stored.suppression.records.insert(reason, record);
            }
        }
        let known = |name: &String| Reason::ALL.iter().any(|reason| reason.as_str() == name);
        stored.other_reasons = reasons.into_iter().filter(|name| !known(name)).collect();
        stored.suppression.topics = topics_of(&item);
        stored.others = item;
        stored
    }

    /// Returns the reasons that are active at `now`. An empty list: the recipient can receive email.
    pub fn active_reasons(&self, now: UnixMillis) -> Vec<ActiveReason> {
        let of = |(reason, record): (&Reason, &ReasonState)| {
            let (said, details) = record.suppressed.as_ref().filter(|_| record.is_active(now))?;
            Some(ActiveReason {
                reason: reason.as_str().to_owned(),
                // Added by hand, without a time.
                at: (said.at.0 > 0).then_some(said.at),
                email_id: details.email_id.clone(),
                detail: details.detail.clone(),
                until: details.until,
            })
        };
        let until =
            |reason: &str| self.others.get(reason)?.as_m().ok()?.get("until").and_then(as_number).map(UnixMillis);
        let others = self.other_reasons.iter().map(|reason| ActiveReason {
            reason: reason.clone(),
            at: None,
            email_id: None,
            detail: None,
            until: until(reason),
        });
        let others = others.filter(|active| active.until.is_none_or(|until| until > now));
        self.suppression.records.iter().filter_map(of).chain(others).collect()
    }

    /// Returns the item with these changes merged in. Returns `None` if they change nothing.
    pub fn merged<C: Clone + Into<ItemChange>>(&self, changes: &[C]) -> Option<Self> {
        let merge = |known: Suppression, change: &C| known.merge_change(&change.clone().into());
        let suppression = changes.iter().fold(self.suppression.clone(), merge);
        (suppression != self.suppression).then(|| Self { suppression, ..self.clone() })
    }

    /// Returns the item to write over the one that was read, with the condition that it has not changed.
    pub fn overwrite(&self, recipient: &Recipient) -> (Item, UpdateExpression) {
        self.seen.overwrite("recipient", self.to_item(recipient))
    }

    /// The condition that the item has not changed since it was read.
    pub fn unchanged(&self) -> UpdateExpression {
        self.seen.unchanged("recipient")
    }

    /// Builds the item, without its version.
    pub fn to_item(&self, recipient: &Recipient) -> Item {
        let mut item = self.others.clone();
        item.insert("recipient".to_owned(), text(recipient.as_str()));
        for (reason, record) in &self.suppression.records {
            item.insert(reason.as_str().to_owned(), AttributeValue::M(record_to(record)));
        }
        self.insert_topics(&mut item);
        let names = self.suppression.reasons().map(|reason| reason.as_str().to_owned());
        let reasons: Vec<String> = names.chain(self.other_reasons.iter().cloned()).collect();
        // DynamoDB has no empty sets. A reason that this version does not know may be permanent, so the item never
        // expires.
        if !reasons.is_empty() {
            item.insert("reasons".to_owned(), AttributeValue::Ss(reasons));
        }
        if self.other_reasons.is_empty() {
            if let Some(until) = self.suppression.until() {
                item.insert("until".to_owned(), number(until.0));
            }
            if let Some(expires_at) = self.suppression.expires_at() {
                item.insert("expires_at".to_owned(), number(expires_at.seconds()));
            }
        }
        item
    }

    /// Writes the topics. What this version does not know of a topic, or in its place, is written back unchanged.
    fn insert_topics(&self, item: &mut Item) {
        let read = topics_of(item);
        if self.suppression.topics.is_empty() && read.is_empty() {
            return;
        }
        let mut topics = match item.remove(TOPICS) {
            Some(AttributeValue::M(topics)) => topics,
            _ => Item::new(),
        };
        topics.retain(|topic, _| self.suppression.topics.contains_key(topic) || !read.contains_key(topic));
        for (topic, state) in &self.suppression.topics {
            let mut map = match topics.remove(topic) {
                Some(AttributeValue::M(map)) => map,
                _ => Item::new(),
            };
            map.extend(topic_to(state));
            topics.insert(topic.clone(), AttributeValue::M(map));
        }
        item.insert(TOPICS.to_owned(), AttributeValue::M(topics));
    }
}
