//! A campaign's brake: computed, written, and its changes alerted.

use super::alerts::{AlertOutcome, Alerts};
use super::run::{Activity, ProtectRun};
use crate::aws::CallError;
use crate::message::alert::wording::{self, CampaignSnapshot};
use crate::policy::brake::{BrakeInput, BrakeState, Status, complaint_percent, compute_brake};
use crate::policy::limits::BrakePolicy;
use crate::resend::campaign::Campaign;
use crate::store::agenda::{Agenda, AgendaEntry, AgendaKind};
use crate::store::counters::Campaigns;
use crate::store::outbox::ClaimOwner;
use crate::time::days;

/// Maximum number of times that a brake is computed again because another run has written it.
const MAX_ATTEMPTS: u32 = 20;

/// Time for which the record of an alert about a campaign is kept, in days.
const RETENTION_DAYS: u32 = 90;

/// Computes brakes.
pub(super) struct Brakes<'a> {
    pub(super) campaigns: &'a Campaigns,
    pub(super) agenda: &'a Agenda,
    pub(super) alerts: &'a Alerts<'a>,
    pub(super) policy: &'a BrakePolicy,
    pub(super) run: ProtectRun<'a>,
}

impl Brakes<'_> {
    /// Computes a campaign's brake from its current counters, and writes it if it has changed. Sends an alert for a
    /// change that has none yet: its own, or one that an earlier run could not send.
    pub(super) async fn update(&self, campaign: &Campaign, owner: &ClaimOwner) -> Result<CampaignSnapshot, CallError> {
        for _ in 0..MAX_ATTEMPTS {
            // The state first, the counters after it: see `store::state`.
            let (mut before, seen) = self.campaigns.state_to_write(campaign).await?;
            let view = self.campaigns.view(campaign, self.run.now).await?;
            if let Some(state) = &mut before {
                self.alert_brake_change(campaign, state, &view, owner).await?;
            }
            let complaint_percent = complaint_percent(&view, self.policy, self.run.now);
            self.run.did.add(Activity::BrakeComputed { complaint_percent });
            let computed = compute_brake(&view, self.policy, self.run.now);
            let Some(mut next) = BrakeState::next(before.as_ref(), computed, self.run.now) else {
                match before {
                    Some(state) => return Ok(CampaignSnapshot { view, state, now: self.run.now }),
                    None => continue,
                }
            };
            let (was, status) = (before.map_or(Status::Open, |before| before.brake.status), next.brake.status);
            if was == Status::Open && status != Status::Open {
                // Before the state, so that every brake has an agenda entry. A surplus entry does no harm.
                let attributes = [("campaign", crate::store::text(campaign.as_str()))];
                self.agenda
                    .put(&AgendaEntry::new(AgendaKind::Brake, self.run.now, campaign.as_str(), &attributes))
                    .await?;
            }
            if self.campaigns.write_state(campaign, &next, &seen).await? {
                self.run.did.add(Activity::BrakeSet { campaign: campaign.clone(), before: was, status });
                self.alert_brake_change(campaign, &mut next, &view, owner).await?;
                return Ok(CampaignSnapshot { view, state: next, now: self.run.now });
            }
        }
        Err(CallError::Transient("other runs kept changing the same brake".to_owned()))
    }

    async fn alert_brake_change(
        &self,
        campaign: &Campaign,
        state: &mut BrakeState,
        view: &BrakeInput,
        owner: &ClaimOwner,
    ) -> Result<(), CallError> {
        if !state.needs_alert() {
            return Ok(());
        }
        let alert = wording::brake_alert(campaign, state, view);
        let about = format!("campaign#{campaign}");
        let expires_at = self.run.now.plus(days(RETENTION_DAYS));
        if self.alerts.send_alert(alert, &about, owner, expires_at).await? == AlertOutcome::Settled {
            self.campaigns.mark_alerted(campaign, state).await?;
            state.alerted = state.change;
        }
        Ok(())
    }
}
