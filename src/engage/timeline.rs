//! What the email's timeline tells, read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::message::decision::FOLLOWUP_TAG;
use crate::policy::addressees::Concerned;
use crate::policy::opt_out::is_opt_out;
use crate::policy::verdict::{Action, History, Seen};
use crate::resend::campaign::{Campaign, CampaignTags};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::store::decisions::{Happening, OPT_OUT_CLICK};
use crate::store::{Item, as_number, row, string};
use crate::time::{UnixMillis, hours};

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
        // Nothing has happened that was not yet when it was received.
        let at = exact.unwrap_or(told_at).min(received_at);
        Some(Self { key, at, message: MessageId::already_verified(message), event })
    }

    /// What was done, and the type of event that tells of it. `None`: it is neither an open nor a click.
    pub(super) fn action(&self) -> Option<(Action, &'static str)> {
        match self.event.event_type()? {
            EventType::EmailOpened => Some((Action::Opened, EventType::EmailOpened.as_str())),
            EventType::EmailClicked => Some((Action::Clicked, EventType::EmailClicked.as_str())),
            _ => None,
        }
    }

    /// Whether it says that the email was sent.
    fn says_sent(&self) -> bool {
        matches!(self.event.event_type(), Some(EventType::EmailSent | EventType::EmailDelivered))
    }

    pub(super) fn recipients(&self) -> Vec<Recipient> {
        Concerned::by_outcome(&self.event).possible()
    }

    /// Whether it is a click on an opt-out or preference link.
    pub(super) fn is_opt_out_click(&self) -> bool {
        let is_click = self.event.event_type() == Some(EventType::EmailClicked);
        is_click && self.event.interaction().link.is_some_and(|link| is_opt_out(&link))
    }

    /// The occurrence that it tells of. `None`: it is neither an open nor a click.
    pub(super) fn occurrence(&self, email_id: &str) -> Option<Happening> {
        let (_, event_type) = self.action()?;
        let event_type = if self.is_opt_out_click() { OPT_OUT_CLICK } else { event_type };
        Some(Happening::new(email_id, event_type, &self.recipients()))
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
    /// When the email was sent, as far as is known.
    pub(super) sent_at: Option<UnixMillis>,
    /// Whether the email is itself a follow-up.
    pub(super) is_followup: bool,
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
            sent_at: timeline.iter().filter(|told| told.says_sent()).map(|told| told.at).min(),
            is_followup: timeline.iter().any(|told| told.event.tags().contains_key(FOLLOWUP_TAG)),
            history: history(&timeline),
            recipients,
            timeline,
        })
    }

    /// The clicks on opt-out and preference links.
    pub(super) fn opt_out_clicks(&self) -> Vec<&Seen> {
        let clicks = self.history.seen.iter().filter(|seen| seen.action == Action::Clicked);
        let links: BTreeSet<&str> = clicks.clone().filter_map(|seen| seen.link.as_deref()).collect();
        let links: BTreeSet<&str> = links.into_iter().filter(|link| is_opt_out(link)).collect();
        clicks.filter(|seen| seen.link.as_deref().is_some_and(|link| links.contains(link))).collect()
    }
}

fn history(timeline: &[&Told<'_>]) -> History {
    let delivered = |told: &&&Told<'_>| told.event.event_type() == Some(EventType::EmailDelivered);
    let mut seen: Vec<Seen> =
        timeline.iter().filter_map(|told| told.action().map(|(action, _)| told.seen(action))).collect();
    seen.sort_by_key(|seen| seen.at);
    History { delivered_at: timeline.iter().filter(delivered).map(|told| told.at).min(), seen }
}
