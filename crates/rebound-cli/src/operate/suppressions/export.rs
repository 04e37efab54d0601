//! Exports the list: an entry for each recipient and reason, or topic, lifted ones included, so that an import creates the same list.
//!
//! A spreadsheet or a terminal that opens the file gets only text: in a CSV no cell is a formula
//! ([`guarded`]), and in both forms nothing steers a terminal ([`text`](rebound::message::text)). JSON lines lose nothing by that. In a CSV the
//! line breaks of a detail are spaces, and two topics whose ids differ only in line breaks and tabs are one.

use std::io::Write;

use rebound::message::text::{escaped, one_line_escaped};
use rebound::policy::suppression::{ChangeStamp, Reason, ReasonState, TopicState};
use rebound::store::forgotten::{self, KEY_ITEM};
use rebound::store::suppressions::SuppressionItem;
use rebound::store::{Item, string};
use rebound::time::UnixMillis;

use super::entry::{ListRow, TOPIC};
use crate::operate::lists::cells::guarded;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header.
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// Returns true if an item is about a recipient; false for the hash of an erased address, and for the key of these hashes.
pub fn is_recipients(item: &Item) -> bool {
    let name = string(item, "recipient");
    name != KEY_ITEM && !forgotten::is_name(name)
}

/// The entries of an item: none, if it is not about a recipient.
pub fn entries(item: Item) -> Vec<ListRow> {
    if !is_recipients(&item) {
        return Vec::new();
    }
    let recipient = string(&item, "recipient").to_owned();
    let stored = SuppressionItem::from_item(item);
    let records = stored.suppression.records.iter().map(|(reason, record)| entry(&recipient, *reason, record));
    let topics = stored.suppression.topics.iter().map(|(topic, state)| topic_entry(&recipient, topic, state));
    records.chain(topics).collect()
}

fn entry(recipient: &str, reason: Reason, record: &ReasonState) -> ListRow {
    let time = |at: UnixMillis| Some(at.to_text());
    let mut entry =
        ListRow { recipient: recipient.to_owned(), reason: Some(reason.as_str().to_owned()), ..ListRow::default() };
    if let Some((said, details)) = &record.suppressed {
        entry.at = time(said.at);
        entry.message_id = Some(said.message.as_str().to_owned());
        entry.until = details.until.and_then(time);
        entry.detail.clone_from(&details.detail);
        entry.email_id.clone_from(&details.email_id);
    }
    if let Some(lifted) = &record.lifted {
        entry.lifted_at = time(lifted.at);
        entry.lifted_by = Some(lifted.message.as_str().to_owned());
    }
    entry
}

fn topic_entry(recipient: &str, topic: &str, state: &TopicState) -> ListRow {
    let stamp = |stamp: &Option<ChangeStamp>| {
        stamp.as_ref().map(|stamp| (stamp.at.to_text(), stamp.message.as_str().to_owned())).unzip()
    };
    let ((at, message_id), (lifted_at, lifted_by)) = (stamp(&state.opted_out), stamp(&state.opted_in));
    let (recipient, reason, topic) = (recipient.to_owned(), Some(TOPIC.to_owned()), Some(topic.to_owned()));
    ListRow { recipient, reason, at, message_id, lifted_at, lifted_by, topic, ..ListRow::default() }
}

/// A list that can't be written.
#[derive(Debug, thiserror::Error)]
pub enum ListWriteError {
    /// As CSV.
    #[error("the list can't be written: {0}; is the disk full?")]
    Csv(#[from] csv::Error),
    /// As JSON.
    #[error("the list can't be written: {0}; is the disk full?")]
    Json(#[from] serde_json::Error),
    /// To where it is to go.
    #[error("the list can't be written: {0}; is the disk full?")]
    Io(#[from] std::io::Error),
}

/// Writes entries, one after another.
pub enum ListWriter<W: Write> {
    /// As CSV.
    Csv(Box<csv::Writer<W>>),
    /// As JSON lines.
    JsonLines(W),
}

impl<W: Write> ListWriter<W> {
    /// A writer to `to`.
    pub fn new(format: Format, to: W) -> Self {
        match format {
            // In quotes a cell keeps the spaces at its ends.
            Format::Csv => {
                Self::Csv(Box::new(csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(to)))
            }
            Format::JsonLines => Self::JsonLines(to),
        }
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// The variant says which of the CSV, the JSON and the file failed.
    pub fn write(&mut self, entry: &ListRow) -> Result<(), ListWriteError> {
        match self {
            Self::Csv(csv) => csv.serialize(entry.map(|cell| guarded(one_line_escaped(&cell))))?,
            Self::JsonLines(to) => writeln!(to, "{}", escaped(&serde_json::to_string(entry)?))?,
        }
        Ok(())
    }

    /// Flushes the buffer.
    ///
    /// # Errors
    /// `Io`: the file can't be written.
    pub fn finish(mut self) -> Result<(), ListWriteError> {
        match &mut self {
            Self::Csv(csv) => csv.flush()?,
            Self::JsonLines(to) => to.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rebound::policy::suppression::{
        ChangeEffect, ItemChange, ReasonDetail, Suppression, SuppressionChange, TopicChange,
    };
    use rebound::resend::event::Subscription;
    use rebound::resend::recipient::Recipient;
    use rebound::resend::signature::MessageId;

    use super::*;
    use crate::operate::suppressions::import::{ListEntry, read};

    /// Texts as they may come from outside: quotes, separators, line breaks, spaces at the ends, what steers a terminal.
    const TEXT: &str = "[ -~é\n\r\t\"',;=+@\u{1b}\u{202e}\u{feff}]{0,12}";

    /// Ids of topics.
    const TOPIC_ID: &str = "[a-z=+0-9é\t'-]{0,30}";
    /// Ids of topics that fit on a line. In a CSV, others change: two may become one, or come in another order.
    const ONE_LINE_TOPIC_ID: &str = "[a-z=+0-9é'-]{0,30}";

    fn some_topic_change(topic_id: &'static str) -> impl Strategy<Value = ItemChange> {
        (topic_id, 1_i64..1_900_000_000_000, TEXT, any::<bool>()).prop_map(|(topic, at, message, is_out)| {
            ItemChange::Topic(TopicChange {
                topic: format!("t{topic}t"),
                at: UnixMillis(at),
                message: MessageId::from_verified(format!("m{message}m")),
                subscription: if is_out { Subscription::OptOut } else { Subscription::OptIn },
            })
        })
    }

    fn some_item_change(topic_id: &'static str) -> impl Strategy<Value = ItemChange> {
        prop_oneof![3 => some_change().prop_map(ItemChange::Reason), 1 => some_topic_change(topic_id)]
    }

    fn some_change() -> impl Strategy<Value = SuppressionChange> {
        let reason = proptest::sample::select(Reason::ALL.to_vec());
        let details = (
            proptest::option::of(TEXT),
            proptest::option::of(TEXT),
            proptest::option::of(1_700_000_000_000_i64..1_900_000_000_000),
        );
        (reason, 1_i64..1_900_000_000_000, TEXT, details, any::<bool>()).prop_map(
            |(reason, at, message, (detail, email_id, until), lifts)| {
                // A text with nothing in it is none, and an id is never without a character that can be seen.
                let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
                let details =
                    ReasonDetail { email_id: some(email_id), detail: some(detail), until: until.map(UnixMillis) };
                let effect = if lifts { ChangeEffect::Lift } else { ChangeEffect::Suppress(details) };
                SuppressionChange {
                    reason,
                    at: UnixMillis(at),
                    message: MessageId::from_verified(format!("m{message}m")),
                    effect,
                }
            },
        )
    }

    /// Addresses as strange as they may be, each in its one spelling.
    fn some_recipient() -> impl Strategy<Value = Recipient> {
        let local = prop_oneof!["[a-z0-9'=+#-]{1,6}", "[a-zé.,;|/’“]{1,6}", "\"[ -~]{1,8}\""];
        let domain = prop_oneof!["[a-z]{1,5}\\.example", Just("exmaple".to_owned()), Just("bücher.example".to_owned())];
        (local, domain).prop_filter_map("an address", |(local, domain)| Recipient::parse(&format!("{local}@{domain}")))
    }

    fn some_list(topic_id: &'static str) -> impl Strategy<Value = BTreeMap<Recipient, SuppressionItem>> {
        let changes = proptest::collection::vec(some_item_change(topic_id), 1..6);
        proptest::collection::btree_map(some_recipient(), changes, 1..5).prop_map(|list| {
            let stored = |changes: Vec<ItemChange>| SuppressionItem::default().merged(&changes).unwrap();
            list.into_iter().map(|(recipient, changes)| (recipient, stored(changes))).collect()
        })
    }

    /// A list as it is exported, and how many entries that is.
    fn exported(list: &BTreeMap<Recipient, SuppressionItem>, format: Format) -> (Vec<u8>, usize) {
        let (mut text, mut number) = (Vec::new(), 0);
        let mut writer = ListWriter::new(format, &mut text);
        for (recipient, stored) in list {
            for entry in entries(stored.to_item(recipient)) {
                writer.write(&entry).unwrap();
                number += 1;
            }
        }
        writer.finish().unwrap();
        (text, number)
    }

    /// The list that an import of a text makes, and of how many entries it is.
    fn imported(text: &[u8]) -> (BTreeMap<Recipient, SuppressionItem>, usize) {
        let read = read(text, UnixMillis(1_900_000_000_000)).unwrap();
        assert_eq!((&read.unreadable, &read.left_out), (&vec![], &BTreeMap::new()));
        let (number, mut list) = (read.entries.len(), BTreeMap::<Recipient, SuppressionItem>::new());
        for ListEntry { recipient, changes } in read.entries {
            let stored = list.entry(recipient).or_default();
            *stored = stored.merged(&changes).unwrap();
        }
        (list, number)
    }

    fn contents(list: &BTreeMap<Recipient, SuppressionItem>) -> Vec<(&Recipient, &Suppression)> {
        list.iter().map(|(recipient, stored)| (recipient, &stored.suppression)).collect()
    }

    proptest! {
        #[test]
        fn exported_json_lines_are_imported_with_the_same_content(list in some_list(TOPIC_ID)) {
            let (text, number) = exported(&list, Format::JsonLines);
            let (again, entries) = imported(&text);
            prop_assert_eq!(contents(&again), contents(&list));
            prop_assert_eq!(entries, number, "counted one way");
        }

        #[test]
        fn a_csv_that_is_exported_is_imported_with_the_same_content(list in some_list(ONE_LINE_TOPIC_ID)) {
            let (text, number) = exported(&list, Format::Csv);
            let (again, entries) = imported(&text);
            prop_assert_eq!(entries, number, "counted one way");
            prop_assert_eq!(again.keys().collect::<Vec<_>>(), list.keys().collect::<Vec<_>>());
            // A CSV escapes what is not one line of text; every text comes back unchanged.
            let (text_again, _) = exported(&again, Format::Csv);
            prop_assert_eq!(String::from_utf8(text_again).unwrap(), String::from_utf8(text).unwrap());
        }

        #[test]
        fn a_csv_loses_no_text_that_fits_on_a_line(detail in "[ -~é]{1,30}") {
            prop_assume!(!detail.trim().is_empty());
            let ann = Recipient::parse("ann@example.com").unwrap();
            let details = ReasonDetail { email_id: None, detail: Some(detail), until: None };
            let message = MessageId::from_verified("m1".to_owned());
            let change = SuppressionChange { reason: Reason::Complaint, at: UnixMillis(1), message, effect: ChangeEffect::Suppress(details) };
            let list = BTreeMap::from([(ann, SuppressionItem::default().merged(&[change]).unwrap())]);
            let (again, _) = imported(&exported(&list, Format::Csv).0);
            prop_assert_eq!(contents(&again), contents(&list));
        }
    }
}
