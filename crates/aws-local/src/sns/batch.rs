//! `PublishBatch`: several messages in one call (<https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html>).

use std::collections::{BTreeMap, BTreeSet};

use super::Published;
use super::request::{MAX_BYTES, SnsError, read, refused};

/// Maximum number of messages in a call.
const MAX_MESSAGES: usize = 10;

/// Prefix of the fields of a message.
const ENTRIES: &str = "PublishBatchRequestEntries.member.";

/// A message of a batch: its id, and the message to publish, or the error.
pub(super) struct PublishEntry {
    pub(super) id: String,
    pub(super) published: Result<Published, SnsError>,
}

/// Reads the messages of a call.
pub(super) fn entries(form: &BTreeMap<String, String>) -> Result<Vec<PublishEntry>, SnsError> {
    let topic = form.get("TopicArn").cloned();
    let mut entries = Vec::new();
    let (mut ids, mut bytes) = (BTreeSet::new(), 0);
    for number in 1.. {
        let prefix = format!("{ENTRIES}{number}.");
        let fields =
            form.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone())));
        let mut fields: BTreeMap<String, String> = fields.collect();
        if fields.is_empty() {
            break;
        }
        let id = fields.remove("Id").unwrap_or_default();
        bytes += fields.values().map(String::len).sum::<usize>();
        if !ids.insert(id.clone()) {
            return Err(refused(
                "BatchEntryIdsNotDistinct",
                "Two or more batch entries in the request have the same Id.",
            ));
        }
        fields.extend(topic.iter().map(|topic| ("TopicArn".to_owned(), topic.clone())));
        entries.push(PublishEntry { id, published: read(fields) });
    }
    match entries.len() {
        0 => Err(refused("EmptyBatchRequest", "The batch request doesn't contain any entries.")),
        1..=MAX_MESSAGES if bytes <= MAX_BYTES => Ok(entries),
        1..=MAX_MESSAGES => Err(refused(
            "BatchRequestTooLong",
            "The length of all the batch messages put together is more than the limit.",
        )),
        _ => Err(refused("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")),
    }
}
