//! The first part: what `receive` answers and stores.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rebound::store::suppressions::SuppressionItem;
use rebound::store::{Item, row};
use rebound::time::UnixMillis;

use super::environment::{DemoEnvironment, string};
use super::steps::{self, Step};
use crate::commands::CommandError;

/// What a step came to.
pub(super) struct StepResult {
    pub(super) status: u16,
    pub(super) answer: String,
    pub(super) took: Duration,
    /// The rows that are stored under the step's message now.
    pub(super) rows: Vec<Item>,
}

/// Every step, what it came to, and whom `receive` has suppressed in the end.
pub(super) struct ContractReport {
    pub(super) steps: Vec<(Step, StepResult)>,
    pub(super) suppressions: Vec<Item>,
}

/// Posts everything that the world may send, and reads the tables back.
pub(super) async fn show(env: &mut DemoEnvironment) -> Result<ContractReport, CommandError> {
    let mut steps = Vec::new();
    for step in steps::all(UnixMillis::now().seconds())? {
        let started = Instant::now();
        let (status, answer) = env.request(step.method, &step.message).await?;
        steps.push((step, StepResult { status, answer, took: started.elapsed(), rows: Vec::new() }));
    }

    let rows = env.scan("EVENTS_TABLE").await?;
    let suppressions = env.scan("SUPPRESSIONS_TABLE").await?;
    for (step, seen) in &mut steps {
        let of_step = |row: &&Item| string(row, "event").rsplit('#').next() == Some(step.message.id.as_str());
        seen.rows = rows.iter().filter(of_step).cloned().collect();
    }

    env.faults.extend(steps.iter().filter_map(|(step, seen)| fault(step, seen)));
    let expected = steps.iter().filter(|(step, _)| step.is_first_to_be_stored()).count();
    env.check(rows.len() == expected, format!("the events table holds {} rows, not {expected}", rows.len()));
    let expected = steps::expected_suppressions();
    env.check(suppressed(&suppressions) == expected, format!("the suppressions are not {expected:?}"));
    Ok(ContractReport { steps, suppressions })
}

/// What is not as the contract says, if anything is.
pub(super) fn fault(step: &Step, seen: &StepResult) -> Option<String> {
    let what = &step.what;
    if seen.status != step.status || !step.answers(&seen.answer) {
        return Some(format!("{what}: answered {} {}, not {} {}", seen.status, seen.answer, step.status, step.answer));
    }
    match (step.stored_as, seen.rows.as_slice()) {
        (None, []) => None,
        (None, _) => Some(format!("{what}: something was stored")),
        (Some(kind), [row]) if string(row, "kind") != kind.as_str() => {
            Some(format!("{what}: stored as {}", string(row, "kind")))
        }
        (Some(_), [row]) if row::payload(row).as_deref() != Some(step.message.body.as_slice()) => {
            Some(format!("{what}: not stored byte for byte"))
        }
        (Some(_), [_]) => None,
        (Some(_), rows) => Some(format!("{what}: stored {} times", rows.len())),
    }
}

/// The reasons that stand, by recipient; recipients with none are listed with none.
pub(super) fn suppressed(items: &[Item]) -> BTreeMap<String, Vec<&'static str>> {
    let reasons = |item: &Item| {
        SuppressionItem::from_item(item.clone()).suppression.reasons().map(|reason| reason.as_str()).collect()
    };
    items.iter().map(|item| (string(item, "recipient").to_owned(), reasons(item))).collect()
}
