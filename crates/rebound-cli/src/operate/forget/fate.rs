//! The action on each row of the events table, and each item of the list, when an address is erased. Pure.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use rebound::resend::event::{Event, EventRecipients};
use rebound::resend::recipient::Recipient;
use rebound::store::row::{self, RowKind};
use rebound::store::{Item, as_number, number, string, text};

use super::cut::Cutter;

/// The value of `kind` of a tombstone: the key that remains of a webhook about an erased address, so that a redelivery of the webhook is
/// still a duplicate and is not counted twice.
pub const TOMBSTONE: &str = "forgotten";

/// The action on a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The row does not concern the address.
    Kept,
    /// The row concerns only this address, as does its partition: only its key and its times remain.
    Emptied(Item),
    /// The row concerns other addresses too: the address is redacted in it.
    Cut(Item),
    /// The row is deleted.
    Deleted,
}

/// The action on a row of the events table.
pub fn fate(row: &Item, recipient: &Recipient, cutter: &Cutter) -> Fate {
    let kind = string(row, "kind");
    if cutter.is_in(string(row, "email_id")) || cutter.is_in(string(row, "event")) {
        return Fate::Deleted;
    }
    let is_webhook = [RowKind::Event, RowKind::Quarantine].iter().any(|known| known.as_str() == kind);
    if is_webhook {
        let body = row::payload(row);
        let body = body.as_deref().unwrap_or_default();
        if kind == RowKind::Event.as_str() && is_about_alone(body, recipient) {
            return Fate::Emptied(tombstone(row));
        }
        if kind == RowKind::Quarantine.as_str() {
            let is_in_it = cutter.cut_body(body).is_some() || cut_attributes(row, cutter).is_some();
            return if is_in_it { Fate::Emptied(tombstone(row)) } else { Fate::Kept };
        }
    }
    if kind == "alert" && is_alert_about(row, recipient) {
        return Fate::Deleted;
    }
    match cut_attributes(row, cutter) {
        Some(cut) => Fate::Cut(cut),
        None => Fate::Kept,
    }
}

/// The action on a row whose email went to this recipient alone.
pub fn fate_with_all(row: &Item, recipient: &Recipient, cutter: &Cutter) -> Fate {
    match string(row, "kind") {
        "event" | "quarantine" => match fate(row, recipient, cutter) {
            Fate::Kept => Fate::Emptied(tombstone(row)),
            fate => fate,
        },
        TOMBSTONE => Fate::Kept,
        _ => Fate::Deleted,
    }
}

/// The action on an item of the suppressions table. A redacted item gets a new version, as with each write.
pub fn fate_in_list(item: &Item, recipient: &Recipient, cutter: &Cutter) -> Fate {
    let name = string(item, "recipient");
    if cutter.is_in(name) {
        let is_theirs = Recipient::parse(name).as_ref() == Some(recipient);
        return if is_theirs { Fate::Deleted } else { Fate::Kept };
    }
    let Some(mut cut) = cut_attributes(item, cutter) else { return Fate::Kept };
    let version = item.get("version").and_then(as_number).unwrap_or(0).saturating_add(1);
    cut.insert("version".to_owned(), number(version));
    Fate::Cut(cut)
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
pub fn cut_attributes(item: &Item, cutter: &Cutter) -> Option<Item> {
    let mut cut = item.clone();
    let mut changes = false;
    for (name, value) in item {
        if let Some(value) = cut_attribute(name, value, cutter) {
            cut.insert(name.clone(), value);
            changes = true;
        }
    }
    changes.then_some(cut)
}

fn cut_attribute(name: &str, value: &AttributeValue, cutter: &Cutter) -> Option<AttributeValue> {
    let in_text = |text: &String| cutter.cut_body(text.as_bytes()).and_then(|body| String::from_utf8(body).ok());
    match value {
        AttributeValue::S(text) => in_text(text).map(AttributeValue::S),
        AttributeValue::B(_) if name == "payload" => {
            let row = Item::from([(name.to_owned(), value.clone())]);
            let cut = cutter.cut_body(row::payload(&row)?.as_ref())?;
            Some(AttributeValue::B(Blob::new(row::compressed(&cut))))
        }
        AttributeValue::Ss(texts) => {
            let cut: std::collections::BTreeSet<String> =
                texts.iter().map(|text| in_text(text).unwrap_or_else(|| text.clone())).collect();
            let changes = texts.iter().any(|text| !cut.contains(text));
            changes.then(|| AttributeValue::Ss(cut.into_iter().collect()))
        }
        AttributeValue::M(map) => cut_attributes(map, cutter).map(AttributeValue::M),
        AttributeValue::L(list) => {
            let cut: Vec<Option<AttributeValue>> = list.iter().map(|one| cut_attribute("", one, cutter)).collect();
            let changes = cut.iter().any(Option::is_some);
            let all = cut.into_iter().zip(list).map(|(cut, one)| cut.unwrap_or_else(|| one.clone()));
            changes.then(|| AttributeValue::L(all.collect()))
        }
        _ => None,
    }
}
