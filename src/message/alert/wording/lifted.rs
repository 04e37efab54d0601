//! The words about many people whom webhooks made mailable again.

use std::collections::BTreeMap;

use serde_json::json;

use crate::message::alert::{Alert, Kind, Severity};
use crate::time::UnixMillis;

/// Webhooks lifted suppressions of many people within an hour. `since` is the receipt of the first of them.
pub fn lifted(hour: UnixMillis, since: UnixMillis, people: usize, reasons: &BTreeMap<&str, usize>) -> Alert {
    let since = since.to_text();
    let counted: Vec<String> = reasons.iter().map(|(reason, number)| format!("{reason} {number}")).collect();
    Alert {
        id: Alert::id_of(Kind::Lifted, &[&hour.to_text()]),
        kind: Kind::Lifted,
        severity: Severity::Warning,
        at: since.clone(),
        title: format!("{people} people or more may get email again"),
        text: [
            format!(
                "Webhooks lifted the suppressions of {people} people or more, within the hour since {since}: {}.",
                counted.join(", ")
            ),
            "What was done: the suppression list follows Resend, so email may be sent to these people again.".to_owned(),
            format!(
                "What you can do: if a synchronization of your contacts did this, stop it, and undo it with `rebound suppressions restore --since {since}`. With --dry-run it only says whom it would suppress."
            ),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "lifted": people, "since": since, "reasons": reasons }).as_object().cloned().unwrap_or_default(),
    }
}
