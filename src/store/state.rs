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

use super::calls::{Change, Written};
use super::counters::Campaigns;
use super::version::SeenVersion;
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::policy::brake::{Brake, State, Status};
use crate::resend::campaign::Campaign;
use crate::time::{UnixMillis, days};

/// How long a state stays that nobody computes again. It has long lapsed then.
const STATE_DAYS: u32 = 35;

/// The sort key.
const STATE: &str = "state";

/// Reads an item. Returns `None` if it is no state.
pub fn from_item(item: &Item) -> Option<State> {
    let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
    let count = |name: &str| item.get(name).and_then(as_number).unwrap_or(0);
    let words = |name: &str| Some(string(item, name).to_owned()).filter(|words| !words.is_empty());
    let at = millis("at")?;
    Some(State {
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

fn to_item(state: &State, mut item: Item) -> Item {
    let brake = &state.brake;
    let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
    set("status", text(brake.status.as_str()));
    set("volume", AttributeValue::N(brake.volume.to_string()));
    set("reason", text(&brake.reason));
    set("at", number(state.at.0));
    set("change", number(state.change));
    set("changed_at", number(state.changed_at.0));
    set("changed_from", text(state.changed_from.as_str()));
    set("alerted", number(state.alerted));
    set("expires_at", number(state.at.max(brake.until.unwrap_or(state.at)).plus(days(STATE_DAYS)).seconds()));
    if let Some(until) = brake.until {
        set("until", number(until.0));
    }
    if let Some(warning) = &brake.warning {
        set("warning", text(warning));
    }
    if !state.warned_on.is_empty() {
        set("warned_on", text(&state.warned_on));
    }
    item
}

impl Campaigns {
    /// The state of a campaign, as it is now. `None` if it has none yet.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn state(&self, campaign: &Campaign) -> Result<Option<State>, CallError> {
        Ok(self.state_to_write(campaign).await?.0)
    }

    /// The state of a campaign, and the version of its item, for whoever writes the next one. An item that does not make sense has a
    /// version, and is no state.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn state_to_write(&self, campaign: &Campaign) -> Result<(Option<State>, SeenVersion), CallError> {
        let item = self.calls.get(&self.table, self.key(campaign, STATE)).await?;
        Ok((item.as_ref().and_then(from_item), SeenVersion::of(item.as_ref())))
    }

    /// Writes the state that follows the one that was read. `false` if there is another by now.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn write_state(&self, campaign: &Campaign, next: &State, seen: &SeenVersion) -> Result<bool, CallError> {
        let (item, condition) = seen.overwrite("campaign", to_item(next, self.key(campaign, STATE)));
        Ok(self.calls.put(&self.table, &item, &condition).await? == Written::Done(()))
    }

    /// Notes that people were told of a change. If it is not the last one any more, there is nothing to note.
    ///
    /// # Errors
    /// DynamoDB can't be asked.
    pub async fn note_told(&self, campaign: &Campaign, state: &State) -> Result<(), CallError> {
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
            assert_eq!(from_item(&to_item(&state, Item::new())), Some(state));
        }
    }
}
