//! Whether a simulation's campaign and seed are new to the tables: of two simulations with one name, the counts add up, and the second
//! would take the first one's for webhooks that were counted twice.

use std::collections::BTreeMap;

use rebound::aws::CallError;
use rebound::store::client::RetryClient;
use rebound::store::counters::Campaigns;
use rebound::store::tables::{CAMPAIGNS, EVENTS};
use rebound::store::timeline::Timeline;

use super::scenario::Scenario;

/// A part of a story that the tables know already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlreadyUsed {
    /// A campaign has this name.
    Campaign,
    /// Emails were made of this seed: they have the same ids.
    Seed,
}

/// Looks into the tables, which `variables` name as the functions' environment does: two Queries and an item.
///
/// # Errors
/// A table can't be read.
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
