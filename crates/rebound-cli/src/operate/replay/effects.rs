//! The effects that were new when events were handled again.

use std::collections::{BTreeMap, BTreeSet};

use rebound::protect::Activity;
use serde::Serialize;

/// The effects that were new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// The titles of the alerts that were published.
    pub published: Vec<String>,
    /// The ids of the alerts that were grouped into a digest.
    pub folded: BTreeSet<String>,
    /// The recipients whose suppressions changed.
    pub suppressions: BTreeSet<String>,
    /// The numbers that were added to, as `campaign cohort counter`, and the number of events of each.
    pub counted: BTreeMap<String, i64>,
    /// The campaigns whose brakes were set, and their status now.
    pub brakes: BTreeMap<String, String>,
    /// The events that can't be handled, recorded now.
    pub poison: BTreeSet<String>,
    /// Number of opens and clicks that were sent to `engage`, which decides about each once.
    pub handed_on: usize,
}

impl Effects {
    /// Returns true if nothing was new. Opens and clicks that are sent to `engage` again are nothing new.
    pub fn is_nothing_new(&self) -> bool {
        Self { handed_on: 0, ..self.clone() } == Self::default()
    }

    /// Adds the activities of a run of `protect`.
    pub(super) fn add(&mut self, activities: Vec<Activity>) {
        for activity in activities {
            match activity {
                Activity::AlertPublished { title, .. } => self.published.push(title),
                Activity::AlertGrouped { id } => _ = self.folded.insert(id),
                Activity::SuppressionChanged { recipient, .. } => {
                    self.suppressions.insert(recipient.as_str().to_owned());
                }
                Activity::Counted { campaign, cohort, counter, number } => {
                    let key = format!("{campaign} {cohort} {}", counter.as_str());
                    *self.counted.entry(key).or_default() += number;
                }
                Activity::BrakeSet { campaign, status, .. } => {
                    self.brakes.insert(campaign.as_str().to_owned(), status.as_str().to_owned());
                }
                Activity::PoisonRecorded { key } => _ = self.poison.insert(key),
                Activity::SentToEngage { number } => self.handed_on += number,
                Activity::RecordsRead { .. } | Activity::BrakeComputed { .. } | Activity::FollowupOverdue { .. } => {}
            }
        }
        self.published.sort();
        self.counted.retain(|_, number| *number != 0);
    }
}
