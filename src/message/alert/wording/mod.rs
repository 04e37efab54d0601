//! Texts of each alert: what happened, what was done, what to do.

mod campaign;
mod complaint;
mod sending;
mod unclear;

use std::collections::BTreeMap;

use serde_json::{Map, json};

pub use self::campaign::{CampaignSnapshot, brake_alert, digest};
pub use self::complaint::{AddressState, complaint};
pub use self::sending::{
    AlertPeriod, FollowupContext, RefusalEffect, resend_key, send_failed, send_unknown, sent_twice,
};
pub use self::unclear::{UnclearOutcome, ambiguous};
use super::{Alert, AlertKind, Severity};
use crate::message::command::command;
use crate::message::text::one_line;
use crate::policy::count::count;
use crate::policy::domain::DomainStatus;
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// Maximum number of characters shown of an external name or reason.
const SHOWN: usize = 100;

/// Beginning of the line with the advice.
pub(super) const TO_DO: &str = "What you can do: ";

/// Details that every alert about one email has.
#[derive(Clone, Copy, Debug)]
pub struct AlertContext<'a> {
    /// The email.
    pub email_id: &'a str,
    /// Its campaign.
    pub campaign: Option<&'a Campaign>,
    /// Time of the event.
    pub at: UnixMillis,
}

impl AlertContext<'_> {
    fn alert(&self, kind: AlertKind, key: &[&str], recipient: Option<&Recipient>) -> Alert {
        let mut parts = vec![self.email_id];
        parts.extend(key);
        Alert {
            id: Alert::id_of(kind, &parts),
            kind,
            severity: Severity::Warning,
            at: self.at.to_text(),
            title: String::new(),
            text: String::new(),
            campaign: self.campaign.cloned(),
            recipient: recipient.map(|recipient| recipient.as_str().to_owned()),
            email_id: Some(self.email_id.to_owned()),
            figures: Map::new(),
        }
    }

    fn of_campaign(&self) -> String {
        self.campaign.map_or_else(
            || "an email without a campaign".to_owned(),
            |campaign| format!("an email of campaign {campaign}"),
        )
    }
}

/// Reason for an alert about a delayed email.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// The email has waited longer than allowed.
    Waiting {
        /// Start of the wait.
        since: UnixMillis,
        /// Number of hours since then.
        hours: i64,
    },
    /// The recipient's emails were delayed repeatedly.
    Repeated {
        /// Number of emails.
        emails: usize,
        /// Period in which they were delayed, in days.
        within_days: u32,
    },
}

/// Returns the alert for an email that is delayed too long, or for a recipient whose emails are delayed repeatedly.
pub fn delay(about: &AlertContext<'_>, recipient: &Recipient, why: Delay) -> Alert {
    let mut alert = about.alert(AlertKind::Delay, &[recipient.as_str()], Some(recipient));
    alert.title = format!("Delayed: email to {recipient}");
    let (what, figures) = match why {
        Delay::Waiting { since, hours } => (
            format!(
                "{} to {recipient} was sent at {} and is still not delivered, {} later.",
                capital(&about.of_campaign()),
                since.to_text(),
                count(hours, "hour")
            ),
            json!({ "since": since.to_text(), "hours": hours }),
        ),
        Delay::Repeated { emails, within_days } => (
            format!(
                "Email to {recipient} is delayed again: {} within {}.",
                count(emails, "delayed email"),
                count(within_days, "day")
            ),
            json!({ "emails": emails, "within_days": within_days }),
        ),
    };
    alert.figures = figures.as_object().cloned().unwrap_or_default();
    alert.text = [
        what,
        "What was done: nothing. Resend keeps trying, and the receiving server may still accept the email.".to_owned(),
        "What you can do: if it is urgent, contact the person another way. If emails to many addresses of one domain are delayed, check your reputation with that mail provider.".to_owned(),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert
}

/// Returns the alert with the receiving servers' replies, inserted before the line about what was done.
pub fn with_diagnosis(mut alert: Alert, said: &[String]) -> Alert {
    const SHOWN: usize = 3;
    if said.is_empty() {
        return alert;
    }
    let line = format!(
        "Response of the receiving server: {}",
        said.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ")
    );
    let mut lines: Vec<String> = alert.text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.starts_with("What was done")).unwrap_or(lines.len());
    lines.insert(at, line);
    alert.text = lines.join("\n");
    alert.figures.insert("diagnosis".to_owned(), json!(said));
    alert
}

/// Returns the alert for an email that Resend could not send: at most one per hour and reason.
pub fn failed(about: &AlertContext<'_>, reason: &str, hour: UnixMillis) -> Alert {
    let mut alert = about.alert(AlertKind::Failed, &[], None);
    alert.id = Alert::id_of(AlertKind::Failed, &[reason, &hour.to_text()]);
    alert.severity = Severity::Critical;
    alert.title = format!("Resend could not send: {reason}");
    alert.text = [
        format!("Resend could not send {}: {reason}.", about.of_campaign()),
        "This alert is sent once an hour. Other emails may have failed for the same reason: the campaigns table counts them (`failed`).".to_owned(),
        format!("What you can do: {}", remedy(reason)),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert.figures.insert("reason".to_owned(), json!(reason));
    alert
}

/// Returns the advice for a reason (<https://resend.com/docs/dashboard/webhooks/event-types>).
fn remedy(reason: &str) -> &'static str {
    if reason.contains("quota") {
        "raise the quota of your Resend plan, or wait until it resets; then send the failed emails again."
    } else if reason.contains("domain") {
        "verify the domain at Resend, under Domains; then send the failed emails again."
    } else {
        "find the email at Resend, under Emails; then send the failed emails again."
    }
}

/// Returns the alert for a domain that is no longer verified: at most one per `once` and hour.
pub fn domain(domain_id: &str, status: &DomainStatus, once: &str, since: UnixMillis, hour: UnixMillis) -> Alert {
    let (name, word) = (sanitize(status.name.as_deref().unwrap_or(domain_id)), sanitize(&status.word));
    let since = since.to_text();
    Alert {
        id: Alert::id_of(AlertKind::Domain, &[domain_id, &sanitize(once), &hour.to_text()]),
        kind: AlertKind::Domain,
        severity: Severity::Critical,
        at: since.clone(),
        title: format!("Domain {name} is no longer verified: {word}"),
        text: [
            format!(
                "Since {since} Resend reports the status {word} for the domain {name}. Email from this domain may fail, or be delivered as spam."
            ),
            "What you can do: compare its DNS records with the records that Resend shows under Domains, and verify it again."
                .to_owned(),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "domain": name, "status": word }).as_object().cloned().unwrap_or_default(),
    }
}

/// Returns the alert for webhooks that lifted the suppressions of many people within an hour. `since` is the receipt of
/// the first one, `stack` the stack's name, if it is known.
pub fn lifted(
    hour: UnixMillis,
    since: UnixMillis,
    people: usize,
    reasons: &BTreeMap<&str, usize>,
    stack: Option<&str>,
) -> Alert {
    let since = since.to_text();
    let restore = command(stack, &format!("suppressions restore --since {since}"));
    let counted: Vec<String> = reasons.iter().map(|(reason, number)| format!("{reason} {number}")).collect();
    Alert {
        id: Alert::id_of(AlertKind::Lifted, &[&hour.to_text()]),
        kind: AlertKind::Lifted,
        severity: Severity::Warning,
        at: since.clone(),
        title: format!("At least {people} people can receive email again"),
        text: [
            format!(
                "Webhooks lifted the suppressions of at least {people} people within one hour, since {since}: {}.",
                counted.join(", ")
            ),
            "What was done: the suppression list follows Resend, so these people can receive email again.".to_owned(),
            format!(
                "What you can do: if a contact synchronization did this, stop it, and restore the suppressions with `{restore}`. With --dry-run the command only lists the addresses."
            ),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "lifted": people, "since": since, "reasons": reasons }).as_object().cloned().unwrap_or_default(),
    }
}

/// Returns the alert for a webhook that can't be parsed, or an event that can't be processed. `place` is the partition
/// of its row.
pub fn quarantine(place: &str, message: &str, problem: &str, at: UnixMillis) -> Alert {
    Alert {
        id: Alert::id_of(AlertKind::Quarantine, &[place, message]),
        kind: AlertKind::Quarantine,
        severity: Severity::Critical,
        at: at.to_text(),
        title: "A webhook could not be processed".to_owned(),
        text: [
            format!("A correctly signed webhook was stored, but can't be processed: {problem}."),
            "What was done: the webhook is stored unchanged, and other webhooks are processed as usual.".to_owned(),
            format!("What you can do: look at the rows of partition {place} in the events table. If the webhook is a valid event, this version of Rebound is too old, or has a bug."),
            format!("Webhook: {message}"),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "problem": problem }).as_object().cloned().unwrap_or_default(),
    }
}

/// Returns an external text as shown to people and used in keys: one line of limited length.
pub fn sanitize(text: &str) -> String {
    one_line(text).chars().take(SHOWN).collect()
}

/// Returns the text with a capital first letter.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
