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

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::calls::{Calls, Change, Written};
use super::{Item, as_number, number, text};
use crate::aws::CallError;
use crate::policy::money::NanoUsd;
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
    /// It doesn't fit now, which says nothing of the next one: others hold a part of the day's budget, and may give some back; or it is
    /// too large for any day's.
    Full,
    /// It doesn't fit into the day's budget any more.
    Spent,
}

/// How long it is taken for granted that a day's budget is spent. Not for the rest of the day: the next question may be a shorter one.
const SPENT_FOR: Duration = Duration::from_secs(60);

/// That a day's budget was found spent, so that not each question has to find out for itself, which costs a write.
#[derive(Debug, Default)]
pub struct Spent(Mutex<Option<UnixMillis>>);

impl Spent {
    /// Notes that it was found spent at a moment.
    pub fn note(&self, now: UnixMillis) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether that still holds: a minute later it is asked again, and on another day at once.
    pub fn holds(&self, now: UnixMillis) -> bool {
        let found = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.is_some_and(|found| found.day() == now.day() && found <= now && now < found.plus(SPENT_FOR))
    }
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
    pub async fn reserve(&self, most: NanoUsd, limit: NanoUsd, now: UnixMillis) -> Result<Reserved, CallError> {
        if most > limit {
            return Ok(if limit.0 > 0 { Reserved::Full } else { Reserved::Spent });
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
                Ok(match open {
                    Some(open) if open.contains(&reservation.id) => Reserved::Held(reservation),
                    Some(_) => Reserved::Full,
                    None => Reserved::Spent,
                })
            }
        }
    }

    /// Gives back what a question did not cost. Answers what is spent, or reserved, on its day then.
    ///
    /// # Errors
    /// DynamoDB can't be asked. What was reserved then stays spent.
    pub async fn settle(&self, reservation: &Reservation, cost: NanoUsd) -> Result<NanoUsd, CallError> {
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
    pub async fn spent(&self, now: UnixMillis) -> Result<NanoUsd, CallError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_budget_is_spent_holds_for_a_minute_of_the_same_day() {
        let spent = Spent::default();
        let at = |text: &str| UnixMillis::parse(text).unwrap();
        assert!(!spent.holds(at("2026-11-24T12:00:00Z")));
        spent.note(at("2026-11-24T12:00:00Z"));
        assert!(spent.holds(at("2026-11-24T12:00:59Z")));
        assert!(!spent.holds(at("2026-11-24T12:01:00Z")), "the next question may be a shorter one");
        spent.note(at("2026-11-24T23:59:50Z"));
        assert!(spent.holds(at("2026-11-24T23:59:59Z")));
        assert!(!spent.holds(at("2026-11-25T00:00:00Z")), "another day, another budget");
    }
}
