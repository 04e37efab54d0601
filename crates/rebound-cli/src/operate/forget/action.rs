//! The action on each row of the events table, and each item of the list, when an address is erased. Pure.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::event::{Event, EventRecipients};
use rebound::resend::recipient::Recipient;
use rebound::store::followups::FollowupRow;
use rebound::store::row::{self, RowKind};
use rebound::store::{Item, as_number, number, string, text};

use super::redact::Redactor;

/// The value of `kind` of a tombstone: the key that remains of a webhook about an erased address, so that a redelivery of the webhook is
/// still a duplicate and is not counted twice.
pub const TOMBSTONE: &str = "forgotten";

/// The value of `kind` of a follow-up.
const FOLLOWUP: &str = "followup";

/// The action on a row.
#[derive(Clone, Debug, PartialEq)]
pub enum EraseAction {
    /// The row does not concern the address.
    Keep,
    /// The row concerns only this address, as does its partition: only its key and its times remain.
    Empty(Item),
    /// The row concerns other addresses too: the address is redacted in it.
    Redact(Item),
    /// The row is deleted.
    Delete,
}

/// The action on a row of the events table.
pub fn action(row: &Item, recipient: &Recipient, redactor: &Redactor) -> EraseAction {
    let kind = string(row, "kind");
    if redactor.is_in(string(row, "email_id")) || redactor.is_in(string(row, "event")) {
        return EraseAction::Delete;
    }
    let is_webhook = [RowKind::Event, RowKind::Quarantine].iter().any(|known| known.as_str() == kind);
    if is_webhook {
        let body = row::payload(row);
        let body = body.as_deref().unwrap_or_default();
        if kind == RowKind::Event.as_str() && is_about_alone(body, recipient) {
            return EraseAction::Empty(tombstone(row));
        }
        if kind == RowKind::Quarantine.as_str() {
            let is_in_it = redactor.redact_body(body).is_some() || redact_attributes(row, redactor).is_some();
            return if is_in_it { EraseAction::Empty(tombstone(row)) } else { EraseAction::Keep };
        }
    }
    if is_followup_to(row, recipient) {
        // Emptied by a transition of its own.
        return EraseAction::Keep;
    }
    if kind == "alert" && is_alert_about(row, recipient) {
        return EraseAction::Delete;
    }
    match redact_attributes(row, redactor) {
        Some(cut) => EraseAction::Redact(cut),
        None => EraseAction::Keep,
    }
}

/// The action on a row whose email went to this recipient alone.
pub fn action_if_alone(row: &Item, recipient: &Recipient, redactor: &Redactor) -> EraseAction {
    match string(row, "kind") {
        "event" | "quarantine" => match action(row, recipient, redactor) {
            EraseAction::Keep => EraseAction::Empty(tombstone(row)),
            other => other,
        },
        TOMBSTONE | FOLLOWUP => EraseAction::Keep,
        _ => EraseAction::Delete,
    }
}

/// The action on an item of the suppressions table. A redacted item gets a new version, as with each write.
pub fn action_in_list(item: &Item, recipient: &Recipient, redactor: &Redactor) -> EraseAction {
    let name = string(item, "recipient");
    if redactor.is_in(name) {
        let is_theirs = Recipient::parse(name).as_ref() == Some(recipient);
        return if is_theirs { EraseAction::Delete } else { EraseAction::Keep };
    }
    let Some(mut cut) = redact_attributes(item, redactor) else { return EraseAction::Keep };
    let version = item.get("version").and_then(as_number).unwrap_or(0).saturating_add(1);
    cut.insert("version".to_owned(), number(version));
    EraseAction::Redact(cut)
}

fn is_about_alone(body: &[u8], recipient: &Recipient) -> bool {
    let Ok(event) = Event::read(body) else { return false };
    let others_got_it = event.copied().iter().any(|copied| copied != recipient);
    match event.recipients() {
        EventRecipients::One(one) => one == *recipient && !others_got_it,
        EventRecipients::Many(_) => false,
        EventRecipients::None => event.address().as_ref() == Some(recipient),
    }
}

/// Returns true if a row is a follow-up to this recipient.
pub fn is_followup_to(row: &Item, recipient: &Recipient) -> bool {
    let is_followup = string(row, "kind") == FOLLOWUP;
    is_followup && FollowupRow::from_item(row).is_some_and(|row| row.recipient.as_ref() == Some(recipient))
}

fn is_alert_about(row: &Item, recipient: &Recipient) -> bool {
    let alert: serde_json::Value = serde_json::from_str(string(row, "payload")).unwrap_or_default();
    alert.get("recipient").and_then(serde_json::Value::as_str).and_then(Recipient::parse).as_ref() == Some(recipient)
}

fn tombstone(row: &Item) -> Item {
    let kept = ["email_id", "event", "received_at", "expires_at"];
    let mut left: Item = kept.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone()))).collect();
    left.insert("kind".to_owned(), text(TOMBSTONE));
    left
}

/// Redacts the address in every attribute of an item. Returns `None` if the item does not contain it.
pub fn redact_attributes(item: &Item, redactor: &Redactor) -> Option<Item> {
    let mut cut = item.clone();
    let mut changes = false;
    for (name, value) in item {
        if let Some(value) = redact_attribute(name, value, redactor) {
            cut.insert(name.clone(), value);
            changes = true;
        }
    }
    changes.then_some(cut)
}

fn redact_attribute(name: &str, value: &AttributeValue, redactor: &Redactor) -> Option<AttributeValue> {
    let in_text = |text: &String| redactor.redact_body(text.as_bytes()).and_then(|body| String::from_utf8(body).ok());
    match value {
        AttributeValue::S(text) => in_text(text).map(AttributeValue::S),
        AttributeValue::B(_) if name == "payload" => {
            let row = Item::from([(name.to_owned(), value.clone())]);
            let cut = redactor.redact_body(row::payload(&row)?.as_ref())?;
            Some(AttributeValue::B(Blob::new(row::compressed(&cut))))
        }
        AttributeValue::Ss(texts) => {
            let cut: std::collections::BTreeSet<String> =
                texts.iter().map(|text| in_text(text).unwrap_or_else(|| text.clone())).collect();
            let changes = texts.iter().any(|text| !cut.contains(text));
            changes.then(|| AttributeValue::Ss(cut.into_iter().collect()))
        }
        AttributeValue::M(map) => redact_attributes(map, redactor).map(AttributeValue::M),
        AttributeValue::L(list) => {
            let cut: Vec<Option<AttributeValue>> = list.iter().map(|one| redact_attribute("", one, redactor)).collect();
            let changes = cut.iter().any(Option::is_some);
            let all = cut.into_iter().zip(list).map(|(cut, one)| cut.unwrap_or_else(|| one.clone()));
            changes.then(|| AttributeValue::L(all.collect()))
        }
        _ => None,
    }
}
