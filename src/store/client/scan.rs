//! Whole tables and whole items, for the operator's command: scans page by page, and updates of the changed attributes
//! of an item.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{ConditionalWrite, RetryClient, classify};
use crate::aws::CallError;
use crate::store::Item;

/// Filter and projection of a scan. DynamoDB reads and bills the whole table, but sends only this.
#[derive(Clone, Debug, Default)]
pub struct ScanFilter {
    /// The filter expression.
    pub filter: Option<String>,
    /// The projection expression: the attributes to return.
    pub projection: Option<String>,
    /// `#name` and the attribute that it replaces.
    pub names: HashMap<String, String>,
    /// `:value` and the value that it replaces.
    pub values: HashMap<String, AttributeValue>,
}

/// A page of a scan.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The items that match.
    pub items: Vec<Item>,
    /// Number of items that were read.
    pub scanned: usize,
    /// Start of the next page. `None` after the last page.
    pub next: Option<Item>,
}

impl RetryClient {
    /// Reads one page of one segment of a table, from `start` on. Strongly consistent, so no row that exists when the
    /// scan begins is missed.
    pub async fn scan_page(
        &self,
        table: &str,
        wanted: &ScanFilter,
        (segment, segments): (i32, i32),
        start: Option<Item>,
    ) -> Result<ScanPage, CallError> {
        let call = || async {
            let scan = self.client.scan().table_name(table).segment(segment).total_segments(segments);
            let scan = scan.consistent_read(true);
            let scan = scan.set_filter_expression(wanted.filter.clone());
            let scan = scan.set_projection_expression(wanted.projection.clone());
            let scan = scan.set_expression_attribute_names((!wanted.names.is_empty()).then(|| wanted.names.clone()));
            let scan = scan.set_expression_attribute_values((!wanted.values.is_empty()).then(|| wanted.values.clone()));
            scan.set_exclusive_start_key(start.clone()).send().await.map_err(|error| classify(&error))
        };
        let page = self.with_retries(call).await?;
        Ok(ScanPage {
            scanned: usize::try_from(page.scanned_count).unwrap_or(0),
            items: page.items.unwrap_or_default(),
            next: page.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }

    /// Changes an item from `seen` to `wanted`. Only the attributes that differ are written, and only if each still has
    /// the value that was read. So the changes of other writers are kept, even of attributes that were absent. Returns
    /// the item after the write, or the current item if the condition does not hold. `keys` are the names of the key
    /// attributes.
    pub async fn update_changed(
        &self,
        table: &str,
        keys: &[&str],
        seen: &Item,
        wanted: &Item,
    ) -> Result<ConditionalWrite<Item>, CallError> {
        let changes = AttributeChanges::new(keys, seen, wanted);
        if changes.differing.is_empty() {
            return Ok(ConditionalWrite::Applied(seen.clone()));
        }
        let key = keys.iter().filter_map(|name| Some(((*name).to_owned(), seen.get(*name)?.clone())));
        let key: Item = key.collect();
        let update = || {
            let update = self.client.update_item().table_name(table).set_key(Some(key.clone()));
            let update = update.update_expression(&changes.update).condition_expression(&changes.condition);
            let update = update.set_expression_attribute_names(Some(changes.names.clone()));
            update.set_expression_attribute_values((!changes.values.is_empty()).then(|| changes.values.clone()))
        };
        Ok(match self.update_as(update).await? {
            // The item already has the wanted values: the response to our own try was lost.
            ConditionalWrite::ConditionFailed(Some(now))
                if changes.differing.iter().all(|name| now.get(*name) == wanted.get(*name)) =>
            {
                ConditionalWrite::Applied(now)
            }
            written => written,
        })
    }
}

/// The update that changes one version of an item into another.
#[derive(Debug, PartialEq)]
struct AttributeChanges<'a> {
    differing: Vec<&'a String>,
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl<'a> AttributeChanges<'a> {
    fn new(keys: &[&str], seen: &'a Item, wanted: &'a Item) -> Self {
        let attributes: BTreeSet<&String> = seen.keys().chain(wanted.keys()).collect();
        let differs = |name: &&String| !keys.contains(&name.as_str()) && seen.get(*name) != wanted.get(*name);
        let differing: Vec<&String> = attributes.into_iter().filter(differs).collect();
        let (mut names, mut values) = (HashMap::new(), HashMap::new());
        let (mut sets, mut removes, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        // An update creates an item where there is none.
        if let Some(key) = keys.first() {
            names.insert("#key".to_owned(), (*key).to_owned());
            conditions.push("attribute_exists(#key)".to_owned());
        }
        for (n, name) in differing.iter().enumerate() {
            names.insert(format!("#a{n}"), (*name).clone());
            match seen.get(*name) {
                Some(value) => {
                    values.insert(format!(":seen{n}"), value.clone());
                    conditions.push(format!("#a{n} = :seen{n}"));
                }
                None => conditions.push(format!("attribute_not_exists(#a{n})")),
            }
            match wanted.get(*name) {
                Some(value) => {
                    values.insert(format!(":wanted{n}"), value.clone());
                    sets.push(format!("#a{n} = :wanted{n}"));
                }
                None => removes.push(format!("#a{n}")),
            }
        }
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        let update = clause("SET", &sets) + &clause("REMOVE", &removes);
        Self { differing, update: update.trim_end().to_owned(), condition: conditions.join(" AND "), names, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{number, text};

    #[test]
    fn only_changed_attributes_are_written_if_still_as_read() {
        let item = |attributes: &[(&str, AttributeValue)]| -> Item {
            attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        let seen = item(&[("key", text("k")), ("a", text("1")), ("b", text("2")), ("same", text("3"))]);
        let wanted = item(&[("key", text("k")), ("a", text("0")), ("c", number(1)), ("same", text("3"))]);
        let changes = AttributeChanges::new(&["key"], &seen, &wanted);
        assert_eq!(changes.update, "SET #a0 = :wanted0, #a2 = :wanted2 REMOVE #a1");
        assert_eq!(
            changes.condition,
            "attribute_exists(#key) AND #a0 = :seen0 AND #a1 = :seen1 AND attribute_not_exists(#a2)"
        );
        assert_eq!(changes.differing, ["a", "b", "c"]);
        assert_eq!((changes.names.len(), changes.values.len()), (4, 4));
        assert!(AttributeChanges::new(&["key"], &seen, &seen).differing.is_empty());
    }
}
