//! Optimistic locking: an item is replaced only if it has not changed since it was read. This module makes the
//! condition and the next `version` for every table.

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::UpdateExpression;
use super::{Item, as_number, number};

/// The attribute.
const VERSION: &str = "version";

/// The version of an item as it was read: the condition of the next write.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SeenVersion {
    /// There was no item.
    #[default]
    Absent,
    /// There was an item without a version, made by a person.
    Unversioned,
    /// There was an item with this version. A person may have written a value that is not a number.
    Version(AttributeValue),
}

impl SeenVersion {
    /// Reads the version of an item.
    pub fn of(item: Option<&Item>) -> Self {
        match item.map(|item| item.get(VERSION)) {
            None => Self::Absent,
            Some(None) => Self::Unversioned,
            Some(Some(version)) => Self::Version(version.clone()),
        }
    }

    /// The condition that the item has not changed since it was read. `key` is the name of the table's partition key.
    pub fn unchanged(&self, key: &'static str) -> UpdateExpression {
        let name = |placeholder: &str, attribute: &str| (placeholder.to_owned(), attribute.to_owned());
        match self {
            Self::Absent => UpdateExpression {
                condition: Some("attribute_not_exists(#key)"),
                names: vec![name("#key", key)],
                ..UpdateExpression::default()
            },
            Self::Unversioned => UpdateExpression {
                condition: Some("attribute_exists(#key) AND attribute_not_exists(#version)"),
                names: vec![name("#key", key), name("#version", VERSION)],
                ..UpdateExpression::default()
            },
            Self::Version(seen) => UpdateExpression {
                condition: Some("#version = :seen_version"),
                names: vec![name("#version", VERSION)],
                values: vec![(":seen_version".to_owned(), seen.clone())],
                ..UpdateExpression::default()
            },
        }
    }

    /// The version of the next write: higher than the one that was read.
    pub fn next(&self) -> AttributeValue {
        match self {
            Self::Version(seen) if as_number(seen).is_some_and(|seen| seen < i64::MAX) => {
                number(as_number(seen).unwrap_or(0).saturating_add(1))
            }
            _ => number(i64::from(fastrand::u32(1..=u32::MAX))),
        }
    }

    /// Returns the item to put over the one that was read, with its next version, and the condition of the put. `key`
    /// is the name of the table's partition key.
    pub fn overwrite(&self, key: &'static str, mut item: Item) -> (Item, UpdateExpression) {
        item.insert(VERSION.to_owned(), self.next());
        (item, self.unchanged(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::text;

    fn versioned(version: AttributeValue) -> Item {
        Item::from([("recipient".to_owned(), text("a@b.c")), (VERSION.to_owned(), version)])
    }

    #[test]
    fn a_version_goes_up_whatever_a_person_wrote() {
        let next = |version| SeenVersion::of(Some(&versioned(version))).next();
        assert_eq!(next(number(7)), number(8));
        for odd in [text("seven"), AttributeValue::N("1.5".to_owned()), number(i64::MAX), AttributeValue::Null(true)] {
            let seen = SeenVersion::of(Some(&versioned(odd.clone())));
            assert_eq!(seen, SeenVersion::Version(odd.clone()), "it is compared as it is");
            assert_ne!(seen.next(), odd);
            assert!(as_number(&seen.next()).is_some());
        }
    }

    #[test]
    fn a_new_item_is_not_mistaken_for_a_deleted_one() {
        let first = || SeenVersion::of(None).overwrite("recipient", Item::new()).0;
        assert_ne!(SeenVersion::of(Some(&first())), SeenVersion::of(Some(&first())));
    }

    #[test]
    fn every_write_over_an_item_needs_the_item() {
        let by_hand = Item::from([("recipient".to_owned(), text("a@b.c"))]);
        let condition = |item: Option<&Item>| SeenVersion::of(item).unchanged("recipient").condition.unwrap();
        assert_eq!(condition(None), "attribute_not_exists(#key)");
        assert_eq!(condition(Some(&by_hand)), "attribute_exists(#key) AND attribute_not_exists(#version)");
        assert_eq!(condition(Some(&versioned(number(3)))), "#version = :seen_version");
    }
}
