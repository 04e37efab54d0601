//! A JSON object whose fields are parsed on demand.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::resend::json::Text;

/// A JSON object with its values unparsed.
///
/// A field is parsed on access, as the requested type, and is `None` if it has another type. So a missing, null or
/// unexpected field never fails an event, an unused field costs nothing, and keys may come in any order. If a key comes
/// twice the last one counts, as in most parsers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a>(BTreeMap<Text, &'a RawValue>);

impl<'a> Object<'a> {
    /// Parses an object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// Returns the field as a `T`, if it is one.
    pub(crate) fn get<T: Deserialize<'a>>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    /// Returns the field as text, if it is a string and not empty.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        self.get::<Text>(field).map(|Text(text)| text).filter(|text| !text.is_empty())
    }

    /// Returns the field as an id, if it is a string and not empty. Lone surrogates are rejected: two ids must not
    /// become one.
    pub(crate) fn id(&self, field: &str) -> Option<String> {
        self.get::<String>(field).filter(|id| !id.is_empty())
    }

    /// Returns the field unparsed.
    pub(crate) fn raw(&self, field: &str) -> Option<&'a RawValue> {
        self.0.get(field).copied()
    }

    /// Returns the field as an object, if it is one.
    pub(crate) fn object(&self, field: &str) -> Option<Object<'a>> {
        Self::parse(self.0.get(field)?.get()).ok()
    }

    /// Returns the field's values: of an array, or of a single value. A missing or null field has none.
    pub(crate) fn list(&self, field: &str) -> Vec<&'a RawValue> {
        match self.0.get(field) {
            None => Vec::new(),
            Some(value) if value.get() == "null" => Vec::new(),
            Some(value) => serde_json::from_str(value.get()).unwrap_or_else(|_| vec![*value]),
        }
    }

    /// Returns the texts in a field that holds one text or an array of them. Other values are left out.
    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        self.list(field).into_iter().filter_map(text_of).collect()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.0.as_str(), *value))
    }
}

/// Returns a value as text, if it is a string.
pub(crate) fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).map(|Text(text)| text).ok()
}
