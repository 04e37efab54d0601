//! Check if a domain has lost its verification.

use std::time::Duration;

use super::limits::DomainPolicy;
use crate::resend::event::{Event, EventType};
use crate::time::{UnixMillis, minutes};

/// Verification of a domain according to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verification {
    /// Email can be sent from the domain.
    Verified,
    /// The domain is not verified, as a new domain is not. Earlier statuses decide if the verification is lost.
    Pending,
    /// The domain's verification failed or was lost.
    Lost,
}

/// Returns the verification according to an event, or `None` if the event says nothing about it.
///
/// The statuses are listed at <https://resend.com/docs/dashboard/domains/introduction>. A verified domain first goes to
/// `temporary_failure`, and 72 hours later to `failed`.
pub fn verification(event: &Event<'_>) -> Option<Verification> {
    match event.event_type()? {
        EventType::DomainDeleted => Some(Verification::Lost),
        EventType::DomainUpdated | EventType::DomainCreated => {
            Some(match event.resource_status()?.trim().to_ascii_lowercase().as_str() {
                "verified" | "partially_verified" => Verification::Verified,
                "pending" | "not_started" => Verification::Pending,
                _ => Verification::Lost,
            })
        }
        _ => None,
    }
}

/// One status of a domain. Statuses sort by time, then by the event's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainStatus {
    /// Time of the event.
    pub at: UnixMillis,
    /// Key of the event's row, `<type>#<webhook id>`.
    pub key: String,
    /// The status.
    pub verification: Verification,
    /// Status as Resend names it; `deleted` for a deleted domain.
    pub word: String,
    /// Name of the domain, if the event has one.
    pub name: Option<String>,
}

impl DomainStatus {
    /// Returns the status in an event, or `None` if the event has none.
    pub fn from_event(event: &Event<'_>, key: &str, at: UnixMillis) -> Option<Self> {
        let verification = verification(event)?;
        let deleted = event.event_type() == Some(EventType::DomainDeleted);
        let word = if deleted { "deleted".to_owned() } else { event.resource_status().unwrap_or_default() };
        Some(Self { at, key: key.to_owned(), verification, word, name: event.resource_name() })
    }
}

/// State of a domain according to its events, in any order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainState<'a> {
    /// Email can be sent from the domain, or the domain was never verified.
    Fine,
    /// The domain was verified, and has been `pending` or `not_started` since.
    Pending {
        /// The first of the consecutive pending statuses.
        since: &'a DomainStatus,
        /// The newest status.
        newest: &'a DomainStatus,
    },
    /// The domain is no longer verified.
    Lost(&'a DomainStatus),
}

/// Returns the state after all known statuses of a domain. The statuses are sorted in place.
pub fn state(statuses: &mut [DomainStatus]) -> DomainState<'_> {
    statuses.sort_unstable();
    let Some((newest, _)) = statuses.split_last() else { return DomainState::Fine };
    match newest.verification {
        Verification::Verified => return DomainState::Fine,
        Verification::Lost => return DomainState::Lost(newest),
        Verification::Pending => {}
    }
    let is_pending = |status: &&DomainStatus| status.verification == Verification::Pending;
    let was_verified = statuses.iter().any(|status| status.verification == Verification::Verified);
    match statuses.iter().rev().take_while(is_pending).last() {
        Some(since) if was_verified => DomainState::Pending { since, newest },
        _ => DomainState::Fine,
    }
}

impl DomainPolicy {
    /// Returns the time after which a verified domain that became `pending` needs an alert. Anybody who presses
    /// "verify" again sees `pending` for seconds (<https://resend.com/docs/api-reference/domains/verify-domain>).
    pub const fn pending_limit(&self) -> Duration {
        minutes(self.pending_minutes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unknown_status_is_a_loss_and_case_does_not_matter() {
        let of = |event_type: &str, status: serde_json::Value| {
            let body = serde_json::json!({ "type": event_type, "data": { "status": status } }).to_string();
            verification(&Event::read(body.as_bytes()).unwrap())
        };
        let updated = |status: &str| of("domain.updated", status.into());
        assert_eq!(updated("Verified"), Some(Verification::Verified));
        assert_eq!(updated("partially_verified"), Some(Verification::Verified));
        assert_eq!(updated("pending"), Some(Verification::Pending));
        assert_eq!(updated("not_started"), Some(Verification::Pending));
        for lost in ["failed", "temporary_failure", "partially_failed", "revoked"] {
            assert_eq!(updated(lost), Some(Verification::Lost), "{lost}");
        }
        assert_eq!(of("domain.updated", serde_json::Value::Null), None);
        assert_eq!(of("domain.deleted", serde_json::Value::Null), Some(Verification::Lost));
        assert_eq!(of("contact.updated", "failed".into()), None);
    }

    fn statuses(words: &str) -> Vec<DomainStatus> {
        let status = |(at, letter): (i64, char)| DomainStatus {
            at: UnixMillis(at),
            key: format!("domain.updated#{at}"),
            verification: match letter {
                'v' => Verification::Verified,
                'p' => Verification::Pending,
                _ => Verification::Lost,
            },
            word: letter.to_string(),
            name: None,
        };
        (0..).zip(words.chars()).map(status).collect()
    }

    /// `-`: fine; `x`: lost; a digit: pending since the status with this index.
    fn short_form(statuses: &mut [DomainStatus]) -> String {
        match state(statuses) {
            DomainState::Fine => "-".to_owned(),
            DomainState::Lost(_) => "x".to_owned(),
            DomainState::Pending { since, .. } => since.at.0.to_string(),
        }
    }

    #[test]
    fn pending_counts_from_its_beginning_and_only_after_verified() {
        for (words, expected) in [
            ("", "-"),
            ("p", "-"),
            ("pp", "-"),
            ("v", "-"),
            ("vpv", "-"),
            ("vp", "1"),
            ("vppp", "1"),
            ("vpvpp", "3"),
            ("vxp", "2"),
            ("xp", "-"),
            ("vpx", "x"),
        ] {
            assert_eq!(short_form(&mut statuses(words)), expected, "{words}");
        }
    }

    proptest! {
        #[test]
        fn the_order_and_the_number_of_arrivals_change_nothing(words in "[vpx]{0,6}", seed in any::<u64>()) {
            let mut others = [statuses(&words), statuses(&words)].concat();
            fastrand::Rng::with_seed(seed).shuffle(&mut others);
            prop_assert_eq!(short_form(&mut others), short_form(&mut statuses(&words)));
        }
    }
}
