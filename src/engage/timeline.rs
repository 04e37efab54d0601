//! The rows of an email: its parsed events, verdicts and decisions.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::aws::CallError;
use crate::message::decision::FOLLOWUP_TAG;
use crate::policy::affected::AffectedRecipients;
use crate::policy::opt_out::is_opt_out;
use crate::policy::verdict::{Action, History, OpenOrClick};
use crate::resend::campaign::{Campaign, CampaignTags};
use crate::resend::event::{Event, EventType};
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::store::decisions::{OPT_OUT_CLICK, Occurrence, StoredDecision};
use crate::store::verdicts::StoredVerdict;
use crate::store::{Item, as_number, row, string};
use crate::time::{UnixMillis, days, hours};

/// Retention in days of a row that is made of an event without an expiry of its own.
const RETENTION_DAYS: u32 = 90;

/// The rows of an email, and the key of the open or click.
pub(super) struct EmailRows {
    rows: Vec<Item>,
    key: String,
}

/// An event of the timeline.
pub(super) struct TimelineEvent<'a> {
    /// The row's sort key.
    pub(super) key: &'a str,
    pub(super) event: Event<'a>,
    pub(super) message: MessageId,
    pub(super) at: UnixMillis,
}

impl EmailRows {
    /// Creates the rows of an email, with the sort key of the open or click.
    pub(super) const fn new(rows: Vec<Item>, key: String) -> Self {
        Self { rows, key }
    }

    /// Adds more rows. Of two rows with the same key, the later one counts.
    pub(super) fn with(self, more: impl IntoIterator<Item = Item>) -> Self {
        let rows = self.rows.into_iter().chain(more);
        let by_key: BTreeMap<String, Item> = rows.map(|row| (string(&row, "event").to_owned(), row)).collect();
        Self { rows: by_key.into_values().collect(), key: self.key }
    }

    /// Returns the row of the open or click. Returns `None` if it is gone: only the key of a row about a forgotten
    /// recipient remains.
    pub(super) fn row(&self) -> Option<&Item> {
        let kind = row::RowKind::Event.as_str();
        self.rows.iter().find(|row| string(row, "event") == self.key && string(row, "kind") == kind)
    }

    /// Expiry of rows that are derived from the open or click: the same as its own.
    pub(super) fn expires_at(&self, now: UnixMillis) -> UnixMillis {
        match self.row().and_then(|row| row.get("expires_at")).and_then(as_number) {
            Some(seconds) => UnixMillis(seconds.saturating_mul(1_000)),
            None => now.plus(days(RETENTION_DAYS)),
        }
    }

    /// Returns the verdict on the open or click, if one is among the rows.
    pub(super) fn verdict(&self) -> Option<StoredVerdict> {
        StoredVerdict::among(&self.rows, &self.key)
    }

    /// Returns the decision about an occurrence, if one is among the rows.
    pub(super) fn decision(&self, occurrence: &Occurrence) -> Option<StoredDecision> {
        let key = occurrence.sort_key();
        self.rows.iter().find(|row| string(row, "event") == key).and_then(StoredDecision::from_item)
    }

    /// Returns the bodies of the events among the rows.
    pub(super) fn bodies(&self) -> Vec<(&Item, Cow<'_, [u8]>)> {
        let events = self.rows.iter().filter(|row| string(row, "kind") == row::RowKind::Event.as_str());
        events.filter_map(|row| Some((row, row::payload(row)?))).collect()
    }

    /// Finds the open or click among the events with these bodies.
    ///
    /// # Errors
    /// The event cannot be read, or is neither an open nor a click.
    pub(super) fn context<'a>(&self, events: &'a [TimelineEvent<'a>]) -> Result<OpenOrClickContext<'a>, CallError> {
        OpenOrClickContext::find(events, &self.key).map_err(|why| CallError::Permanent(why.to_owned()))
    }
}

impl<'a> TimelineEvent<'a> {
    /// Parses the events with these bodies, except those that cannot be read.
    pub(super) fn read_all(bodies: &'a [(&Item, Cow<'_, [u8]>)]) -> Vec<Self> {
        bodies.iter().filter_map(|(row, body)| Self::read(row, body)).collect()
    }

    /// Parses an event's row. Returns `None` if it cannot be read.
    pub(super) fn read(row: &'a Item, body: &'a [u8]) -> Option<Self> {
        let event = Event::read(body).ok()?;
        let received_at = UnixMillis(row.get("received_at").and_then(as_number)?);
        let key = string(row, "event");
        let (_, message) = key.split_once('#')?;
        let reported_at = event.happened_at(received_at);
        // A click has its own time, to the millisecond. If it differs much from the event's time, one of them is wrong.
        let exact = event.open_or_click().at;
        let exact = exact.filter(|exact| exact.plus(hours(1)) >= reported_at && *exact <= reported_at.plus(hours(1)));
        // An event cannot happen after its receipt.
        let at = exact.unwrap_or(reported_at).min(received_at);
        Some(Self { key, at, message: MessageId::from_verified(message), event })
    }

    /// The action, and the event type that reports it. Returns `None` if it is neither an open nor a click.
    pub(super) fn action(&self) -> Option<(Action, &'static str)> {
        match self.event.event_type()? {
            EventType::EmailOpened => Some((Action::Opened, EventType::EmailOpened.as_str())),
            EventType::EmailClicked => Some((Action::Clicked, EventType::EmailClicked.as_str())),
            _ => None,
        }
    }

    /// Returns true if the event shows that the email was sent.
    fn says_sent(&self) -> bool {
        matches!(self.event.event_type(), Some(EventType::EmailSent | EventType::EmailDelivered))
    }

    pub(super) fn recipients(&self) -> Vec<Recipient> {
        AffectedRecipients::by_outcome(&self.event).possible()
    }

    /// Returns true if it is a click on an opt-out or preference link.
    pub(super) fn is_opt_out_click(&self) -> bool {
        let is_click = self.event.event_type() == Some(EventType::EmailClicked);
        is_click && self.event.open_or_click().link.is_some_and(|link| is_opt_out(&link))
    }

    /// The occurrence that the event reports. Returns `None` if it is neither an open nor a click.
    pub(super) fn occurrence(&self, email_id: &str) -> Option<Occurrence> {
        let (_, event_type) = self.action()?;
        let event_type = if self.is_opt_out_click() { OPT_OUT_CLICK } else { event_type };
        Some(Occurrence::new(email_id, event_type, &self.recipients()))
    }

    /// Returns true if it names one of `recipients`, or if either side names no recipient.
    fn concerns(&self, recipients: &[Recipient]) -> bool {
        let own = self.recipients();
        own.is_empty() || recipients.is_empty() || own.iter().any(|recipient| recipients.contains(recipient))
    }

    fn seen(&self, action: Action) -> OpenOrClick {
        let said = self.event.open_or_click();
        OpenOrClick {
            message: self.message.clone(),
            action,
            at: self.at,
            link: said.link,
            agent: said.agent,
            ip: said.ip,
        }
    }
}

/// One open or click, with the other events that concern its recipients.
pub(super) struct OpenOrClickContext<'a> {
    /// The open or click.
    pub(super) this: &'a TimelineEvent<'a>,
    pub(super) action: Action,
    pub(super) event_type: &'static str,
    pub(super) recipients: Vec<Recipient>,
    /// Time at which the email was sent, if it is known.
    pub(super) sent_at: Option<UnixMillis>,
    /// True if the email is itself a follow-up.
    pub(super) is_followup: bool,
    /// The events that concern the recipients, this one included.
    pub(super) timeline: Vec<&'a TimelineEvent<'a>>,
    pub(super) seen: OpenOrClick,
    pub(super) history: History,
}

impl<'a> OpenOrClickContext<'a> {
    /// Finds the open or click with this key.
    fn find(all: &'a [TimelineEvent<'a>], key: &str) -> Result<Self, &'static str> {
        let this = all.iter().find(|event| event.key == key).ok_or("the event can't be read")?;
        let (action, event_type) = this.action().ok_or("the event is neither an open nor a click")?;
        let recipients = this.recipients();
        let timeline: Vec<&TimelineEvent<'_>> = all.iter().filter(|other| other.concerns(&recipients)).collect();
        Ok(Self {
            this,
            action,
            event_type,
            seen: this.seen(action),
            sent_at: timeline.iter().filter(|other| other.says_sent()).map(|other| other.at).min(),
            is_followup: timeline.iter().any(|other| other.event.tags().contains_key(FOLLOWUP_TAG)),
            history: history(&timeline),
            recipients,
            timeline,
        })
    }

    /// The campaign in the email's tags.
    pub(super) fn campaign(&self, tags: &CampaignTags) -> Option<Campaign> {
        self.timeline.iter().find_map(|event| tags.tagged(&event.event))
    }

    /// The clicks on opt-out and preference links.
    pub(super) fn opt_out_clicks(&self) -> Vec<&OpenOrClick> {
        let clicks = self.history.seen.iter().filter(|seen| seen.action == Action::Clicked);
        let links: BTreeSet<&str> = clicks.clone().filter_map(|seen| seen.link.as_deref()).collect();
        let links: BTreeSet<&str> = links.into_iter().filter(|link| is_opt_out(link)).collect();
        clicks.filter(|seen| seen.link.as_deref().is_some_and(|link| links.contains(link))).collect()
    }
}

fn history(timeline: &[&TimelineEvent<'_>]) -> History {
    let delivered = |event: &&&TimelineEvent<'_>| event.event.event_type() == Some(EventType::EmailDelivered);
    let mut seen: Vec<OpenOrClick> =
        timeline.iter().filter_map(|event| event.action().map(|(action, _)| event.seen(action))).collect();
    seen.sort_by_key(|seen| seen.at);
    History { delivered_at: timeline.iter().filter(delivered).map(|event| event.at).min(), seen }
}
