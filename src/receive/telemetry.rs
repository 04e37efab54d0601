//! Log line and metrics of a webhook. No personal data: an id, a type, a status.

use std::time::Duration;

use super::response::{Accepted, Rejection, WebhookStatus};
use crate::metrics::{Metric, MetricValues};
use crate::resend::event::EventType;
use crate::resend::signature::SignatureError;

/// One of this many ordinary webhooks is logged.
const LOG_SAMPLE: u32 = 100;

/// Maximum length of a type that is logged. The longest known type has 27 characters.
const MAX_LOGGED_TYPE: usize = 64;

/// Writes a line for every unusual webhook, and for a sample of the others. `refused` decides if a rejected request is
/// logged.
pub(super) fn log(
    result: &Result<Accepted, Rejection>,
    took: Duration,
    cold: bool,
    refused: impl FnOnce() -> Option<u64>,
) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Accepted { message, event_type, status, .. }) => {
            let event_type = event_type.as_deref().map(loggable);
            match status {
                WebhookStatus::Quarantined => {
                    tracing::warn!(message_id = %message, event_type, outcome = status.as_str(), ms, cold, "webhook");
                }
                WebhookStatus::Handled | WebhookStatus::Ignored if !cold && fastrand::u32(..LOG_SAMPLE) > 0 => {}
                _ => tracing::info!(message_id = %message, event_type, outcome = status.as_str(), ms, cold, "webhook"),
            }
        }
        Err(Rejection::NotStored(error)) => tracing::error!(%error, outcome = "not stored", ms, cold, "webhook"),
        Err(rejection) => {
            if let Some(left_out) = refused() {
                tracing::warn!(error = %rejection, outcome = "refused", ms, cold, left_out, "webhook");
            }
        }
    }
}

/// Adds a webhook to the metrics.
pub(super) fn measure(result: &Result<Accepted, Rejection>, took: Duration, numbers: &mut MetricValues) {
    // A 0 too: metrics that are compared with this one need a value.
    numbers.add(Metric::Accepted, if result.is_ok() { 1.0 } else { 0.0 });
    let accepted = match result {
        Ok(accepted) => accepted,
        Err(rejection) => return numbers.increment(rejection_metric(rejection)),
    };
    numbers.acknowledged(took);
    let event_type = accepted.event_type.as_deref().and_then(EventType::from_text);
    let (outcome, event) = match accepted.status {
        WebhookStatus::Handled => (None, Some(Metric::of_event(event_type))),
        WebhookStatus::Ignored => (Some(Metric::Ignored), Some(Metric::of_event(event_type))),
        WebhookStatus::Duplicate => (Some(Metric::Duplicates), None),
        WebhookStatus::Quarantined => (Some(Metric::Quarantined), None),
    };
    for metric in [outcome, event].into_iter().flatten() {
        numbers.increment(metric);
    }
    for reason in &accepted.suppressed {
        if let Some(metric) = Metric::of_suppression(*reason) {
            numbers.increment(metric);
        }
    }
}

/// Metric of a rejected request. A wrong signature may mean that Resend uses another secret; a request without any
/// signature comes from a scanner.
const fn rejection_metric(rejection: &Rejection) -> Metric {
    match rejection {
        Rejection::Signature(
            SignatureError::WrongSignature | SignatureError::TooOld { .. } | SignatureError::TooNew { .. },
        ) => Metric::SignatureFailures,
        Rejection::Signature(
            SignatureError::MissingHeader(_)
            | SignatureError::MalformedId
            | SignatureError::MalformedTimestamp
            | SignatureError::MalformedSignature,
        )
        | Rejection::NotPost
        | Rejection::TooLarge
        | Rejection::Body(_) => Metric::Refused,
        Rejection::NoSecret | Rejection::NotStored(_) => Metric::NotStored,
    }
}

/// A type that can be logged safely: Resend's are like `email.sent`, any other text could contain anything.
fn loggable(event_type: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if event_type.len() <= MAX_LOGGED_TYPE && event_type.chars().all(is_plain) { event_type } else { "(odd)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_could_hold_somebodys_address_is_not_logged() {
        assert_eq!(loggable("email.brand_new-2"), "email.brand_new-2");
        for odd in ["ann@example.com", "two words", "new\nline", "t\u{fc}pe", &"t".repeat(65)] {
            assert_eq!(loggable(odd), "(odd)", "{odd}");
        }
    }
}
