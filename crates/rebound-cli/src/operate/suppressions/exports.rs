//! The lists that other services export: told by the names of their columns, and what each says of an address.
//!
//! Names and words are those of the exports as they are, in 2026. Where two services use the same names, both mean the same.

use rebound::policy::suppression::Reason;

use super::entry::Entry;
use crate::operate::lists::Row;

/// What a line of an export says of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It must not get email.
    Suppressed(Entry),
    /// Nothing against it, in this word: an email arrived, a bounce was soft.
    Nothing(&'static str),
}

/// A list as a service exports it.
#[derive(Debug)]
pub(super) struct Export {
    /// Its name, for people.
    pub(super) name: &'static str,
    /// The names of columns by which it is told, without capitals, spaces, hyphens and underscores.
    columns: &'static [&'static str],
    /// Whether there are no other columns.
    is_exact: bool,
    /// The column that says since when, for people. `None`: nothing says so.
    pub(super) time: Option<&'static str>,
    /// The reasons that it gives, for people.
    pub(super) reasons: &'static str,
    /// What a line says.
    read: fn(&Row) -> Result<Said, String>,
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
    // Of one tag too: the list knows no tags, and who left one must not be written to by mistake.
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
        reasons: "nobody is suppressed by it: the archive has files of unsubscribed and cleaned contacts too",
        read: |_| Ok(Said::Nothing("subscribed")),
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
            _ => Ok(Said::Nothing("neither bounced nor complained")),
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
            "false" | "0" | "no" => Ok(Said::Nothing("subscribed")),
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

    /// What a line says of its address.
    ///
    /// # Errors
    /// A word in it is none of this export: why, in words.
    pub(super) fn read(&self, row: &Row) -> Result<Said, String> {
        (self.read)(row)
    }
}

/// The address is suppressed for this reason, with what these columns say of the circumstances and of the time.
fn always(row: &Row, reason: Reason, detail: &str, time: &str) -> Said {
    let cell = |name: &str| row.find(name).map(str::to_owned);
    let reason = Some(reason.as_str().to_owned());
    Said::Suppressed(Entry { reason, at: cell(time), detail: cell(detail), ..Entry::bare(row) })
}

/// The same, where the column of the circumstances may also have the word for a reason: in a list with the same names that somebody made.
fn or_word(row: &Row, reason: Reason, detail: &str, time: &str) -> Said {
    let word = row.find(detail).and_then(super::entry::known_reason);
    match word {
        Some(word) => always(row, word, "", time),
        None => always(row, reason, detail, time),
    }
}

fn unknown(column: &str, word: &str, known: &str) -> String {
    format!(
        "there is no {word:?} in the column {column:?}; there are {known}; --as takes the whole list for one reason"
    )
}

/// Who unsubscribed is in Postmark's list as a manual suppression, of the recipient's own.
fn postmark_suppression(row: &Row) -> Result<Said, String> {
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
fn postmark_bounce(row: &Row) -> Result<Said, String> {
    let suppressed = |reason| Ok(always(row, reason, "details", "bouncedat"));
    match row.find("type").unwrap_or_default() {
        "HardBounce" | "BadEmailAddress" => suppressed(Reason::HardBounce),
        "SpamComplaint" => suppressed(Reason::Complaint),
        "Unsubscribe" => suppressed(Reason::OptedOut),
        "ManuallyDeactivated" => suppressed(Reason::Manual),
        _ if row.find("inactive").is_some_and(|cell| cell.eq_ignore_ascii_case("true")) => suppressed(Reason::Manual),
        "" => Err(unknown("Type", "", "HardBounce, SpamComplaint, SoftBounce and others")),
        "SoftBounce" | "Transient" | "DnsError" => Ok(Said::Nothing("soft bounce")),
        _ => Ok(Said::Nothing("no bounce")),
    }
}

/// As `--from-resend` takes it over, with the same name for the message, so that the two are one.
fn resend_suppression(row: &Row) -> Said {
    let said = always(row, Reason::Provider, "origin", "createdat");
    let Said::Suppressed(entry) = said else { return said };
    let email_id = row.find("sourceid").map(str::to_owned);
    Said::Suppressed(Entry { email_id, message_id: row.find("id").map(|id| format!("resend-{id}")), ..entry })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rebound::policy::suppression::Effect;
    use rebound::time::UnixMillis;

    use crate::operate::lists::{Asked, ListReader};
    use crate::operate::suppressions::import::{Read, read};
    use crate::operate::suppressions::meaning::Meaning;

    const AT: &str = "2026-11-23T13:05:00.000Z";
    /// Now, for whatever has no time of its own.
    const NOW: &str = "2026-11-28T00:00:00.000Z";

    fn read_at_now(bytes: &[u8]) -> Read {
        read(bytes, UnixMillis::parse(NOW).unwrap()).unwrap()
    }

    /// Each entry: the address, the reason, the time, the circumstances.
    fn entries(read: &Read) -> Vec<(String, &'static str, String, String)> {
        let told = |entry: &super::super::entry::ListEntry| {
            let change = &entry.changes[0];
            let Effect::Suppress(grounds) = &change.effect else { panic!("{entry:?}") };
            let detail = grounds.detail.clone().unwrap_or_default();
            (entry.recipient.to_string(), change.reason.as_str(), change.at.to_text(), detail)
        };
        read.entries.iter().map(told).collect()
    }

    fn name_of(text: &str) -> Option<&'static str> {
        Meaning::of(&ListReader::new(text.as_bytes(), Asked::default()).unwrap()).name()
    }

    #[test]
    fn every_known_export_comes_to_its_reasons_and_times() {
        for (name, text, expected) in [
            (
                "SendGrid bounces",
                "status,reason,email,created\n5.1.1,\"550 no such user\",ann@example.com,1795439100\n",
                vec![("hard_bounce", AT, "550 no such user")],
            ),
            (
                "SendGrid invalid emails",
                "reason,email,created\nMail domain is unknown,ann@example.com,1795439100\n",
                vec![("hard_bounce", AT, "Mail domain is unknown")],
            ),
            (
                "SendGrid spam reports",
                "ip,email,created\n192.0.2.1,ann@example.com,1795439100\n",
                vec![("complaint", AT, "")],
            ),
            ("SendGrid unsubscribes", "email,created\nann@example.com,1795439100\n", vec![("opted_out", AT, "")]),
            (
                "Mailgun bounces",
                "address,code,error,created_at\nann@example.com,550,No such user,\"Mon, 23 Nov 2026 13:05:00 UTC\"\n",
                vec![("hard_bounce", AT, "No such user")],
            ),
            (
                "Mailgun complaints",
                "address,created_at\nann@example.com,\"Mon, 23 Nov 2026 13:05:00 UTC\"\n",
                vec![("complaint", AT, "")],
            ),
            (
                "Mailgun unsubscribes",
                "address,tags,created_at\nann@example.com,\"[\"\"*\"\"]\",\"Mon, 23 Nov 2026 13:05:00 UTC\"\n",
                vec![("opted_out", AT, "[\"*\"]")],
            ),
            (
                "Postmark suppressions",
                "EmailAddress,SuppressionReason,Origin,CreatedAt\n\
                 a@example.com,HardBounce,Recipient,2026-11-23T08:05:00-05:00\n\
                 b@example.com,SpamComplaint,Recipient,2026-11-23T08:05:00-05:00\n\
                 c@example.com,ManualSuppression,Recipient,2026-11-23T08:05:00-05:00\n\
                 d@example.com,ManualSuppression,Customer,2026-11-23T08:05:00-05:00\n",
                vec![("hard_bounce", AT, ""), ("complaint", AT, ""), ("opted_out", AT, ""), ("manual", AT, "")],
            ),
            (
                "Postmark bounces",
                "ID,Type,Email,BouncedAt,Details,Inactive\n\
                 1,HardBounce,a@example.com,2026-11-23T13:05:00Z,smtp;550,true\n\
                 2,SpamComplaint,b@example.com,2026-11-23T13:05:00Z,,true\n\
                 3,SoftBounce,c@example.com,2026-11-23T13:05:00Z,full,false\n\
                 4,Transient,d@example.com,2026-11-23T13:05:00Z,,true\n",
                vec![("hard_bounce", AT, "smtp;550"), ("complaint", AT, ""), ("manual", AT, "")],
            ),
            (
                "SES suppressed destinations",
                "EmailAddress,Reason,LastUpdateTime\n\
                 a@example.com,BOUNCE,2026-11-23T13:05:00.000000+00:00\nb@example.com,COMPLAINT,1795439100.0\n",
                vec![("hard_bounce", AT, ""), ("complaint", AT, "")],
            ),
            (
                "Mailchimp unsubscribed contacts",
                "Email Address;First Name;MEMBER_RATING;UNSUB_TIME;UNSUB_REASON;LEID;EUID\n\
                 ann@example.com;Ann;2;2026-11-23 13:05:00;NORMAL;1;a\n",
                vec![("opted_out", AT, "NORMAL")],
            ),
            (
                "Mailchimp cleaned contacts",
                "Email Address\tMEMBER_RATING\tCLEAN_TIME\tCLEAN_CAMPAIGN_TITLE\tLEID\tEUID\n\
                 ann@example.com\t1\t2026-11-23 13:05:00\tSpring\t1\ta\n",
                vec![("hard_bounce", AT, "Spring")],
            ),
            ("Mailchimp subscribed contacts", "Email Address,MEMBER_RATING,LEID,EUID\nann@example.com,2,1,a\n", vec![]),
            (
                "Resend suppressions",
                "id,email,origin,source_id,created_at\n1,ann@example.com,bounce,e1,2026-11-23 13:05:00+00\n",
                vec![("provider", AT, "bounce")],
            ),
            (
                "Resend emails",
                "id,created_at,subject,from,to,last_event\n\
                 1,2026-11-23 13:05:00+00,Hi,Acme <news@acme.example>,a@example.com,bounced\n\
                 2,2026-11-23 13:05:00+00,Hi,Acme <news@acme.example>,b@example.com,complained\n\
                 3,2026-11-23 13:05:00+00,Hi,Acme <news@acme.example>,c@example.com,delivered\n",
                vec![("hard_bounce", AT, ""), ("complaint", AT, "")],
            ),
            (
                "Resend contacts",
                "id,email,first_name,last_name,unsubscribed,created_at\n\
                 1,a@example.com,Ann,Lee,true,2026-10-06 23:47:56.678+00\n2,b@example.com,,,false,2026-10-06 23:47:56.678+00\n",
                vec![("unsubscribed", NOW, "")],
            ),
        ] {
            assert_eq!(name_of(text), Some(name));
            let read = read_at_now(text.as_bytes());
            assert_eq!(read.unreadable, [], "{name}");
            let found = entries(&read);
            let found: Vec<(&str, &str, &str)> =
                found.iter().map(|(_, reason, at, detail)| (*reason, at.as_str(), detail.as_str())).collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(read.len(), text.lines().count() - 1, "{name}: every line is accounted for");
        }
    }

    #[test]
    fn a_list_that_somebody_made_keeps_its_own_words() {
        let own = read_at_now(b"reason,email,created\ncomplaint,ann@example.com,2026-11-23\n");
        assert_eq!(
            entries(&own),
            [("ann@example.com".into(), "complaint", "2026-11-23T00:00:00.000Z".into(), String::new())]
        );
        for text in ["email,reason,at\na@b.c,complaint,2026-11-23\n", "email,name\na@b.c,Ann\n", "a@b.c\n"] {
            assert_eq!(name_of(text), None, "{text}");
        }
        assert_eq!(
            name_of("recipient,reason,at,until,detail,email_id,message_id,lifted_at,lifted_by\n"),
            Some("an export of Rebound")
        );
    }

    #[test]
    fn without_names_a_word_for_a_reason_is_one_and_a_whole_time_is_one() {
        let bulk = read_at_now(b"a@example.com,BOUNCE\nb@example.com,COMPLAINT\nc@example.com,\n");
        let reasons: Vec<&str> = entries(&bulk).iter().map(|(_, reason, ..)| *reason).collect();
        assert_eq!(reasons, ["hard_bounce", "complaint", "manual"]);
        let text = b"SUPPRESSEDDESTINATIONSUMMARIES\ta@example.com\t2026-11-23T13:05:00+00:00\tCOMPLAINT\n";
        assert_eq!(entries(&read_at_now(text)), [("a@example.com".into(), "complaint", AT.into(), String::new())]);
    }

    #[test]
    fn a_word_that_an_export_does_not_have_and_a_time_that_is_none_are_refused_with_their_lines() {
        let ses = "EmailAddress,Reason,LastUpdateTime\r\na@example.com,BOUNCE,2026-11-23\r\nb@example.com,TIRED,2026-11-23\r\n\
                   c@example.com,BOUNCE,11/12/2026\r\nd@example.com,BOUNCE,2099-01-01\r\n";
        let read = read_at_now(ses.as_bytes());
        let why: BTreeMap<u64, &str> =
            read.unreadable.iter().map(|refused| (refused.line, refused.why.as_str())).collect();
        assert_eq!(why.keys().copied().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(why[&3].contains("BOUNCE and COMPLAINT"), "{}", why[&3]);
        assert!(why[&4].contains("\"11/12/2026\" is not a time"), "{}", why[&4]);
        assert!(why[&5].contains("yet to come"), "{}", why[&5]);
        assert_eq!(read.entries.len(), 1);
    }

    #[test]
    fn the_same_list_comes_to_the_same_in_every_encoding() {
        let text = "email;reason;detail\r\njosé@example.com;complaint;naïve café\r\nnobody;complaint;\r\n";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for (name, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("UTF-8 with a mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
            ("UTF-16LE with a mark", [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat()),
            ("UTF-16BE with a mark", [b"\xfe\xff".to_vec(), utf16(u16::to_be_bytes)].concat()),
            ("UTF-16LE", utf16(u16::to_le_bytes)),
            ("UTF-16BE", utf16(u16::to_be_bytes)),
            ("Latin-1", latin),
        ] {
            let read = read_at_now(&bytes);
            let expected = ("josé@example.com".to_owned(), "complaint", NOW.to_owned(), "naïve café".to_owned());
            assert_eq!(entries(&read), [expected], "{name}");
            assert_eq!(read.unreadable.iter().map(|refused| refused.line).collect::<Vec<_>>(), [3], "{name}");
            assert_eq!(
                read.odd.len(),
                usize::from(name == "Latin-1"),
                "{name}: an address whose encoding was guessed is odd"
            );
        }
    }
}
