//! The outbox: rows of the events table that are published, each by its owner.
//!
//! | attribute | value |
//! | --- | --- |
//! | `payload` | JSON to publish: present from the claim (alert), or added later (decision) |
//! | `carrier` | the owner of the claim |
//! | `claimed_at` | time of the claim, in milliseconds |
//! | `published_at` | time of the publication, in milliseconds |
//! | `message_id` | SNS's message id, if it is stored |
//! | `refused` | the reason why SNS will never accept it |
//!
//! # Why each row is published once
//!
//! ```text
//!   owner A                              owner B                               the row
//!   ───────                              ───────                               ───────
//!   claim: put if there is none ────────────────────────────────────────▶      carrier A, claimed_at
//!                                        claim ─────────────────────────▶      held by other: B leaves it to A
//!   publish, mark published ────────────────────────────────────────────▶      published_at
//!                                        claim ─────────────────────────▶      settled
//!
//!   What may go wrong, and what follows:
//!   A crashes after its claim            A is delivered again, finds its own claim, and continues. If it is not
//! delivered, B takes
//!                                        over when the lease is over, on the condition that claimed_at is as B has read it
//!   A crashes after it has published,    the same: the row is published twice, with the same id and the same text,
//! since
//!   or SNS's response is lost            SNS cannot list what it published
//!   two take over at the same time       the condition admits one of them
//!   B takes over, the response is lost   B's next try is rejected, and returns the row: the claim is B's own
//!   the row is deleted meanwhile         because a recipient was forgotten: nothing is marked, and the row is not
//! recreated
//! ```

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::row::payload_text;
use super::{Item, NOT_THERE, THERE, as_number, event_key, number, string, text};
use crate::aws::CallError;
use crate::time::UnixMillis;

/// The owner of a claim, who publishes the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOwner {
    /// The event with this key. It is redelivered, one delivery at a time, until it is done, so it continues with its
    /// own claim immediately.
    Event(String),
    /// A tick. Two may run at the same time: the later one waits for the lease.
    Tick,
    /// The queue message with this id. It continues with its own claim and renews it, so that no other takes it over.
    Message(String),
}

/// Result of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboxClaim<S> {
    /// The caller holds the claim. Contains the row's payload, which is empty if the payload is added later.
    Acquired(String),
    /// Another owner holds the claim.
    HeldByOther,
    /// There is nothing left to claim.
    Settled(S),
}

/// The rule that says when a claim of a row is over.
pub(super) struct Settlement<S> {
    /// Returns `None` if the row can still be claimed.
    pub(super) read: fn(&Item) -> Option<S>,
    /// The condition of a takeover, besides that the claim is as it was read.
    pub(super) takeover: &'static str,
}

/// The events table, as an outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    pub(super) calls: RetryClient,
    pub(super) table: String,
}

impl ClaimOwner {
    fn as_str(&self) -> &str {
        match self {
            Self::Event(id) | Self::Message(id) => id,
            Self::Tick => "tick",
        }
    }
}

impl Outbox {
    /// The outbox in the table of this name.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Puts a row if there is none with its key. Returns the stored row otherwise.
    pub(super) async fn put(&self, row: &Item) -> Result<Option<Item>, CallError> {
        let absent = UpdateExpression { condition: Some(NOT_THERE), ..UpdateExpression::default() };
        match self.calls.put(&self.table, row, &absent).await? {
            ConditionalWrite::Applied(()) => Ok(None),
            ConditionalWrite::ConditionFailed(Some(stored)) => Ok(Some(stored)),
            ConditionalWrite::ConditionFailed(None) => {
                Err(CallError::Transient("the row was deleted while it was claimed".to_owned()))
            }
        }
    }

    /// Claims a row, which begins as `begun`. Takes over the claim of another owner that is older than `lease`.
    pub(super) async fn claim<S>(
        &self,
        mut begun: Item,
        owner: &ClaimOwner,
        settlement: &Settlement<S>,
        now: UnixMillis,
        lease: Duration,
    ) -> Result<OutboxClaim<S>, CallError> {
        begun.insert("carrier".to_owned(), text(owner.as_str()));
        begun.insert("claimed_at".to_owned(), number(now.0));
        let Some(stored) = self.put(&begun).await? else { return Ok(OutboxClaim::Acquired(payload_text(&begun))) };
        if let Some(settled) = (settlement.read)(&stored) {
            return Ok(OutboxClaim::Settled(settled));
        }
        let since = |row: &Item| row.get("claimed_at").and_then(as_number).unwrap_or(0);
        let is_own = |row: &Item| {
            string(row, "carrier") == owner.as_str() && (*owner != ClaimOwner::Tick || since(row) == now.0)
        };
        let claimed_at = since(&stored);
        if is_own(&stored) {
            if claimed_at == now.0 || matches!(owner, ClaimOwner::Event(_)) {
                return Ok(OutboxClaim::Acquired(payload_text(&stored)));
            }
        } else if UnixMillis(claimed_at).plus(lease) > now {
            return Ok(OutboxClaim::HeldByOther);
        }
        let change = UpdateExpression {
            update: "SET carrier = :carrier, claimed_at = :now".to_owned(),
            condition: Some(settlement.takeover),
            names: Vec::new(),
            values: vec![
                (":carrier".to_owned(), text(owner.as_str())),
                (":now".to_owned(), number(now.0)),
                (":seen".to_owned(), number(claimed_at)),
            ],
        };
        let key = event_key(string(&begun, "email_id"), string(&begun, "event"));
        let refused = match self.calls.update(&self.table, key, &change).await? {
            ConditionalWrite::Applied(_) => return Ok(OutboxClaim::Acquired(payload_text(&stored))),
            ConditionalWrite::ConditionFailed(refused) => refused.unwrap_or_default(),
        };
        Ok(match (settlement.read)(&refused) {
            Some(settled) => OutboxClaim::Settled(settled),
            // The response to our own try was lost.
            None if is_own(&refused) => OutboxClaim::Acquired(payload_text(&refused)),
            None => OutboxClaim::HeldByOther,
        })
    }

    /// Marks a row as published, with SNS's message id if it is given.
    pub async fn mark_published(&self, key: Item, message: Option<&str>, now: UnixMillis) -> Result<(), CallError> {
        let mut update = "SET published_at = if_not_exists(published_at, :now)".to_owned();
        let mut values = vec![(":now".to_owned(), number(now.0))];
        if let Some(message) = message {
            update.push_str(", message_id = :message");
            values.push((":message".to_owned(), text(message)));
        }
        self.mark(key, update, values).await
    }

    /// Marks a row as rejected by SNS for good, with the reason.
    pub async fn mark_rejected(&self, key: Item, why: &str) -> Result<(), CallError> {
        self.mark(key, "SET refused = :why".to_owned(), vec![(":why".to_owned(), text(why))]).await
    }

    async fn mark(&self, key: Item, update: String, values: Vec<(String, AttributeValue)>) -> Result<(), CallError> {
        let change = UpdateExpression { update, condition: Some(THERE), names: Vec::new(), values };
        self.calls.update(&self.table, key, &change).await?;
        Ok(())
    }
}

/// Returns true if a row has any of these attributes.
pub(super) fn has_any(row: &Item, attributes: &[&str]) -> bool {
    attributes.iter().any(|attribute| row.contains_key(*attribute))
}
