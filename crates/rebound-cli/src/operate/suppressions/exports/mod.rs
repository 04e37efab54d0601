//! The lists that other services export: recognized by the names of their columns; and the meaning of their lines.
//!
//! Names and words are those of the exports as they are, in 2026. Where two services use the same names, both mean the same.

use rebound::policy::suppression::Reason;

use super::entry::ListRow;
use crate::operate::lists::ListedAddress;

/// The meaning of a line of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LineMeaning {
    /// The address is suppressed.
    Suppressed(Box<ListRow>),
    /// The address is not suppressed, for this reason: an email arrived, a bounce was soft.
    Nothing(&'static str),
}

/// A list as a service exports it.
#[derive(Debug)]
pub(super) struct Export {
    /// Its name, for people.
    pub(super) name: &'static str,
    /// The names of columns by which it is recognized, without capitals, spaces, hyphens and underscores.
    columns: &'static [&'static str],
    /// True if the export has no other columns.
    is_exact: bool,
    /// The column that says since when, for people. `None`: nothing says so.
    pub(super) time: Option<&'static str>,
    /// The reasons that it gives, for people.
    pub(super) reasons: &'static str,
    /// Reads the meaning of a line.
    read: fn(&ListedAddress) -> Result<LineMeaning, String>,
}

/// The exports that are known. The first that fits counts.
static EXPORTS: [Export; 16] = [
    Export {
        name: "SendGrid bounces",
        columns: &["status", "reason", "email", "created"],
        is_exact: true,
        time: Some("created"),
        reasons: "reason hard_bounce",
        read: |row| Ok(or_word(row, Reason::HardBounce, "reason", "created")),
    },
    // <https://www.twilio.com/docs/sendgrid/api-reference/invalid-e-mails-api>
    Export {
        name: "SendGrid invalid emails",
        columns: &["reason", "email", "created"],
        is_exact: true,
        time: Some("created"),
        reasons: "reason hard_bounce",
        read: |row| Ok(or_word(row, Reason::HardBounce, "reason", "created")),
    },
    Export {
        name: "SendGrid spam reports",
        columns: &["ip", "email", "created"],
        is_exact: true,
        time: Some("created"),
        reasons: "reason complaint",
        read: |row| Ok(always(row, Reason::Complaint, "", "created")),
    },
    Export {
        name: "SendGrid unsubscribes",
        columns: &["email", "created"],
        is_exact: true,
        time: Some("created"),
        reasons: "reason opted_out",
        read: |row| Ok(always(row, Reason::OptedOut, "", "created")),
    },
    // <https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/bounces>
    Export {
        name: "Mailgun bounces",
        columns: &["address", "code", "error", "createdat"],
        is_exact: false,
        time: Some("created_at"),
        reasons: "reason hard_bounce",
        read: |row| Ok(always(row, Reason::HardBounce, "error", "createdat")),
    },
    // For one tag too: the suppression list has no tags, and a recipient who left one tag must not get email by mistake.
    Export {
        name: "Mailgun unsubscribes",
        columns: &["address", "tags", "createdat"],
        is_exact: false,
        time: Some("created_at"),
        reasons: "reason opted_out",
        read: |row| Ok(always(row, Reason::OptedOut, "tags", "createdat")),
    },
    Export {
        name: "Mailgun complaints",
        columns: &["address", "createdat"],
        is_exact: true,
        time: Some("created_at"),
        reasons: "reason complaint",
        read: |row| Ok(always(row, Reason::Complaint, "", "createdat")),
    },
    // <https://postmarkapp.com/developer/api/suppressions-api>
    Export {
        name: "Postmark suppressions",
        columns: &["emailaddress", "suppressionreason"],
        is_exact: false,
        time: Some("CreatedAt"),
        reasons: "reason as in `SuppressionReason`",
        read: postmark_suppression,
    },
    // <https://postmarkapp.com/developer/api/bounce-api#bounce-types>
    Export {
        name: "Postmark bounces",
        columns: &["type", "email", "bouncedat"],
        is_exact: false,
        time: Some("BouncedAt"),
        reasons: "reason as in `Type`",
        read: postmark_bounce,
    },
    // <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SuppressedDestination.html>
    Export {
        name: "SES suppressed destinations",
        columns: &["emailaddress", "reason", "lastupdatetime"],
        is_exact: false,
        time: Some("LastUpdateTime"),
        reasons: "reason as in `Reason`",
        read: |row| match row.find("reason").unwrap_or_default().to_uppercase().as_str() {
            "BOUNCE" => Ok(always(row, Reason::HardBounce, "", "lastupdatetime")),
            "COMPLAINT" => Ok(always(row, Reason::Complaint, "", "lastupdatetime")),
            word => Err(unknown("Reason", word, "BOUNCE and COMPLAINT")),
        },
    },
    // <https://mailchimp.com/help/view-and-edit-your-exported-audience-data/>
    Export {
        name: "Mailchimp unsubscribed contacts",
        columns: &["unsubtime"],
        is_exact: false,
        time: Some("UNSUB_TIME"),
        reasons: "reason opted_out",
        read: |row| Ok(always(row, Reason::OptedOut, "unsubreason", "unsubtime")),
    },
    Export {
        name: "Mailchimp cleaned contacts",
        columns: &["cleantime"],
        is_exact: false,
        time: Some("CLEAN_TIME"),
        reasons: "reason hard_bounce",
        read: |row| Ok(always(row, Reason::HardBounce, "cleancampaigntitle", "cleantime")),
    },
    Export {
        name: "Mailchimp subscribed contacts",
        columns: &["memberrating", "leid", "euid"],
        is_exact: false,
        time: None,
        reasons: "no address is suppressed: import the archive's files of unsubscribed and cleaned contacts",
        read: |_| Ok(LineMeaning::Nothing("subscribed")),
    },
    Export {
        name: "Resend suppressions",
        columns: &["email", "origin", "sourceid", "createdat"],
        is_exact: false,
        time: Some("created_at"),
        reasons: "reason provider",
        read: |row| Ok(resend_suppression(row)),
    },
    // An email's last event, after it was created: <https://resend.com/docs/dashboard/emails/introduction#email-events>.
    Export {
        name: "Resend emails",
        columns: &["to", "lastevent", "createdat"],
        is_exact: false,
        time: Some("created_at"),
        reasons: "reason as in `last_event`",
        read: |row| match row.find("lastevent").unwrap_or_default().to_lowercase().as_str() {
            "bounced" => Ok(always(row, Reason::HardBounce, "", "createdat")),
            "complained" => Ok(always(row, Reason::Complaint, "", "createdat")),
            "suppressed" => Ok(always(row, Reason::Provider, "", "createdat")),
            _ => Ok(LineMeaning::Nothing("neither bounced nor complained")),
        },
    },
    // When a contact was created is not when they left.
    Export {
        name: "Resend contacts",
        columns: &["email", "unsubscribed"],
        is_exact: false,
        time: None,
        reasons: "reason unsubscribed, where `unsubscribed` is true",
        read: |row| match row.find("unsubscribed").unwrap_or("false").to_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(always(row, Reason::Unsubscribed, "", "")),
            "false" | "0" | "no" => Ok(LineMeaning::Nothing("subscribed")),
            word => Err(unknown("unsubscribed", word, "true and false")),
        },
    },
];

impl Export {
    /// The export whose columns these are; their names are without capitals, spaces, hyphens and underscores.
    pub(super) fn of(columns: &[String]) -> Option<&'static Self> {
        let has = |name: &&str| columns.iter().any(|column| column == name);
        let fits = |export: &&Self| {
            export.columns.iter().all(has) && (!export.is_exact || columns.len() == export.columns.len())
        };
        EXPORTS.iter().find(fits)
    }

    /// Reads the meaning of a line.
    ///
    /// # Errors
    /// A value is unknown in this export: the reason, as text.
    pub(super) fn read(&self, row: &ListedAddress) -> Result<LineMeaning, String> {
        (self.read)(row)
    }
}

/// The address is suppressed for this reason, with what these columns say of the circumstances and of the time.
fn always(row: &ListedAddress, reason: Reason, detail: &str, time: &str) -> LineMeaning {
    let cell = |name: &str| row.find(name).map(str::to_owned);
    let reason = Some(reason.as_str().to_owned());
    LineMeaning::Suppressed(Box::new(ListRow { reason, at: cell(time), detail: cell(detail), ..ListRow::bare(row) }))
}

/// The same, where the column of the circumstances may also have the word for a reason: in a list with the same names that somebody made.
fn or_word(row: &ListedAddress, reason: Reason, detail: &str, time: &str) -> LineMeaning {
    let word = row.find(detail).and_then(super::entry::known_reason);
    match word {
        Some(word) => always(row, word, "", time),
        None => always(row, reason, detail, time),
    }
}

fn unknown(column: &str, word: &str, known: &str) -> String {
    format!(
        "{word:?} is not a known value of the column {column:?}; the known values are {known}; --as imports the whole list with one reason"
    )
}

/// Who unsubscribed is in Postmark's list as a manual suppression, of the recipient's own.
fn postmark_suppression(row: &ListedAddress) -> Result<LineMeaning, String> {
    let is_recipients = row.find("origin").is_some_and(|origin| origin.eq_ignore_ascii_case("Recipient"));
    let reason = match row.find("suppressionreason").unwrap_or_default() {
        "HardBounce" => Reason::HardBounce,
        "SpamComplaint" => Reason::Complaint,
        "ManualSuppression" if is_recipients => Reason::OptedOut,
        "ManualSuppression" => Reason::Manual,
        word => {
            return Err(unknown("SuppressionReason", word, "HardBounce, SpamComplaint and ManualSuppression"));
        }
    };
    Ok(always(row, reason, "", "createdat"))
}

/// Bounces of other types are soft, or no bounces. Where Postmark sends nothing more to the address (`Inactive`), it is suppressed
/// nevertheless.
fn postmark_bounce(row: &ListedAddress) -> Result<LineMeaning, String> {
    let suppressed = |reason| Ok(always(row, reason, "details", "bouncedat"));
    match row.find("type").unwrap_or_default() {
        "HardBounce" | "BadEmailAddress" => suppressed(Reason::HardBounce),
        "SpamComplaint" => suppressed(Reason::Complaint),
        "Unsubscribe" => suppressed(Reason::OptedOut),
        "ManuallyDeactivated" => suppressed(Reason::Manual),
        _ if row.find("inactive").is_some_and(|cell| cell.eq_ignore_ascii_case("true")) => suppressed(Reason::Manual),
        "" => Err(unknown("Type", "", "HardBounce, SpamComplaint, SoftBounce and others")),
        "SoftBounce" | "Transient" | "DnsError" => Ok(LineMeaning::Nothing("soft bounce")),
        _ => Ok(LineMeaning::Nothing("no bounce")),
    }
}

/// The entry as `--from-resend` imports it, with the same message id, so that both are one change.
fn resend_suppression(row: &ListedAddress) -> LineMeaning {
    let said = always(row, Reason::Provider, "origin", "createdat");
    let LineMeaning::Suppressed(entry) = said else { return said };
    let email_id = row.find("sourceid").map(str::to_owned);
    let message_id = row.find("id").map(|id| format!("resend-{id}"));
    LineMeaning::Suppressed(Box::new(ListRow { email_id, message_id, ..*entry }))
}

#[cfg(test)]
mod tests;
