//! A campaign's brake, as a sender reads it: the item `state` of the campaigns table.
//!
//! | attribute | value |
//! | --- | --- |
//! | `status` | `open`, `slowed` or `paused` |
//! | `volume` | share of the campaign that may be sent, from 0 to 1 |
//! | `reason` | the reason as text |
//! | `at` | milliseconds; time at which it was computed |
//! | `until` | milliseconds; time at which it reopens without more complaints or bounces; absent when open |
//! | `warning` | a rate that is halfway to its limit, as text; absent if there is none |
//! | `version` | goes up with each write; the condition of the next write |
//! | `change`, `changed_at`, `changed_from` | number of changes that cause an alert, time of the last one, and the status before it |
//! | `alerted` | the last change for which an alert was sent |
//! | `warned_on` | the day of the last warning: one a day at most |
//!
//! # Why an older state never replaces a newer one
//!
//! The state is read first, the counters after it, and the state is written on the condition that it has not changed. A
//! writer in between had read the counters before, and the loser reads both again:
//!
//! ```text
//!   A: reads state v1, counters {1}                     writes on v1  ✗ rejected: reads v2, counters {2}: nothing to
//! do
//!   B:       reads state v1,   counters {2}  writes v2 ✓
//! ```

use aws_sdk_dynamodb::types::AttributeValue;

use super::client::{ConditionalWrite, UpdateExpression};
use super::counters::Campaigns;
use super::version::SeenVersion;
use super::{Item, as_number, number, string, text};
use crate::aws::CallError;
use crate::policy::brake::{Brake, BrakeState, Status};
use crate::resend::campaign::Campaign;
use crate::time::{UnixMillis, days};

/// Retention of a state that is not computed again, in days. Its brake has expired by then.
const STATE_DAYS: u32 = 35;

/// The sort key.
const STATE: &str = "state";

/// Reads an item. Returns `None` if it is not a valid state.
pub fn from_item(item: &Item) -> Option<BrakeState> {
    let millis = |name: &str| item.get(name).and_then(as_number).map(UnixMillis);
    let count = |name: &str| item.get(name).and_then(as_number).unwrap_or(0);
    let words = |name: &str| Some(string(item, name).to_owned()).filter(|words| !words.is_empty());
    let at = millis("at")?;
    Some(BrakeState {
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

fn to_item(state: &BrakeState, mut item: Item) -> Item {
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
    /// Reads the state of a campaign, strongly consistent. Returns `None` if it has none yet.
    pub async fn state(&self, campaign: &Campaign) -> Result<Option<BrakeState>, CallError> {
        Ok(self.state_to_write(campaign).await?.0)
    }

    /// Reads the state of a campaign, and the version of its item for the next write. An invalid item has a version,
    /// but no state.
    pub async fn state_to_write(&self, campaign: &Campaign) -> Result<(Option<BrakeState>, SeenVersion), CallError> {
        let item = self.calls.get(&self.table, self.key(campaign, STATE)).await?;
        Ok((item.as_ref().and_then(from_item), SeenVersion::of(item.as_ref())))
    }

    /// Writes the next state. Returns false if another writer has changed it.
    pub async fn write_state(
        &self,
        campaign: &Campaign,
        next: &BrakeState,
        seen: &SeenVersion,
    ) -> Result<bool, CallError> {
        let (item, condition) = seen.overwrite("campaign", to_item(next, self.key(campaign, STATE)));
        Ok(self.calls.put(&self.table, &item, &condition).await? == ConditionalWrite::Applied(()))
    }

    /// Marks a change as alerted. Nothing is written if there is a newer change.
    pub async fn mark_alerted(&self, campaign: &Campaign, state: &BrakeState) -> Result<(), CallError> {
        let change = UpdateExpression {
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
            let state = BrakeState::next(None, state, NOW).unwrap();
            assert_eq!(from_item(&to_item(&state, Item::new())), Some(state));
        }
    }
}
