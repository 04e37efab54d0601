//! Checks the follow-ups that Rebound sends: each at most once, none after a stop, and none lost in silence.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_local::dynamodb::is_local;
use rebound::aws::CallError;
use rebound::message::decision::FOLLOWUP_ID_TAG;
use rebound::policy::brake::BrakeInput;
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::followup::sending::FollowupStatus;
use rebound::resend::campaign::Cohort;
use rebound::resend::event::EventType;
use rebound::store::followups::FollowupRow;
use rebound::store::timeline::Timeline;
use rebound::store::{as_number, string, tables};
use rebound::time::UnixMillis;

use super::email::{EmailCheck, Rows};
use super::{Discrepancy, ScenarioVerifier, VerifyReport};
use crate::resend::AcceptedEmail;
use crate::simulate::scenario::Email;

/// Real time after a stop was stored in which a follow-up may still be accepted: 5 s, and one request.
pub const AFTER_A_STOP: Duration = Duration::from_secs(15);

/// Number of emails in a page.
const PAGE_SIZE: usize = 500;

/// A follow-up of the scenario, as its row says.
pub(super) struct SimulatedFollowup {
    row: FollowupRow,
    /// Time at which the first stop was stored.
    stopped_at: Option<UnixMillis>,
    /// True if an alert names it.
    has_alert: bool,
}

/// The numbers of the scenario's follow-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowupCounts {
    /// Sent.
    pub sent: usize,
    /// Dropped.
    pub dropped: usize,
    /// Not known to be sent, with an alert.
    pub unknown: usize,
    /// Not due yet.
    pub waiting: usize,
}

impl FollowupCounts {
    fn add(&mut self, status: FollowupStatus) {
        match status {
            FollowupStatus::Sent => self.sent += 1,
            FollowupStatus::Dropped => self.dropped += 1,
            FollowupStatus::Unknown => self.unknown += 1,
            FollowupStatus::Waiting | FollowupStatus::Due | FollowupStatus::Sending => self.waiting += 1,
        }
    }
}

impl ScenarioVerifier<'_> {
    /// Reads the follow-ups of an email. One that is looked at before the patience is over is waited for.
    pub(super) fn followups(&self, email: &Email, rows: &Rows, check: &mut EmailCheck) {
        let received_at =
            |key: &(String, String)| rows.get(key)?.get("received_at").and_then(as_number).map(UnixMillis);
        let stopped_at = email.expected.stops.iter().filter_map(received_at).min();
        for (_, row) in rows.iter().filter(|(key, _)| key.0 == email.id) {
            let Some(row) = FollowupRow::from_item(row) else { continue };
            let id = &row.id;
            if !row.state.status.is_settled() && row.state.entry_at <= self.patient_until() {
                check.is_missing_something = true;
                let status = row.state.status.as_str();
                check.add(Discrepancy::Lost, format!("{id} of {} is still {status}", email.id));
            }
            let alert = |key: &(String, String)| key.1.starts_with("alert#send_");
            let has_alert = rows.iter().any(|(key, row)| alert(key) && string(row, "payload").contains(id.as_str()));
            check.followups.push(SimulatedFollowup { row, stopped_at, has_alert });
        }
    }

    /// The end of the patience, by the functions' clock.
    fn patient_until(&self) -> UnixMillis {
        self.clock.after(self.options.patience.saturating_sub(self.began.elapsed()))
    }

    /// Compares the follow-ups with the emails that the local Resend accepted. Resend itself is not asked.
    pub(super) async fn compare_followups(&self, followups: &[SimulatedFollowup], report: &mut VerifyReport) {
        followups.iter().for_each(|followup| report.followups.add(followup.row.state.status));
        for followup in followups {
            let row = &followup.row;
            if row.state.status == FollowupStatus::Unknown && !followup.has_alert {
                report.add(Discrepancy::Lost, format!("{} is unknown, and no alert says so", row.id));
            }
        }
        let Some(accepted) = self.accepted().await else { return };
        let by_id: BTreeMap<&str, &SimulatedFollowup> =
            followups.iter().map(|followup| (followup.row.id.as_str(), followup)).collect();
        let mut known: BTreeMap<&str, &AcceptedEmail> = BTreeMap::new();
        for email in &accepted {
            let Some((id, followup)) = email.tag(FOLLOWUP_ID_TAG).and_then(|id| by_id.get_key_value(id)) else {
                continue;
            };
            if known.insert(id, email).is_some() {
                report.add(Discrepancy::Doubled, format!("{id} was accepted twice"));
            }
            self.compare_accepted(followup, email, report);
        }
        for (id, followup) in by_id {
            let is_known = known.contains_key(id) || !self.options.keeps_emails;
            if followup.row.state.status == FollowupStatus::Sent && !is_known {
                report.add(Discrepancy::Wrong, format!("{id} is sent, but Resend did not accept it"));
            }
        }
        report.accepted = Some(known.len());
    }

    /// The expected counters with those of the follow-ups, which are emails of the campaign, too.
    pub(super) async fn with_followups(&self, expected: &BrakeInput) -> Result<BrakeInput, CallError> {
        let mut cohorts: BTreeMap<Cohort, CounterTotals> = expected.cohorts.iter().cloned().collect();
        let timeline = Timeline::new(self.calls.clone(), self.table(tables::EVENTS));
        let accepted = self.accepted().await.unwrap_or_default();
        for email in accepted.iter().filter(|email| email.tag("campaign") == Some(self.scenario.campaign.as_str())) {
            let counters = cohorts.entry(Cohort::containing(email.at)).or_default();
            for row in timeline.all(&email.id).await? {
                match string(&row, "event").split('#').next().and_then(|text| text.parse().ok()) {
                    Some(EventType::EmailSent) => counters.add(Counter::Sent, 1),
                    Some(EventType::EmailDelivered) => counters.add(Counter::Delivered, 1),
                    _ => {}
                }
            }
        }
        cohorts.retain(|_, counters| !counters.0.is_empty());
        Ok(BrakeInput { cohorts: cohorts.into_iter().collect(), ..expected.clone() })
    }

    fn compare_accepted(&self, followup: &SimulatedFollowup, email: &AcceptedEmail, report: &mut VerifyReport) {
        let (row, id) = (&followup.row, &followup.row.id);
        let allowed = |stopped: UnixMillis| stopped.plus(self.clock.covers(AFTER_A_STOP));
        if let Some(stopped) = followup.stopped_at.filter(|stopped| email.at > allowed(*stopped)) {
            let (accepted, stopped) = (email.at.to_text(), stopped.to_text());
            report.add(Discrepancy::Wrong, format!("{id} was accepted at {accepted}, and stopped at {stopped}"));
        }
        if row.state.status == FollowupStatus::Dropped && !row.state.is_unclear() {
            report.add(Discrepancy::Wrong, format!("{id} was accepted, but is dropped"));
        }
    }

    /// The emails that the local Resend accepted.
    async fn accepted(&self) -> Option<Vec<AcceptedEmail>> {
        let url = self.variables.get("RESEND_BASE_URL").filter(|url| is_local(url))?;
        let (client, mut accepted) = (rebound::web::client(), Vec::new());
        loop {
            let url = format!("{}/?after={}&most={PAGE_SIZE}", url.trim_end_matches('/'), accepted.len());
            let body = client.get(url).send().await.ok()?.bytes().await.ok()?;
            let page: Vec<AcceptedEmail> = serde_json::from_slice(&body).ok()?;
            let is_last = page.len() < PAGE_SIZE;
            accepted.extend(page);
            if is_last {
                return Some(accepted);
            }
        }
    }
}
