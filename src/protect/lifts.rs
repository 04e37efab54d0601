//! Webhooks that lift a suppression: noted, and an alert where they are many.

use std::collections::{BTreeMap, BTreeSet};

use super::Work;
use super::batch::{Outcomes, Read};
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::policy::suppression::{Effect, Protection};
use crate::resend::campaign::Cohort;
use crate::resend::recipient::Recipient;
use crate::store::lifts::Lift;
use crate::store::timeline::Carrier;
use crate::time::{days, hours};

/// Maximum number of lifts of an hour that are read to count the people: 0.1 MB or so.
const AT_MOST: usize = 1_000;

/// Time for which the record of an alert is kept, in days.
const KEPT_DAYS: u32 = 90;

impl Work<'_> {
    /// Notes which reasons a webhook lifted that had been active, by what the list says after the write.
    pub(super) async fn note_lifts(&self, read: &Read<'_>) -> Result<(), CallError> {
        for lift in lifts(read) {
            if self.suppressions.find(lift.recipient.as_str()).await?.is_some_and(|stored| lift.holds(&stored)) {
                self.agenda.put(&lift.entry()).await?;
            }
        }
        Ok(())
    }

    /// Alerts people of each hour of a batch in which webhooks lifted more than a few. After all are noted, so that it says how many.
    pub(super) async fn alert_lifts(&self, reads: &[Result<Read<'_>, CallError>], outcomes: &mut Outcomes) {
        let mut by_hour: BTreeMap<Cohort, Vec<usize>> = BTreeMap::new();
        for (index, read) in reads.iter().enumerate() {
            if let (Ok(read), Some(Ok(()))) = (read, outcomes.get(index))
                && lifts(read).next().is_some()
            {
                by_hour.entry(Cohort::of(read.entry.received.at)).or_default().push(index);
            }
        }
        for (hour, indexes) in by_hour {
            let first = indexes.first().and_then(|index| reads.get(*index)?.as_ref().ok());
            let carrier = first.map_or(Carrier::Tick, |read| Carrier::Event(read.entry.event.clone()));
            if let Err(trouble) = self.alert_lifts_of(hour, &carrier).await {
                for index in indexes {
                    if let Some(outcome) = outcomes.get_mut(index) {
                        *outcome = Err(trouble.clone());
                    }
                }
            }
        }
    }

    async fn alert_lifts_of(&self, hour: Cohort, carrier: &Carrier) -> Result<(), CallError> {
        let lifts = self.agenda.lifts(hour.start(), hour.start().plus(hours(1)), AT_MOST).await?;
        let people: BTreeSet<&Recipient> = lifts.iter().map(|lift| &lift.recipient).collect();
        let Some(first) = lifts.first() else { return Ok(()) };
        if people.len() <= self.protector.config.policy.alerts.lifted_in_an_hour {
            return Ok(());
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for lift in &lifts {
            *reasons.entry(lift.reason.as_str()).or_default() += 1;
        }
        let alert = wording::lifted(hour.start(), first.received_at, people.len(), &reasons);
        self.tell(alert, "lifted", carrier, self.now.plus(days(KEPT_DAYS))).await?;
        Ok(())
    }
}

/// The reasons that a webhook lifts, whether or not they were active.
fn lifts<'a>(read: &'a Read<'_>) -> impl Iterator<Item = Lift> + 'a {
    let changes = match &read.protection {
        Protection::Changes(changes) => Some(changes),
        _ => None,
    };
    changes.into_iter().flatten().flat_map(|(recipient, changes)| {
        let lifting = changes.iter().filter(|change| change.effect == Effect::Lift);
        lifting.map(|change| Lift {
            received_at: read.entry.received.at,
            recipient: recipient.clone(),
            reason: change.reason,
            message: change.message.clone(),
        })
    })
}
