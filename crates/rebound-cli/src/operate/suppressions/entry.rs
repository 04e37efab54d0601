//! An entry of a list, as it is written in a file, and the changes that it makes.

use std::collections::BTreeMap;

use rebound::policy::ids::short_hash;
use rebound::policy::suppression::{
    ChangeEffect, ItemChange, MAX_TOPIC_ID, Reason, ReasonDetail, SuppressionChange, TopicChange,
};
use rebound::resend::event::Subscription;
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::exports::LineMeaning;
use super::meaning::Meaning;
use crate::operate::lists::address::quoted;
use crate::operate::lists::file::ListError;
use crate::operate::lists::{Line, ListOptions, ListReader, Remark, Row, time};

/// The word in `reason` of an entry about a topic. It is no reason, so a version that does not know topics refuses the line.
pub(super) const TOPIC: &str = "topic";

/// An entry of a list, as it is written in a file: one for each recipient and reason, or topic. Of a topic, `at` and `message_id` are those
/// of the opt-out, and `lifted_at` and `lifted_by` those of the opt-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRow {
    /// The address.
    pub recipient: String,
    /// The reason's name; `manual` where there is none; `topic` for a topic.
    pub reason: Option<String>,
    /// Time of the suppression, such as `2026-11-23T13:05:00.126Z`.
    pub at: Option<String>,
    /// Time at which the reason expires.
    pub until: Option<String>,
    /// The circumstances.
    pub detail: Option<String>,
    /// The email that caused it.
    pub email_id: Option<String>,
    /// The webhook that reported it.
    pub message_id: Option<String>,
    /// Time at which it was lifted.
    pub lifted_at: Option<String>,
    /// The webhook that lifted it.
    pub lifted_by: Option<String>,
    /// The id of the topic, in an entry about one.
    pub topic: Option<String>,
}

/// An entry of a list, and the changes that it makes: one that suppresses, one that lifts, or both, all for one reason; or the same for a
/// topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// The recipient.
    pub recipient: Recipient,
    /// The changes.
    pub changes: Vec<ItemChange>,
}

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
    pub fn add(&mut self, line: Line, meaning: &Meaning, now: UnixMillis) {
        let (number, row) = match line {
            Line::Refused(refused) => return self.unreadable.push(refused),
            Line::Entry { number, row } => (number, row),
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

impl ListRow {
    /// The entry of an address of which nothing else is said.
    pub(super) fn bare(row: &Row) -> Self {
        Self { recipient: row.recipient.as_str().to_owned(), ..Self::default() }
    }

    /// The entry in the columns that an export of Rebound has.
    pub(super) fn of(row: &Row) -> Self {
        let cell = |name: &str| row.get(name).map(str::to_owned);
        Self {
            reason: cell("reason"),
            at: cell("at"),
            until: cell("until"),
            detail: cell("detail"),
            email_id: cell("email_id"),
            message_id: cell("message_id"),
            lifted_at: cell("lifted_at"),
            lifted_by: cell("lifted_by"),
            topic: cell("topic"),
            ..Self::bare(row)
        }
    }

    /// The same with each of its texts changed.
    pub(super) fn map(&self, change: impl Fn(String) -> String) -> Self {
        let some = |text: &Option<String>| text.clone().map(&change);
        Self {
            recipient: change(self.recipient.clone()),
            reason: some(&self.reason),
            at: some(&self.at),
            until: some(&self.until),
            detail: some(&self.detail),
            email_id: some(&self.email_id),
            message_id: some(&self.message_id),
            lifted_at: some(&self.lifted_at),
            lifted_by: some(&self.lifted_by),
            topic: some(&self.topic),
        }
    }

    /// The changes that it makes: a suppressing one, a lifting one, or both.
    fn changes(self, recipient: &Recipient, now: UnixMillis) -> Result<Vec<ItemChange>, String> {
        let moment = |text: &Option<String>| match text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => time::parse(text).map(Some).ok_or_else(|| {
                format!("{} is not a time like 2026-11-23, 2026-11-23T13:05:00Z or 1795439100", quoted(text))
            }),
        };
        let past = |name: &str, text: &Option<String>| match moment(text)? {
            Some(at) if at > now => Err(format!("its {name} is {}, which is in the future", at.to_text())),
            at => Ok(at),
        };
        let (at, until, lifted_at) = (past("at", &self.at)?, moment(&self.until)?, past("lifted_at", &self.lifted_at)?);
        let message = |given: Option<String>, what: &str, at: UnixMillis| {
            let made = || format!("import-{}", short_hash(&[recipient.as_str(), what, &at.to_text()]));
            MessageId::from_verified(given.unwrap_or_else(made))
        };
        if self.reason.as_deref().is_some_and(|reason| reason.trim() == TOPIC) {
            let topic = self.topic.unwrap_or_default();
            if !(1..=MAX_TOPIC_ID).contains(&topic.len()) {
                return Err(format!("a topic needs its id in `topic`, of 1 to {MAX_TOPIC_ID} bytes"));
            }
            let change = |at: UnixMillis, message: MessageId, subscription| {
                ItemChange::Topic(TopicChange { topic: topic.clone(), at, message, subscription })
            };
            let opted_out = (at.is_some() || lifted_at.is_none()).then(|| at.unwrap_or(now));
            let opted_out = opted_out.map(|at| change(at, message(self.message_id, &topic, at), Subscription::OptOut));
            let opted_in = lifted_at.map(|at| change(at, message(self.lifted_by, &topic, at), Subscription::OptIn));
            return Ok(opted_out.into_iter().chain(opted_in).collect());
        }
        let (reason, said) = reason(self.reason.as_deref().unwrap_or_default())?;
        let mut changes = Vec::new();
        if at.is_some() || lifted_at.is_none() {
            let at = at.unwrap_or(now);
            let grounds = ReasonDetail { email_id: self.email_id, detail: self.detail.or(said), until };
            let message = message(self.message_id, reason.as_str(), at);
            let effect = ChangeEffect::Suppress(grounds);
            changes.push(SuppressionChange { reason, at, message, effect }.into());
        }
        if let Some(at) = lifted_at {
            let message = message(self.lifted_by, reason.as_str(), at);
            changes.push(SuppressionChange { reason, at, message, effect: ChangeEffect::Lift }.into());
        }
        Ok(changes)
    }
}

/// The reason that a cell means, and what it says besides. Some write there what the receiving server said.
fn reason(text: &str) -> Result<(Reason, Option<String>), String> {
    let text = text.trim();
    match known_reason(text) {
        Some(reason) => Ok((reason, None)),
        None if text.is_empty() => Ok((Reason::Manual, None)),
        None if text.contains(char::is_whitespace) => Ok((Reason::Manual, Some(text.to_owned()))),
        None => {
            let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            Err(format!("there is no reason {}; the reasons are {}", quoted(text), known.join(", ")))
        }
    }
}

/// The reason of this name. Others call the same things by other names.
pub(super) fn known_reason(text: &str) -> Option<Reason> {
    let word = text.trim().to_lowercase().replace([' ', '-'], "_");
    match word.as_str() {
        "bounce" | "bounced" | "bounces" | "hardbounce" | "hard_bounced" | "permanent" | "invalid" | "cleaned" => {
            Some(Reason::HardBounce)
        }
        "complained" | "complaints" | "spam" | "spamcomplaint" | "spam_complaint" | "spam_report" => {
            Some(Reason::Complaint)
        }
        "unsubscribe" | "unsubscribes" => Some(Reason::Unsubscribed),
        "manualsuppression" | "manual_suppression" | "manually_added" => Some(Reason::Manual),
        word => Reason::from_text(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_csv_as_json_lines_and_as_bare_addresses_and_nothing_is_lost_silently() {
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
            "a reason may lapse in the future"
        );
    }

    #[test]
    fn an_entry_that_was_lifted_is_taken_over_as_lifted() {
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
