//! Writing the list down: an entry for each recipient and reason, those that were lifted too, so that an import gives the same list.
//!
//! Whoever opens it with a spreadsheet, or prints it on a terminal, gets text and nothing else: in a CSV no cell is a formula
//! ([`guarded`]), and in both forms nothing steers a terminal ([`text`](rebound::message::text)). JSON lines lose nothing by that. In a CSV the
//! line breaks of a detail are spaces.

use std::io::Write;

use rebound::message::text::{escaped, one_line_escaped};
use rebound::policy::suppression::{Reason, Record};
use rebound::store::forgotten::{self, KEY_ITEM};
use rebound::store::suppressions::Stored;
use rebound::store::{Item, string};
use rebound::time::UnixMillis;

use super::entry::Entry;
use crate::operate::lists::cells::guarded;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header.
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// Whether an item is about a recipient, and not about one who was forgotten or their key.
pub fn is_recipients(item: &Item) -> bool {
    let name = string(item, "recipient");
    name != KEY_ITEM && !forgotten::is_name(name)
}

/// The entries of an item: none, if it is not about a recipient.
pub fn entries(item: Item) -> Vec<Entry> {
    if !is_recipients(&item) {
        return Vec::new();
    }
    let recipient = string(&item, "recipient").to_owned();
    let stored = Stored::from_item(item);
    let records = stored.suppression.records.iter();
    records.map(|(reason, record)| entry(&recipient, *reason, record)).collect()
}

fn entry(recipient: &str, reason: Reason, record: &Record) -> Entry {
    let time = |at: UnixMillis| Some(at.to_text());
    let mut entry =
        Entry { recipient: recipient.to_owned(), reason: Some(reason.as_str().to_owned()), ..Entry::default() };
    if let Some((said, grounds)) = &record.suppressed {
        entry.at = time(said.at);
        entry.message_id = Some(said.message.as_str().to_owned());
        entry.until = grounds.until.and_then(time);
        entry.detail.clone_from(&grounds.detail);
        entry.email_id.clone_from(&grounds.email_id);
    }
    if let Some(lifted) = &record.lifted {
        entry.lifted_at = time(lifted.at);
        entry.lifted_by = Some(lifted.message.as_str().to_owned());
    }
    entry
}

/// Why a list can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
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
pub enum Writer<W: Write> {
    /// As CSV.
    Csv(Box<csv::Writer<W>>),
    /// As JSON lines.
    JsonLines(W),
}

impl<W: Write> Writer<W> {
    /// A writer to `to`.
    pub fn new(format: Format, to: W) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(to))),
            Format::JsonLines => Self::JsonLines(to),
        }
    }

    /// Writes one.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&mut self, entry: &Entry) -> Result<(), WriteError> {
        match self {
            Self::Csv(csv) => csv.serialize(entry.map(|cell| guarded(one_line_escaped(&cell))))?,
            Self::JsonLines(to) => writeln!(to, "{}", escaped(&serde_json::to_string(entry)?))?,
        }
        Ok(())
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(mut self) -> Result<(), WriteError> {
        match &mut self {
            Self::Csv(csv) => csv.flush()?,
            Self::JsonLines(to) => to.flush()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rebound::policy::suppression::{Change, Effect, Grounds};
    use rebound::resend::recipient::Recipient;
    use rebound::resend::signature::MessageId;

    use super::*;
    use crate::operate::suppressions::import::read;

    fn some_change() -> impl Strategy<Value = Change> {
        let reason = proptest::sample::select(Reason::ALL.to_vec());
        // Texts as they may come from outside: quotes, commas, line breaks.
        let detail = proptest::option::of("[ -~é\n\"]{1,20}");
        let until = proptest::option::of(1_700_000_000_000_i64..1_900_000_000_000);
        (reason, 1_i64..1_900_000_000_000, "[a-z0-9]{1,8}", detail, until, any::<bool>()).prop_map(
            |(reason, at, message, detail, until, lifts)| {
                // A cell is trimmed, and an empty one is none.
                let detail = detail.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
                let grounds = Grounds { email_id: Some("e1".into()), detail, until: until.map(UnixMillis) };
                let effect = if lifts { Effect::Lift } else { Effect::Suppress(grounds) };
                Change { reason, at: UnixMillis(at), message: MessageId::already_verified(message), effect }
            },
        )
    }

    proptest! {
        #[test]
        fn an_import_of_an_export_gives_the_same_list(
            changes in proptest::collection::vec(some_change(), 1..12),
            csv in any::<bool>(),
        ) {
            let ann = Recipient::parse("ann@example.com").unwrap();
            let mut changes = changes;
            for change in changes.iter_mut().filter(|_| csv) {
                // Line breaks are spaces there.
                if let Effect::Suppress(Grounds { detail: Some(detail), .. }) = &mut change.effect {
                    *detail = one_line_escaped(detail);
                }
            }
            let stored = Stored::default().merged(&changes).unwrap();
            let mut text = Vec::new();
            let mut writer = Writer::new(if csv { Format::Csv } else { Format::JsonLines }, &mut text);
            for entry in entries(stored.to_item(&ann)) {
                writer.write(&entry).unwrap();
            }
            writer.finish().unwrap();
            let read = read(text.as_slice(), UnixMillis(1_900_000_000_000)).unwrap();
            prop_assert_eq!(&read.unreadable, &vec![]);
            let again: Vec<Change> = read.changes.into_iter().map(|(_, change)| change).collect();
            prop_assert_eq!(Stored::default().merged(&again).unwrap().suppression, stored.suppression);
        }
    }
}
