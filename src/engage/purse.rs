//! The budget for Claude: reserved before a request, settled after it.

use super::run::{EngageActivity, EngageRun};
use crate::aws::CallError;
use crate::claude::price::Price;
use crate::claude::request::ClaudeRequest;
use crate::claude::{Charge, ClaudeError};
use crate::policy::answer::Usage;
use crate::policy::money::NanoUsd;
use crate::store::budget::{Budget, ExhaustedFlag, Reservation, ReserveResult};

/// The day's budget. No other type of `engage` uses it.
pub(super) struct Purse<'a> {
    budget: Budget,
    limit: NanoUsd,
    spent: &'a ExhaustedFlag,
    price: &'a Price,
    run: EngageRun<'a>,
}

impl<'a> Purse<'a> {
    /// Creates a purse with a daily `limit`. `spent` remembers between invocations that a day's budget is exhausted.
    pub(super) const fn new(
        budget: Budget,
        limit: NanoUsd,
        spent: &'a ExhaustedFlag,
        price: &'a Price,
        run: EngageRun<'a>,
    ) -> Self {
        Self { budget, limit, spent, price, run }
    }

    /// Returns true if the day's budget was recently found exhausted.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.holds(self.run.now)
    }

    /// Reason why Claude is not asked if the budget is exhausted.
    pub(super) fn over_budget(&self) -> String {
        format!("today's budget of {} US dollars is spent", self.limit.usd())
    }

    /// Reserves the maximum cost of a request. Returns `None` if the budget has no room for it.
    pub(super) async fn reserve(&self, question: &ClaudeRequest) -> Result<Option<Reservation>, CallError> {
        let most = self.price.most(question.body.len(), question.max_tokens);
        Ok(match self.budget.reserve(most, self.limit, self.run.now).await? {
            ReserveResult::Granted(reservation) => Some(reservation),
            ReserveResult::Unavailable => None,
            ReserveResult::Exhausted => {
                self.spent.note(self.run.now);
                None
            }
        })
    }

    /// Pays for a response, and returns its cost in US dollars. A response without usage data is charged with the whole
    /// reservation.
    pub(super) async fn pay(&self, reservation: &Reservation, usage: Option<&Usage>) -> f64 {
        let cost = usage.map_or(reservation.most(), |usage| self.price.cost(usage));
        self.settle(reservation, cost).await
    }

    /// Pays for a request without a response, and returns its cost in US dollars: the whole reservation, if Claude may
    /// have answered.
    pub(super) async fn pay_failed(&self, reservation: &Reservation, failure: &ClaudeError) -> f64 {
        let cost = match failure {
            ClaudeError::TimedOut | ClaudeError::Transient { charge: Charge::Unknown, .. } => reservation.most(),
            _ => NanoUsd(0),
        };
        self.settle(reservation, cost).await
    }

    /// Gives back the unused part. If that fails, the part stays reserved, which is safe.
    async fn settle(&self, reservation: &Reservation, cost: NanoUsd) -> f64 {
        self.run.record(EngageActivity::Paid(cost));
        match self.budget.settle(reservation, cost).await {
            Ok(spent) => self.run.record(EngageActivity::SpentToday(spent)),
            Err(error) => tracing::warn!(%error, "the unused part of a reservation stays reserved"),
        }
        cost.usd()
    }
}
