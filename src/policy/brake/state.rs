//! A campaign's brake from one computation to the next: which changes people are told of.

use super::{Brake, Status};
use crate::time::UnixMillis;

/// A campaign's brake, and what people were told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The brake.
    pub brake: Brake,
    /// When it was computed.
    pub at: UnixMillis,
    /// How often it changed in a way that people are told of.
    pub change: i64,
    /// When it did so last.
    pub changed_at: UnixMillis,
    /// From which status.
    pub changed_from: Status,
    /// The last change that people were told of.
    pub alerted: i64,
    /// The day of the last warning, in UTC; empty: there was none.
    pub warned_on: String,
}

impl State {
    /// Whether people have still to be told of the last change.
    pub fn is_to_be_told(&self) -> bool {
        self.alerted < self.change
    }

    /// What follows when `brake` is computed at `now`, after `before`. `None` if it is the same.
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
    fn people_are_told_of_a_new_status_and_once_a_day_of_a_warning() {
        let told = |before: &State, brake: Brake, later: i64| {
            let next = State::next(Some(before), brake, UnixMillis(NOW.0 + later)).unwrap();
            (next.change > before.change, next)
        };
        let open = State::next(None, brake(Status::Open, 1.0, None), NOW).unwrap();
        assert!(!open.is_to_be_told(), "that a campaign begins is no news");
        let (is_told, slowed) = told(&open, brake(Status::Slowed, 0.5, None), 1);
        assert!(is_told && slowed.is_to_be_told() && slowed.changed_from == Status::Open);
        let (is_told, slower) = told(&slowed, brake(Status::Slowed, 0.25, None), 2);
        assert!(!is_told, "each complaint tells its own volume");
        assert!(told(&slower, brake(Status::Open, 1.0, None), 3).0);

        let (is_told, warned) = told(&open, brake(Status::Open, 1.0, Some("half")), 1);
        assert!(is_told);
        let (_, calm) = told(&warned, brake(Status::Open, 1.0, None), 2);
        assert!(!told(&calm, brake(Status::Open, 1.0, Some("half")), 3).0, "not twice in a day");
        assert!(told(&calm, brake(Status::Open, 1.0, Some("half")), 24 * 60 * 60 * 1000).0);
        assert_eq!(State::next(Some(&open), brake(Status::Open, 1.0, None), UnixMillis(NOW.0 + 9)), None);
    }
}
