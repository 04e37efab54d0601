//! Whether a domain has lost its verification.

use crate::event::{Event, EventType};

/// What an event says of a domain's verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Mail can be sent from it.
    Stands,
    /// Not verified, as a new domain is. Whether it is lost depends on what was before.
    Pending,
    /// It had been verified, or was to be, and is not.
    Lost,
}

/// What an event says of its domain's verification; `None` for one that says nothing about it.
///
/// The statuses are <https://resend.com/docs/dashboard/domains/introduction>: a domain that was verified goes to
/// `temporary_failure` first, and to `failed` 72 hours later.
pub fn verification(event: &Event<'_>) -> Option<Verification> {
    match event.event_type()? {
        EventType::DomainDeleted => Some(Verification::Lost),
        EventType::DomainUpdated | EventType::DomainCreated => {
            Some(match event.resource_status()?.trim().to_ascii_lowercase().as_str() {
                "verified" | "partially_verified" => Verification::Stands,
                "pending" | "not_started" => Verification::Pending,
                _ => Verification::Lost,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_its_case_and_an_unknown_one_is_a_loss() {
        let of = |event_type: &str, status: serde_json::Value| {
            let body = serde_json::json!({ "type": event_type, "data": { "status": status } }).to_string();
            verification(&Event::read(body.as_bytes()).unwrap())
        };
        let updated = |status: &str| of("domain.updated", status.into());
        assert_eq!(updated("Verified"), Some(Verification::Stands));
        assert_eq!(updated("pending"), Some(Verification::Pending));
        for lost in ["failed", "temporary_failure", "partially_failed", "revoked"] {
            assert_eq!(updated(lost), Some(Verification::Lost), "{lost}");
        }
        assert_eq!(of("domain.updated", serde_json::Value::Null), None);
        assert_eq!(of("domain.deleted", serde_json::Value::Null), Some(Verification::Lost));
        assert_eq!(of("contact.updated", "failed".into()), None);
    }
}
