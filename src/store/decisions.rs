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
//! when the recipient has been suppressed meanwhile. So there is no moment at which a proposal stands without its place.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};

use super::calls::{Calls, Change, Trouble, Written, put_item, update_item};
use super::followups::Place;
use super::row::{item_size, payload_beside, payload_text};
use super::{Item, as_number, number, string, text};
use crate::recipient::Recipient;
use crate::time::UnixMillis;

/// The longest recipient as part of a key, in bytes. An address has at most 320.
const MAX_WHOM: usize = 400;

/// What noting that it was published adds to a row, in bytes: `published_at`, and `message_id` with SNS's id of 36 letters.
const NOTED: usize = 70;

/// What `claimed_at`, `decided_at` and `nothing_to_publish` add to a row, in bytes.
const TIMES: usize = 60;

/// The same happening: an email, a type of event, and whom it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Happening {
    /// The partition.
    pub email_id: String,
    /// `email.opened` or `email.clicked`.
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
        let whom = if whom.len() <= MAX_WHOM { whom } else { crate::ids::short_hash(&all) };
        Self { email_id: email_id.to_owned(), event_type, whom }
    }

    /// The id of the decision about it: the same whenever it is made again.
    pub fn decision_id(&self) -> String {
        format!("decision-{}", crate::ids::short_hash(&[&self.email_id, self.event_type, &self.whom]))
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

/// What became of a decision that needed no claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtOnce {
    /// It is stored, or another was before: this one counts.
    Decided(Decided),
    /// Somebody has claimed the happening, and asks.
    Claimed,
}

/// What a claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours to decide.
    Ours,
    /// It is decided already.
    Decided(Decided),
    /// Another message is at it.
    Anothers,
}

/// What became of storing a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is stored, or was before: this one counts.
    Decided(Decided),
    /// What the guards went by has changed meanwhile: they have to look again.
    Changed,
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

    /// Claims a happening for `carrier`, or finds out that there is nothing to decide. A claim older than `lease` is taken over; the
    /// carrier's own begins anew.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn claim(
        &self,
        happening: &Happening,
        carrier: &str,
        now: UnixMillis,
        lease: std::time::Duration,
        expires_at: UnixMillis,
    ) -> Result<Claim, Trouble> {
        let mut item = begun(happening, carrier, expires_at);
        item.insert("claimed_at".to_owned(), number(now.0));
        let stored = match self.calls.put(&self.tables.events, &item, &absent()).await? {
            Written::Done(()) => return Ok(Claim::Ours),
            Written::Refused(Some(stored)) => stored,
            Written::Refused(None) => return Err(Trouble::Passing("the decision's row was there, and is gone".into())),
        };
        if let Some(decided) = Decided::from_item(&stored) {
            return Ok(Claim::Decided(decided));
        }
        let claimed_at = stored.get("claimed_at").and_then(as_number).unwrap_or(0);
        let is_ours = is_claimed_by(&stored, carrier);
        if is_ours && claimed_at == now.0 {
            return Ok(Claim::Ours);
        }
        if !is_ours && UnixMillis(claimed_at).plus(lease) > now {
            return Ok(Claim::Anothers);
        }
        // Another's is taken over. Our own, of an earlier delivery, begins anew, or it would be taken over while we are at it.
        let take = Change {
            update: "SET carrier = :carrier, claimed_at = :now".to_owned(),
            condition: Some("claimed_at = :seen AND attribute_not_exists(decided_at)"),
            names: Vec::new(),
            values: vec![
                (":carrier".to_owned(), text(carrier)),
                (":now".to_owned(), number(now.0)),
                (":seen".to_owned(), number(claimed_at)),
            ],
        };
        let stored = match self.calls.update(&self.tables.events, happening.key(), &take).await? {
            Written::Done(_) => return Ok(Claim::Ours),
            Written::Refused(stored) => stored.unwrap_or_default(),
        };
        Ok(match Decided::from_item(&stored) {
            Some(decided) => Claim::Decided(decided),
            // The answer to our own try was lost.
            None if is_claimed_by(&stored, carrier) => Claim::Ours,
            None => Claim::Anothers,
        })
    }

    /// Stores a decision that took no asking, if there is none and nobody is at one: in one write, without a claim.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn decide_at_once(
        &self,
        happening: &Happening,
        decided: &Decided,
        expires_at: UnixMillis,
    ) -> Result<AtOnce, Trouble> {
        let mut item = begun(happening, &decided.carrier, expires_at);
        item.insert("decided_at".to_owned(), number(decided.at.0));
        if decided.is_settled {
            item.insert("nothing_to_publish".to_owned(), AttributeValue::Bool(true));
        }
        item.insert("payload".to_owned(), receipt_beside(item_size(&item), decided));
        Ok(match self.calls.put(&self.tables.events, &item, &absent()).await? {
            Written::Done(()) => AtOnce::Decided(decided.clone()),
            // By another; or by our own first try, whose answer was lost.
            Written::Refused(Some(stored)) => Decided::from_item(&stored).map_or(AtOnce::Claimed, AtOnce::Decided),
            Written::Refused(None) => return Err(Trouble::Passing("the decision's row was there, and is gone".into())),
        })
    }

    /// What is decided about a happening, as it is now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn decided(&self, happening: &Happening) -> Result<Option<Decided>, Trouble> {
        let item = self.calls.get(&self.tables.events, happening.key()).await?;
        Ok(item.as_ref().and_then(Decided::from_item))
    }

    /// Stores a decision, if there is none; for a follow-up, with its place among its recipient's, on the condition that nobody
    /// has suppressed the recipient, under any of these names.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn decide(
        &self,
        happening: &Happening,
        decided: &Decided,
        place: Option<(&Place, &[String])>,
    ) -> Result<Stored, Trouble> {
        let change = storing(happening, decided);
        let Some((place, names)) = place else {
            return match self.calls.update(&self.tables.events, happening.key(), &change).await? {
                Written::Done(_) => Ok(Stored::Decided(decided.clone())),
                // Decided before: by another, or by the try whose answer was lost.
                Written::Refused(stored) => as_stored(stored.as_ref().and_then(Decided::from_item)),
            };
        };
        let mut patience = self.calls.patience();
        loop {
            let mut items = vec![
                update_item(change.of_transaction(&self.tables.events, happening.key()))?,
                put_item(place.put(&self.tables.recipients))?,
            ];
            for name in names {
                items.push(self.not_suppressed(name, decided.at)?);
            }
            match self.calls.transact(items).await {
                Ok(Ok(())) => return Ok(Stored::Decided(decided.clone())),
                Ok(Err(refused)) if refused.contains(&0) => return as_stored(self.decided(happening).await?),
                Ok(Err(_)) => return Ok(Stored::Changed),
                Err(failure) => patience.with(failure).await?,
            }
        }
    }

    fn not_suppressed(&self, name: &str, now: UnixMillis) -> Result<TransactWriteItem, Trouble> {
        let check = ConditionCheck::builder()
            .table_name(&self.tables.suppressions)
            .key("recipient", text(name))
            .condition_expression("attribute_not_exists(reasons) OR #until <= :now")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":now", number(now.0))
            .build();
        let check = check.map_err(|error| Trouble::Never(error.to_string()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Notes that a decision was published, under which of SNS's ids.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_published(&self, happening: &Happening, message: &str, now: UnixMillis) -> Result<(), Trouble> {
        let change = Change {
            update: "SET published_at = if_not_exists(published_at, :now), message_id = :message".to_owned(),
            condition: None,
            names: Vec::new(),
            values: vec![(":now".to_owned(), number(now.0)), (":message".to_owned(), text(message))],
        };
        self.calls.update(&self.tables.events, happening.key(), &change).await?;
        Ok(())
    }

    /// Notes that SNS will never take a decision, and why.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_refused(&self, happening: &Happening, why: &str) -> Result<(), Trouble> {
        let change = Change {
            update: "SET refused = :why".to_owned(),
            condition: None,
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

/// A receipt in a row that has so many bytes without it, now; one that is published gets some more.
fn receipt_beside(others: usize, decided: &Decided) -> AttributeValue {
    let more = if decided.is_settled { 0 } else { NOTED };
    payload_beside(others + more, decided.receipt.as_bytes())
}

/// What stores a decision where there is a claim, and no decision yet.
fn storing(happening: &Happening, decided: &Decided) -> Change {
    let others = item_size(&begun(happening, &decided.carrier, decided.at)) + TIMES;
    let mut change = Change {
        update: "SET payload = :receipt, carrier = :carrier, decided_at = :now".to_owned(),
        condition: Some("attribute_exists(claimed_at) AND attribute_not_exists(decided_at)"),
        names: Vec::new(),
        values: vec![
            (":receipt".to_owned(), receipt_beside(others, decided)),
            (":carrier".to_owned(), text(&decided.carrier)),
            (":now".to_owned(), number(decided.at.0)),
        ],
    };
    if decided.is_settled {
        change.update.push_str(", nothing_to_publish = :settled");
        change.values.push((":settled".to_owned(), AttributeValue::Bool(true)));
    }
    change
}

/// The decision that was stored before.
fn as_stored(decided: Option<Decided>) -> Result<Stored, Trouble> {
    decided.map(Stored::Decided).ok_or_else(|| Trouble::Passing("the decision's row is gone".to_owned()))
}

fn key(email_id: &str, event: &str) -> Item {
    Item::from([("email_id".to_owned(), text(email_id)), ("event".to_owned(), text(event))])
}

fn is_claimed_by(item: &Item, carrier: &str) -> bool {
    string(item, "carrier") == carrier
}

fn absent() -> Change {
    Change { condition: Some("attribute_not_exists(email_id)"), ..Change::default() }
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
