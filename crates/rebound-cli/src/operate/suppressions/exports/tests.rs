//! The exports of other services, as they are, and what they come to.

use std::collections::BTreeMap;

use rebound::policy::suppression::ChangeEffect;
use rebound::time::UnixMillis;

use crate::operate::lists::{ListOptions, ListReader};
use crate::operate::suppressions::import::{ParsedList, read};
use crate::operate::suppressions::meaning::Meaning;

const AT: &str = "2026-11-23T13:05:00.000Z";
/// Now, for whatever has no time of its own.
const NOW: &str = "2026-11-28T00:00:00.000Z";

fn read_at_now(bytes: &[u8]) -> ParsedList {
    read(bytes, UnixMillis::parse(NOW).unwrap()).unwrap()
}

/// Each entry: the address, the reason, the time, the circumstances.
fn entries(read: &ParsedList) -> Vec<(String, &'static str, String, String)> {
    let short_form = |entry: &crate::operate::suppressions::entry::ListEntry| {
        let change = entry.changes[0].reason().unwrap();
        let ChangeEffect::Suppress(details) = &change.effect else { panic!("{entry:?}") };
        let detail = details.detail.clone().unwrap_or_default();
        (entry.recipient.to_string(), change.reason.as_str(), change.at.to_text(), detail)
    };
    read.entries.iter().map(short_form).collect()
}

fn name_of(text: &str) -> Option<&'static str> {
    Meaning::of(&ListReader::new(text.as_bytes(), ListOptions::default()).unwrap()).name()
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
fn unnamed_columns_may_hold_a_reason_and_a_time() {
    let bulk = read_at_now(b"a@example.com,BOUNCE\nb@example.com,COMPLAINT\nc@example.com,\n");
    let reasons: Vec<&str> = entries(&bulk).iter().map(|(_, reason, ..)| *reason).collect();
    assert_eq!(reasons, ["hard_bounce", "complaint", "manual"]);
    let text = b"SUPPRESSEDDESTINATIONSUMMARIES\ta@example.com\t2026-11-23T13:05:00+00:00\tCOMPLAINT\n";
    assert_eq!(entries(&read_at_now(text)), [("a@example.com".into(), "complaint", AT.into(), String::new())]);
}

#[test]
fn an_unknown_word_or_an_invalid_time_is_refused_with_its_line() {
    let ses = "EmailAddress,Reason,LastUpdateTime\r\na@example.com,BOUNCE,2026-11-23\r\nb@example.com,TIRED,2026-11-23\r\n\
               c@example.com,BOUNCE,11/12/2026\r\nd@example.com,BOUNCE,2099-01-01\r\n";
    let read = read_at_now(ses.as_bytes());
    let why: BTreeMap<u64, &str> = read.unreadable.iter().map(|refused| (refused.line, refused.why.as_str())).collect();
    assert_eq!(why.keys().copied().collect::<Vec<_>>(), [3, 4, 5]);
    assert!(why[&3].contains("BOUNCE and COMPLAINT"), "{}", why[&3]);
    assert!(why[&4].contains("\"11/12/2026\" is not a time"), "{}", why[&4]);
    assert!(why[&5].contains("in the future"), "{}", why[&5]);
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
