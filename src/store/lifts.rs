//! Webhooks that lifted an active reason: entries `lift` of the agenda, to list or undo them.
//!
//! A faulty synchronization of contacts resubscribes everybody within minutes. Each lift is valid, but an unusual
//! number of them causes an alert, and [`Lift`] has the data to undo them.

use super::agenda::{Agenda, AgendaEntry, AgendaKind};
use super::suppressions::SuppressionItem;
use super::text;
use crate::aws::CallError;
use crate::policy::suppression::Reason;
use crate::resend::recipient::Recipient;
use crate::resend::signature::MessageId;
use crate::time::UnixMillis;

/// A reason that a webhook lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// Time of the webhook's receipt.
    pub received_at: UnixMillis,
    /// The recipient whose reason it is.
    pub recipient: Recipient,
    /// The reason.
    pub reason: Reason,
    /// The webhook.
    pub message: MessageId,
}

impl Lift {
    /// Builds the agenda's entry.
    pub fn entry(&self) -> AgendaEntry {
        let key = format!("{}#{}", self.recipient, self.reason.as_str());
        AgendaEntry::new(AgendaKind::Lift, self.received_at, key, &[("message_id", text(self.message.as_str()))])
    }

    fn from_entry(entry: &AgendaEntry) -> Option<Self> {
        let (recipient, reason) = entry.key.rsplit_once('#')?;
        Some(Self {
            received_at: entry.due,
            recipient: Recipient::parse(recipient)?,
            reason: Reason::from_text(reason)?,
            message: MessageId::from_verified(entry.text("message_id")),
        })
    }

    /// Returns true if this webhook is still the last one that lifted the reason, and the reason had been active and is
    /// not active now.
    pub fn holds(&self, stored: &SuppressionItem) -> bool {
        let record = stored.suppression.records.get(&self.reason);
        record.is_some_and(|record| {
            let is_by_it = record.lifted.as_ref().is_some_and(|lifted| lifted.message == self.message);
            is_by_it && record.suppressed.is_some() && !record.suppresses()
        })
    }
}

impl Agenda {
    /// Returns at most `at_most` lifts by webhooks that were received from `since` until before `until`, the oldest
    /// first.
    pub async fn lifts(&self, since: UnixMillis, until: UnixMillis, at_most: usize) -> Result<Vec<Lift>, CallError> {
        let entries = self.between(AgendaKind::Lift, since, until, at_most).await?;
        Ok(entries.iter().filter_map(Lift::from_entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_the_same_whatever_is_in_the_address() {
        for address in ["ann@example.com", "a#b@example.com"] {
            let lift = Lift {
                received_at: UnixMillis(1_795_440_600_000),
                recipient: Recipient::parse(address).unwrap(),
                reason: Reason::HardBounce,
                message: MessageId::from_verified("msg_1"),
            };
            assert_eq!(Lift::from_entry(&lift.entry()), Some(lift));
        }
    }
}
