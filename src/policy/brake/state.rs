//! A campaign's brake from one computation to the next, with the changes that need an alert.

use super::{Brake, Status};
use crate::time::UnixMillis;

/// A campaign's brake, and the alerts about it.
#[derive(Clone, Debug, PartialEq)]
pub struct BrakeState {
    /// The brake.
    pub brake: Brake,
    /// Time of the computation.
    pub at: UnixMillis,
    /// Number of changes that need an alert.
    pub change: i64,
    /// Time of the last such change.
    pub changed_at: UnixMillis,
    /// Status before the last such change.
    pub changed_from: Status,
    /// Number of the last change with a sent alert.
    pub alerted: i64,
    /// UTC day of the last warning; empty if there was none.
    pub warned_on: String,
}

impl BrakeState {
    /// Returns true if the last change still needs an alert.
    pub fn needs_alert(&self) -> bool {
        self.alerted < self.change
    }

    /// Returns the state after `brake` is computed at `now`. Returns `None` if nothing changed.
    pub fn next(before: Option<&Self>, brake: Brake, now: UnixMillis) -> Option<Self> {
        let today = now.day();
        let fresh = Self {
            brake: brake.clone(),
            at: now,
            change: 0,
            changed_at: now,
            changed_from: Status::Open,
            alerted: 0,
            warned_on: String::new(),
        };
        let old = before.unwrap_or(&fresh);
        if before.is_some() && old.brake == brake {
            return None;
        }
        let old_status = before.map_or(Status::Open, |before| before.brake.status);
        let had_warning = before.is_some_and(|before| before.brake.warning.is_some());
        let warns = brake.warning.is_some() && !had_warning && old.warned_on != today;
        let changes = brake.status != old_status;
        let mut next = Self { brake, at: now, ..old.clone() };
        if changes || warns {
            (next.change, next.changed_at, next.changed_from) = (old.change + 1, now, old_status);
        }
        if warns {
            next.warned_on = today;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_440_600_000);

    fn brake(status: Status, volume: f64, warning: Option<&str>) -> Brake {
        let until = (status != Status::Open).then_some(UnixMillis(NOW.0 + 5));
        Brake { status, volume, reason: "why".to_owned(), until, warning: warning.map(str::to_owned) }
    }

    #[test]
    fn a_new_status_needs_an_alert_and_a_warning_one_per_day() {
        let next_state = |before: &BrakeState, brake: Brake, later: i64| {
            let next = BrakeState::next(Some(before), brake, UnixMillis(NOW.0 + later)).unwrap();
            (next.change > before.change, next)
        };
        let open = BrakeState::next(None, brake(Status::Open, 1.0, None), NOW).unwrap();
        assert!(!open.needs_alert(), "a new campaign needs no alert");
        let (is_changed, slowed) = next_state(&open, brake(Status::Slowed, 0.5, None), 1);
        assert!(is_changed && slowed.needs_alert() && slowed.changed_from == Status::Open);
        let (is_changed, slower) = next_state(&slowed, brake(Status::Slowed, 0.25, None), 2);
        assert!(!is_changed, "each complaint alert states the volume");
        assert!(next_state(&slower, brake(Status::Open, 1.0, None), 3).0);

        let (is_changed, warned) = next_state(&open, brake(Status::Open, 1.0, Some("half")), 1);
        assert!(is_changed);
        let (_, calm) = next_state(&warned, brake(Status::Open, 1.0, None), 2);
        assert!(!next_state(&calm, brake(Status::Open, 1.0, Some("half")), 3).0, "not twice in a day");
        assert!(next_state(&calm, brake(Status::Open, 1.0, Some("half")), 24 * 60 * 60 * 1000).0);
        assert_eq!(BrakeState::next(Some(&open), brake(Status::Open, 1.0, None), UnixMillis(NOW.0 + 9)), None);
    }
}
