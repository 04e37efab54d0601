//! Whom a field of an event names, in whatever shape it is.

use serde_json::value::RawValue;

use super::object::{Object, text_of};
use crate::resend::recipient::{Named, Recipient};

/// How deep a list of addresses may lie in others. Resend's is flat.
const MAX_DEPTH: usize = 4;

/// The names that an address may have in an object.
const ADDRESS_FIELDS: [&str; 2] = ["email", "address"];

/// Whom a field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressees {
    /// Nobody whose address can be read.
    Nobody,
    /// Exactly one address.
    One(Recipient),
    /// Several, of whom these can be read. Which of them an outcome is about, the field does not say.
    Several(Vec<Recipient>),
}

impl Addressees {
    /// Reads a field: a text with one or several addresses, an object with one, a list of either. What can't be read counts as
    /// somebody, so that it never makes one address out of two.
    pub(super) fn read(field: Option<&RawValue>) -> Self {
        let mut named = Named::default();
        match field.filter(|value| value.get() != "null") {
            Some(value) => read(value, MAX_DEPTH, &mut named),
            None => return Self::Nobody,
        }
        match (named.recipients.len(), named.others) {
            (0, _) => Self::Nobody,
            (1, false) => named.recipients.pop().map_or(Self::Nobody, Self::One),
            _ => Self::Several(named.recipients),
        }
    }

    /// Everybody whose address can be read.
    pub fn all(self) -> Vec<Recipient> {
        match self {
            Self::Nobody => Vec::new(),
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}

fn read(value: &RawValue, depth: usize, named: &mut Named) {
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
