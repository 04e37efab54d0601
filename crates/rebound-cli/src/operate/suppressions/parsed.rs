//! A list, as it was read from a file: its entries, and the lines that can't be read.

use std::collections::BTreeMap;

use rebound::time::UnixMillis;

use super::entry::ListEntry;
use super::exports::LineMeaning;
use super::meaning::Meaning;
use crate::operate::lists::address::quoted;
use crate::operate::lists::file::ListError;
use crate::operate::lists::{ListLine, ListOptions, ListReader, Remark};

/// A list, as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedList {
    /// Its entries.
    pub entries: Vec<ListEntry>,
    /// The lines that can't be read.
    pub unreadable: Vec<Remark>,
    /// The lines that are odd, and were read nevertheless.
    pub odd: Vec<Remark>,
    /// Numbers of lines that suppress no address, by their meaning.
    pub left_out: BTreeMap<&'static str, usize>,
}

/// Reads a whole list. An entry without a time gets `now`.
///
/// # Errors
/// The file can't be read or is not a list: see [`ListReader::new`].
pub fn read(from: impl std::io::Read, now: UnixMillis) -> Result<ParsedList, ListError> {
    let reader = ListReader::new(from, ListOptions::default())?;
    let meaning = Meaning::of(&reader);
    let mut read = ParsedList::default();
    for line in reader {
        read.add(line?, &meaning, now);
    }
    Ok(read)
}

impl ParsedList {
    /// Adds what a line says.
    pub fn add(&mut self, line: ListLine, meaning: &Meaning, now: UnixMillis) {
        let (number, row) = match line {
            ListLine::Refused(refused) => return self.unreadable.push(refused),
            ListLine::Entry { number, row } => (number, row),
        };
        let entry = match meaning.read(&row) {
            Ok(LineMeaning::Nothing(word)) => return *self.left_out.entry(word).or_default() += 1,
            Ok(LineMeaning::Suppressed(entry)) => entry.changes(&row.recipient, now),
            Err(why) => Err(why),
        };
        match entry {
            Ok(changes) => {
                let odd = row.odd.map(|why| format!("{} is read as it is: {why}", quoted(&row.written)));
                self.odd.extend(odd.map(|why| Remark { line: number, why }));
                self.entries.push(ListEntry { recipient: row.recipient, changes });
            }
            Err(why) => self.unreadable.push(Remark { line: number, why }),
        }
    }

    /// Number of lines, without the empty ones.
    pub fn len(&self) -> usize {
        self.entries.len() + self.unreadable.len() + self.left_out.values().sum::<usize>()
    }

    /// Returns true if nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use rebound::policy::suppression::{ChangeEffect, Reason};

    use super::*;

    #[test]
    fn csv_json_lines_and_bare_addresses_are_read_without_loss() {
        let now = UnixMillis::parse("2026-11-28T12:00:00Z").unwrap();
        let read = |text: &str| read(text.as_bytes(), now).unwrap();
        let csv = read(
            "email,reason,at\nAnn@b.c,complaint,2026-11-23T13:05:00Z\nnobody,,\nx@y.z,tired,\nd@e.f,,soon\ng@h.i,,\n",
        );
        let reasons: Vec<(&str, Reason, i64)> = csv
            .entries
            .iter()
            .map(|entry| (entry.recipient.as_str(), entry.changes[0].reason().unwrap()))
            .map(|(recipient, change)| (recipient, change.reason, change.at.0))
            .collect();
        assert_eq!(reasons, [("ann@b.c", Reason::Complaint, 1_795_439_100_000), ("g@h.i", Reason::Manual, now.0)]);
        let lines: Vec<u64> = csv.unreadable.iter().map(|unreadable| unreadable.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        let json = read("{\"recipient\":\"a@b.c\",\"reason\":\"provider\"}\n\n{broken\n");
        assert_eq!((json.entries.len(), json.unreadable[0].line), (1, 3));
        let bare = read("# old list\na@b.c\n\nnot an address\n");
        assert_eq!((bare.entries.len(), bare.unreadable[0].line), (1, 4));
    }

    #[test]
    fn a_time_of_the_future_is_refused_with_its_line_and_why() {
        let now = UnixMillis::parse("2026-11-28T12:00:00Z").unwrap();
        let text = "email,at,until,lifted_at\na@b.c,2099-01-01T00:00:00Z,,\nb@b.c,,,2026-11-28T12:00:00.001Z\n\
                    c@b.c,2026-11-28T12:00:00Z,2099-01-01T00:00:00Z,\n";
        let read = read(text.as_bytes(), now).unwrap();
        let why: Vec<(u64, bool)> =
            read.unreadable.iter().map(|line| (line.line, line.why.contains("in the future"))).collect();
        assert_eq!(why, [(2, true), (3, true)]);
        assert_eq!(
            (read.entries.len(), read.entries[0].changes[0].reason().unwrap().at),
            (1, now),
            "a reason may expire in the future"
        );
    }

    #[test]
    fn an_entry_that_was_lifted_is_imported_as_lifted() {
        let text = "recipient,reason,at,lifted_at\na@b.c,complaint,2026-11-23T13:05:00Z,2026-11-24T00:00:00Z\n";
        let read = read(text.as_bytes(), UnixMillis(1_900_000_000_000)).unwrap();
        let effects: Vec<bool> = read.entries[0]
            .changes
            .iter()
            .map(|change| change.reason().unwrap().effect == ChangeEffect::Lift)
            .collect();
        assert_eq!((read.entries.len(), effects), (1, vec![false, true]), "it is one entry");
    }
}
