//! The campaign's counters and brake.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rebound::aws::CallError;
use rebound::policy::brake::{BrakeInput, compute_brake};
use rebound::policy::counting::{Counter, CounterTotals};
use rebound::policy::limits::Policy;
use rebound::policy::suppression::Reason;
use rebound::resend::campaign::Cohort;
use rebound::store::counters::Campaigns;
use rebound::store::tables;

use super::{CHECK_INTERVAL, Discrepancy, ScenarioVerifier, VerifyReport};
use crate::simulate::scenario::Scenario;

/// The expected counters of the campaign.
pub(super) fn expected(scenario: &Scenario) -> BrakeInput {
    let mut cohorts: BTreeMap<Cohort, CounterTotals> = BTreeMap::new();
    let mut complaints = Vec::new();
    for number in 0..scenario.emails {
        let expected = scenario.email(number).expected;
        for (cohort, counter) in expected.counts {
            cohorts.entry(cohort).or_default().add(counter, 1);
        }
        complaints.extend(expected.complaints);
    }
    BrakeInput { cohorts: cohorts.into_iter().collect(), complaints, ..BrakeInput::default() }
}

/// The expected active reasons of every recipient of the scenario.
pub(super) fn reasons(scenario: &Scenario) -> BTreeMap<String, BTreeSet<Reason>> {
    let mut all: BTreeMap<String, BTreeSet<Reason>> = BTreeMap::new();
    for number in 0..scenario.emails {
        for (recipient, reasons) in scenario.email(number).expected.reasons {
            all.entry(recipient).or_default().extend(reasons);
        }
    }
    all
}

/// The counters that differ: cohort, counter, the actual and the expected value.
fn differences(expected: &BrakeInput, counted: &[(Cohort, CounterTotals)]) -> Vec<(Cohort, Counter, i64, i64)> {
    let counted: BTreeMap<Cohort, &CounterTotals> =
        counted.iter().map(|(cohort, counters)| (*cohort, counters)).collect();
    let wanted: BTreeMap<Cohort, &CounterTotals> =
        expected.cohorts.iter().map(|(cohort, counters)| (*cohort, counters)).collect();
    let cohorts: BTreeSet<Cohort> = counted.keys().chain(wanted.keys()).copied().collect();
    let of = |from: &BTreeMap<Cohort, &CounterTotals>, cohort, counter| {
        from.get(&cohort).map_or(0, |counters| counters.get(counter))
    };
    let all = cohorts.into_iter().flat_map(|cohort| Counter::ALL.iter().map(move |counter| (cohort, *counter)));
    let all =
        all.map(|(cohort, counter)| (cohort, counter, of(&counted, cohort, counter), of(&wanted, cohort, counter)));
    all.filter(|(_, _, counted, wanted)| counted != wanted).collect()
}

impl ScenarioVerifier<'_> {
    fn campaigns(&self) -> Campaigns {
        Campaigns::new(self.calls.clone(), self.table(tables::CAMPAIGNS))
    }

    /// Waits until all counters and the brake have their expected values; but not after the timeout, nor after a counter is too high.
    pub(super) async fn wait_for_figures(
        &self,
        expected: &BrakeInput,
        policy: &Policy,
        began: Instant,
    ) -> Result<(), CallError> {
        loop {
            let expected = &self.with_followups(expected).await?;
            let counted = self.campaigns().cohorts(&self.scenario.campaign).await?;
            let differences = differences(expected, &counted);
            let too_many = differences.iter().any(|(_, _, counted, wanted)| counted > wanted);
            let is_over = began.elapsed() > self.options.patience;
            if too_many || is_over || (differences.is_empty() && self.brake_differs(expected, policy).await?.is_none())
            {
                return Ok(());
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    pub(super) async fn compare_figures(
        &self,
        expected: &BrakeInput,
        policy: &Policy,
        report: &mut VerifyReport,
    ) -> Result<(), CallError> {
        let expected = &self.with_followups(expected).await?;
        let counted = self.campaigns().cohorts(&self.scenario.campaign).await?;
        for (cohort, counter, counted, wanted) in differences(expected, &counted) {
            let fault = if counted < wanted { Discrepancy::Lost } else { Discrepancy::Doubled };
            let what = format!("{} of {cohort}: the counter is {counted}, expected {wanted}", counter.as_str());
            report.add(fault, what);
        }
        report.numbers = expected.cohorts.iter().map(|(_, counters)| counters.0.len()).sum();
        if let Some(what) = self.brake_differs(expected, policy).await? {
            report.add(Discrepancy::Wrong, what);
        }
        Ok(())
    }

    /// The difference between the brake and the one that follows from the expected counters, if there is one.
    async fn brake_differs(&self, expected: &BrakeInput, policy: &Policy) -> Result<Option<String>, CallError> {
        let wanted = compute_brake(expected, &policy.brake, self.clock.now());
        let state = self.campaigns().state(&self.scenario.campaign).await?;
        let (status, volume) =
            state.as_ref().map_or((None, 1.0), |state| (Some(state.brake.status), state.brake.volume));
        let is_right = status == Some(wanted.status) && (volume - wanted.volume).abs() < 1e-9;
        Ok((!is_right).then(|| {
            let status = status.map_or("not computed", |status| status.as_str());
            format!(
                "the brake is {status}, volume {volume}; expected {}, volume {}",
                wanted.status.as_str(),
                wanted.volume
            )
        }))
    }
}
