//! The effect of a webhook on the suppression list, by the present state of the list, and not by the webhook alone.

use std::collections::{BTreeMap, BTreeSet};

use rebound::aws::CallError;
use rebound::policy::suppression::{
    ChangeEffect, ItemChange, SuppressionChange, SuppressionEffect, TopicChange, suppression_effect,
};
use rebound::resend::event::{Event, Subscription};
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::store::row::{self, RowKind};
use rebound::store::suppressions::{SuppressionItem, Suppressions};
use rebound::store::{Item, as_number, string};
use rebound::time::UnixMillis;

use crate::operate::suppressions::List;

/// The present state of the suppression list, for the recipients of some rows.
#[derive(Clone, Debug)]
pub struct ListSnapshot {
    /// The present time.
    pub now: UnixMillis,
    /// The items that there are, by address.
    pub list: BTreeMap<Recipient, SuppressionItem>,
}

impl ListSnapshot {
    /// Reads the items of all recipients whom webhooks among these rows suppress or lift.
    pub(in crate::operate) async fn of(list: &List, rows: &[Item], now: UnixMillis) -> Result<Self, CallError> {
        let table = Suppressions::new(list.calls.clone(), &list.suppressions);
        let concerned: BTreeSet<Recipient> = rows.iter().flat_map(concerned).collect();
        let mut known = Self { now, list: BTreeMap::new() };
        for recipient in concerned {
            if let Some(stored) = table.find(recipient.as_str()).await? {
                known.list.insert(recipient, stored);
            }
        }
        Ok(known)
    }
}

fn concerned(row: &Item) -> Vec<Recipient> {
    if string(row, "kind") != RowKind::Event.as_str() {
        return Vec::new();
    }
    let body = row::payload(row).unwrap_or_default();
    let received_at = UnixMillis(row.get("received_at").and_then(as_number).unwrap_or(0));
    match Event::read(&body).map(|event| suppression_effect(&event, &MessageId::from_verified(""), received_at)) {
        Ok(SuppressionEffect::Changes(changes)) => changes.into_keys().collect(),
        Ok(SuppressionEffect::Nothing | SuppressionEffect::Ambiguous(_)) | Err(_) => Vec::new(),
    }
}

/// The effects of a webhook on the suppression list, as text.
pub(super) fn follows(event: &Event<'_>, message: &str, received_at: UnixMillis, known: &ListSnapshot) -> Vec<String> {
    match suppression_effect(event, &MessageId::from_verified(message), received_at) {
        SuppressionEffect::Nothing => Vec::new(),
        SuppressionEffect::Ambiguous(_) => {
            vec!["no address is suppressed: the event does not say which recipient it is about".to_owned()]
        }
        SuppressionEffect::Changes(changes) => {
            let all =
                changes.iter().flat_map(|(recipient, changes)| changes.iter().map(move |change| (recipient, change)));
            let text = |(recipient, change): (&Recipient, &ItemChange)| match change {
                ItemChange::Reason(change) => one(recipient, change, known),
                ItemChange::Topic(change) => of_topic(recipient, change, known),
            };
            all.map(text).collect()
        }
    }
}

fn one(recipient: &Recipient, change: &SuppressionChange, known: &ListSnapshot) -> String {
    let reason = change.reason.as_str();
    let record = known.list.get(recipient).and_then(|stored| stored.suppression.records.get(&change.reason));
    let is_active = record.is_some_and(|record| record.is_active(known.now));
    let suppressed = record.and_then(|record| record.suppressed.as_ref());
    let lifted = record.and_then(|record| record.lifted.as_ref());
    match (&change.effect, is_active, lifted, suppressed) {
        (ChangeEffect::Suppress(_), true, ..) => format!("{recipient} is suppressed as {reason}"),
        (ChangeEffect::Suppress(_), false, Some(lifted), _) if record.is_some_and(|record| !record.suppresses()) => {
            format!("{reason} of {recipient} was lifted at {} by {}", lifted.at.to_text(), lifted.message)
        }
        (ChangeEffect::Suppress(_), false, ..) => format!("the list no longer has {reason} for {recipient}"),
        (ChangeEffect::Lift, false, ..) => format!("{reason} is lifted for {recipient}"),
        (ChangeEffect::Lift, true, _, Some((said, _))) => {
            format!("{reason} of {recipient} is not lifted: it is active since {}", said.at.to_text())
        }
        (ChangeEffect::Lift, true, _, None) => format!("{reason} of {recipient} is not lifted"),
    }
}

/// The effect of a webhook on a topic, by the present state of the topic.
fn of_topic(recipient: &Recipient, change: &TopicChange, known: &ListSnapshot) -> String {
    let topic = &change.topic;
    let state = known.list.get(recipient).and_then(|stored| stored.suppression.topics.get(topic));
    let opted_out = state.filter(|state| state.is_out()).and_then(|state| state.opted_out.as_ref());
    let opted_in = state.and_then(|state| state.opted_in.as_ref());
    match (change.subscription, opted_out, opted_in) {
        (Subscription::OptOut, Some(_), _) => format!("{recipient} is out of the topic {topic}"),
        (Subscription::OptOut, None, Some(stamp)) => {
            format!("{recipient} opted in to the topic {topic} again at {} by {}", stamp.at.to_text(), stamp.message)
        }
        (Subscription::OptOut, None, None) => format!("the list no longer has the topic {topic} for {recipient}"),
        (Subscription::OptIn, None, _) => format!("{recipient} is not out of the topic {topic}"),
        (Subscription::OptIn, Some(stamp), _) => {
            format!("{recipient} is still out of the topic {topic}, since {}", stamp.at.to_text())
        }
    }
}
