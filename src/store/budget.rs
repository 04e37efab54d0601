//! What asking Claude has cost today: an item of the agenda table for each day.
//!
//! | attribute | value |
//! | --- | --- |
//! | `kind`, `due` | `spent`, and the day in UTC: `2026-11-23` |
//! | `nanos` | billionths of a US dollar: what was paid, and what is reserved |
//! | `open` | the reservations that are not settled, a set of ids |
//! | `expires_at` | seconds, DynamoDB's TTL |
//!
//! # Why the budget is never passed
//!
//! The most that a question can cost is added before it is asked, on the condition that it still fits. When the answer says what it
//! cost, the rest is given back, on the condition that the reservation is open, and it is closed in the same write. So to
//! settle twice gives back once, and whoever dies in between has paid the most that it can have been.

use aws_sdk_dynamodb::types::AttributeValue;

use super::calls::{Calls, Change, Trouble, Written};
use super::{Item, as_number, number, text};
use crate::money::NanoUsd;
use crate::time::{UnixMillis, days};

/// How long a day's sum stays.
const KEPT_DAYS: u32 = 90;

/// A part of the day's budget, held until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    day: String,
    id: String,
    most: NanoUsd,
}

impl Reservation {
    /// The most that it may cost.
    pub fn most(&self) -> NanoUsd {
        self.most
    }
}

/// What became of asking for a part of the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is held.
    Held(Reservation),
    /// It doesn't fit into the day's budget any more.
    Over,
}

/// The agenda table, as far as it is about money.
#[derive(Clone, Debug)]
pub struct Budget {
    calls: Calls,
    table: String,
}

impl Budget {
    /// The table of this name.
    pub fn new(calls: Calls, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Reserves `most` of what is left of the budget of a day, which begins with `limit`.
    ///
    /// # Errors
    /// DynamoDB can't be asked. What was reserved then stays so.
    pub async fn reserve(&self, most: NanoUsd, limit: NanoUsd, now: UnixMillis) -> Result<Reserved, Trouble> {
        if most > limit {
            return Ok(Reserved::Over);
        }
        let reservation = Reservation { day: now.day(), id: format!("{:016x}", fastrand::u64(..)), most };
        let change = Change {
            update: "ADD nanos :most, #open :ids SET expires_at = :expires_at".to_owned(),
            condition: Some("(attribute_not_exists(nanos) OR nanos <= :room) AND NOT contains(#open, :id)"),
            names: vec![("#open".to_owned(), "open".to_owned())],
            values: vec![
                (":most".to_owned(), number(most.0)),
                (":room".to_owned(), number(limit.0 - most.0)),
                (":ids".to_owned(), AttributeValue::Ss(vec![reservation.id.clone()])),
                (":id".to_owned(), text(&reservation.id)),
                (":expires_at".to_owned(), number(now.plus(days(KEPT_DAYS)).seconds())),
            ],
        };
        match self.calls.update(&self.table, key(&reservation.day), &change).await? {
            Written::Done(_) => Ok(Reserved::Held(reservation)),
            // Over the budget; or the answer to the first try was lost, and this is the second.
            Written::Refused(day) => {
                let open = day.as_ref().and_then(|day| day.get("open")).and_then(|open| open.as_ss().ok());
                let is_held = open.is_some_and(|open| open.contains(&reservation.id));
                Ok(if is_held { Reserved::Held(reservation) } else { Reserved::Over })
            }
        }
    }

    /// Gives back what a question did not cost. Answers what is spent, or reserved, on its day then.
    ///
    /// # Errors
    /// DynamoDB can't be asked. What was reserved then stays spent.
    pub async fn settle(&self, reservation: &Reservation, cost: NanoUsd) -> Result<NanoUsd, Trouble> {
        let change = Change {
            update: "ADD nanos :difference DELETE #open :ids".to_owned(),
            condition: Some("contains(#open, :id)"),
            names: vec![("#open".to_owned(), "open".to_owned())],
            values: vec![
                (":difference".to_owned(), number(cost.0.saturating_sub(reservation.most.0))),
                (":ids".to_owned(), AttributeValue::Ss(vec![reservation.id.clone()])),
                (":id".to_owned(), text(&reservation.id)),
            ],
        };
        Ok(match self.calls.update(&self.table, key(&reservation.day), &change).await? {
            Written::Done(day) => nanos(Some(&day)),
            Written::Refused(day) => nanos(day.as_ref()),
        })
    }

    /// What was spent, or is reserved, on the day of a moment.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn spent(&self, now: UnixMillis) -> Result<NanoUsd, Trouble> {
        let item = self.calls.get(&self.table, key(&now.day())).await?;
        Ok(nanos(item.as_ref()))
    }
}

fn nanos(day: Option<&Item>) -> NanoUsd {
    NanoUsd(day.and_then(|day| day.get("nanos").and_then(as_number)).unwrap_or(0))
}

fn key(day: &str) -> Item {
    Item::from([("kind".to_owned(), text("spent")), ("due".to_owned(), text(day))])
}
