//! Log line and metrics of a request. A path, a token, an address or an email's id is never logged.

use std::time::Duration;

use super::response::{ConsentRejection, Handled};
use crate::metrics::{Metric, MetricValues};

/// Writes a line for every opt-out. `refused` decides if a refused request is logged. Looking at a page, which scanners
/// do for every link, writes no line.
pub(super) fn log(
    result: &Result<Handled, ConsentRejection>,
    took: Duration,
    cold: bool,
    refused: impl FnOnce() -> Option<u64>,
) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Handled::OptedOut(_, id)) => {
            tracing::info!(message_id = %id, outcome = "opted out", ms, cold, "opt-out");
        }
        Ok(Handled::WasStopped(_)) => tracing::info!(outcome = "unchanged", ms, cold, "opt-out"),
        Ok(Handled::Robots | Handled::Probed | Handled::Asked(_) | Handled::SeenStopped(_)) => {}
        Err(ConsentRejection::NotStored(error)) => tracing::error!(%error, outcome = "not stored", ms, cold, "opt-out"),
        Err(refusal) => {
            if let Some(left_out) = refused() {
                tracing::warn!(error = %refusal, outcome = "refused", ms, cold, left_out, "opt-out");
            }
        }
    }
}

/// Adds a request to the metrics.
pub(super) fn measure(result: &Result<Handled, ConsentRejection>, numbers: &mut MetricValues) {
    let metric = match result {
        Ok(Handled::OptedOut(..)) => Metric::OptOuts,
        Err(ConsentRejection::Token(_)) => Metric::WrongLinks,
        Err(ConsentRejection::NoKey | ConsentRejection::KeysTooOld | ConsentRejection::NotStored(_)) => {
            Metric::OptOutsNotStored
        }
        Ok(_)
        | Err(
            ConsentRejection::OtherPath
            | ConsentRejection::Method
            | ConsentRejection::TooLarge
            | ConsentRejection::Action(_),
        ) => return,
    };
    numbers.increment(metric);
}
