//! What the email's timeline tells, read.

use std::borrow::Cow;

use crate::campaign::{Campaign, CampaignTags};
use crate::event::{Addressees, Event, EventType};
use crate::policy::verdict::{Action, History, Seen};
use crate::recipient::Recipient;
use crate::signature::MessageId;
use crate::store::{Item, as_number, row, string};
use crate::time::{UnixMillis, hours};

/// How many opens and clicks of one email are weighed, the latest. More than a few hundred are machines'.
const MOST_SEEN: usize = 300;

/// An event of the timeline.
pub(super) struct Told<'a> {
    /// The row's sort key.
    pub(super) key: &'a str,
    pub(super) event: Event<'a>,
    pub(super) message: MessageId,
    pub(super) at: UnixMillis,
}

/// The bodies of the events among an email's rows.
pub(super) fn bodies(rows: &[Item]) -> Vec<(&Item, Cow<'_, [u8]>)> {
    let events = rows.iter().filter(|row| string(row, "kind") == row::RowKind::Event.as_str());
    events.filter_map(|row| Some((row, row::payload(row)?))).collect()
}

impl<'a> Told<'a> {
    /// Reads an event's row. `None`: it can't be read.
    pub(super) fn read(row: &'a Item, body: &'a [u8]) -> Option<Self> {
        let event = Event::read(body).ok()?;
        let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
        let key = string(row, "event");
        let (_, message) = key.split_once('#')?;
        let told_at = event.happened_at(received_at);
        // A click says itself when it was, to the millisecond; where that is far from what the event says, one of them is wrong.
        let exact = event.interaction().at;
        let exact = exact.filter(|exact| exact.plus(hours(1)) >= told_at && *exact <= told_at.plus(hours(1)));
        Some(Self {
            key,
            at: exact.unwrap_or(told_at).min(received_at),
            message: MessageId::already_verified(message),
            event,
        })
    }

    /// What was done, and the type of event that tells of it. `None`: it is neither an open nor a click.
    pub(super) fn action(&self) -> Option<(Action, &'static str)> {
        match self.event.event_type()? {
            EventType::EmailOpened => Some((Action::Opened, EventType::EmailOpened.as_str())),
            EventType::EmailClicked => Some((Action::Clicked, EventType::EmailClicked.as_str())),
            _ => None,
        }
    }

    pub(super) fn recipients(&self) -> Vec<Recipient> {
        match self.event.addressees() {
            Addressees::Nobody => Vec::new(),
            Addressees::One(one) => vec![one],
            Addressees::Several(several) => several,
        }
    }

    /// Whether it is about one of these, or about who knows whom.
    fn concerns(&self, recipients: &[Recipient]) -> bool {
        let own = self.recipients();
        own.is_empty() || recipients.is_empty() || own.iter().any(|recipient| recipients.contains(recipient))
    }

    fn seen(&self, action: Action) -> Seen {
        let said = self.event.interaction();
        Seen { message: self.message.clone(), action, at: self.at, link: said.link, agent: said.agent, ip: said.ip }
    }
}

/// One open or click, among everything else that concerns its recipients.
pub(super) struct Occasion<'a> {
    pub(super) told: &'a Told<'a>,
    pub(super) action: Action,
    pub(super) event_type: &'static str,
    pub(super) recipients: Vec<Recipient>,
    pub(super) campaign: Option<Campaign>,
    /// What concerns the recipients, this one included.
    pub(super) timeline: Vec<&'a Told<'a>>,
    pub(super) seen: Seen,
    pub(super) history: History,
}

impl<'a> Occasion<'a> {
    /// The open or click of this key.
    ///
    /// # Errors
    /// It can't be read, or is neither, in words.
    pub(super) fn of(all: &'a [Told<'a>], key: &str, tags: &CampaignTags) -> Result<Self, &'static str> {
        let told = all.iter().find(|told| told.key == key).ok_or("the event can't be read")?;
        let (action, event_type) = told.action().ok_or("the event is neither an open nor a click")?;
        let recipients = told.recipients();
        let timeline: Vec<&Told<'_>> = all.iter().filter(|other| other.concerns(&recipients)).collect();
        Ok(Self {
            told,
            action,
            event_type,
            campaign: timeline.iter().find_map(|told| tags.tagged(&told.event)),
            seen: told.seen(action),
            history: history(&timeline),
            recipients,
            timeline,
        })
    }
}

fn history(timeline: &[&Told<'_>]) -> History {
    let delivered = |told: &&&Told<'_>| told.event.event_type() == Some(EventType::EmailDelivered);
    let mut seen: Vec<Seen> =
        timeline.iter().filter_map(|told| told.action().map(|(action, _)| told.seen(action))).collect();
    seen.sort_by_key(|seen| seen.at);
    let skip = seen.len().saturating_sub(MOST_SEEN);
    History {
        delivered_at: timeline.iter().filter(delivered).map(|told| told.at).min(),
        seen: seen.into_iter().skip(skip).collect(),
    }
}
