//! Decisions, in the partition of their email: the events table.
//!
//! A decision says what to do about an occurrence: `decision#<type>#<recipient>`, `kind` = `decision`.
//!
//! | attribute | value |
//! | --- | --- |
//! | `id` | the decision's id, derived from the occurrence |
//! | `payload` | the receipt, JSON, or zlib of it if that saves a write unit; present once the decision is made |
//! | `decided_at` | milliseconds |
//! | `nothing_to_publish` | present if the decision is not published |
//! | `expires_at` | seconds, DynamoDB's TTL |
//!
//! The others are those of the [outbox](super::outbox). The owner is the queue message that makes the decision.
//!
//! # Why each occurrence is decided once
//!
//! ```text
//!   claim (put if there is none) ─▶ ask ─▶ decide (if it is not decided) ─▶ publish, as every row of the outbox
//!      ✗ crashes here                the same message is delivered again, renews its own claim, and asks
//!                            ✗ crashes here, after asking: the same again; nothing was stored yet, so nothing can differ
//!                                                  ✗ crashes here: the receipt is stored, and is published unchanged
//! ```
//!
//! Decisions of the built-in rules need no claim, and are stored in one write
//! ([`decide_without_claim`](Decisions::decide_without_claim)): the second message finds the occurrence decided.
//!
//! A follow-up takes its slot among the recipient's follow-ups in the transaction that stores the decision. That
//! transaction is rejected if the recipient has been suppressed meanwhile, or has clicked an opt-out link. So a
//! follow-up is never stored without its slot. If Rebound sends it, its row and its agenda entry are in that transaction too.

mod decide;

pub use self::decide::DecidedFollowup;
use std::time::Duration;

use super::client::RetryClient;
use super::outbox::{ClaimOwner, Outbox, OutboxClaim, Settlement, has_any};
use super::row::payload_text;
use super::{Item, as_number, event_key, number, string, text};
use crate::aws::CallError;
use crate::aws::tables::TableNames;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// A claim ends when the decision is made.
const SETTLEMENT: Settlement<StoredDecision> =
    Settlement { read: StoredDecision::from_item, takeover: "claimed_at = :seen AND attribute_not_exists(decided_at)" };

/// Maximum length of the recipients as part of a key, in bytes. An address has at most 320.
const MAX_RECIPIENTS_BYTES: usize = 400;

/// Used in place of the event type: a click on an opt-out or preference link.
pub const OPT_OUT_CLICK: &str = "opt_out_click";

/// One occurrence: an email, an event type, and its recipients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// The partition.
    pub email_id: String,
    /// `email.opened`, `email.clicked`, or [`OPT_OUT_CLICK`], which does not count as a click of the recipient.
    pub event_type: &'static str,
    /// The recipient. Several recipients are sorted and joined by commas.
    pub recipients: String,
}

impl Occurrence {
    /// Creates the occurrence for these recipients.
    pub fn new(email_id: &str, event_type: &'static str, recipients: &[Recipient]) -> Self {
        let mut all: Vec<&str> = recipients.iter().map(Recipient::as_str).collect();
        all.sort_unstable();
        let recipients = all.join(",");
        let recipients =
            if recipients.len() <= MAX_RECIPIENTS_BYTES { recipients } else { crate::policy::ids::short_hash(&all) };
        Self { email_id: email_id.to_owned(), event_type, recipients }
    }

    /// Id of the decision about it: the same each time.
    pub fn decision_id(&self) -> String {
        format!("decision-{}", crate::policy::ids::short_hash(&[&self.email_id, self.event_type, &self.recipients]))
    }

    /// Sort key of its decision.
    pub fn sort_key(&self) -> String {
        format!("decision#{}#{}", self.event_type, self.recipients)
    }

    /// Key of its decision's row.
    pub fn key(&self) -> Item {
        event_key(&self.email_id, &self.sort_key())
    }
}

/// A stored decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDecision {
    /// The receipt as JSON.
    pub receipt: String,
    /// True if nothing is left to publish.
    pub is_settled: bool,
    /// Id of the queue message that made the decision and publishes it.
    pub owner: String,
    /// Time of the decision.
    pub at: UnixMillis,
}

impl StoredDecision {
    /// Reads a decision's row. Returns `None` while the decision is only claimed.
    pub fn from_item(item: &Item) -> Option<Self> {
        let at = item.get("decided_at").and_then(as_number).map(UnixMillis)?;
        let is_settled = has_any(item, &["published_at", "refused", "nothing_to_publish"]);
        Some(Self { receipt: payload_text(item), is_settled, owner: string(item, "carrier").to_owned(), at })
    }
}

/// The part of the outbox that holds decisions.
#[derive(Clone, Debug)]
pub struct Decisions {
    outbox: Outbox,
    suppressions: String,
    recipients: String,
    agenda: String,
}

impl Decisions {
    /// Creates a handle for these tables.
    pub fn new(calls: RetryClient, tables: &TableNames) -> Self {
        let TableNames { events, suppressions, recipients, agenda, .. } = tables.clone();
        Self { outbox: Outbox::new(calls, events), suppressions, recipients, agenda }
    }

    /// The outbox. Its rows have the key [`Occurrence::key`].
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Reads the decision about an occurrence, strongly consistent.
    pub async fn decided(&self, occurrence: &Occurrence) -> Result<Option<StoredDecision>, CallError> {
        let item = self.outbox.calls.get(&self.outbox.table, occurrence.key()).await?;
        Ok(item.as_ref().and_then(StoredDecision::from_item))
    }

    /// Claims an occurrence for the queue message with this id, before Claude is asked. So only one message asks.
    pub async fn claim(
        &self,
        occurrence: &Occurrence,
        message: &str,
        now: UnixMillis,
        lease: Duration,
        expires_at: UnixMillis,
    ) -> Result<OutboxClaim<StoredDecision>, CallError> {
        let owner = ClaimOwner::Message(message.to_owned());
        self.outbox.claim(claimed_item(occurrence, expires_at), &owner, &SETTLEMENT, now, lease).await
    }
}

/// The first attributes of a decision's row.
fn claimed_item(occurrence: &Occurrence, expires_at: UnixMillis) -> Item {
    let mut item = occurrence.key();
    item.insert("kind".to_owned(), text("decision"));
    item.insert("id".to_owned(), text(occurrence.decision_id()));
    item.insert("expires_at".to_owned(), number(expires_at.seconds()));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occurrence_has_one_id_in_any_order_of_its_recipients() {
        let recipient = |text: &str| Recipient::parse(text).unwrap();
        let (ann, bob) = (recipient("ann@example.com"), recipient("bob@example.com"));
        let both = Occurrence::new("e1", "email.clicked", &[bob.clone(), ann.clone()]);
        assert_eq!(both, Occurrence::new("e1", "email.clicked", &[ann.clone(), bob]));
        // Frozen: a later version must not decide again.
        assert_eq!(both.decision_id(), "decision-104cf33abd6c889197892612");
        assert_eq!(both.sort_key(), "decision#email.clicked#ann@example.com,bob@example.com");
        let many: Vec<Recipient> = (0..50).map(|i| recipient(&format!("p{i}@example.com"))).collect();
        assert!(Occurrence::new("e1", "email.clicked", &many).sort_key().len() < 1_024);
        let ann = std::slice::from_ref(&ann);
        assert_ne!(Occurrence::new("e1", "email.opened", ann), Occurrence::new("e1", "email.clicked", ann));
    }
}
