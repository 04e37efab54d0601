//! Webhooks that lift a suppression: recorded, with an alert if there are many.

use std::collections::{BTreeMap, BTreeSet};

use super::alerts::Alerts;
use super::record::{BatchRecord, ParsedEvent, pending};
use super::run::ProtectRun;
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::policy::suppression::{ChangeEffect, ItemChange, SuppressionEffect};
use crate::resend::campaign::Cohort;
use crate::resend::recipient::Recipient;
use crate::store::agenda::Agenda;
use crate::store::lifts::Lift;
use crate::store::outbox::ClaimOwner;
use crate::store::suppressions::Suppressions;
use crate::time::{days, hours};

/// Maximum number of lifts of an hour that are read to count the recipients: about 0.1 MB.
const MAX_LIFTS: usize = 1_000;

/// Retention of an alert's record, in days.
const RETENTION_DAYS: u32 = 90;

/// Tracks the reasons that webhooks lift.
pub(super) struct Lifts<'a> {
    pub(super) suppressions: &'a Suppressions,
    pub(super) agenda: &'a Agenda,
    pub(super) alerts: &'a Alerts<'a>,
    /// Number of recipients whose suppressions webhooks may lift in an hour without an alert.
    pub(super) lifted_in_an_hour: usize,
    pub(super) run: ProtectRun<'a>,
}

impl Lifts<'_> {
    /// Records the active reasons that a webhook lifted, by the suppression item after the write.
    pub(super) async fn note(&self, parsed: &ParsedEvent<'_>) -> Result<(), CallError> {
        for lift in lifts(parsed) {
            if self.suppressions.find(lift.recipient.as_str()).await?.is_some_and(|stored| lift.holds(&stored)) {
                self.agenda.put(&lift.entry()).await?;
            }
        }
        Ok(())
    }

    /// Sends an alert for each hour of a batch in which webhooks lifted more than the limit. Called after all are
    /// recorded, so that the number is complete.
    pub(super) async fn alert(&self, batch: &[BatchRecord<'_>]) {
        let mut by_hour: BTreeMap<Cohort, Vec<&BatchRecord<'_>>> = BTreeMap::new();
        for (record, event) in pending(batch).filter(|(_, event)| lifts(event).next().is_some()) {
            by_hour.entry(Cohort::containing(event.row.received.at)).or_default().push(record);
        }
        for (hour, records) in by_hour {
            let owner = records.first().map_or(ClaimOwner::Tick, |record| record.owner());
            if let Err(error) = self.alert_hour(hour, &owner).await {
                records.iter().for_each(|record| record.fail(&error));
            }
        }
    }

    async fn alert_hour(&self, hour: Cohort, owner: &ClaimOwner) -> Result<(), CallError> {
        let lifts = self.agenda.lifts(hour.start(), hour.start().plus(hours(1)), MAX_LIFTS).await?;
        let people: BTreeSet<&Recipient> = lifts.iter().map(|lift| &lift.recipient).collect();
        let Some(first) = lifts.first() else { return Ok(()) };
        if people.len() <= self.lifted_in_an_hour {
            return Ok(());
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for lift in &lifts {
            *reasons.entry(lift.reason.as_str()).or_default() += 1;
        }
        let alert = wording::lifted(hour.start(), first.received_at, people.len(), &reasons, self.alerts.stack);
        self.alerts.send_alert(alert, "lifted", owner, self.run.now.plus(days(RETENTION_DAYS))).await?;
        Ok(())
    }
}

/// Returns the reasons that a webhook lifts, active or not.
fn lifts<'a>(parsed: &'a ParsedEvent<'_>) -> impl Iterator<Item = Lift> + 'a {
    let changes = match &parsed.protection {
        SuppressionEffect::Changes(changes) => Some(changes),
        _ => None,
    };
    changes.into_iter().flatten().flat_map(|(recipient, changes)| {
        let lifting = changes.iter().filter_map(ItemChange::reason);
        let lifting = lifting.filter(|change| change.effect == ChangeEffect::Lift);
        lifting.map(|change| Lift {
            received_at: parsed.row.received.at,
            recipient: recipient.clone(),
            reason: change.reason,
            message: change.message.clone(),
        })
    })
}
