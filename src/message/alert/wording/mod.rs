//! The words of each alert: what happened, what was done, what to do.

mod campaign;
mod complaint;
mod unclear;

use std::collections::BTreeMap;

use serde_json::{Map, json};

pub use self::campaign::{Standing, brake, digest};
pub use self::complaint::{Listed, complaint};
pub use self::unclear::{Unclear, ambiguous};
use super::{Alert, Kind, Severity};
use crate::message::text::one_line;
use crate::policy::count::count;
use crate::policy::domain::DomainStatus;
use crate::resend::campaign::Campaign;
use crate::resend::recipient::Recipient;
use crate::time::UnixMillis;

/// How much of a name or a reason from outside is shown, in characters.
const SHOWN: usize = 100;

/// What begins the line that says what to do.
pub(super) const TO_DO: &str = "What you can do: ";

/// How an email is told from others: what every alert about one has.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The email.
    pub email_id: &'a str,
    /// Its campaign.
    pub campaign: Option<&'a Campaign>,
    /// When the thing happened.
    pub at: UnixMillis,
}

impl About<'_> {
    fn alert(&self, kind: Kind, key: &[&str], recipient: Option<&Recipient>) -> Alert {
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
        self.campaign
            .map_or_else(|| "a mail without a campaign".to_owned(), |campaign| format!("a mail of campaign {campaign}"))
    }
}

/// Why a delayed mail is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// It has waited since then, and longer than it may.
    Waiting {
        /// Since when.
        since: UnixMillis,
        /// For how many hours now.
        hours: i64,
    },
    /// The recipient was delayed on so many emails.
    Repeated {
        /// How many.
        emails: usize,
        /// Within how many days of one another.
        within_days: u32,
    },
}

/// A mail is delayed for too long, or its recipient again.
pub fn delay(about: &About<'_>, recipient: &Recipient, why: Delay) -> Alert {
    let mut alert = about.alert(Kind::Delay, &[recipient.as_str()], Some(recipient));
    alert.title = format!("Delayed: mail to {recipient}");
    let (what, figures) = match why {
        Delay::Waiting { since, hours } => (
            format!(
                "{} to {recipient} was sent {} and has not arrived: {}.",
                capital(&about.of_campaign()),
                since.to_text(),
                count(hours, "hour")
            ),
            json!({ "since": since.to_text(), "hours": hours }),
        ),
        Delay::Repeated { emails, within_days } => (
            format!(
                "Mail to {recipient} is delayed again: {} within {} of one another.",
                count(emails, "email"),
                count(within_days, "day")
            ),
            json!({ "emails": emails, "within_days": within_days }),
        ),
    };
    alert.figures = figures.as_object().cloned().unwrap_or_default();
    alert.text = [
        what,
        "What was done: nothing; the receiving server may still take it, and Resend keeps trying.".to_owned(),
        "What you can do: if it matters, reach the person another way. If many addresses of one domain are delayed, look at your reputation there.".to_owned(),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert
}

/// The alert with what the receiving servers said, if they said anything: before what to do.
pub fn with_diagnosis(mut alert: Alert, said: &[String]) -> Alert {
    const SHOWN: usize = 3;
    if said.is_empty() {
        return alert;
    }
    let line =
        format!("What the receiving server said: {}", said.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; "));
    let mut lines: Vec<String> = alert.text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.starts_with("What was done")).unwrap_or(lines.len());
    lines.insert(at, line);
    alert.text = lines.join("\n");
    alert.figures.insert("diagnosis".to_owned(), json!(said));
    alert
}

/// Resend could not send a mail: told once an hour for each reason.
pub fn failed(about: &About<'_>, reason: &str, hour: UnixMillis) -> Alert {
    let mut alert = about.alert(Kind::Failed, &[], None);
    alert.id = Alert::id_of(Kind::Failed, &[reason, &hour.to_text()]);
    alert.severity = Severity::Critical;
    alert.title = format!("Resend could not send: {reason}");
    alert.text = [
        format!("Resend could not send {}: {reason}.", about.of_campaign()),
        "Others may have failed for the same reason: this is told once an hour. The campaigns table counts them all (failed).".to_owned(),
        format!("What you can do: {}", remedy(reason)),
        format!("Email: {}", about.email_id),
    ]
    .join("\n");
    alert.figures.insert("reason".to_owned(), json!(reason));
    alert
}

/// What helps against a reason (<https://resend.com/docs/dashboard/webhooks/event-types>).
fn remedy(reason: &str) -> &'static str {
    if reason.contains("quota") {
        "raise the quota of your plan at Resend, or wait until it begins anew; then send again what failed."
    } else if reason.contains("domain") {
        "verify the domain at Resend, under Domains; then send again what failed."
    } else {
        "look the email up at Resend, under Emails; then send again what failed."
    }
}

/// A domain is no longer verified. Once for each `once` and hour.
pub fn domain(domain_id: &str, status: &DomainStatus, once: &str, since: UnixMillis, hour: UnixMillis) -> Alert {
    let (name, word) = (shown(status.name.as_deref().unwrap_or(domain_id)), shown(&status.word));
    let since = since.to_text();
    Alert {
        id: Alert::id_of(Kind::Domain, &[domain_id, &shown(once), &hour.to_text()]),
        kind: Kind::Domain,
        severity: Severity::Critical,
        at: since.clone(),
        title: format!("Domain {name} is no longer verified: {word}"),
        text: [
            format!(
                "Resend says of the domain {name}: {word}, since {since}. Mail from it may fail, or arrive as spam."
            ),
            "What you can do: compare its DNS records with those that Resend shows under Domains, and verify it again."
                .to_owned(),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "domain": name, "status": word }).as_object().cloned().unwrap_or_default(),
    }
}

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

/// A message can't be read, or an event can't be handled. `place` is its row's partition.
pub fn quarantine(place: &str, message: &str, problem: &str, at: UnixMillis) -> Alert {
    Alert {
        id: Alert::id_of(Kind::Quarantine, &[place, message]),
        kind: Kind::Quarantine,
        severity: Severity::Critical,
        at: at.to_text(),
        title: "A webhook could not be handled".to_owned(),
        text: [
            format!("A correctly signed webhook was stored, but can't be handled: {problem}."),
            "What was done: it is kept as it came, and everything else goes on.".to_owned(),
            format!("What you can do: look at the rows of partition {place} in the events table. If it is an event of Resend's, this version of Rebound is too old for it, or has a fault."),
            format!("Message: {message}"),
        ]
        .join("\n"),
        campaign: None,
        recipient: None,
        email_id: None,
        figures: json!({ "problem": problem }).as_object().cloned().unwrap_or_default(),
    }
}

/// A text from outside, as it is shown to people and used in a key: one line, not long.
pub fn shown(text: &str) -> String {
    one_line(text).chars().take(SHOWN).collect()
}

/// The text with a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
