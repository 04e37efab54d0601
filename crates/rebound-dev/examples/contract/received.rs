//! The headers of a received email, and what its DKIM signature covers (<https://www.rfc-editor.org/rfc/rfc6376>).

use crate::questions::{Finding, Verdict};

/// The headers that `act` sets, with values by which they are found again.
pub(crate) const HEADERS: [(&str, &str); 4] = [
    ("List-Unsubscribe", "<https://rebound.invalid/u/contract>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("In-Reply-To", "<contract@rebound.invalid>"),
    ("References", "<contract@rebound.invalid>"),
];

/// Questions, one for each header. The first two must be signed: Gmail and Yahoo ask for that (RFC 8058, section 4).
const ASKED: [(&str, bool); 4] = [
    ("List-Unsubscribe of a received email", true),
    ("List-Unsubscribe-Post of a received email", true),
    ("In-Reply-To of a received email", false),
    ("References of a received email", false),
];

/// Compares the received email with what was sent.
pub(crate) fn findings(email: Option<&str>) -> Vec<Finding> {
    let headers = email.map(headers);
    let is_ours = headers.as_ref().is_some_and(|all| HEADERS.iter().any(|header| has(all, *header)));
    let one = |(header, (asked, must_be_signed)): (&(&str, &str), (&'static str, bool))| {
        let assumed = if must_be_signed { "kept, and signed by DKIM" } else { "kept" };
        let (seen, verdict) = match &headers {
            None => ("no --received-email".to_owned(), Verdict::NotAsked),
            Some(_) if !is_ours => ("the file is not an email of this command".to_owned(), Verdict::NotAsked),
            Some(all) => {
                let (is_kept, is_signed) = (has(all, *header), is_signed(all, header.0));
                let seen = match (is_kept, is_signed) {
                    (true, true) => "kept, and signed",
                    (true, false) => "kept, not signed",
                    (false, _) => "changed or missing",
                };
                let is_same = is_kept && (is_signed || !must_be_signed);
                (seen.to_owned(), if is_same { Verdict::Same } else { Verdict::Differs })
            }
        };
        Finding { asked, assumed: assumed.to_owned(), seen, verdict }
    };
    HEADERS.iter().zip(ASKED).map(one).collect()
}

/// The headers of an email, unfolded: names in lower case, and values.
fn headers(email: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in email.lines().take_while(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), headers.last_mut()) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {
                if let Some((name, value)) = line.split_once(':') {
                    headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }
    headers
}

fn has(headers: &[(String, String)], (name, value): (&str, &str)) -> bool {
    headers.iter().any(|(known, found)| known.eq_ignore_ascii_case(name) && found == value)
}

/// Returns true if the `h=` of a DKIM signature names this header.
fn is_signed(headers: &[(String, String)], name: &str) -> bool {
    let signatures = headers.iter().filter(|(known, _)| known == "dkim-signature");
    let mut lists = signatures.filter_map(|(_, value)| {
        let tag = value.split(';').filter_map(|tag| tag.split_once('=')).find(|(tag, _)| tag.trim() == "h")?;
        Some(tag.1)
    });
    lists.any(|list| list.split(':').any(|signed| signed.trim().eq_ignore_ascii_case(name)))
}
