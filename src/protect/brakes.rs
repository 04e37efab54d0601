//! A campaign's brake: computed, written, told.

use super::Work;
use super::tell::Told;
use crate::aws::CallError;
use crate::message::alert::wording;
use crate::metrics::Metric;
use crate::policy::brake::State;
use crate::policy::brake::{Status, View, brake, complaint_percent};
use crate::resend::campaign::Campaign;
use crate::store::agenda::{Entry, Kind};
use crate::store::timeline::Carrier;
use crate::time::days;

/// How often a state that was overtaken is computed again.
const TRIES: u32 = 20;

/// How long the record of an alert about a campaign is kept.
const KEPT_DAYS: u32 = 90;

/// A campaign's brake, and what it was computed from.
#[derive(Clone, Debug)]
pub(super) struct Braked {
    pub(super) view: View,
    pub(super) state: State,
}

impl Work<'_> {
    /// Computes a campaign's brake from what is counted now, writes it if it is another, and tells people of a change that they
    /// don't know of yet, their own or one that another could not tell.
    pub(super) async fn brake(&self, campaign: &Campaign, carrier: &Carrier) -> Result<Braked, CallError> {
        for _ in 0..TRIES {
            // The state first, the counters after it: see `store::state`.
            let (mut before, seen) = self.campaigns.state_to_write(campaign).await?;
            let view = self.campaigns.view(campaign, self.now).await?;
            if let Some(state) = &mut before {
                self.tell_change(campaign, state, &view, carrier).await?;
            }
            let policy = &self.protector.config.policy.brake;
            self.tally.peak(Metric::ComplaintRate, complaint_percent(&view, policy, self.now));
            let computed = brake(&view, policy, self.now);
            let Some(mut next) = State::next(before.as_ref(), computed, self.now) else {
                match before {
                    Some(state) => return Ok(Braked { view, state }),
                    None => continue,
                }
            };
            let was = before.map_or(Status::Open, |before| before.brake.status);
            if was == Status::Open && next.brake.status != Status::Open {
                // Before the state, so that there is no brake that no tick looks at. An entry too many does no harm.
                let attributes = [("campaign", crate::store::text(campaign.as_str()))];
                self.agenda.put(&Entry::new(Kind::Brake, self.now, campaign.as_str(), &attributes)).await?;
            }
            if self.campaigns.write_state(campaign, &next, &seen).await? {
                if next.brake.status != was {
                    self.tally.one(Metric::of_brake(next.brake.status));
                }
                self.tell_change(campaign, &mut next, &view, carrier).await?;
                return Ok(Braked { view, state: next });
            }
        }
        Err(CallError::Transient("others kept changing the same brake".to_owned()))
    }

    async fn tell_change(
        &self,
        campaign: &Campaign,
        state: &mut State,
        view: &View,
        carrier: &Carrier,
    ) -> Result<(), CallError> {
        if !state.is_to_be_told() {
            return Ok(());
        }
        let alert = wording::brake(campaign, state, view);
        let about = format!("campaign#{campaign}");
        if self.tell(alert, &about, carrier, self.now.plus(days(KEPT_DAYS))).await? == Told::Settled {
            self.campaigns.note_told(campaign, state).await?;
            state.alerted = state.change;
        }
        Ok(())
    }
}
