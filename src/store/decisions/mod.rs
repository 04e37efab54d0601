//! Decisions, in the partition of their email: the events table.
//!
//! A decision says what is to be done about a happening: `decision#<type>#<whom>`, `kind` = `decision`.
//!
//! | attribute | value |
//! | --- | --- |
//! | `id` | the decision's id, made of the happening |
//! | `carrier`, `claimed_at` | which message of the queue is at it, and since when (ms), the last time that it was delivered |
//! | `payload` | the receipt, JSON, or zlib of it where that saves a write unit: there as soon as it is decided |
//! | `decided_at` | milliseconds |
//! | `published_at`, `message_id` | when it was published (ms), and SNS's id of it |
//! | `refused` | why SNS will never take it |
//! | `nothing_to_publish` | there is none |
//! | `expires_at` | seconds, DynamoDB's TTL |
//!
//! # Why each happening is decided once
//!
//! ```text
//!   claim (put if there is none) ─▶ ask ─▶ decide (if it is not decided) ─▶ publish ─▶ note published_at
//!      ✗ dies here                   the same message is delivered again, begins its own claim anew, and asks
//!                            ✗ dies here, after asking: the same, once more; nothing was stored yet, so nothing can differ
//!                                                  ✗ dies here: the receipt is there: it is published as it is
//!                                                                 ✗ dies here, or the answer is lost: published again, same id
//!   another message finds the claim     leaves it to its carrier, unless that must be dead by now
//! ```
//!
//! What the written rules decide without asking needs no claim, and is stored in one write
//! ([`decide_at_once`](Decisions::decide_at_once)): whoever comes second finds it decided.
//!
//! A follow-up takes its place among its recipient's in the same transaction that stores the decision, and that transaction is refused
//! when the recipient has been suppressed meanwhile, or has clicked an opt-out link. So there is no moment at which a proposal stands without its place.

mod claim;
mod decide;

pub use self::claim::Claim;
pub use self::decide::{AtOnce, Stored};
use super::calls::{Calls, Change};
use super::row::payload_text;
use super::{Item, NOT_THERE, THERE, as_number, number, string, text};
use crate::aws::CallError;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// The longest recipient as part of a key, in bytes. An address has at most 320.
const MAX_WHOM: usize = 400;

/// In place of the type of event: a click on an opt-out or preference link.
pub const OPT_OUT_CLICK: &str = "opt_out_click";

/// The same happening: an email, a type of event, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Happening {
    /// The partition.
    pub email_id: String,
    /// `email.opened`, `email.clicked`, or [`OPT_OUT_CLICK`], which uses up nobody's click.
    pub event_type: &'static str,
    /// The recipient; of several, all of them, in order.
    pub whom: String,
}

impl Happening {
    /// The happening of these recipients.
    pub fn new(email_id: &str, event_type: &'static str, recipients: &[Recipient]) -> Self {
        let mut all: Vec<&str> = recipients.iter().map(Recipient::as_str).collect();
        all.sort_unstable();
        let whom = all.join(",");
        let whom = if whom.len() <= MAX_WHOM { whom } else { crate::policy::ids::short_hash(&all) };
        Self { email_id: email_id.to_owned(), event_type, whom }
    }

    /// The id of the decision about it: the same whenever it is made again.
    pub fn decision_id(&self) -> String {
        format!("decision-{}", crate::policy::ids::short_hash(&[&self.email_id, self.event_type, &self.whom]))
    }

    /// The sort key of its decision.
    pub fn sort_key(&self) -> String {
        format!("decision#{}#{}", self.event_type, self.whom)
    }

    fn key(&self) -> Item {
        key(&self.email_id, &self.sort_key())
    }
}

/// A decision that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The receipt, JSON.
    pub receipt: String,
    /// Whether there is nothing left to publish.
    pub is_settled: bool,
    /// Which message of the queue brought it about, and publishes it.
    pub carrier: String,
    /// When it was decided.
    pub at: UnixMillis,
}

impl Decided {
    /// Reads a decision's row. `None` while it is only claimed.
    pub fn from_item(item: &Item) -> Option<Self> {
        let at = item.get("decided_at").and_then(as_number).map(UnixMillis)?;
        let settled = ["published_at", "refused", "nothing_to_publish"];
        let is_settled = settled.iter().any(|settled| item.contains_key(*settled));
        Some(Self { receipt: payload_text(item), is_settled, carrier: string(item, "carrier").to_owned(), at })
    }
}

/// The names of the tables that decisions touch.
#[derive(Clone, Debug)]
pub struct Tables {
    /// `EVENTS_TABLE`.
    pub events: String,
    /// `SUPPRESSIONS_TABLE`, of which nothing is written.
    pub suppressions: String,
    /// `RECIPIENTS_TABLE`.
    pub recipients: String,
}

/// The events table, as far as decisions are in it.
#[derive(Clone, Debug)]
pub struct Decisions {
    calls: Calls,
    tables: Tables,
}

impl Decisions {
    /// Decisions in these tables.
    pub fn new(calls: Calls, tables: Tables) -> Self {
        Self { calls, tables }
    }

    /// What is decided about a happening, as it is now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn decided(&self, happening: &Happening) -> Result<Option<Decided>, CallError> {
        let item = self.calls.get(&self.tables.events, happening.key()).await?;
        Ok(item.as_ref().and_then(Decided::from_item))
    }

    /// Notes that a decision was published, under which of SNS's ids; unless it was deleted meanwhile, because somebody was forgotten.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_published(&self, happening: &Happening, message: &str, now: UnixMillis) -> Result<(), CallError> {
        let change = Change {
            update: "SET published_at = if_not_exists(published_at, :now), message_id = :message".to_owned(),
            condition: Some(THERE),
            names: Vec::new(),
            values: vec![(":now".to_owned(), number(now.0)), (":message".to_owned(), text(message))],
        };
        self.calls.update(&self.tables.events, happening.key(), &change).await?;
        Ok(())
    }

    /// Notes that SNS will never take a decision, and why; unless it was deleted meanwhile.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_refused(&self, happening: &Happening, why: &str) -> Result<(), CallError> {
        let change = Change {
            update: "SET refused = :why".to_owned(),
            condition: Some(THERE),
            names: Vec::new(),
            values: vec![(":why".to_owned(), text(why))],
        };
        self.calls.update(&self.tables.events, happening.key(), &change).await?;
        Ok(())
    }
}

/// What a decision's row begins with.
fn begun(happening: &Happening, carrier: &str, expires_at: UnixMillis) -> Item {
    let mut item = happening.key();
    item.insert("kind".to_owned(), text("decision"));
    item.insert("id".to_owned(), text(happening.decision_id()));
    item.insert("carrier".to_owned(), text(carrier));
    item.insert("expires_at".to_owned(), number(expires_at.seconds()));
    item
}

fn key(email_id: &str, event: &str) -> Item {
    Item::from([("email_id".to_owned(), text(email_id)), ("event".to_owned(), text(event))])
}

fn absent() -> Change {
    Change { condition: Some(NOT_THERE), ..Change::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_happening_has_one_id_whatever_order_its_recipients_come_in() {
        let recipient = |text: &str| Recipient::parse(text).unwrap();
        let (ann, bob) = (recipient("ann@example.com"), recipient("bob@example.com"));
        let both = Happening::new("e1", "email.clicked", &[bob.clone(), ann.clone()]);
        assert_eq!(both, Happening::new("e1", "email.clicked", &[ann.clone(), bob]));
        // Frozen: a later version must not decide again.
        assert_eq!(both.decision_id(), "decision-104cf33abd6c889197892612");
        assert_eq!(both.sort_key(), "decision#email.clicked#ann@example.com,bob@example.com");
        let many: Vec<Recipient> = (0..50).map(|i| recipient(&format!("p{i}@example.com"))).collect();
        assert!(Happening::new("e1", "email.clicked", &many).sort_key().len() < 1_024);
        let ann = std::slice::from_ref(&ann);
        assert_ne!(Happening::new("e1", "email.opened", ann), Happening::new("e1", "email.clicked", ann));
    }
}
