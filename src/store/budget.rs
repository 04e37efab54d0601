//! Cost of today's Claude requests: one item of the agenda table for each day.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, RetryClient, UpdateExpression};
use super::{Item, as_number, number, text};
use crate::aws::CallError;
use crate::policy::money::NanoUsd;
use crate::time::{UnixMillis, days};

/// Retention of a day's sum, in days.
const RETENTION_DAYS: u32 = 90;

/// A part of the day's budget, held until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    day: String,
    id: String,
    most: NanoUsd,
}

impl Reservation {
    /// Maximum cost of the request.
    pub fn most(&self) -> NanoUsd {
        self.most
    }
}

/// Result of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveResult {
    /// The amount is reserved.
    Granted(Reservation),
    /// The amount does not fit now, but the next one may. Other requests hold a part of the day's budget and may give
    /// some back, or the amount is larger than a whole day's budget.
    Unavailable,
    /// The day's budget is exhausted.
    Exhausted,
}

/// Time for which an exhausted budget is not asked again. Not the rest of the day: the next request may cost less.
const EXHAUSTED_FOR: Duration = Duration::from_secs(60);

/// Remembers that a day's budget was exhausted, so that not every request needs a write to find out.
#[derive(Debug, Default)]
pub struct ExhaustedFlag(Mutex<Option<UnixMillis>>);

impl ExhaustedFlag {
    /// Records that the budget was exhausted at `now`.
    pub fn note(&self, now: UnixMillis) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Returns true if the budget was exhausted less than a minute ago, on the same day.
    pub fn holds(&self, now: UnixMillis) -> bool {
        let found = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.is_some_and(|found| found.day() == now.day() && found <= now && now < found.plus(EXHAUSTED_FOR))
    }
}

/// The part of the agenda table that holds the daily cost.
#[derive(Clone, Debug)]
pub struct Budget {
    calls: RetryClient,
    table: String,
}

impl Budget {
    /// Creates a handle for the table `table`.
    pub fn new(calls: RetryClient, table: impl Into<String>) -> Self {
        Self { calls, table: table.into() }
    }

    /// Reserves `most` of the remaining budget of the day, which begins with `limit`.
    ///
    /// # Errors
    /// The amount may be reserved. It then stays reserved.
    pub async fn reserve(&self, most: NanoUsd, limit: NanoUsd, now: UnixMillis) -> Result<ReserveResult, CallError> {
        if most > limit {
            return Ok(if limit.0 > 0 { ReserveResult::Unavailable } else { ReserveResult::Exhausted });
        }
        let reservation = Reservation { day: now.day(), id: format!("{:016x}", fastrand::u64(..)), most };
        let change = UpdateExpression {
            update: "ADD nanos :most, #open :ids SET expires_at = :expires_at".to_owned(),
            condition: Some("(attribute_not_exists(nanos) OR nanos <= :room) AND NOT contains(#open, :id)"),
            names: vec![("#open".to_owned(), "open".to_owned())],
            values: vec![
                (":most".to_owned(), number(most.0)),
                (":room".to_owned(), number(limit.0 - most.0)),
                (":ids".to_owned(), AttributeValue::Ss(vec![reservation.id.clone()])),
                (":id".to_owned(), text(&reservation.id)),
                (":expires_at".to_owned(), number(now.plus(days(RETENTION_DAYS)).seconds())),
            ],
        };
        match self.calls.update(&self.table, key(&reservation.day), &change).await? {
            ConditionalWrite::Applied(_) => Ok(ReserveResult::Granted(reservation)),
            // Over the budget; or the response to the first try was lost, and this is the second.
            ConditionalWrite::ConditionFailed(day) => {
                let open = day.as_ref().and_then(|day| day.get("open")).and_then(|open| open.as_ss().ok());
                Ok(match open {
                    Some(open) if open.contains(&reservation.id) => ReserveResult::Granted(reservation),
                    Some(_) => ReserveResult::Unavailable,
                    None => ReserveResult::Exhausted,
                })
            }
        }
    }

    /// Gives back the unused part of a reservation. Returns the day's spent and reserved amount after that.
    ///
    /// # Errors
    /// The reservation may stay booked.
    pub async fn settle(&self, reservation: &Reservation, cost: NanoUsd) -> Result<NanoUsd, CallError> {
        let change = UpdateExpression {
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
            ConditionalWrite::Applied(day) => nanos(Some(&day)),
            ConditionalWrite::ConditionFailed(day) => nanos(day.as_ref()),
        })
    }

    /// Returns the spent and reserved amount of the day that contains `now`.
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
        let spent = ExhaustedFlag::default();
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
