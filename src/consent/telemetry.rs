//! Log line and metric of a request. A path, a token, an address or an email's id is never logged.

use std::time::Duration;

use super::response::{ConsentRejection, Handled};
use crate::metrics::Metric;

/// Writes a line for every opt-out. `frequent` decides if a request is logged that a visitor can make again and again:
/// one that is refused, or that changes nothing. Looking at a page, which scanners do for every link, writes no line.
pub(super) fn log(
    result: &Result<Handled, ConsentRejection>,
    took: Duration,
    cold: bool,
    frequent: impl FnOnce() -> Option<u64>,
) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Handled::OptedOut(_, id)) => {
            tracing::info!(message_id = %id, outcome = "opted out", ms, cold, "opt-out");
        }
        Ok(Handled::WasStopped(_)) => {
            if let Some(left_out) = frequent() {
                tracing::info!(outcome = "unchanged", ms, cold, left_out, "opt-out");
            }
        }
        Ok(Handled::Robots | Handled::Probed | Handled::Asked(_) | Handled::SeenStopped(_)) => {}
        Err(ConsentRejection::NotStored(error)) => tracing::error!(%error, outcome = "not stored", ms, cold, "opt-out"),
        Err(refusal) => {
            if let Some(left_out) = frequent() {
                tracing::warn!(error = %refusal, outcome = "refused", ms, cold, left_out, "opt-out");
            }
        }
    }
}

/// Returns the metric of a request, if it has one. A page that is only looked at has none.
pub(super) fn metric(result: &Result<Handled, ConsentRejection>) -> Option<Metric> {
    match result {
        Ok(Handled::OptedOut(..)) => Some(Metric::OptOuts),
        Err(ConsentRejection::Token(_)) => Some(Metric::WrongLinks),
        Err(ConsentRejection::NoKey | ConsentRejection::KeysTooOld | ConsentRejection::NotStored(_)) => {
            Some(Metric::OptOutsNotStored)
        }
        Ok(_)
        | Err(
            ConsentRejection::OtherPath
            | ConsentRejection::Method
            | ConsentRejection::TooLarge
            | ConsentRejection::Action(_),
        ) => None,
    }
}
