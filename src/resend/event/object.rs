//! A JSON object whose fields are read one by one, when somebody asks for them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::resend::json::Text;

/// A JSON object, its values still as they came.
///
/// A field is parsed when it is asked for, as what it is asked for, and is `None` if it is not that. So a field that is
/// absent, null or of another type than expected can never fail an event, a field that nobody asks for costs nothing, and
/// keys may come in any order or twice (the last one counts, as in most parsers).
#[derive(Clone, Debug, Default)]
pub(crate) struct Object<'a>(BTreeMap<Text, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// The text is not JSON, or another type of it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// The field as a `T`, if it is one.
    pub(crate) fn get<T: Deserialize<'a>>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    /// The field as text, if it is a string with something in it.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        self.get::<Text>(field).map(|Text(text)| text).filter(|text| !text.is_empty())
    }

    /// The field as an id, if it is a string with something in it, and all of it is text: two ids must not become one.
    pub(crate) fn id(&self, field: &str) -> Option<String> {
        self.get::<String>(field).filter(|id| !id.is_empty())
    }

    /// The field as it came, if it is there.
    pub(crate) fn raw(&self, field: &str) -> Option<&'a RawValue> {
        self.0.get(field).copied()
    }

    /// The field as an object, if it is one.
    pub(crate) fn object(&self, field: &str) -> Option<Object<'a>> {
        Self::parse(self.0.get(field)?.get()).ok()
    }

    /// The field's values, whether it holds an array of them or only one; none if it is absent or null.
    pub(crate) fn list(&self, field: &str) -> Vec<&'a RawValue> {
        match self.0.get(field) {
            None => Vec::new(),
            Some(value) if value.get() == "null" => Vec::new(),
            Some(value) => serde_json::from_str(value.get()).unwrap_or_else(|_| vec![*value]),
        }
    }

    /// The texts in a field that holds one or an array of them; what is not text is left out.
    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        self.list(field).into_iter().filter_map(text_of).collect()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.0.as_str(), *value))
    }
}

/// A value as text, if it is a string.
pub(crate) fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).map(|Text(text)| text).ok()
}
