//! Recipients in a field of an event, in any shape.

use serde_json::value::RawValue;

use super::object::{Object, text_of};
use crate::resend::recipient::{NamedRecipients, Recipient};

/// Maximum depth of nested lists of addresses. Resend's lists are flat.
const MAX_DEPTH: usize = 4;

/// Fields of an object that can hold an address.
const ADDRESS_FIELDS: [&str; 2] = ["email", "address"];

/// Recipients in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventRecipients {
    /// No valid address.
    None,
    /// Exactly one address.
    One(Recipient),
    /// Several recipients; these have valid addresses. The field does not say which one an outcome is about.
    Many(Vec<Recipient>),
}

impl EventRecipients {
    /// Reads a field: a text with one or several addresses, an object with one, or a list of either. An invalid address
    /// counts as another recipient, so that a field with two recipients is never read as one.
    pub(super) fn read(field: Option<&RawValue>) -> Self {
        let mut named = NamedRecipients::default();
        match field.filter(|value| value.get() != "null") {
            Some(value) => read(value, MAX_DEPTH, &mut named),
            None => return Self::None,
        }
        match (named.recipients.len(), named.others) {
            (0, _) => Self::None,
            (1, false) => named.recipients.pop().map_or(Self::None, Self::One),
            _ => Self::Many(named.recipients),
        }
    }

    /// Returns all recipients with a valid address.
    pub fn into_vec(self) -> Vec<Recipient> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(several) => several,
        }
    }
}

fn read(value: &RawValue, depth: usize, named: &mut NamedRecipients) {
    if let Some(text) = text_of(value) {
        named.add(&text);
    } else if let (Ok(values), true) = (serde_json::from_str::<Vec<&RawValue>>(value.get()), depth > 0) {
        values.into_iter().for_each(|value| read(value, depth - 1, named));
    } else if let (Ok(object), true) = (Object::parse(value.get()), depth > 0) {
        let fields: Vec<&RawValue> = ADDRESS_FIELDS.iter().filter_map(|field| object.raw(field)).collect();
        named.others |= fields.is_empty();
        fields.into_iter().for_each(|value| read(value, depth - 1, named));
    } else {
        named.others = true;
    }
}
