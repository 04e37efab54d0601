//! Checks that the tables do not contain a simulation's campaign or seed. The counts of two simulations with one campaign name add up, so
//! the second one would report the first one's counts as duplicates.

use std::collections::BTreeMap;

use rebound::aws::CallError;
use rebound::store::client::RetryClient;
use rebound::store::counters::Campaigns;
use rebound::store::tables::{CAMPAIGNS, EVENTS};
use rebound::store::timeline::Timeline;

use super::scenario::Scenario;

/// The part of a scenario that the tables already contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlreadyUsed {
    /// A campaign with this name.
    Campaign,
    /// Emails with this seed: they have the same ids.
    Seed,
}

/// Returns the part of the scenario that the tables already contain. `variables` is the functions' environment. Costs two Queries and a
/// GetItem.
pub async fn used(
    calls: &RetryClient,
    variables: &BTreeMap<String, String>,
    scenario: &Scenario,
) -> Result<Option<AlreadyUsed>, CallError> {
    let name = |variable: &str| variables.get(variable).map_or("", String::as_str);
    let campaigns = Campaigns::new(calls.clone(), name(CAMPAIGNS.variable));
    let is_counted = !campaigns.cohorts(&scenario.campaign).await?.is_empty();
    if is_counted || campaigns.state(&scenario.campaign).await?.is_some() {
        return Ok(Some(AlreadyUsed::Campaign));
    }
    let events = Timeline::new(calls.clone(), name(EVENTS.variable));
    Ok((!events.all(&scenario.email(0).id).await?.is_empty()).then_some(AlreadyUsed::Seed))
}
