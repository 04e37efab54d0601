//! An entry of a list, as it is written in a file, and the changes that it makes.

use rebound::policy::ids::short_hash;
use rebound::policy::suppression::{
    ChangeEffect, ItemChange, MAX_TOPIC_ID, Reason, ReasonDetail, SuppressionChange, TopicChange,
};
use rebound::resend::event::Subscription;
use rebound::resend::recipient::Recipient;
use rebound::resend::signature::MessageId;
use rebound::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::operate::lists::address::quoted;
use crate::operate::lists::{ListedAddress, time};

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

impl ListRow {
    /// The entry of an address of which nothing else is said.
    pub(super) fn bare(row: &ListedAddress) -> Self {
        Self { recipient: row.recipient.as_str().to_owned(), ..Self::default() }
    }

    /// The entry in the columns that an export of Rebound has.
    pub(super) fn of(row: &ListedAddress) -> Self {
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
    pub(super) fn changes(self, recipient: &Recipient, now: UnixMillis) -> Result<Vec<ItemChange>, String> {
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
            let details = ReasonDetail { email_id: self.email_id, detail: self.detail.or(said), until };
            let message = message(self.message_id, reason.as_str(), at);
            let effect = ChangeEffect::Suppress(details);
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
