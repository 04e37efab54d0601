//! Alerts about follow-ups that Rebound sends.

use serde_json::{Value, json};

use super::{Alert, AlertKind, Severity, command, sanitize};
use crate::policy::count::count;
use crate::resend::campaign::Campaign;
use crate::time::UnixMillis;

/// A follow-up, as alerts name it.
#[derive(Clone, Copy, Debug)]
pub struct FollowupContext<'a> {
    /// Its id.
    pub id: &'a str,
    /// The email that it answers.
    pub email_id: &'a str,
    /// The recipient, unless it was forgotten.
    pub recipient: Option<&'a str>,
    /// The campaign.
    pub campaign: Option<&'a Campaign>,
    /// The time of the cause.
    pub at: UnixMillis,
    /// Name of the stack, for the commands in texts.
    pub stack: Option<&'a str>,
}

/// Effect of Resend's refusal on a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalEffect {
    /// It will not be sent.
    Dropped,
    /// It is tried again later.
    Postponed,
}

/// Period in which an alert about one name is sent once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertPeriod {
    /// Once an hour.
    Hour,
    /// Once a day, in UTC.
    Day,
}

impl AlertPeriod {
    /// Returns the period that contains `at`, as text.
    fn of(self, at: UnixMillis) -> String {
        match self {
            Self::Hour => at.to_text().chars().take("2026-11-23T13".len()).collect(),
            Self::Day => at.day(),
        }
    }
}

impl FollowupContext<'_> {
    fn alert(&self, kind: AlertKind, key: &[&str], severity: Severity, figures: &Value) -> Alert {
        Alert {
            id: Alert::id_of(kind, key),
            kind,
            severity,
            at: self.at.to_text(),
            title: String::new(),
            text: String::new(),
            campaign: self.campaign.cloned(),
            recipient: self.recipient.map(str::to_owned),
            email_id: Some(self.email_id.to_owned()),
            figures: figures.as_object().cloned().unwrap_or_default(),
        }
    }

    fn who(&self) -> String {
        self.recipient.map_or_else(|| "a forgotten recipient".to_owned(), str::to_owned)
    }
}

/// Returns the alert for a follow-up that could not be sent: one for each name in a period. `name` is the name of
/// Resend's error, or `too_late`.
pub fn send_failed(
    about: &FollowupContext<'_>,
    name: &str,
    status: Option<u16>,
    effect: RefusalEffect,
    once: AlertPeriod,
) -> Alert {
    let name = sanitize(name);
    let is_dropped = effect == RefusalEffect::Dropped;
    let figures = json!({ "name": name, "status": status, "dropped": is_dropped });
    let mut alert = about.alert(AlertKind::SendFailed, &[&name, &once.of(about.at)], Severity::Warning, &figures);
    // Which follow-up comes first is random: the alert is about all with this name.
    alert.campaign = None;
    alert.recipient = None;
    let shown = status.map(|status| format!("{name}, HTTP {status}")).unwrap_or_else(|| name.clone());
    let is_late = name == "too_late";
    alert.title = if is_late {
        "A follow-up could not be sent in time".to_owned()
    } else {
        format!("Resend refused a follow-up: {name}")
    };
    let happened = if is_late {
        "A follow-up could not be sent within 72 hours after it was due.".to_owned()
    } else {
        format!("Resend refused a follow-up: {shown}.")
    };
    let done = match effect {
        RefusalEffect::Dropped => "What was done: it was dropped, so it will not be sent.",
        RefusalEffect::Postponed => "What was done: it is tried again later, for up to 72 hours after it was due.",
    };
    let period = match once {
        AlertPeriod::Hour => {
            "This alert is sent once an hour for each reason. Other follow-ups may have failed for the same reason."
        }
        AlertPeriod::Day => "This alert is sent once a day. Other follow-ups may have failed for the same reason.",
    };
    alert.text = [
        happened,
        done.to_owned(),
        period.to_owned(),
        format!("What you can do: {}", remedy(&name, about.stack)),
        format!("Follow-up: {}", about.id),
    ]
    .join("\n");
    alert
}

/// Returns the advice for the name of an error.
fn remedy(name: &str, stack: Option<&str>) -> String {
    if name == "too_late" {
        format!(
            "run `{}` and `{}`. Perhaps sending is paused, the limit of the day is reached, or the function act does not run.",
            command(stack, "followups list"),
            command(stack, "doctor")
        )
    } else if name.contains("quota") {
        "raise the quota of your Resend plan, or wait until it resets.".to_owned()
    } else if name.contains("from") || name.contains("domain") || name == "http_403" {
        "verify the sender's domain at Resend, under Domains.".to_owned()
    } else {
        format!(
            "run `{}` for this follow-up, and look up the error in Resend's documentation.",
            command(stack, "followups show ID")
        )
    }
}

/// Returns the alert for a follow-up of which it is not known if it was sent: one for each.
pub fn send_unknown(about: &FollowupContext<'_>, tries: u32, open_since: Option<UnixMillis>, why: &str) -> Alert {
    let figures = unknown_figures(about, tries, open_since);
    let mut alert = about.alert(AlertKind::SendUnknown, &[about.id], Severity::Warning, &figures);
    alert.title = format!("It is unknown if a follow-up was sent: {}", about.who());
    alert.text = [
        format!(
            "After {} it is unknown if Resend accepted the follow-up to {}: {}.",
            count(tries, "try"),
            about.who(),
            sanitize(why)
        ),
        "What was done: it will not be sent again, so that nobody gets it twice.".to_owned(),
        "What you can do: look for the email at Resend, under Emails. If a webhook about it arrives, its status becomes `sent` automatically."
            .to_owned(),
        format!("Follow-up: {}", about.id),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert
}

/// Returns the alert for a follow-up that Resend accepted under two ids.
pub fn sent_twice(about: &FollowupContext<'_>, ids: [&str; 2], tries: u32, open_since: Option<UnixMillis>) -> Alert {
    let [first, second] = ids.map(sanitize);
    let figures = unknown_figures(about, tries, open_since);
    let mut alert = about.alert(AlertKind::SendUnknown, &[about.id, &second], Severity::Critical, &figures);
    alert.title = format!("A follow-up has two ids at Resend: {}", about.who());
    alert.text = [
        format!("Resend accepted the follow-up to {} under two ids: {first} and {second}.", about.who()),
        "What was done: both ids are stored, and the follow-up will not be sent again.".to_owned(),
        format!(
            "What you can do: look at both emails at Resend. If another program sends the same follow-ups, switch it off. If not, pause all sending with `{}`, and report a bug.",
            command(about.stack, "followups pause")
        ),
        format!("Follow-up: {}", about.id),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert
}

fn unknown_figures(about: &FollowupContext<'_>, tries: u32, open_since: Option<UnixMillis>) -> Value {
    json!({
        "id": about.id,
        "tries": tries,
        "open_since": open_since.map(UnixMillis::to_text),
        "email_id": about.email_id,
    })
}

/// Returns the alert for an API key that Resend refuses: one a day. `waiting` is the number of follow-ups, or of
/// contacts to unsubscribe, that are known to wait.
pub fn resend_key(name: &str, status: Option<u16>, waiting: usize, at: UnixMillis, stack: Option<&str>) -> Alert {
    let name = sanitize(name);
    let may_only_send = name == "restricted_api_key";
    Alert {
        id: Alert::id_of(AlertKind::ResendKey, &[&at.day()]),
        kind: AlertKind::ResendKey,
        severity: Severity::Critical,
        at: at.to_text(),
        title: format!("Resend refuses the API key of the function act: {name}"),
        text: [
            format!("Resend refused a request because of the API key: {name}. Waiting: {}.", count(waiting, "task")),
            if may_only_send {
                "What was done: contacts are not unsubscribed at Resend for an hour; follow-ups are still sent."
            } else {
                "What was done: nothing is sent for 15 minutes. Then Rebound tries again."
            }
            .to_owned(),
            format!(
                "What you can do: put a valid key into the secret of act (ACT_KEYS_ARN), then run `{}`.",
                command(stack, "doctor")
            ),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "status": status, "name": name, "waiting": waiting }).as_object().cloned().unwrap_or_default(),
    }
}
