//! Taking over a list: from a CSV, from JSON lines as [`export`](super::export) writes them, or from a bare list of addresses.
//!
//! Each entry is merged, as an event is; so to import the same list twice changes nothing. Whoever was lifted by hand in between stays
//! lifted, and is named.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::List;
use super::lifted::{Lifted, LiftedByHand, Taken, take};
use crate::ids::short_hash;
use crate::operate::addresses::{COLUMNS, column_of};
use crate::operate::audit::{IMPORT, Note};
use crate::operate::check::{Answer, check};
use crate::policy::suppression::{Change, Effect, Grounds, Reason};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::store::calls::{Change as Condition, Trouble};
use crate::store::suppressions::Suppressions;
use crate::time::UnixMillis;

/// How many entries are merged at once.
const AT_ONCE: usize = 16;

/// An entry of a list as it stands in a file, one for each recipient and reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The address.
    pub recipient: String,
    /// The reason's name; `manual` where there is none.
    pub reason: Option<String>,
    /// Since when, `2026-11-23T13:05:00.126Z`.
    pub at: Option<String>,
    /// When it lapses.
    pub until: Option<String>,
    /// The circumstances.
    pub detail: Option<String>,
    /// The email that brought it about.
    pub email_id: Option<String>,
    /// The message that said so.
    pub message_id: Option<String>,
    /// When it was lifted.
    pub lifted_at: Option<String>,
    /// The message that lifted it.
    pub lifted_by: Option<String>,
}

/// A line that can't be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The changes that it makes, by recipient.
    pub changes: Vec<(Recipient, Change)>,
    /// What of it can't be read.
    pub unreadable: Vec<Unreadable>,
}

/// What became of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// So many recipients and reasons are new, or newer.
    pub changed: usize,
    /// So many were known.
    pub unchanged: usize,
    /// So many are of people who were forgotten, and stay so.
    pub forgotten: usize,
    /// Those who were lifted since, and are not suppressed.
    pub lifted: Vec<Lifted>,
    /// The lines that can't be read.
    pub unreadable: Vec<Unreadable>,
}

/// Reads a list. What has no time of its own is of `now`.
pub fn read(text: &str, now: UnixMillis) -> Read {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut read = Read::default();
    if first.starts_with('{') {
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            read.add(number, serde_json::from_str(line).map_err(|error| error.to_string()), now);
        }
        return read;
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().cloned().unwrap_or_default();
    if column_of(&header).is_none() {
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                read.add(number, Ok(Entry { recipient: line.to_owned(), ..Entry::default() }), now);
            }
        }
        return read;
    }
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                read.add(line, Ok(entry(&header, &record)), now);
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                read.unreadable.push(Unreadable { line, why: error.to_string() });
            }
        }
    }
    read
}

fn entry(header: &csv::StringRecord, record: &csv::StringRecord) -> Entry {
    let cell = |wanted: &str| {
        let at = header.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted))?;
        record.get(at).filter(|cell| !cell.is_empty()).map(str::to_owned)
    };
    Entry {
        recipient: COLUMNS.iter().find_map(|name| cell(name)).unwrap_or_default(),
        reason: cell("reason"),
        at: cell("at"),
        until: cell("until"),
        detail: cell("detail"),
        email_id: cell("email_id"),
        message_id: cell("message_id"),
        lifted_at: cell("lifted_at"),
        lifted_by: cell("lifted_by"),
    }
}

impl Read {
    fn add(&mut self, line: u64, entry: Result<Entry, String>, now: UnixMillis) {
        match entry.and_then(|entry| entry.changes(now)) {
            Ok((recipient, changes)) => {
                self.changes.extend(changes.into_iter().map(|change| (recipient.clone(), change)));
            }
            Err(why) => self.unreadable.push(Unreadable { line, why }),
        }
    }
}

impl Entry {
    /// The changes that it makes: a suppressing one, a lifting one, or both.
    fn changes(self, now: UnixMillis) -> Result<(Recipient, Vec<Change>), String> {
        let recipient = Recipient::parse(&self.recipient).ok_or("there is no address in it")?;
        let reason = match self.reason.as_deref().map(str::trim) {
            None | Some("") => Reason::Manual,
            Some(name) => Reason::from_text(&name.to_ascii_lowercase()).ok_or_else(|| {
                let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
                format!("there is no reason {name:?}; there are {}", known.join(", "))
            })?,
        };
        let time = |text: &Option<String>| match text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => UnixMillis::parse(text)
                .map(Some)
                .ok_or_else(|| format!("{text:?} is not a time like 2026-11-23T13:05:00Z")),
        };
        let past = |name: &str, text: &Option<String>| match time(text)? {
            Some(at) if at > now => Err(format!("its {name} is {}, which is yet to come", at.to_text())),
            at => Ok(at),
        };
        let (at, until, lifted_at) = (past("at", &self.at)?, time(&self.until)?, past("lifted_at", &self.lifted_at)?);
        let message = |given: Option<String>, at: UnixMillis| {
            let made = || format!("import-{}", short_hash(&[recipient.as_str(), reason.as_str(), &at.to_text()]));
            MessageId::already_verified(given.unwrap_or_else(made))
        };
        let mut changes = Vec::new();
        if at.is_some() || lifted_at.is_none() {
            let at = at.unwrap_or(now);
            let grounds = Grounds { email_id: self.email_id, detail: self.detail, until };
            let message = message(self.message_id, at);
            changes.push(Change { reason, at, message, effect: Effect::Suppress(grounds) });
        }
        if let Some(at) = lifted_at {
            changes.push(Change { reason, at, message: message(self.lifted_by, at), effect: Effect::Lift });
        }
        Ok((recipient, changes))
    }
}

/// Merges the changes of a list, with one note for all of them, which is kept first. `done` hears of each.
///
/// # Errors
/// Some may not be merged. To import the list again is safe.
pub async fn import(
    list: &List,
    read: Read,
    by_hand: LiftedByHand,
    note: &Note,
    done: impl Fn(),
) -> Result<Report, Trouble> {
    let Read { mut changes, unreadable } = read;
    let mut report = Report { unreadable, ..Report::default() };
    if changes.is_empty() {
        return Ok(report);
    }
    list.calls.put(&list.events, &note.row(IMPORT, "imported", &[]), &Condition::default()).await?;
    let forgotten = forgotten(list, &changes, note.at).await?;
    let before = changes.len();
    changes.retain(|(recipient, _)| !forgotten.contains(recipient));
    report.forgotten = before - changes.len();

    // What the list itself says to be lifted is as it should be.
    let lifts: BTreeSet<(&Recipient, Reason)> = changes
        .iter()
        .filter(|(_, change)| change.effect == Effect::Lift)
        .map(|(recipient, change)| (recipient, change.reason))
        .collect();
    let table = &Suppressions::new(list.calls.clone(), &list.suppressions);
    let merges: Vec<BoxFuture<'_, Result<Taken, Trouble>>> = changes
        .iter()
        .map(|entry| {
            let (recipient, change) = entry;
            let is_lifted_there = lifts.contains(&(recipient, change.reason));
            async move {
                if is_lifted_there {
                    return Ok(table.merge(recipient, change).await?.into());
                }
                take(list, table, entry, change.at != note.at, by_hand, note).await
            }
            .boxed()
        })
        .collect();
    let mut merges = stream::iter(merges).buffer_unordered(AT_ONCE);
    while let Some(taken) = merges.next().await {
        match taken? {
            Taken::Changed => report.changed += 1,
            Taken::Unchanged => report.unchanged += 1,
            Taken::Lifted(lifted) => report.lifted.push(lifted),
        }
        done();
    }
    report.lifted.sort_by(|one, other| (&one.recipient, one.reason).cmp(&(&other.recipient, other.reason)));
    Ok(report)
}

/// Those of a list who were forgotten.
async fn forgotten(
    list: &List,
    changes: &[(Recipient, Change)],
    now: UnixMillis,
) -> Result<BTreeSet<Recipient>, Trouble> {
    if list.forgotten_key().await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let all: Vec<&Recipient> = changes.iter().map(|(recipient, _)| recipient).collect();
    let addresses: Vec<String> = all.iter().map(|recipient| recipient.as_str().to_owned()).collect();
    let answers = check(&list.calls, &list.suppressions, &addresses, now, |_| {}).await?;
    let forgotten = all.into_iter().zip(answers).filter(|(_, answer)| *answer == Answer::Forgotten);
    Ok(forgotten.map(|(recipient, _)| recipient.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_csv_as_json_lines_and_as_bare_addresses_and_nothing_is_lost_silently() {
        let now = UnixMillis::parse("2026-11-28T12:00:00Z").unwrap();
        let csv = read(
            "email,reason,at\nAnn@b.c,complaint,2026-11-23T13:05:00Z\nnobody,,\nx@y.z,tired,\nd@e.f,,soon\ng@h.i,,\n",
            now,
        );
        let reasons: Vec<(&str, Reason, i64)> =
            csv.changes.iter().map(|(who, change)| (who.as_str(), change.reason, change.at.0)).collect();
        assert_eq!(reasons, [("ann@b.c", Reason::Complaint, 1_795_439_100_000), ("g@h.i", Reason::Manual, now.0)]);
        let lines: Vec<u64> = csv.unreadable.iter().map(|unreadable| unreadable.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        let json = read("{\"recipient\":\"a@b.c\",\"reason\":\"provider\"}\n\n{broken\n", now);
        assert_eq!((json.changes.len(), json.unreadable[0].line), (1, 3));
        let bare = read("# old list\na@b.c\n\nnot an address\n", now);
        assert_eq!((bare.changes.len(), bare.unreadable[0].line), (1, 4));
    }

    #[test]
    fn a_time_of_the_future_is_refused_with_its_line_and_why() {
        let now = UnixMillis::parse("2026-11-28T12:00:00Z").unwrap();
        let read = read(
            "email,at,until,lifted_at\na@b.c,2099-01-01T00:00:00Z,,\nb@b.c,,,2026-11-28T12:00:00.001Z\n\
             c@b.c,2026-11-28T12:00:00Z,2099-01-01T00:00:00Z,\n",
            now,
        );
        let why: Vec<(u64, bool)> =
            read.unreadable.iter().map(|line| (line.line, line.why.contains("yet to come"))).collect();
        assert_eq!(why, [(2, true), (3, true)]);
        assert_eq!((read.changes.len(), read.changes[0].1.at), (1, now), "a reason may lapse in the future");
    }

    #[test]
    fn an_entry_that_was_lifted_is_taken_over_as_lifted() {
        let text = "recipient,reason,at,lifted_at\na@b.c,complaint,2026-11-23T13:05:00Z,2026-11-24T00:00:00Z\n";
        let read = read(text, UnixMillis(1_900_000_000_000));
        let effects: Vec<bool> = read.changes.iter().map(|(_, change)| change.effect == Effect::Lift).collect();
        assert_eq!(effects, [false, true]);
    }
}
