//! The money for Claude: reserved before a request, settled after it.

use super::run::{Activity, Run};
use crate::aws::CallError;
use crate::claude::price::Price;
use crate::claude::request::Question;
use crate::claude::{Charge, Failure};
use crate::policy::answer::Usage;
use crate::policy::money::NanoUsd;
use crate::store::budget::{Budget, Reservation, Reserved, Spent};

/// The day's budget. Nothing else in `engage` touches money.
pub(super) struct Purse<'a> {
    budget: Budget,
    limit: NanoUsd,
    spent: &'a Spent,
    price: &'a Price,
    run: Run<'a>,
}

impl<'a> Purse<'a> {
    /// A purse that pays `limit` a day at most. `spent` remembers between invocations that a day's budget is spent.
    pub(super) const fn new(budget: Budget, limit: NanoUsd, spent: &'a Spent, price: &'a Price, run: Run<'a>) -> Self {
        Self { budget, limit, spent, price, run }
    }

    /// Returns true if the day's budget was found spent a short while ago.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.holds(self.run.now)
    }

    /// The reason why Claude is not asked when there is no money left.
    pub(super) fn over_budget(&self) -> String {
        format!("today's budget of {} US dollars is spent", self.limit.usd())
    }

    /// Reserves the most that a request can cost. Returns `None` if the budget has no room for it.
    pub(super) async fn reserve(&self, question: &Question) -> Result<Option<Reservation>, CallError> {
        let most = self.price.most(question.body.len(), question.max_tokens);
        Ok(match self.budget.reserve(most, self.limit, self.run.now).await? {
            Reserved::Held(reservation) => Some(reservation),
            Reserved::Full => None,
            Reserved::Spent => {
                self.spent.note(self.run.now);
                None
            }
        })
    }

    /// Pays for an answer, and returns its cost in US dollars. An answer that doesn't say what it cost may have cost all that was
    /// reserved.
    pub(super) async fn pay(&self, reservation: &Reservation, usage: Option<&Usage>) -> f64 {
        let cost = usage.map_or(reservation.most(), |usage| self.price.cost(usage));
        self.settle(reservation, cost).await
    }

    /// Pays for a request that got no answer, and returns its cost in US dollars: all that was reserved, if Claude may have answered.
    pub(super) async fn pay_failed(&self, reservation: &Reservation, failure: &Failure) -> f64 {
        let cost = match failure {
            Failure::TimedOut | Failure::Passing { charge: Charge::Unknown, .. } => reservation.most(),
            _ => NanoUsd(0),
        };
        self.settle(reservation, cost).await
    }

    /// Gives back what was not spent. If that can't be done it stays spent, which is on the safe side.
    async fn settle(&self, reservation: &Reservation, cost: NanoUsd) -> f64 {
        self.run.record(Activity::Paid(cost));
        match self.budget.settle(reservation, cost).await {
            Ok(spent) => self.run.record(Activity::SpentToday(spent)),
            Err(error) => tracing::warn!(%error, "what a question did not cost stays reserved"),
        }
        cost.usd()
    }
}
