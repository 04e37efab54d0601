//! Describes the row of a follow-up.

use rebound::policy::followup::sending::FollowupStatus;
use rebound::store::Item;
use rebound::store::followups::FollowupRow;
use rebound::time::UnixMillis;
use serde_json::{Value, json};

use crate::operate::followups::line;

/// A follow-up at the time of its last change. Returns `None` if the row cannot be read.
pub(super) fn followup(row: &Item) -> Option<(UnixMillis, String, Value)> {
    let row = FollowupRow::from_item(row)?;
    let (state, last) = (&row.state, row.state.history.last()?);
    let who = row.recipient.as_ref().map_or_else(|| "a forgotten recipient".to_owned(), ToString::to_string);
    let is = match (state.status, &state.reason) {
        (FollowupStatus::Sent, _) => {
            let ids: Vec<&str> = state.resend_id.iter().chain(&state.also).map(String::as_str).collect();
            format!("sent, as {}", ids.join(" and "))
        }
        (FollowupStatus::Dropped, Some(reason)) if state.is_unclear() => {
            format!("dropped ({reason}), but Resend may have accepted it")
        }
        (FollowupStatus::Dropped, Some(reason)) => format!("dropped ({reason})"),
        (FollowupStatus::Unknown, _) => "unknown: Resend may have accepted it, and it is not sent again".to_owned(),
        (status, _) => format!("{}, not before {}", status.as_str(), state.not_before.to_text()),
    };
    let because = if last.why.is_empty() { String::new() } else { format!(": {}", last.why) };
    let text = format!("{} to {who}: {is}; by {}{because}", row.id, last.by);
    Some((last.at, text, json!({ "followup": line(&row) })))
}
