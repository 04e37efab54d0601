//! The events of one email, and the record of each alert: the events table, read and added to.
//!
//! An alert is a row of its own, in the partition of what it is about: an email, or `campaign#<name>`, a domain, a message.
//!
//! | attribute | value |
//! | --- | --- |
//! | `event` | `alert#<id>` |
//! | `kind` | `alert` |
//! | `payload` | the alert as it is published, JSON |
//! | `carrier` | who is at it: the event that brought it about, or `tick` |
//! | `claimed_at` | milliseconds; since when |
//! | `published_at` | milliseconds; when it was published |
//! | `folded_into` | the digest that it was folded into instead |
//! | `refused` | why SNS will never take it |
//! | `expires_at` | seconds, DynamoDB's TTL |
//!
//! # Why each is published once
//!
//! ```text
//!   claim (put if there is none)  ─▶  publish  ─▶  note published_at
//!       ✗ dies here                    the same carrier is delivered again, finds its own claim, publishes
//!                     ✗ dies here, or the answer is lost
//!                                      the same: a repeat, with the same id and text: SNS can't be asked whether it has it
//!                                  ✗ dies here: the same
//!   another finds the claim            leaves it to its carrier; unless that is so old that its carrier must be dead
//! ```

mod near;

pub use self::near::Begun;
use super::agenda::{Agenda, Entry};
use super::calls::{Calls, Change, Written, update_item};
use super::{Item, NOT_THERE, THERE, as_number, number, string, text};
use crate::aws::CallError;
use crate::resend::event::EventType;
use crate::time::UnixMillis;

/// Who publishes an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The event of this key. It is delivered until it is done, so it may go on at once with what it has claimed before.
    Event(String),
    /// A tick. Two may run at once, so the later one waits until the earlier one must be dead.
    Tick,
}

impl Carrier {
    fn as_str(&self) -> &str {
        match self {
            Self::Event(key) => key,
            Self::Tick => "tick",
        }
    }
}

/// An alert's row, to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// What it is about: the partition.
    pub about: String,
    /// The alert's id.
    pub id: String,
    /// The alert, JSON.
    pub payload: String,
    /// When the record may be forgotten.
    pub expires_at: UnixMillis,
}

impl AlertRow {
    fn key(&self) -> Item {
        alert_key(&self.about, &self.id)
    }
}

/// What a claim came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours to publish. Holds the alert as it was first claimed.
    Ours(String),
    /// It was published, or folded into a digest.
    Settled,
    /// Somebody else is at it.
    Anothers,
}

/// The events table.
#[derive(Clone, Debug)]
pub struct Timeline {
    calls: Calls,
    table: String,
}

impl Timeline {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// The rows of a partition whose types begin with `family` and a dot: `email`, `domain`.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn rows(&self, partition: &str, family: &str) -> Result<Vec<Item>, CallError> {
        // '/' is what follows '.'.
        let (from, to) = (format!("{family}."), format!("{family}/"));
        self.calls.range(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// The rows of a partition of one type.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn of_type(&self, partition: &str, event_type: EventType) -> Result<Vec<Item>, CallError> {
        // '$' is what follows '#'.
        let (from, to) = (format!("{}#", event_type.as_str()), format!("{}$", event_type.as_str()));
        self.calls.range(&self.table, ("email_id", partition), ("event", &from, &to), usize::MAX).await
    }

    /// Everything about an email: its events, and what was made of them.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn all(&self, partition: &str) -> Result<Vec<Item>, CallError> {
        self.calls.range(&self.table, ("email_id", partition), ("event", "!", "~"), usize::MAX).await
    }

    /// Puts a row that says that an event can't be handled, beside the event. Putting it again changes nothing. Returns true if there was
    /// none yet.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn put_poison(
        &self,
        partition: &str,
        event: &str,
        problem: &str,
        now: UnixMillis,
        expires_at: UnixMillis,
    ) -> Result<bool, CallError> {
        let item = Item::from([
            ("email_id".to_owned(), text(partition)),
            ("event".to_owned(), text(format!("poison#{event}"))),
            ("kind".to_owned(), text("poison")),
            ("problem".to_owned(), text(problem)),
            ("at".to_owned(), number(now.0)),
            ("expires_at".to_owned(), number(expires_at.seconds())),
        ]);
        Ok(self.calls.put(&self.table, &item, &absent()).await? == Written::Done(()))
    }

    /// Claims an alert for `carrier`, or finds out that there is nothing to do. A claim older than `lease` is taken over.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn claim(
        &self,
        row: &AlertRow,
        carrier: &Carrier,
        now: UnixMillis,
        lease: std::time::Duration,
    ) -> Result<Claim, CallError> {
        let mut item = row.key();
        item.insert("kind".to_owned(), text("alert"));
        item.insert("payload".to_owned(), text(&row.payload));
        item.insert("carrier".to_owned(), text(carrier.as_str()));
        item.insert("claimed_at".to_owned(), number(now.0));
        item.insert("expires_at".to_owned(), number(row.expires_at.seconds()));
        let stored = match self.calls.put(&self.table, &item, &absent()).await? {
            Written::Done(()) => return Ok(Claim::Ours(row.payload.clone())),
            Written::Refused(Some(stored)) => stored,
            Written::Refused(None) => {
                return Err(CallError::Transient("the alert's row was there, and is gone".to_owned()));
            }
        };
        if is_settled(&stored) {
            return Ok(Claim::Settled);
        }
        let ours = Claim::Ours(string(&stored, "payload").to_owned());
        let is_same = string(&stored, "carrier") == carrier.as_str();
        let claimed_at = stored.get("claimed_at").and_then(as_number).unwrap_or(0);
        if is_same && (matches!(carrier, Carrier::Event(_)) || claimed_at == now.0) {
            return Ok(ours);
        }
        if UnixMillis(claimed_at).plus(lease) > now {
            return Ok(Claim::Anothers);
        }
        let take_over = Change {
            update: "SET carrier = :carrier, claimed_at = :now".to_owned(),
            condition: Some(
                "claimed_at = :seen AND attribute_not_exists(published_at) AND attribute_not_exists(folded_into)",
            ),
            names: Vec::new(),
            values: vec![
                (":carrier".to_owned(), text(carrier.as_str())),
                (":now".to_owned(), number(now.0)),
                (":seen".to_owned(), number(claimed_at)),
            ],
        };
        match self.calls.update(&self.table, row.key(), &take_over).await? {
            Written::Done(_) => Ok(ours),
            Written::Refused(_) => Ok(Claim::Anothers),
        }
    }

    /// Notes that an alert was published; unless its row was deleted meanwhile, because somebody was forgotten.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_published(&self, about: &str, id: &str, now: UnixMillis) -> Result<(), CallError> {
        let change = Change {
            update: "SET published_at = if_not_exists(published_at, :now)".to_owned(),
            condition: Some(THERE),
            names: Vec::new(),
            values: vec![(":now".to_owned(), number(now.0))],
        };
        self.calls.update(&self.table, alert_key(about, id), &change).await?;
        Ok(())
    }

    /// Notes that SNS will never take an alert, and why; unless its row was deleted meanwhile.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_refused(&self, about: &str, id: &str, why: &str) -> Result<(), CallError> {
        let change = Change {
            update: "SET refused = :why".to_owned(),
            condition: Some(THERE),
            names: Vec::new(),
            values: vec![(":why".to_owned(), text(why))],
        };
        self.calls.update(&self.table, alert_key(about, id), &change).await?;
        Ok(())
    }

    /// An alert that was claimed and is not settled: as it is to be published.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn unsettled(&self, about: &str, id: &str) -> Result<Option<String>, CallError> {
        let Some(item) = self.calls.get(&self.table, alert_key(about, id)).await? else { return Ok(None) };
        Ok((!is_settled(&item)).then(|| string(&item, "payload").to_owned()))
    }

    /// Folds an alert that was claimed into the first of these digests that is not closed, once. Returns true if this call has done it.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn fold(&self, row: &AlertRow, agenda: &Agenda, digests: &[Entry]) -> Result<bool, CallError> {
        for digest in digests {
            let mut patience = self.calls.patience();
            loop {
                let note = aws_sdk_dynamodb::types::Update::builder()
                    .table_name(&self.table)
                    .set_key(Some(row.key()))
                    .update_expression("SET folded_into = :digest")
                    .condition_expression(
                        "attribute_exists(email_id) AND attribute_not_exists(folded_into) AND attribute_not_exists(published_at)",
                    )
                    .expression_attribute_values(":digest", text(format!("{}#{}", digest.due.to_text(), digest.key)));
                let items = vec![update_item(note)?, update_item(agenda.fold(digest))?];
                match self.calls.transact(items).await {
                    Ok(Ok(())) => return Ok(true),
                    // Folded before, by the try whose answer was lost, or by a function that died after it; or deleted meanwhile.
                    Ok(Err(refused)) if refused.contains(&0) => return Ok(false),
                    Ok(Err(_)) => break,
                    Err(failure) => patience.with(failure).await?,
                }
            }
        }
        Err(CallError::Transient("every digest is closed".to_owned()))
    }
}

/// Whether there is nothing more to do about an alert.
fn is_settled(alert: &Item) -> bool {
    ["published_at", "folded_into", "refused"].iter().any(|settled| alert.contains_key(*settled))
}

fn alert_key(about: &str, id: &str) -> Item {
    Item::from([("email_id".to_owned(), text(about)), ("event".to_owned(), text(format!("alert#{id}")))])
}

fn absent() -> Change {
    Change { condition: Some(NOT_THERE), ..Change::default() }
}
