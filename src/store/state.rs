//! A campaign's brake, as a sender reads it: the item `state` of the campaigns table.
//!
//! | attribute | value |
//! | --- | --- |
//! | `status` | `open`, `slowed` or `paused` |
//! | `volume` | how much of the campaign may be sent, from 0 to 1 |
//! | `reason` | why, in words |
//! | `at` | milliseconds; when it was computed as it is |
//! | `until` | milliseconds; when it opens again if nothing more happens; absent when it is open |
//! | `warning` | a rate halfway to its limit, in words; absent where there is none |
//! | `version` | goes up with each write; the next write's condition |
//! | `change`, `changed_at`, `changed_from` | how often it changed in a way that people are told of, when last, and from which status |
//! | `alerted` | the last change that people were told of |
//! | `warned_on` | the day of the last warning: there is one a day at most |
//!
//! # Why an older view never lies over a newer
//!
//! The state is read first, the counters after it, and the state is written on the condition that it is still the one that was
//! read. Whoever wrote it in between had read the counters before that, and the loser reads both again:
//!
//! ```text
//!   A: reads state v1, counters {1}                     writes on v1  ✗ refused: reads v2, counters {2}: nothing to do
//!   B:       reads state v1,   counters {2}  writes v2 ✓
//! ```

use aws_sdk_dynamodb::types::AttributeValue;

use super::calls::{Change, Trouble, Written};
use super::counters::Campaigns;
use super::version::SeenVersion;
use super::{Item, as_number, number, string, text};
use crate::policy::brake::{Brake, Status};
use crate::resend::campaign::Campaign;
use crate::time::{UnixMillis, days};

/// How long a state stays that nobody computes again. It has long lapsed then.
const STATE_DAYS: u32 = 35;

/// The sort key.
const STATE: &str = "state";

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
    warned_on: String,
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

    /// Reads an item.
    pub fn from_item(item: &Item) -> Option<Self> {
        let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
        let count = |name: &str| item.get(name).and_then(as_number).unwrap_or(0);
        let words = |name: &str| Some(string(item, name).to_owned()).filter(|words| !words.is_empty());
        let at = millis("at")?;
        Some(Self {
            brake: Brake {
                status: Status::from_text(string(item, "status"))?,
                volume: item.get("volume")?.as_n().ok()?.parse().ok()?,
                reason: string(item, "reason").to_owned(),
                until: millis("until"),
                warning: words("warning"),
            },
            at,
            change: count("change"),
            changed_at: millis("changed_at").unwrap_or(at),
            changed_from: Status::from_text(string(item, "changed_from")).unwrap_or(Status::Open),
            alerted: count("alerted"),
            warned_on: words("warned_on").unwrap_or_default(),
        })
    }

    fn to_item(&self, mut item: Item) -> Item {
        let brake = &self.brake;
        let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
        set("status", text(brake.status.as_str()));
        set("volume", AttributeValue::N(brake.volume.to_string()));
        set("reason", text(&brake.reason));
        set("at", number(self.at.0));
        set("change", number(self.change));
        set("changed_at", number(self.changed_at.0));
        set("changed_from", text(self.changed_from.as_str()));
        set("alerted", number(self.alerted));
        set("expires_at", number(self.at.max(brake.until.unwrap_or(self.at)).plus(days(STATE_DAYS)).seconds()));
        if let Some(until) = brake.until {
            set("until", number(until.0));
        }
        if let Some(warning) = &brake.warning {
            set("warning", text(warning));
        }
        if !self.warned_on.is_empty() {
            set("warned_on", text(&self.warned_on));
        }
        item
    }
}

impl Campaigns {
    /// The state of a campaign, as it is now. `None` if it has none yet.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn state(&self, campaign: &Campaign) -> Result<Option<State>, Trouble> {
        Ok(self.state_to_write(campaign).await?.0)
    }

    /// The state of a campaign, and the version of its item, for whoever writes the next one. An item that does not make sense has a
    /// version, and is no state.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn state_to_write(&self, campaign: &Campaign) -> Result<(Option<State>, SeenVersion), Trouble> {
        let item = self.calls.get(&self.table, self.key(campaign, STATE)).await?;
        Ok((item.as_ref().and_then(State::from_item), SeenVersion::of(item.as_ref())))
    }

    /// Writes the state that follows the one that was read. `false` if there is another by now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn write_state(&self, campaign: &Campaign, next: &State, seen: &SeenVersion) -> Result<bool, Trouble> {
        let (item, condition) = seen.overwrite("campaign", next.to_item(self.key(campaign, STATE)));
        Ok(self.calls.put(&self.table, &item, &condition).await? == Written::Done(()))
    }

    /// Notes that people were told of a change. If it is not the last one any more, there is nothing to note.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_told(&self, campaign: &Campaign, state: &State) -> Result<(), Trouble> {
        let change = Change {
            update: "SET alerted = :change".to_owned(),
            condition: Some("#change = :change"),
            names: vec![("#change".to_owned(), "change".to_owned())],
            values: vec![(":change".to_owned(), number(state.change))],
        };
        self.calls.update(&self.table, self.key(campaign, STATE), &change).await?;
        Ok(())
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
    fn what_is_written_reads_back_the_same() {
        for state in [
            brake(Status::Open, 1.0, None),
            brake(Status::Slowed, 0.0625, Some("half")),
            brake(Status::Paused, 0.0, None),
        ] {
            let state = State::next(None, state, NOW).unwrap();
            assert_eq!(State::from_item(&state.to_item(Item::new())), Some(state));
        }
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
